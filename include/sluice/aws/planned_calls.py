"""The changing calls that carrying out a plan will make: it is carried out where they are written down, not sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.aws.apply import apply_plan
from sluice.aws.session import READING, Clients, Connection
from sluice.core.policy.plan import Plan, Step


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call. Ids of what is not there yet are the words `(of CreatePatchBaseline)`."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    step: Step
    """The step of the plan that makes it."""

    @property
    def name(self) -> str:
        """`ssm:CreatePatchBaseline`."""
        return f"{self.service}:{self.operation}"


def planned_calls(connection: Connection, deployment: str, plan: Plan) -> tuple[PlannedCall, ...]:
    """The changing calls of a plan, in their order, as if everything that it needs were taken over. Changes nothing.

    What `apply` reads in between is read. Raises what `apply` would raise for that.
    """
    recorder = _Recorder(connection)
    apply_plan(recorder, deployment, plan, plan.needs(), recorder.begin)
    return tuple(recorder.calls)


class _Recorder(Connection):
    """A connection that reads, and writes down what would change something."""

    def __init__(self, behind: Connection) -> None:
        super().__init__(Clients(None), aws_only=False, account=behind.account, region=behind.region)
        self.arn = behind.arn
        self.calls: list[PlannedCall] = []
        self._behind = behind
        self._step: Step | None = None

    def begin(self, step: Step) -> None:
        """What comes now is this step's."""
        self._step = step

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation.startswith(READING):
            return self._behind.call(service, operation, **parameters)
        if self._step is None:
            raise AssertionError(f"{service}:{operation} belongs to no step")
        self.calls.append(PlannedCall(service, operation, parameters, self._step))
        return self._answer(service, operation)

    def _client(self, service: str) -> Any:
        return self._behind._client(service)

    def _answer(self, service: str, operation: str) -> dict[str, Any]:
        """An answer of the form that AWS's own model of the operation says."""
        shape = self._client(service).meta.service_model.operation_model(operation).output_shape
        return {} if shape is None else dict(_example(shape, f"(of {operation})"))


def _example(shape: Any, text: str) -> Any:
    if shape.type_name == "structure":
        return {name: _example(member, text) for name, member in shape.members.items()}
    empty: Mapping[str, Any] = {"list": [], "map": {}, "boolean": False, "string": text}
    return empty.get(shape.type_name, 0)

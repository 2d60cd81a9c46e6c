"""Faults that clients of the lab meet: throttles, errors, denials, lost and broken answers.

A rule names the calls it matches and what becomes of them. Rules are tried in their order; delays
add up, the first other fault decides. Draws come from a seed of their own: the same rules and the same
calls meet the same faults, and ids that the lab draws stay what they were.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lab.aws_models import service_model, service_names
from lab.calls import Call
from lab.clock import Clock
from lab.errors import FaultError

Kind = Literal[
    "throttle", "server_error", "unavailable", "access_denied", "expired_token",
    "timeout", "drop", "lost_reply", "truncate", "delay",
]  # fmt: skip


class Rate(BaseModel):
    """A token bucket: `burst` calls at once, `per_second` more each second. One per account, Region and operation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_second: float = Field(gt=0)
    burst: int = Field(default=1, ge=1)
    clock: Literal["real", "lab"] = "real"
    """Whose seconds refill it."""
    shared: bool = False
    """Whether all operations that the rule matches draw from one bucket."""


class FaultRule(BaseModel):
    """Which calls, and what becomes of them.

    Every given part must match (globs, as in `Describe*`); a part not given matches all. `after` matching
    calls pass first, then `times` of them are hit (None: all), each with probability `p`. With a `rate`
    only calls beyond the bucket are hit; it takes no `after`, `times` or `p`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    service: str = "*"
    """botocore's name: `ssm`, `ec2`, `s3`, `sts`, `cloudwatch`."""
    operation: str = "*"
    account: str = Field(default="*", pattern=r"^[0-9*?]{1,12}$")
    region: str = "*"
    access_key: str = "*"
    contains: str = ""
    """Text that the request's path, query or body holds, e.g. a role's name or an instance id."""
    times: int | None = Field(default=None, ge=1)
    after: int = Field(default=0, ge=0)
    p: float = Field(default=1.0, gt=0, le=1)
    seconds: float = Field(default=0.0, ge=0, le=600)
    """Real seconds of a `delay` or `timeout`."""
    keep: int = Field(default=20, ge=0)
    """Bytes of the body that a `truncate` leaves."""
    rate: Rate | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.kind in ("delay", "timeout")) != (self.seconds > 0):
            raise ValueError(f"seconds belongs to delay and timeout, and they need it: {self.kind}, {self.seconds} s")
        if self.rate and (self.times is not None or self.after or self.p < 1):
            raise ValueError("a rule with a rate takes no times, after or p: the bucket decides which calls are hit")
        _check_names(self.service, self.operation)
        return self

    def matches(self, call: Call) -> bool:
        """Whether the rule is about this call."""
        return (
            fnmatchcase(call.service, self.service)
            and fnmatchcase(call.operation, self.operation)
            and fnmatchcase(call.account, self.account)
            and fnmatchcase(call.region, self.region)
            and fnmatchcase(call.access_key, self.access_key)
            and (not self.contains or self.contains in call.text())
        )


def _check_names(service: str, operation: str) -> None:
    if any(sign in service for sign in "*?["):
        return
    if service not in service_names():
        raise ValueError(f"no service is called {service!r}; use botocore's name, such as ssm, ec2, s3 or sts")
    if not any(fnmatchcase(name, operation) for name in service_model(service).operation_names):
        raise ValueError(
            f"{service} has no operation {operation!r}; names are as in the API, such as DescribeInstances"
        )


AWS_RATES = (
    ("Describe*", 100, 20),
    ("CreateTags", 100, 10),
    ("CopyImage", 100, 1),
    ("DeregisterImage", 100, 5),
    ("CreateSnapshot*", 100, 5),
    ("DeleteSnapshot", 100, 5),
    ("ModifyImageAttribute", 100, 5),
    ("CreateImage", 50, 5),
)
"""EC2's documented buckets: operations, burst, refill per second
(docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). CreateImage is not listed there and counts as any
other mutating call. Systems Manager publishes none for the calls of patching."""


def aws_rates() -> list[FaultRule]:
    """Rules that throttle as EC2 does."""
    return [
        FaultRule(kind="throttle", service="ec2", operation=operation, rate=Rate(per_second=rate, burst=burst))
        for operation, burst, rate in AWS_RATES
    ]


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float

    def take(self, rate: Rate, now: float) -> bool:
        self.tokens = min(float(rate.burst), self.tokens + max(0.0, now - self.at) * rate.per_second)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _State:
    rule: FaultRule
    seen: int = 0
    hit: int = 0
    buckets: dict[tuple[str, str, str], _Bucket] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a call: it waits `delay` real seconds, then meets `fault`, if any."""

    delay: float = 0.0
    fault: FaultRule | None = None


class Faults:
    """The rules in force."""

    def __init__(self, clock: Clock, seed: int, real_time: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._real_time = real_time
        self._seed = seed
        self._states: list[_State] = []
        self._random = random.Random()
        self.clear()

    def clear(self) -> None:
        """Forget all rules and begin the draws anew."""
        self._states = []
        self._random = random.Random(f"faults of {self._seed}")

    def add(self, *rules: FaultRule) -> None:
        """Add rules behind those that stand."""
        self._states += [_State(rule) for rule in rules]

    def shown(self) -> list[dict[str, object]]:
        """The rules in order, with how many calls each has seen and hit."""
        return [
            {**state.rule.model_dump(exclude_defaults=True), "seen": state.seen, "hit": state.hit}
            for state in self._states
        ]

    def draw(self, call: Call) -> Verdict:
        """What becomes of this call; counts it for the rules that it matches."""
        delay = 0.0
        for state in self._states:
            if not (state.rule.matches(call) and self._hits(state, call)):
                continue
            state.hit += 1
            if state.rule.kind != "delay":
                return Verdict(delay, state.rule)
            delay += state.rule.seconds
        return Verdict(delay)

    def _hits(self, state: _State, call: Call) -> bool:
        rule = state.rule
        state.seen += 1
        if rule.rate:
            return not self._take(state, rule.rate, call)
        if state.seen <= rule.after or (rule.times is not None and state.hit >= rule.times):
            return False
        return rule.p == 1 or self._random.random() < rule.p

    def _take(self, state: _State, rate: Rate, call: Call) -> bool:
        now = self._real_time() if rate.clock == "real" else self._clock.now().timestamp()
        key = (call.account, call.region, "" if rate.shared else call.operation)
        bucket = state.buckets.setdefault(key, _Bucket(float(rate.burst), now))
        return bucket.take(rate, now)


def parse_rules(raw: object) -> list[FaultRule]:
    """Rules as the admin API and the fleet file write them. Raises FaultError naming each problem and its rule."""
    if not isinstance(raw, list):
        raise FaultError(f"expected a list of fault rules, found {type(raw).__name__}")
    rules, problems = [], []
    for number, item in enumerate(raw, start=1):
        try:
            rules.append(FaultRule.model_validate(item))
        except ValidationError as error:
            problems += [f"rule {number}, {problem}" for problem in explain(error)]
    if problems:
        raise FaultError("; ".join(problems))
    return rules


def explain(error: ValidationError) -> list[str]:
    """pydantic's findings, one short sentence each: where, what was expected, what was found."""
    found = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "as a whole"
        what = problem["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
        found.append(f"{where}: {what}{shown}")
    return found

"""What every EC2 operation of the lab shares: parsing, validation, errors, pages.

An operation is a method of a mixin, named as moto names it (`describe_instances`), that reads
`self.params` (the request, as botocore's model shapes it) and returns the response as a dict.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from moto.core.exceptions import ServiceException
from moto.core.utils import camelcase_to_underscores
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response

from lab.ec2.filters import Filters
from lab.ec2.wire import answer, check, operations
from lab.wire_errors import AwsError, error_answer

if TYPE_CHECKING:
    from lab.world import Lab, Location

T = TypeVar("T")
R = TypeVar("R", bound=Mapping[str, Any])

FEWEST, MOST = 5, 1000
"""The least and most that `MaxResults` may be."""

Reply = Any
"""What an operation returns: a dict shaped as the model says. Not typed as one, since moto's methods, which
the operations override, return moto's own result objects."""

Entries = Callable[[str], Iterator[tuple[str, T]]]
"""Given a key, what comes after it, in the order of the keys: pairs of key and item."""


class EC2Operations(EC2Response):
    """Base of the lab's EC2 operations; see the module's docstring."""

    own_operations: frozenset[str] = frozenset()
    """Method names that the lab implements itself (the rest is moto's or unsupported)."""

    params: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = {camelcase_to_underscores(name) for name in operations()}
        own = (klass for klass in cls.__mro__ if klass.__module__.startswith("lab."))
        cls.own_operations = frozenset(name for klass in own for name in vars(klass) if name in known)

    @property
    def lab(self) -> Lab:
        """The lab that answers."""
        from lab.world import current

        return current()

    @property
    def location(self) -> Location:
        """The account and Region that the request is for."""
        return self.lab.location(self.current_account, self.region)

    @property
    def backend(self) -> EC2Backend:
        """moto's EC2 of that location."""
        return self.location.ec2

    def now(self) -> datetime:
        """The lab's time."""
        return self.lab.clock.now()

    def parse_parameters(self, request: Any) -> None:
        """Parse the request. Raises InvalidAction and InvalidParameterValue where moto would crash."""
        action = self._get_action()
        if action not in operations():
            raise AwsError("InvalidAction", f"The action {action} is not valid for this web service.")
        try:
            super().parse_parameters(request)
        except ValueError as problem:
            raise AwsError("InvalidParameterValue", f"A parameter of {action} is invalid: {problem}") from problem

    def call_action(self) -> Any:
        """Answer one request: the lab's own operation, else moto's."""
        method = camelcase_to_underscores(self._get_action())
        if method not in self.own_operations:
            return super().call_action()
        model = operations()[self._get_action()]
        try:
            check(model.input_shape, self.params)
            body = answer(model, getattr(self, method)() or {})
        except AwsError as problem:
            return self._failure(problem)
        except ServiceException as problem:
            return self._failure(AwsError(problem.code, problem.message))
        return 200, {**self.response_headers, "Content-Type": "text/xml;charset=UTF-8"}, body

    def _failure(self, problem: AwsError) -> tuple[int, dict[str, str], str]:
        found = error_answer("ec2", "ec2", problem)
        return found.status, {**self.response_headers, **dict(found.headers)}, found.body.decode()

    def stop_here_if_dry_run(self) -> None:
        """Raise DryRunOperation (HTTP 412) when the request only asks whether it would succeed."""
        if self.params.get("DryRun"):
            raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)

    def filters(self, paths: Mapping[str, str | None]) -> Filters:
        """The request's filters; `paths` as `Filters` takes them."""
        return Filters(self.params.get("Filters", []), paths)

    def page(self, entries: Entries[T], default: int | None = None) -> tuple[list[T], dict[str, str]]:
        """One page of what `entries` gives, and the `NextToken` member, if any, to add to the answer.

        `MaxResults` decides the page's size, `default` without one, and without either all come at once,
        as EC2 answers. A token names the last item seen, so what vanishes between two pages moves
        nothing. Raises InvalidParameterValue for a size or token that is no good.
        """
        size = self._page_size(default)
        found: list[T] = []
        last = ""
        for key, item in entries(self._after()):
            if len(found) == size:
                return found, {"NextToken": base64.urlsafe_b64encode(f"{self._get_action()} {last}".encode()).decode()}
            found.append(item)
            last = key
        return found, {}

    def _page_size(self, default: int | None) -> int | None:
        size: int | None = self.params.get("MaxResults", default)
        if size is not None and not FEWEST <= size <= MOST:
            limit = f"greater than {FEWEST}" if size < FEWEST else f"less than {MOST}"
            raise AwsError(
                "InvalidParameterValue",
                f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value {limit}.",
            )
        return size

    def _after(self) -> str:
        token = self.params.get("NextToken")
        if token is None:
            return ""
        try:
            action, _, last = base64.urlsafe_b64decode(token).decode().partition(" ")
        except (binascii.Error, ValueError):
            action, last = "", ""
        if action != self._get_action() or not last:
            raise AwsError(
                "InvalidParameterValue", f"Value ( {token} ) for parameter NextToken is invalid. The token is invalid."
            )
        return last

    def refuse_ids_with_pages(self, member: str, name: str) -> None:
        """Raise InvalidParameterCombination where ids (`member`, as AWS calls it `name`) come with `MaxResults`."""
        if self.params.get(member) and self.params.get("MaxResults"):
            raise AwsError(
                "InvalidParameterCombination",
                f"The parameter {name} cannot be used with the parameter maxResults",
            )

    def described(
        self,
        ids: Sequence[str],
        paths: Mapping[str, str | None],
        describe: Callable[[str, Mapping[str, str]], R | None],
    ) -> Entries[R]:
        """The entries, for `page`, of a resource: those of the sorted `ids` that pass the request's filters.

        `describe` gives an id's record, its tags at hand, or None where the id is not to be seen.
        """
        filters, tags = self.filters(paths), self.backend.tags

        def entries(after: str) -> Iterator[tuple[str, R]]:
            for at in range(bisect_right(ids, after), len(ids)):
                own = tags.get(ids[at], {})
                if filters.match_tags(own) and (record := describe(ids[at], own)) is not None and filters.match(record):
                    yield ids[at], record

        return entries


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API has them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def wellformed(prefix: str, resource_id: str) -> bool:
    """Whether an id looks like one: the prefix and 8 or 17 hexadecimal digits."""
    return re.fullmatch(rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})", resource_id) is not None


def check_ids(kind: str, prefix: str, ids: Iterable[str]) -> None:
    """Raise `<kind>.Malformed` for the first id that cannot be one (`kind` is `InvalidInstanceID`, …)."""
    for resource_id in ids:
        if not wellformed(prefix, resource_id):
            raise AwsError(f"{kind}.Malformed", f'Invalid id: "{resource_id}" (expecting "{prefix}-...")')

"""A patch baseline, read once per evaluation: filters, rules with their cut-off, lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from lab.evaluate.managers import Manager
from lab.evaluate.model import EvaluationError
from lab.evaluate.names import NameList
from lab.evaluate.problems import problems

Level = Literal["UNSPECIFIED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
LEVELS: tuple[Level, ...] = ("UNSPECIFIED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")
"""Compliance levels, the highest last; a level's rank is its place here."""

ANY = "*"


def _absent_as(default: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None else value)


def _date(value: object) -> date | None:
    try:
        return None if value is None else date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("a date such as 2025-06-30") from None


YesNo = Annotated[bool, Field(strict=True)]


class PatchFilter(BaseModel):
    """A key of which one value must fit."""

    Key: str
    Values: list[str]


class FilterGroup(BaseModel):
    """Filters that must all fit."""

    PatchFilters: Annotated[list[PatchFilter], _absent_as([])] = []


class PatchRule(BaseModel):
    """An approval rule as GetPatchBaseline answers it."""

    PatchFilterGroup: FilterGroup
    ComplianceLevel: Annotated[Level, _absent_as("UNSPECIFIED")] = "UNSPECIFIED"
    ApproveAfterDays: Annotated[int | None, Field(strict=True, ge=0, le=36_500)] = None
    ApproveUntilDate: Annotated[date | None, BeforeValidator(_date)] = None
    EnableNonSecurity: Annotated[YesNo, _absent_as(default=False)] = False


class RuleGroup(BaseModel):
    """The approval rules."""

    PatchRules: Annotated[list[PatchRule], _absent_as([])] = []


class BaselineBody(BaseModel):
    """The members of GetPatchBaseline's answer that an agent looks at; each may be missing."""

    GlobalFilters: Annotated[FilterGroup, _absent_as({})] = FilterGroup()
    ApprovalRules: Annotated[RuleGroup, _absent_as({})] = RuleGroup()
    ApprovedPatches: Annotated[list[str], _absent_as([])] = []
    ApprovedPatchesComplianceLevel: Annotated[Level, _absent_as("UNSPECIFIED")] = "UNSPECIFIED"
    ApprovedPatchesEnableNonSecurity: Annotated[YesNo, _absent_as(default=False)] = False
    RejectedPatches: Annotated[list[str], _absent_as([])] = []
    RejectedPatchesAction: Annotated[Literal["ALLOW_AS_DEPENDENCY", "BLOCK"], _absent_as("ALLOW_AS_DEPENDENCY")] = (
        "ALLOW_AS_DEPENDENCY"
    )


def plain(value: str | None) -> str | None:
    """A filter value or what it is compared with: case and blanks do not count."""
    return None if value is None else value.casefold().replace(" ", "")


class Filters:
    """Filters that must all fit a patch's values, given in the order of the manager's keys."""

    def __init__(self, group: FilterGroup, manager: Manager) -> None:
        wanted: list[tuple[int, frozenset[str | None]]] = []
        for each in group.PatchFilters:
            if each.Key in manager.keys:
                if ANY not in each.Values:
                    wanted.append((manager.keys.index(each.Key), frozenset(map(plain, each.Values))))
            elif not manager.debian:
                # apt's agent passes over keys that it does not know, the others fail.
                keys = ", ".join(manager.keys)
                raise EvaluationError(f"baseline: expected a filter key of {manager}: {keys}; found {each.Key!r}")
        self._wanted = wanted

    def fit(self, values: tuple[str | None, ...]) -> bool:
        """Whether every filter has a patch's value; a value that is not known only fits `*`."""
        return all(values[place] is not None and values[place] in wanted for place, wanted in self._wanted)


class Rule:
    """An approval rule with its cut-off: what is dated before it is approved."""

    def __init__(self, rule: PatchRule, manager: Manager, now: datetime) -> None:
        windows = manager is Manager.WINDOWS_UPDATE
        self.filters = Filters(_of_windows(rule.PatchFilterGroup) if windows else rule.PatchFilterGroup, manager)
        self.rank = LEVELS.index(rule.ComplianceLevel)
        self.non_security = rule.EnableNonSecurity
        self.before = _cut_off(rule, now)

    def approves(self, *, security: bool, dated: datetime | None) -> bool:
        """Whether a patch that its filters fit is approved; without a date no delay holds it back."""
        return (security or self.non_security) and (dated is None or dated < self.before)


def _of_windows(group: FilterGroup) -> FilterGroup:
    """A rule that names no patch set means the operating system's.

    The least that a rule for an application says is its PATCH_SET (UG:about-windows-app-patching).
    """
    if any(each.Key == "PATCH_SET" for each in group.PatchFilters):
        return group
    return FilterGroup(PatchFilters=[*group.PatchFilters, PatchFilter(Key="PATCH_SET", Values=["OS"])])


def _cut_off(rule: PatchRule, now: datetime) -> datetime:
    if rule.ApproveUntilDate is not None:
        # The whole of the date counts, in UTC.
        return datetime.combine(rule.ApproveUntilDate, time.min, UTC) + timedelta(days=1)
    return now - timedelta(days=rule.ApproveAfterDays or 0)


class Baseline:
    """A baseline for one manager at one moment.

    `body` is what GetPatchBaseline answers; members that an agent does not look at are passed over.
    Raises EvaluationError with every problem of a body that AWS would not answer.
    """

    def __init__(self, body: Mapping[str, Any], manager: Manager, now: datetime) -> None:
        try:
            read = BaselineBody.model_validate(dict(body))
        except ValidationError as error:
            raise EvaluationError("\n".join(problems(error, "baseline"))) from None
        self._global = Filters(read.GlobalFilters, manager)
        self._rules = [Rule(rule, manager, now) for rule in read.ApprovalRules.PatchRules]
        self._passing: dict[tuple[str | None, ...], tuple[Rule, ...]] = {}
        self.approved = NameList(read.ApprovedPatches)
        self.approved_ids = frozenset(read.ApprovedPatches)
        """As they are written: CVE and advisory ids are compared with case."""
        self.approved_rank = LEVELS.index(read.ApprovedPatchesComplianceLevel)
        self.approved_non_security = read.ApprovedPatchesEnableNonSecurity
        self.rejected = NameList(read.RejectedPatches)
        self.reports_rejected = read.RejectedPatchesAction == "BLOCK" or manager.always_reports_rejected

    def allows(self, values: tuple[str | None, ...]) -> bool:
        """Whether the global filters let a patch with these values through."""
        return self._global.fit(values)

    def rule_ranks(self, values: tuple[str | None, ...], *, security: bool, dated: datetime | None) -> list[int]:
        """The levels' ranks of the rules that approve a patch; global filters bind them."""
        if values not in self._passing:
            rules = self._rules if self.allows(values) else ()
            self._passing[values] = tuple(rule for rule in rules if rule.filters.fit(values))
        return [rule.rank for rule in self._passing[values] if rule.approves(security=security, dated=dated)]

"""What a scan reports of Windows updates, and what an install asks for.

The payload of Windows was not read; this follows UG:patch-manager-compliance-states and the API's
documentation of PatchFilter, RejectedPatchesAction and AvailableSecurityUpdatesComplianceStatus. That a
security update which the baseline does not approve is AVAILABLE_SECURITY_UPDATE holds whatever that
status is: it only says whether such a node is compliant. An override list narrows, it approves nothing
(UG:patch-manager-aws-runpatchbaseline).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.evaluate.baseline import LEVELS, Baseline, plain
from lab.evaluate.model import Override, Row, WindowsPatch
from lab.evaluate.names import NameList, OverrideNames

SECURITY = "securityupdates"
UNSPECIFIED = "Unspecified"
"""MSRC severity of a patch that Microsoft has not rated."""


def rows(baseline: Baseline, override_list: Sequence[Override] | None, patches: Iterable[WindowsPatch]) -> list[Row]:
    """The rows of a node's updates, by KB."""
    override = None if override_list is None else OverrideNames(override_list)
    offers: dict[str, list[tuple[int, WindowsPatch]]] = {}
    for patch in patches:
        rank = _rank(baseline, patch)
        offers.setdefault(patch.kb, []).append((-1 if rank is None else rank, patch))
    found = (_row(baseline, override, *_merged(offers[kb])) for kb in sorted(offers))
    return [row for row in found if row is not None]


def _merged(offers: Sequence[tuple[int, WindowsPatch]]) -> tuple[WindowsPatch, int | None]:
    """A KB offered for several products is installed once for all, at the highest level that one of them gets."""
    rank, patch = max(offers, key=lambda offer: (offer[0], _is_security(offer[1]), offer[1].title))
    installed = any(offer.installed for _, offer in offers)
    return replace(patch, installed=installed), None if rank < 0 else rank


def _rank(baseline: Baseline, patch: WindowsPatch) -> int | None:
    if _listed_as(patch, baseline.rejected):
        return None
    values = tuple(
        plain(value)
        for value in (
            patch.product,
            patch.product_family,
            patch.classification,
            patch.msrc_severity or UNSPECIFIED,
            patch.patch_set,
        )
    )
    ranks = baseline.rule_ranks(values, security=True, dated=patch.released)
    if _listed_as(patch, baseline.approved):
        ranks.append(baseline.approved_rank)
    return max(ranks, default=None)


def _row(baseline: Baseline, override: OverrideNames | None, patch: WindowsPatch, rank: int | None) -> Row | None:
    state = _state(baseline, patch, approved=rank is not None)
    if state is None:
        return None
    listed = override is None or override.fits(_spellings(patch))
    return Row(
        id=patch.kb,
        title=patch.title,
        state=state,
        compliance=LEVELS[rank or 0],
        matched=rank is not None,
        requested=state == "MISSING" and listed,
        classification=patch.classification,
        severity=patch.msrc_severity or UNSPECIFIED,
        cves=(),
        evr=None,
    )


def _state(baseline: Baseline, patch: WindowsPatch, *, approved: bool) -> str | None:
    if approved:
        return "INSTALLED" if patch.installed else "MISSING"
    if not patch.installed:
        return "AVAILABLE_SECURITY_UPDATE" if _is_security(patch) else None
    rejected = baseline.reports_rejected and _listed_as(patch, baseline.rejected)
    return "INSTALLED_REJECTED" if rejected else "INSTALLED_OTHER"


def _is_security(patch: WindowsPatch) -> bool:
    return plain(patch.classification) == SECURITY


def _listed_as(patch: WindowsPatch, names: NameList) -> bool:
    return bool(names) and names.fits(frozenset({patch.kb.lower()}))


def _spellings(patch: WindowsPatch) -> frozenset[str]:
    return frozenset({patch.kb.lower(), patch.title.lower()})

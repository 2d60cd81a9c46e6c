"""AWS-RunPatchBaseline on a node: scan, install, reboot, and what is reported of it.

Facts it rests on: UG:patch-manager-aws-runpatchbaseline (operations, reboot options, both overrides
together fail), the 2021 Linux payload (states after an install without reboot, PatchSummary's
ExecutionId is the command's id), UG:patch-manager-patch-groups (default baseline without a group),
troubleshooting page (a second patch operation at the same time fails without a message).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lab.agent import NodeResult
from lab.downloads import DownloadError, baseline_override, install_override_list
from lab.evaluations import Evaluation, OverrideList, Snapshot
from lab.journal import note_install
from lab.runs import StepOutcome

if TYPE_CHECKING:
    from lab.runs import Run

STEPS = frozenset({"PatchLinux", "PatchMacOS", "PatchWindows"})
INSTALL_FACTOR = 3
"""An install takes this many times as long as a scan."""
SNAPSHOT_DAYS = 3
"""How long a SnapshotId can be used: its URL is valid for 24 h and re-issued for three days."""
DOWNLOAD_FAILED = 156
"""The payload's exit code when something it needs cannot be had (151 to 156)."""


class PatchStep:
    """One run of the patch payload on one node."""

    def __init__(self, run: Run, index: int) -> None:
        self.run = run
        self.index = index
        self.node = run.node
        self.location = run.location
        self.lab = run.location.lab
        self.product = self.lab.repositories.product(self.node.product)
        self.install = run.parameter("Operation") == "Install"
        self.reboot_option = run.parameter("RebootOption") or "RebootIfNeeded"
        self.group = self.location.patch_group(self.node.node_id) or ""
        self.started = self.lab.clock.now()
        self.shared_snapshot_id = run.parameter("SnapshotId") or run.command.snapshot_id
        self.snapshot_id = self.shared_snapshot_id or self.lab.guid()
        self.uploads = True
        self.override: OverrideList | None = None
        self.failed: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin; the work is done when its time is over."""
        if self.node.patching:
            # AWS's own troubleshooting page: it fails, and says nothing.
            self.run.later(1, lambda: self.end(1, "", None))
            return
        self.node.patching = True
        seconds = self.node.duration_seconds * (INSTALL_FACTOR if self.install else 1)
        self.run.later(seconds, self.work)

    def work(self) -> None:
        """Evaluate, install if asked to, then reboot or report."""
        try:
            snapshot = self.snapshot()
            self.override = self.override_list()
        except DownloadError as problem:
            self.end(DOWNLOAD_FAILED, str(problem), None)
            return
        if not self.install:
            self.report(snapshot, 0)
            return
        evaluation = self.evaluate(snapshot)
        installed, self.failed = self.apply(evaluation)
        code = 1 if self.failed else 0
        if self.reboot_option == "RebootIfNeeded" and (installed or self.node.pending):
            self.run.reboot(lambda: self.report(snapshot, code))
        else:
            self.report(snapshot, code, waits_for=installed)

    def snapshot(self) -> Snapshot:
        """The baseline that applies, frozen by the command's SnapshotId where it has one."""
        if url := self.run.parameter("BaselineOverride"):
            if self.run.parameter("InstallOverrideList"):
                raise DownloadError("BaselineOverride and InstallOverrideList cannot be given together.")
            self.uploads = False
            return baseline_override(self.location, url, self.product.operating_system, self.lab.clock.now())
        if self.shared_snapshot_id is None:
            return fresh_snapshot(self)
        return shared_snapshot(self, self.shared_snapshot_id)

    def override_list(self) -> OverrideList | None:
        """The install override list, downloaded once a command; a scan ignores it."""
        url = self.run.parameter("InstallOverrideList")
        if not url or not self.install:
            return None
        kept = self.run.command.downloads
        if url not in kept:
            kept[url] = install_override_list(self.location, url)
        return kept[url]

    def evaluate(self, snapshot: Snapshot) -> Evaluation:
        """What the baseline makes of the node as it is now."""
        return self.lab.evaluations.of(
            self.node.product, self.node.packages, snapshot, self.override, self.lab.clock.now()
        )

    def apply(self, evaluation: Evaluation) -> tuple[frozenset[str], frozenset[str]]:
        """Install what the evaluation asks for; answers the ids that are new and those that failed."""
        changes = dict(evaluation.changes)
        failed = set(evaluation.blocked)
        chance = 0.0 if self.node.faults is None else self.node.faults.install_failure
        requested = sorted(row.id for row in evaluation.rows if row.requested and row.id in changes)
        unlucky = {key for key, evr in changes.items() if self.lab.repositories.is_broken(self.node.product, key, evr)}
        if chance and requested and self.lab.random.random() < chance:
            unlucky.add(self.lab.random.choice(requested) if self.product.family == "windows" else requested[0])
        if unlucky and self.product.family == "windows":
            failed |= unlucky
            changes = {key: evr for key, evr in changes.items() if key not in unlucky}
        elif unlucky:
            # A package manager's transaction fails as a whole.
            failed.update(requested)
            changes = {}
        node = self.node
        note_install(
            self.location,
            node,
            command_id=self.run.command.command_id,
            override="" if self.override is None else self.override.source,
            requested=[(row.id, row.target) for row in evaluation.rows if row.requested],
            changes=changes,
            failed=failed,
        )
        if changes:
            now = self.lab.clock.now()
            node.packages = self.lab.repositories.install(node.product, node.packages, changes, now)
            node.installed_at = {**node.installed_at, **dict.fromkeys(changes, now)}
        return frozenset(changes), frozenset(failed)

    def report(self, snapshot: Snapshot, code: int, waits_for: frozenset[str] = frozenset()) -> None:
        """Upload the result, as the last thing that the payload does, and end the step."""
        node, now = self.node, self.lab.clock.now()
        node.pending |= waits_for
        evaluation = self.evaluate(snapshot)
        before = node.result
        result = NodeResult(
            command_id=self.run.command.command_id,
            operation="Install" if self.install else "Scan",
            baseline_id=snapshot.baseline_id,
            snapshot_id=self.snapshot_id,
            patch_group=self.group,
            started=self.started,
            ended=now,
            rows=evaluation.rows,
            reboot_option=self.reboot_option,
            install_override_list=None if self.override is None else self.override.source,
            last_no_reboot_install=self.last_no_reboot_install(before, now),
            failed=self.failed,
            pending=node.pending,
            installed_at=node.installed_at,
            image_built=node.image_built,
            available_security_updates=snapshot.body.get("AvailableSecurityUpdatesComplianceStatus", "COMPLIANT"),
        )
        if self.uploads:
            node.result = result
        self.end(code, "", result)

    def last_no_reboot_install(self, before: NodeResult | None, now: datetime) -> datetime | None:
        """When the node last installed without a reboot."""
        if self.install and self.reboot_option == "NoReboot":
            return now
        return None if before is None else before.last_no_reboot_install

    def end(self, code: int, error: str, result: NodeResult | None) -> None:
        """End the step with the payload's exit code."""
        self.node.patching = False
        step = self.run.steps[self.index]
        self.run.end_step(self.index, StepOutcome(step, code, error=error, result=result))


def fresh_snapshot(step: PatchStep) -> Snapshot:
    """The baseline of the node's group as it is now: what a node gets on its own."""
    from lab.ssm.baselines import baseline_for

    baseline = baseline_for(step.location, step.group or None, step.product.operating_system)
    return Snapshot(baseline.baseline_id, baseline.body, step.lab.clock.now())


def shared_snapshot(step: PatchStep, snapshot_id: str) -> Snapshot:
    """The snapshot of a group's baseline under an id: made when first asked for, kept for three days.

    Raises DownloadError for an id that is older.
    """
    key = (step.group, step.product.operating_system, snapshot_id)
    found = step.location.snapshots.get(key) or fresh_snapshot(step)
    if step.lab.clock.now() - found.created > timedelta(days=SNAPSHOT_DAYS):
        raise DownloadError(f"The snapshot {snapshot_id} has expired: it was created at {found.created.isoformat()}.")
    step.location.snapshots[key] = found
    return found


def text(outcome: StepOutcome, node_id: str) -> str:
    """What the payload printed, made when it is read."""
    result = outcome.result
    if result is None:
        return ""
    counts = result.counts()
    lines = [
        f"Patch Summary for {node_id}",
        f"PatchGroup: {result.patch_group}",
        f"BaselineId: {result.baseline_id}",
        f"SnapshotId: {result.snapshot_id}",
        f"RebootOption: {result.reboot_option or ''}",
        f"OperationType: {result.operation}",
        f"OperationStartTime: {result.started.isoformat()}",
        f"OperationEndTime: {result.ended.isoformat()}",
        *(f"{name}: {counts[state]}" for name, state in _SUMMARY),
    ]
    lines += [f"{result.state(row)} {row.title}" for row in result.rows if result.state(row) not in _QUIET]
    if outcome.code != 0:
        lines.append(f"failed to run commands: exit status {outcome.code}")
    return "\n".join(lines) + "\n"


_SUMMARY = (
    ("InstalledCount", "INSTALLED"),
    ("InstalledOtherCount", "INSTALLED_OTHER"),
    ("InstalledRejectedCount", "INSTALLED_REJECTED"),
    ("InstalledPendingRebootCount", "INSTALLED_PENDING_REBOOT"),
    ("MissingCount", "MISSING"),
    ("FailedCount", "FAILED"),
    ("NotApplicableCount", "NOT_APPLICABLE"),
)
_QUIET = frozenset({"INSTALLED", "INSTALLED_OTHER", "NOT_APPLICABLE"})

"""Findings about a location: what others run there, and the roles, permissions and buckets that the policy names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sluice.core.doctor.facts import Facts
from sluice.core.doctor.finding import Finding
from sluice.core.policy.others import Other

PATCHERS = {
    "unattended-upgrades": "Debian and Ubuntu's own daily upgrades",
    "dnf-automatic": "dnf's own timer",
    "yum-cron": "yum's own timer",
    "WSUS": "a server of one's own that Windows takes its updates from",
}
"""Other patchers that Inventory can show, by package name or by what the registry has."""

READS = "reader"
"""The duty of whoever runs the doctor."""


def place_findings(facts: Facts) -> Iterator[Finding]:
    """Everything that is not about single nodes."""
    for check in (_unread, _others, _patchers, _roles, _permissions, _buckets, _recorder):
        yield from check(facts)


def _unread(facts: Facts) -> Iterator[Finding]:
    for topic, why in sorted(facts.unread.items()):
        if topic in ("profiles", "inventory"):
            continue  # said beside the nodes that it leaves unknown
        yield Finding(
            "unread",
            "error",
            (topic,),
            f"could not be read, and nothing is concluded from it: {why}",
            "let the caller read it (include/cloudformation/reader.yaml), or try again",
            noun="part",
        )


def _others(facts: Facts) -> Iterator[Finding]:
    for other in sorted(facts.others, key=lambda one: (one.kind, one.name, one.id)):
        yield _other(other)


def _other(other: Other) -> Finding:
    runs = ", ".join(other.documents) or "nothing"
    targets = "; ".join(f"{key}={','.join(values)}" for key, values in other.targets) or "no targets"
    state = "" if other.enabled else ", disabled"
    shown = f"{other.name!r}, which is not this deployment's, runs {runs} on {targets}{state}"
    if other.is_patch_policy:
        return Finding(
            "patch-policy",
            "warning",
            (other.id,),
            f"{shown}: it patches by baselines of its own, past the policy's",
            "take its nodes out of it before a window installs on them",
            noun="patch policy",
        )
    if other.patches:
        return Finding(
            f"foreign-{other.kind}",
            "warning",
            (other.id,),
            f"{shown}: it patches by whatever baseline a node's group has",
            "agree with its owner; `plan` says what applying would change for it",
            noun=other.kind,
        )
    return Finding(f"other-{other.kind}", "note", (other.id,), shown, "nothing; it is never touched", noun=other.kind)


def _patchers(facts: Facts) -> Iterator[Finding]:
    if "nodes" in facts.unread:
        return
    for name, nodes in sorted(facts.patchers.items()):
        if nodes:
            yield Finding(
                "other-patcher",
                "warning",
                tuple(sorted(nodes)),
                f"with {name}, {PATCHERS[name]}: Inventory shows that it is there, not whether it is switched on",
                "switch it off where windows are to decide, or keep it and expect patches that nobody released",
            )
    unseen = tuple(sorted(node.id for node in facts.nodes if node.agent and node.id not in facts.inventoried))
    if unseen:
        why = facts.unread.get("inventory", "Inventory has neither their packages nor their registry")
        yield Finding(
            "patchers-unknown",
            "unknown",
            unseen,
            f"on which another patcher may be: {why}",
            "collect inventory (AWS-GatherSoftwareInventory; for WSUS with the registry key"
            r" HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate)",
        )


def _roles(facts: Facts) -> Iterator[Finding]:
    for role in facts.roles:
        if role.refused is not None:
            yield Finding(
                "role-not-assumed",
                "error",
                (role.name,),
                f"of the {role.duty.replace('_', ' ')} cannot be assumed: {role.refused}",
                "deploy it there (include/cloudformation), and let whom it is for assume it",
                noun="role",
            )


def _permissions(facts: Facts) -> Iterator[Finding]:
    unknown: dict[str, set[str]] = defaultdict(set)
    for one in facts.permissions:
        if one.unknown is not None:
            unknown[one.unknown].add(one.principal)
        elif one.missing:
            elsewhere = one.own and one.duty != READS
            yield Finding(
                "permission-missing",
                "warning" if elsewhere else "error",
                one.missing,
                f"missing for the {one.duty.replace('_', ' ')}, {one.principal}",
                "do what that duty does with credentials that have them (the policy assumes no role)"
                if elsewhere
                else "attach the policy of include/cloudformation, and look for a boundary or an organization's policy",
                noun="action",
            )
    for why, principals in sorted(unknown.items()):
        yield Finding(
            "permissions-unknown",
            "unknown",
            tuple(sorted(principals)),
            f"whose permissions nobody can tell: {why}",
            "deploy a role that is not there, or let the caller use iam:SimulatePrincipalPolicy, to know",
            noun="principal",
        )


def _buckets(facts: Facts) -> Iterator[Finding]:
    for bucket in facts.buckets:
        if bucket.state == "unknown":
            yield Finding(
                "bucket-unknown",
                "unknown",
                (bucket.name,),
                f"for {bucket.use} may be there or not: {bucket.why}",
                "let the caller use s3:ListBucket on it",
                noun="bucket",
            )
        elif bucket.state == "missing":
            yield Finding(
                "bucket-missing",
                "error",
                (bucket.name,),
                f"for {bucket.use} does not exist",
                "create it (include/cloudformation), or name another in the policy",
                noun="bucket",
            )
        elif bucket.state == "elsewhere":
            yield Finding(
                "bucket-elsewhere",
                "warning",
                (bucket.name,),
                f"for {bucket.use} is in another Region",
                "have one in each Region: put {region} into its name in the policy",
                noun="bucket",
            )


def _recorder(facts: Facts) -> Iterator[Finding]:
    """What the policy's rule of AWS Config needs, where it has one."""
    if facts.recorder == "missing":
        yield Finding(
            "recorder-missing",
            "error",
            ("AWS Config",),
            "has no configuration recorder here: it refuses the rule that the policy asks for",
            "set up a recorder that records AWS::SSM::PatchCompliance, or set extras.config_rule: false",
            noun="service",
        )
    elif facts.recorder in ("stopped", "without patch compliance"):
        state = "is stopped" if facts.recorder == "stopped" else "does not record AWS::SSM::PatchCompliance"
        yield Finding(
            "recorder-silent",
            "error",
            ("AWS Config",),
            f"has a configuration recorder here that {state}: the rule that the policy asks for would say nothing",
            "start it, with AWS::SSM::PatchCompliance among what it records, or set extras.config_rule: false",
            noun="service",
        )

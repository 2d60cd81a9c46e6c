"""Shell and PowerShell steps: what the lab makes of a script.

The lab runs no script. It recognises a few things in it, which is what patching needs:

- a rule of the fleet or of the node (`exit_codes`) that matches the text decides the exit code;
- a probe of a pending reboot (`needs-restarting -r`, `/var/run/reboot-required`, `RebootRequired`,
  `RebootPending`) followed by the reboot code: the code is used while something that was installed needs
  a reboot to take effect (a kernel, a C library, a cumulative update; not just any package);
- a guard at the start of a line (`if [ "$name" = Word ]; then`, `if ('{{ Parameter }}' -eq 'Word') {`) over a variable
  that is set to a literal, or a parameter: where it holds, the script is what stands in it. A variable that it prints
  and that the script sets to yes or no (`[bool]` in PowerShell: True or False) says whether a reboot is needed;
- else the code of the last `exit N` at the start of a line, 0 without one.

The reboot codes (194, on Windows 3010) reboot the node and run the step again, as the agent does
(AG:agent/appconfig/constants_*.go); an agent gives up on a script that asks for it again and again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.runs import REBOOT_CODES, StepOutcome

if TYPE_CHECKING:
    from lab.runs import Run

SCRIPT_SECONDS = 3.0
REBOOTS_AT_MOST = 3
"""Reboots that a step may ask for before the agent gives up on it."""

PROBES = ("needs-restarting", "reboot-required", "RebootRequired", "RebootPending", "PendingFileRenameOperations")
_EXIT = re.compile(r"^exit\s+(\d{1,9})\s*;?\s*$", re.MULTILINE | re.IGNORECASE)
_LITERAL = re.compile(r"^(\w+)='([^']*)'$", re.MULTILINE)
_GUARDS = (
    re.compile(r'^if \[ "\$(\w+)" = (\w+) \]; then\n(.*?)^fi$', re.MULTILINE | re.DOTALL),
    re.compile(r"^if \('([^']*)' -eq '(\w+)'\) \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL),
)
_SET = re.compile(r"^\s*\$?(\w+)\s*=\s*(?:no$|\[bool\])", re.MULTILINE)
_ECHO = re.compile(r"""^(?:echo|Write-Output|Write-Host)\s+["']?([^"'$`]*?)["']?\s*$""", re.MULTILINE | re.IGNORECASE)


class ScriptStep:
    """One script step on one node."""

    def __init__(self, run: Run, index: int) -> None:
        self.run = run
        self.index = index
        self.step = run.steps[index]
        self.script = self.step.script(run.command.parameters)
        self.reboots = 0

    def start(self) -> None:
        """Run the script; it ends after a rule's seconds or a few."""
        rule = self.run.location.lab.rules.first("script", self.script)
        self.script = self.guarded() or self.script
        code = rule.exit_code if rule is not None else None
        seconds = rule.seconds if rule is not None else SCRIPT_SECONDS
        self.run.later(seconds, lambda: self.ended(self.exit_code() if code is None else code))

    def exit_code(self) -> int:
        """The code the script exits with on this node as it is now."""
        node = self.run.node
        for part, code in (node.faults.exit_codes if node.faults is not None else {}).items():
            if part in self.script or part in self.run.command.document.name:
                return code
        if self.probes_and_reboots() and self.reboot_required():
            return REBOOT_CODES[self.run.platform]
        codes = _EXIT.findall(self.script)
        code = int(codes[-1]) if codes else 0
        return code if self.run.platform == "Windows" else code % 256

    def guarded(self) -> str | None:
        """What stands in the first guard that holds, with what it prints filled in; None: none does."""
        literals = dict(_LITERAL.findall(self.script))
        for guard in _GUARDS:
            for name, word, block in guard.findall(self.script):
                if word in (name, literals.get(name)):
                    return self.filled(block)
        return None

    def filled(self, block: str) -> str:
        """The lines of a block, with what they print of whether a reboot is needed."""
        told = {name: self.truth() for name in _SET.findall(self.script)}
        text = "".join(f"{line.strip()}\n" for line in block.splitlines())
        return re.sub(r"\$(\w+)", lambda at: told.get(at[1], at[0]), text)

    def truth(self) -> str:
        """Whether a reboot is needed, in the shell's words."""
        words = ("False", "True") if self.run.platform == "Windows" else ("no", "yes")
        return words[self.reboot_required()]

    def probes_and_reboots(self) -> bool:
        """Whether the script asks for a reboot where one is pending."""
        code = str(REBOOT_CODES[self.run.platform])
        return any(probe in self.script for probe in PROBES) and re.search(rf"exit\s+{code}\b", self.script) is not None

    def reboot_required(self) -> bool:
        """What the OS itself says: whether something waits for a reboot that cannot do without one."""
        repositories, node = self.run.location.lab.repositories, self.run.node
        return any(repositories.needs_reboot(node.product, key) for key in node.pending)

    def ended(self, code: int) -> None:
        """The script has exited: with the reboot code the node reboots and the step runs again."""
        if code == REBOOT_CODES[self.run.platform] and self.reboots < REBOOTS_AT_MOST:
            self.reboots += 1
            self.run.reboot(self.start)
            return
        text = "".join(f"{line}\n" for line in _ECHO.findall(self.script))
        error = "" if code == 0 else f"failed to run commands: exit status {code}\n"
        self.run.end_step(self.index, StepOutcome(self.step, code, text=text, error=error))

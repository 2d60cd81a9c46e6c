"""`Sluice-RebootIfPending`: the document that reboots nodes, and only those that wait for it, or only asks them.

It asks the operating system, and lets the agent reboot the node and run the step again: exit 194 on Linux,
3010 on Windows (UG:send-commands-reboot). A mark on the node's disk keeps a node that waits for a reboot
even after one (a kernel that is not the boot loader's choice, say) from rebooting over and over: it fails.
"""

from __future__ import annotations

import json

NAME = "Sluice-RebootIfPending"

NONE_PENDING = ("reboot pending: no", "reboot pending: False")
"""What it says with `When: Never` where no reboot is pending: a shell's word, and PowerShell's."""

LINUX = """\
mark=/var/lib/sluice-rebooted
when='{{ When }}'
rebooted=no
if [ -n "$(find "$mark" -mmin -120 2>/dev/null)" ]; then rebooted=yes; fi
pending=no
newest=$(ls -1v /boot/vmlinuz-* 2>/dev/null | grep -v rescue | tail -n 1)
if [ -n "$newest" ] && [ "$newest" != "/boot/vmlinuz-$(uname -r)" ]; then pending=yes; fi
if [ -f /var/run/reboot-required ]; then pending=yes; fi
if command -v needs-restarting >/dev/null 2>&1; then
  needs-restarting -r >/dev/null 2>&1
  if [ $? -eq 1 ]; then pending=yes; fi
elif dnf -q needs-restarting --help >/dev/null 2>&1; then
  dnf -q needs-restarting -r >/dev/null 2>&1
  if [ $? -eq 1 ]; then pending=yes; fi
elif command -v zypper >/dev/null 2>&1; then
  zypper --quiet needs-rebooting >/dev/null 2>&1
  if [ $? -eq 102 ]; then pending=yes; fi
fi
if [ "$when" = Never ]; then
  echo "reboot pending: $pending"
  exit 0
fi
if [ $rebooted = yes ]; then
  rm -f "$mark"
  if [ $pending = yes ]; then
    echo "a reboot is still pending after a reboot"
    exit 1
  fi
elif [ $pending = yes ] || [ "$when" = Always ]; then
  if ! touch "$mark"; then exit 1; fi
  sync
  exit 194
fi
echo "no reboot is pending"
exit 0
"""

WINDOWS = """\
$mark = Join-Path $env:ProgramData 'sluice-rebooted'
$rebooted = (Test-Path $mark) -and ((Get-Item $mark).LastWriteTimeUtc -gt [DateTime]::UtcNow.AddHours(-2))
$keys = @(
  'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending',
  'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired'
)
$pending = [bool]($keys | Where-Object { Test-Path $_ })
if ('{{ When }}' -eq 'Never') {
  Write-Output "reboot pending: $pending"
  exit 0
}
if ($rebooted) {
  Remove-Item $mark -Force
  if ($pending) { throw 'a reboot is still pending after a reboot' }
} elseif ($pending -or '{{ When }}' -eq 'Always') {
  New-Item $mark -ItemType File -Force | Out-Null
  exit 3010
}
Write-Output "no reboot is pending"
exit 0
"""


def content() -> str:
    """The document as canonical JSON."""
    step = {"timeoutSeconds": "3600"}
    return canonical(
        {
            "schemaVersion": "2.2",
            "description": "Reboots the node if its operating system says that a reboot is pending, or says so.",
            "parameters": {
                "When": {
                    "type": "String",
                    "description": "IfPending asks the operating system, Always reboots once in any case,"
                    " Never only says whether one is pending.",
                    "allowedValues": ["IfPending", "Always", "Never"],
                    "default": "IfPending",
                }
            },
            "mainSteps": [
                {
                    "name": "RebootLinux",
                    "action": "aws:runShellScript",
                    "precondition": {"StringEquals": ["platformType", "Linux"]},
                    "inputs": {**step, "runCommand": LINUX.splitlines()},
                },
                {
                    "name": "RebootWindows",
                    "action": "aws:runPowerShellScript",
                    "precondition": {"StringEquals": ["platformType", "Windows"]},
                    "inputs": {**step, "runCommand": WINDOWS.splitlines()},
                },
            ],
        }
    )


def canonical(document: object) -> str:
    """JSON that is the same for the same document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))

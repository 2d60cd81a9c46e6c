"""The line that explains a failure is found among what surrounds it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.release.output import LONGEST, explaining_line, without_controls

DNF = """\
Last metadata expiration check: 0:12:03 ago
Dependencies resolved.
Running transaction test
Error: Transaction test error:
  file /usr/bin/curl from install of curl-8.5.0 conflicts with file from package curl-minimal-8.5.0
failed to run commands: exit status 1
"""
APT = """\
Reading package lists...
E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4312 (unattended-upgr)
E: Unable to acquire the dpkg frontend lock
failed to run commands: exit status 100
"""
PAYLOAD = """\
06/09/2025 03:01:12 root [INFO]: Downloading payload
06/09/2025 03:01:14 root [ERROR]: Unable to download the override list: s3://b/k: Access Denied
Traceback (most recent call last):
  File "main.py", line 84, in execute
    raise DownloadError(url)
patch_common.exceptions.DownloadError: Access Denied for s3://b/k
failed to run commands: exit status 156
"""
WINDOWS = """\
Installing KB5060531
Installation failed with HResult 0x80070643
WARNING: a reboot is pending
failed to run commands: exit status 4294967295
"""
SUMMARY = """\
Patch Summary for i-0123456789abcdef0
FailedCount: 1
MissingCount: 0
FAILED openssl-3.0.8-1.amzn2023.0.2
failed to run commands: exit status 1
"""


@pytest.mark.parametrize(
    ("stdout", "stderr", "line"),
    [
        (DNF, "", "file /usr/bin/curl from install of curl-8.5.0 conflicts with file from package curl-minimal-8.5.0"),
        (APT, "", "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4312 (unattended-upgr)"),
        (PAYLOAD, "", "patch_common.exceptions.DownloadError: Access Denied for s3://b/k"),
        (WINDOWS, "", "Installation failed with HResult 0x80070643"),
        (SUMMARY, "", "FAILED openssl-3.0.8-1.amzn2023.0.2"),
        ("all is well\n", "curl: (28) Connection timed out\n", "curl: (28) Connection timed out"),
        ("it went\nas far as here\n", "", "as far as here"),
        ("", "failed to run commands: exit status 1\n", ""),
        ("", "", ""),
    ],
    ids=["dnf", "apt", "payload", "windows", "summary", "stderr first", "last line", "only the agent", "nothing"],
)
def test_the_line_that_says_why(stdout: str, stderr: str, line: str) -> None:
    assert explaining_line(stdout, stderr) == line


def test_colours_and_what_turns_text_are_left_out() -> None:
    assert (
        explaining_line("\x1b[31mError: \u202eno space left\x1b[0m on /var\r\n", "") == "Error: no space left on /var"
    )
    assert without_controls("a\x1b]0;title\x07b\x00\u200bc") == "abc"


@given(st.text(), st.text())
def test_it_is_one_short_line_of_letters_whatever_was_printed(stdout: str, stderr: str) -> None:
    found = explaining_line(stdout, stderr)
    assert len(found) <= LONGEST
    assert "\n" not in found
    assert without_controls(found) == found


@given(st.text(), st.text())
def test_it_stands_in_what_was_printed(stdout: str, stderr: str) -> None:
    found = explaining_line(stdout, stderr).rstrip("…")
    assert any(found in without_controls(text).replace("\t", " ") for text in (stdout, stderr))

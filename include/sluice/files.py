"""Where the policy is, and its files' content.

The policy is what `--policy` names, else what the variable `SLUICE_POLICY` names, else the folder
`include/policy/`. A file is the policy; of a folder all its `*.yaml` and `*.yml` are, in the order of their
names. In `include/policy/` itself a file of your own takes the place of `default.yaml` and `demo.yaml`,
which ship with the product: nobody has to delete them, and an update brings no surprise.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.core.errors import Place, PolicyError, PolicyProblem

if TYPE_CHECKING:
    from sluice.core.policy.load import Loaded
    from sluice.core.policy.policy import Policy

VARIABLE = "SLUICE_POLICY"

SHIPPED = Path(__file__).resolve().parents[1] / "policy"
"""The folder that comes with the product."""

DEFAULT = "default.yaml"
DEMO = "demo.yaml"

LARGEST = 2_000_000
"""Bytes of one file; how many characters all may have together is `sluice.core.yaml_text`'s to say."""
MOST = 100
"""Files of one policy."""

HALTED_BY = frozenset({"deployment", "endpoint", "locations", "operations_bucket", "roles"})
"""Keys of the policy that a halt goes by: where there is something of ours, and as whom it is stopped."""


def read_policy(path: str | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """The policy at a path, or where it is when none is given; `environment` is the process's unless given.

    Raises PolicyError with everything that is wrong, unreadable files included.
    """
    problems, loaded = examine_policy(path, environment)
    if problems or loaded is None:
        raise PolicyError(problems)
    return loaded


def read_policy_to_halt(
    path: str | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Policy, list[PolicyProblem]]:
    """What a halt needs of the policy, and what is wrong in the rest of it, which is no reason not to halt.

    Raises PolicyError with everything that is wrong where a part of that is (`HALTED_BY`): of a location or a role
    that cannot be read nobody knows which was meant.
    """
    problems, loaded = examine_policy(path, environment)
    if loaded is None or any(part[0] in HALTED_BY for part in loaded.taken.faulty if part):
        raise PolicyError(problems)
    return loaded.policy, problems


def examine_policy(
    path: str | None = None, environment: Mapping[str, str] | None = None
) -> tuple[list[PolicyProblem], Loaded | None]:
    """Everything that is wrong with the policy, and what is sound of it; as `read_policy`, whose errors are answered.

    None where nothing is sound, or a file cannot be read, which may have anything in it.
    """
    # The models take longer than finding the files, which DAGs do often.
    from sluice.core.policy.load import examine
    from sluice.core.policy.structure import PARTS

    variables = os.environ if environment is None else environment
    texts: list[tuple[str, str]] = []
    problems: list[PolicyProblem] = []
    try:
        files = policy_files(path, variables)
    except PolicyError as error:
        return list(error.problems), None
    for file in files:
        try:
            texts.append((_shown(file), _text(file)))
        except PolicyError as error:
            problems += error.problems
    found, loaded = examine(texts, variables) if texts else ([], None)
    if problems:  # what a name means may stand in the file that cannot be read
        return [*problems, *(one for one in found if one.code not in PARTS)], None
    return found, loaded


def policy_files(path: str | None, environment: Mapping[str, str]) -> list[Path]:
    """The files that are the policy. Raises PolicyError where there are none."""
    named = path or environment.get(VARIABLE)
    place = Path(named) if named else SHIPPED
    try:
        return _in_folder(place) if place.is_dir() else [place]
    except OSError as error:
        raise _refused(place, f"expected a folder that can be read, found {_reason(error)}") from None


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(
        file for file in folder.iterdir() if file.suffix in (".yaml", ".yml") and not file.name.startswith(".")
    )
    if folder.resolve() == SHIPPED:
        own = [file for file in found if file.name not in (DEFAULT, DEMO)]
        found = own or [file for file in found if file.name == DEFAULT]
    if not found:
        raise _refused(folder, "expected *.yaml in this folder, found none: write a policy, or name another place")
    if len(found) > MOST:
        raise _refused(folder, f"expected at most {MOST} files of a policy, found {len(found)}: join some")
    return found


def _text(file: Path) -> str:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise _refused(file, "expected a file or a folder, found neither: name another place")
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise _refused(file, f"expected a file that can be read, found {_reason(error)}") from None
    if len(content) > LARGEST:
        raise _refused(file, f"expected at most {LARGEST:,} bytes, found more: split the file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(
            file, f"expected UTF-8, found the byte 0x{content[error.start]:02X}: save it as UTF-8", line
        ) from None


def _refused(path: Path, message: str, line: int = 0) -> PolicyError:
    return PolicyError([PolicyProblem("P010", Place(_shown(path), line), message)])


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _shown(path: Path) -> str:
    """As an editor opens it from here: relative where it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)

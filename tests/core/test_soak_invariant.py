"""Nothing reaches production before its soak, and nothing else unnamed.

No production release requests a patch version before it has been on non-production for the soak period, except those
that an approved expedite or a named waiver lists, and whatever else arrives on production is found and named. Random
policies, release dates, dependencies, failures and crashes: worlds of `soak_history`, judged by `soak_oracle`.
`python tests/core/test_soak_invariant.py 100000` (make soak-proof) tries as many as it is told.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parents[1] / "include")]

import pytest  # noqa: E402  # run as a program it needs the paths first
from shares import commit_number  # noqa: E402  # as above
from soak_history import History, merged  # noqa: E402  # as above
from soak_oracle import judge  # noqa: E402  # as above

FIXED = 2000
"""Seeds that every change is tried on."""
CHOSEN = 1000
"""Further seeds at night, others for each commit."""
PART = 500
PROOF = 100_000
AT_ONCE = 250


def tried(seeds: range) -> tuple[Counter[str], list[str]]:
    """Judge the worlds of some seeds: what was counted, and what is wrong."""
    tally: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in seeds:
        history = History(seed).run()
        tally["worlds"] += 1
        wrong += [f"seed {seed}: {why}" for why in judge(history, tally)]
    return tally, wrong


@pytest.mark.parametrize("first", range(0, FIXED, PART))
def test_nothing_reaches_production_before_its_soak_and_nothing_else_unnamed(first: int) -> None:
    _holds_in(range(first, first + PART))


@pytest.mark.nightly
def test_nor_does_it_in_worlds_that_nobody_has_tried_before() -> None:
    start = FIXED + commit_number() % 16**6 * CHOSEN
    _holds_in(range(start, start + CHOSEN))


def _holds_in(seeds: range) -> None:
    tally, wrong = tried(seeds)
    print(dict(sorted(tally.items())))
    assert wrong == []
    for what in ("items by soak", "items by expedite", "items by waiver", "unsoaked arrivals", "waits: void",
                 "waits: soaking", "items with a newer version out", "items that needed no reboot"):  # fmt: skip
        assert tally[what] > 0, f"the worlds have no {what}: they prove nothing of it"


def test_rows_that_last_are_made_of_all_the_looks() -> None:
    for seed in range(20):
        history = History(seed).run()
        found = {(r.node, r.id, r.title, r.state, look) for r in merged(history.rows) for look in history.looks[r.node]}
        assert {(r.node, r.id) for r in history.rows} == {(node, patch) for node, patch, *_ in found}


def main(cases: int) -> int:
    """Try many worlds on all processors, and say what was found."""
    parts = [range(first, min(first + AT_ONCE, cases)) for first in range(0, cases, AT_ONCE)]
    tally: Counter[str] = Counter()
    wrong: list[str] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, (counted, found) in enumerate(pool.map(tried, parts), start=1):
            tally += counted
            wrong += found
            print(*found, sep="\n", end="\n" if found else "", flush=True)
            if sys.stderr.isatty() or number % 40 == 0:
                print(f"{tally['worlds']:,} of {cases:,} worlds, {len(wrong)} broken", file=sys.stderr, flush=True)
    for what, count in sorted(tally.items()):
        print(f"{count:12,}  {what}")
    print(f"the invariant {'BREAKS' if wrong else 'holds'} in {tally['worlds']:,} worlds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else PROOF))

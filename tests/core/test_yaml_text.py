"""What people may rely on when they write YAML for Sluice: plain data, no surprises, and errors with lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.core.errors import SluiceError, TextError
from sluice.core.yaml_text import MAX_ALIASES, MAX_CHARACTERS, MAX_DEPTH, read

TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def refused(text: str) -> tuple[int, str]:
    with pytest.raises(TextError) as caught:
        read(text, "a.yaml")
    [problem] = caught.value.problems
    assert str(caught.value) == f"a.yaml:{problem.line}: {problem.message}"
    return problem.line, problem.message


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_json_is_read_as_what_it_says(value: object) -> None:
    assert read(json.dumps(value, ensure_ascii=False)).data == value


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "N", "2025-06-02", "03:00", "10:30", "0o17", "1_000"])
def test_words_that_older_yaml_turns_into_something_else_stay_words(word: str) -> None:
    assert read(f"key: {word}").data == {"key": word}


def test_an_account_id_with_leading_zeros_keeps_them() -> None:
    assert read("[012345678901, 111111111111]").data == ["012345678901", 111111111111]


def test_keys_are_always_text() -> None:
    assert read("1: a\ntrue: b\nnull: c").data == {"1": "a", "true": "b", "null": "c"}


def test_quoted_values_stay_text() -> None:
    assert read("""['1', "true", "", '~', '<<']""").data == ["1", "true", "", "~", "<<"]


def test_an_empty_text_has_no_data() -> None:
    assert read("").data is None
    assert read("# only a comment\n").data is None


def test_every_key_and_item_has_its_line() -> None:
    text = read("a:\n  b:\n  - x\n  - y: 1\n    z: 2\nc: {d: [1,\n  2]}\n")
    assert text.lines[("a",)] == 1
    assert text.lines[("a", "b", 0)] == 3
    assert text.lines[("a", "b", 1, "z")] == 5
    assert text.lines[("c", "d", 1)] == 7


def test_the_line_of_what_is_not_there_is_that_of_what_is_around_it() -> None:
    text = read("a:\n  b: 1\n")
    assert text.line(("a", "missing", 3)) == 1
    assert text.line(("missing",)) == 1


def test_a_key_given_twice_is_refused_with_both_lines() -> None:
    line, message = refused("a: 1\nb: 2\na: 3\n")
    assert line == 3
    assert "'a' again after line 1" in message


def test_keys_that_only_differ_in_quotes_are_the_same_key() -> None:
    assert refused("1: a\n'1': b\n")[0] == 2


def test_aliases_repeat_what_they_name() -> None:
    assert read("a: &x [1, 2]\nb: *x\n").data == {"a": [1, 2], "b": [1, 2]}


def test_an_alias_to_what_it_stands_in_is_refused() -> None:
    assert "write it out" in refused("a: &x\n  - *x\n")[1]


def test_a_few_lines_that_would_become_gigabytes_are_refused() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases counted each time" in refused("\n".join(levels))[1]


def test_more_aliases_than_a_person_writes_are_refused() -> None:
    assert "aliases" in refused("a: &x 1\nb: [" + "*x, " * (MAX_ALIASES + 1) + "]")[1]


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_depth_without_end_is_refused_and_does_not_crash(opening: str) -> None:
    assert f"{MAX_DEPTH} levels" in refused(opening * 50_000)[1]


def test_a_text_that_is_too_long_is_refused_unread() -> None:
    assert "split the file" in refused("a" * (MAX_CHARACTERS + 1))[1]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "remove it"),
        ("a: !mine 1\n", 1, "remove it"),
        ("a: 1\n---\nb: 2\n", 2, "file of its own"),
        ("base: &b {x: 1}\nc:\n  <<: *b\n", 3, "merge key"),
        ("a: 1\n[1, 2]: 3\n", 2, "as a key"),
        ("a: [1, 2\nb: 3\n", 2, "not YAML"),
        ("a:\n\t- 1\n", 2, "not YAML"),
        ("a: *nowhere\n", 1, "not YAML"),
        ("a: 1\nb: \x07\n", 2, "U+0007"),
    ],
)
def test_what_is_not_plain_data_is_refused_at_its_line(text: str, line: int, says: str) -> None:
    found, message = refused(text)
    assert found == line
    assert says in message


def test_a_text_error_is_one_of_the_products_own() -> None:
    assert issubclass(TextError, SluiceError)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    try:
        lines = list(read(text).lines.values())
    except TextError as error:
        lines = [problem.line for problem in error.problems]
    assert all(1 <= line <= len(text) + 2 for line in lines)

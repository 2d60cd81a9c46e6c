"""A file that is not what it should be: every problem, at its line, in words that say what to do."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sluice.core.errors import TextError
from sluice.core.yaml_model import problem, read_model


class Wheel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inches: int = Field(ge=1)
    colour: Literal["black", "red"] = "black"


class Cart(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    wheels: list[Wheel]
    owners: dict[str, Wheel] = {}
    spare: Wheel | None = None
    speed: float = 1.0
    tags: dict[str, str] = {}
    limits: tuple[int, int] = (1, 2)
    seats: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)] = ("front",)
    load: Literal["none"] | tuple[int, ...] = "none"

    @field_validator("name")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value:
            raise ValueError("expected a name, found none: give it one")
        return value


def messages(text: str) -> list[str]:
    with pytest.raises(TextError) as caught:
        read_model(text, Cart, "cart.yaml")
    return str(caught.value).splitlines()


def test_a_good_text_becomes_the_model_and_keeps_its_lines() -> None:
    cart, text = read_model("name: one\nwheels:\n  - {inches: 12}\n", Cart)
    assert cart.wheels[0].inches == 12
    assert problem(text, ("wheels", 0), "flat").line == 3
    assert problem(text, ("wheels", 0), "flat").message == "wheels.0: flat"


def test_all_problems_come_at_once_in_the_order_of_their_lines() -> None:
    found = messages("wheels:\n  - {inches: 0}\n  - {colour: red}\nnmae: x\nspeed: fast\n")
    assert found == [
        "cart.yaml:1: name: expected this key, found none: add it",
        "cart.yaml:2: wheels.0.inches: expected greater than or equal to 1, found 0",
        "cart.yaml:3: wheels.1.inches: expected this key, found none: add it",
        "cart.yaml:4: unknown key 'nmae': did you mean 'name'?",
        "cart.yaml:5: speed: expected a number, found 'fast'",
    ]


def test_an_unknown_key_that_resembles_none_gets_the_list_of_keys() -> None:
    [found] = messages("name: x\nwheels: []\nspare: {inches: 3, zzz: 1}\n")
    assert found == "cart.yaml:3: spare: unknown key 'zzz': expected one of colour, inches"


def test_unknown_keys_are_found_in_lists_and_in_mappings() -> None:
    found = messages("name: x\nwheels:\n  - {inches: 1, colur: red}\nowners:\n  ann: {inches: 1, inchs: 2}\n")
    assert [line.rpartition(": ")[2] for line in found] == ["did you mean 'colour'?", "did you mean 'inches'?"]


def test_the_models_own_words_stand_as_they_are() -> None:
    assert messages("name: ''\nwheels: []\n") == ["cart.yaml:1: name: expected a name, found none: give it one"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("name: 7", "name: expected text: put quotes around it, found 7"),
        ("name: [a]", "name: expected text: put quotes around it, found a list of 1"),
        ("name:", "name: expected text: put quotes around it, found nothing"),
        ("spare: 4", "spare: expected keys with values, found 4"),
        ("spare: {inches: 1.5}", "spare.inches: expected a whole number, found 1.5"),
        ("spare: {inches: 1, colour: blue}", "spare.colour: expected 'black' or 'red', found 'blue'"),
        ("limits: 3", "limits: expected a list, found 3"),
        ("tags: {a: true}", "tags.a: expected text: put quotes around it, found True"),
        ("seats: []", "seats: expected a list of at least 1, found a list of 0"),
        ("seats: [a, b, c]", "seats: expected a list of at most 2, found a list of 3"),
        ("seats: [7]", "seats.0: expected text: put quotes around it, found 7"),
        ("load: some", "load: expected a list, found 'some'"),
        ("load: [1, x]", "load.1: expected a whole number, found 'x'"),
        ("tags: {a: {b: 1}}", "tags.a: expected text: put quotes around it, found keys with values"),
    ],
)
def test_what_was_expected_is_said_in_words_of_yaml(line: str, says: str) -> None:
    rest = "wheels: []" if line.startswith("name") else "name: x\nwheels: []"
    assert messages(f"{line}\n{rest}") == [f"cart.yaml:1: {says}"]


@pytest.mark.parametrize("text", ["", "7", "[]", "just words"])
def test_a_text_that_is_no_mapping_is_refused(text: str) -> None:
    [found] = messages(text)
    assert found.startswith("cart.yaml:1: expected keys with values, found ")


def test_a_text_that_is_no_yaml_is_refused_the_same_way() -> None:
    assert messages("name: x\nname: y\n")[0].startswith("cart.yaml:2: ")

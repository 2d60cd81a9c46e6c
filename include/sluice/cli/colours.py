"""Colours of what commands print: on a terminal, unless NO_COLOR (no-color.org) is set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, TextIO, TypeAlias

Colour: TypeAlias = Literal["red", "green", "yellow", "bold", "dim"]

_CODES: Mapping[Colour, int] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}


class Colours:
    """Paints text for a stream, or leaves it as it is where the stream is no terminal."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        self._on = stream.isatty() and not variables.get("NO_COLOR") and variables.get("TERM") != "dumb"

    def __call__(self, text: str, colour: Colour) -> str:
        """The text in that colour."""
        return f"\033[{_CODES[colour]}m{text}\033[0m" if self._on else text

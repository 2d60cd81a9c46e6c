"""Parts of files that are written by a command, between two marks on lines of their own.

# generated: reader          <!-- generated: reader -->
…                            …
# end generated              <!-- end generated -->
"""

from __future__ import annotations

import re
from collections.abc import Callable

BLOCK = re.compile(
    r"^(?P<indent> *)(?P<begin># generated: |<!-- generated: )(?P<name>[a-z_ ]+?)(?P<tail>| -->)\n"
    r"(?P<body>.*?)"
    r"^(?P<end> *(?:# end generated|<!-- end generated -->))$",
    re.MULTILINE | re.DOTALL,
)


def rewritten(text: str, content: Callable[[str], str]) -> str:
    """The text with the content of each block anew, indented as its mark is. `content` may raise KeyError."""

    def one(found: re.Match[str]) -> str:
        lines = content(found["name"]).splitlines()
        body = "".join(f"{found['indent']}{line}".rstrip() + "\n" for line in lines)
        return f"{found['indent']}{found['begin']}{found['name']}{found['tail']}\n{body}{found['end']}"

    return BLOCK.sub(one, text)


def names(text: str) -> list[str]:
    """The names of a text's blocks."""
    return [found["name"] for found in BLOCK.finditer(text)]

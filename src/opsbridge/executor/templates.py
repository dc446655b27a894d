"""Texts with places for parameters: `{host}` stands for a value, `{{` and `}}` for braces.

A value is put in as it is, once, and never read again for places: it cannot become another argument, another key or
another address. Called by the loader of actions, and by what carries them out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

NAME: Final = "[a-z][a-z0-9_]*"

_TOKEN: Final = re.compile(rf"\{{\{{|\}}\}}|\{{({NAME})\}}|[{{}}]")


@dataclass(frozen=True, slots=True)
class Template:
    """A text, cut at its places: literal, name, literal, name, ..., literal."""

    pieces: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that have a place, in order."""
        return self.pieces[1::2]

    @property
    def leads(self) -> bool:
        """Whether it begins with a value."""
        return len(self.pieces) > 1 and not self.pieces[0]

    def filled(self, values: Mapping[str, str], written: Callable[[str], str] = str) -> str:
        """The text with every value in its place, each written by `written`. `KeyError` if one is missing."""
        return "".join(written(values[piece]) if at % 2 else piece for at, piece in enumerate(self.pieces))


def template(text: str) -> Template:
    """The text as a template; ValueError, in an operator's words, if a brace stands alone."""
    pieces, literal, read = [], "", 0
    for token in _TOKEN.finditer(text):
        literal += text[read : token.start()]
        read = token.end()
        if token[1]:
            pieces += [literal, token[1]]
            literal = ""
        elif len(token[0]) == 2:
            literal += token[0][0]
        else:
            raise ValueError(
                f"has {token[0]!r} at character {token.start() + 1}, which is no place for a parameter such as "
                f"{{host}}; for the character itself write {token[0] * 2}"
            )
    return Template((*pieces, literal + text[read:]))

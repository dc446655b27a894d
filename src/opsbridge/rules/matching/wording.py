"""A match as its file says it, on one line, for messages that quote it: `root.ci: {glob: web-*}, severity: major`."""

from collections.abc import Mapping

import msgspec


def written_match(said: Mapping[str, object]) -> str:
    """The conditions, without braces around them all."""
    return ", ".join(f"{field}: {_written(value)}" for field, value in said.items())


def _written(said: object) -> str:
    match said:
        case dict():
            return f"{{{written_match(said)}}}"
        case list():
            return f"[{', '.join(map(_written, said))}]"
        case str() if said and said.isprintable() and not set(said) & set(" ,:{}[]#\"'"):
            return said
    return msgspec.json.encode(said).decode()

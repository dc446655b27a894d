"""What a file of known errors may say, as pydantic models; `rules.known_errors` reads files with these."""

from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints

from opsbridge.rules.language.fields import CONFIG, Matching, Moment, Words

Text = Annotated[str, StringConstraints(max_length=4000)]


class KnownErrorEntry(BaseModel):
    """A documented fault."""

    model_config = CONFIG

    id: Words
    """Its name, once in the whole database: what incidents show, and rules ask for as `known_error`."""
    title: Words
    """One line for people."""
    match: Matching
    """Which situations are of this fault; all conditions must hold."""
    workaround: Text = ""
    """What helps until it is fixed."""
    permanent_fix: Text = ""
    """What ends it, and where that stands."""
    problem: Text = ""
    """The id of the problem in whatever tool keeps it."""
    until: Moment | None = None
    """When it is fixed: it does not count for situations that begin later."""


class KnownErrorDocument(BaseModel):
    """One document of a file of known errors; each entry is validated by itself."""

    model_config = CONFIG

    version: Literal[1]
    """The version of this language."""
    known_errors: list[dict[str, object]]
    """Documented faults, in the order in which incidents show them."""

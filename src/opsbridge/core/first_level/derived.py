"""Derived events: what a change of a rule's alert looks like as an event, so that it goes the way of every other one.

All of it follows from rule, group, time and change, so that a repetition after a restart is the same event. A summary
is text with names in braces that stand for plain values: nothing in it is evaluated. derivations.py calls this.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from opsbridge.core.event import Event
from opsbridge.core.first_level.detector import AlertChange
from opsbridge.core.rulebook import Derivation

SOURCE: Final = "opsbridge"
"""The source of every derived event."""

_LABEL: Final = "labels."


class EventTemplate:
    """The events of one rule, but for what group and time put in."""

    __slots__ = ("_labels", "_rule", "_summary")

    def __init__(self, rule: Derivation) -> None:
        self._rule = rule
        self._summary = _pieces(rule.raises.summary)
        self._labels = [
            (at, name.removeprefix(_LABEL)) for at, name in enumerate(rule.group_by) if name.startswith(_LABEL)
        ]

    def event(self, group: str, change: AlertChange) -> Event:
        """The event with which the alert opens."""
        rule, raises = self._rule, self._rule.raises
        values, ci = rule.values(group), rule.about(group)
        names = dict(zip(rule.group_by, values, strict=True)) | {"ci": ci}
        names |= {name: figure(value) for name, value in change.figures.items()}
        return Event(
            id=derived_id(rule.rule, group, change.time, firing=True),
            time=change.time,
            ci=ci,
            class_=raises.class_,
            severity=raises.severity,
            firing=True,
            fingerprint=derived_fingerprint(rule.rule, group),
            source=SOURCE,
            summary=_filled(self._summary, names),
            labels={name: values[at] for at, name in self._labels if values[at]},
            rule=rule.rule,
        )


def derived_fingerprint(rule: str, group: str) -> str:
    """The identity of the alert that a rule raises for a group."""
    return f"rule\x1f{rule}\x1f{group}"


def derived_id(rule: str, group: str, time: int, *, firing: bool) -> str:
    """The id of a derived event, the same whenever it is derived."""
    what = f"{rule}\x1f{group}\x1f{time}\x1f{firing:d}"
    return f"derived-{blake2b(what.encode(), digest_size=12).hexdigest()}"


def resolution(raised: Event, time: int) -> Event:
    """The event with which the alert ends that `raised` opened; it needs no rule."""
    group = raised.fingerprint.removeprefix(derived_fingerprint(raised.rule, ""))
    event = derived_id(raised.rule, group, time, firing=False)
    return msgspec.structs.replace(raised, id=event, time=time, firing=False)


def figure(value: float) -> str:
    """A number as people write it: whole numbers whole, others with six digits."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:.6g}"


_Pieces = tuple[tuple[str, str], ...]
"""(literal text, name that follows it); an empty name is none."""


def _pieces(template: str) -> _Pieces:
    first, *others = template.split("{")
    pieces, text = [], first
    for other in others:
        name, brace, rest = other.partition("}")
        if brace and name:
            pieces.append((text, name))
            text = rest
        else:
            text += "{" + other
    return (*pieces, (text, ""))


def _filled(pieces: _Pieces, names: Mapping[str, str]) -> str:
    """The text with what the names stand for; an unknown name stays as it is written, for everybody to see."""
    return "".join(text + (names.get(name, f"{{{name}}}") if name else "") for text, name in pieces)

"""Questions to a recorded input: where did this event end, which incident is meant, and why is it what it is?

The input is run through the production core, once to find what is asked for and once more to explain it, since only
then it is known at whose evidence to look. Nothing here knows the command line, files or Kafka; `opsbridge explain`
and tests call it.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

import msgspec

from opsbridge.cli.payloads import Payload
from opsbridge.cli.replaying import Replay
from opsbridge.core.decisions import Member, Outcome, Rejected
from opsbridge.core.explain.because import Explanation
from opsbridge.core.explain.explaining import Explainer, parts_of
from opsbridge.core.ids import incident_id
from opsbridge.core.intake import Report
from opsbridge.core.ledger import Ledger
from opsbridge.core.records import Incident
from opsbridge.errors import OpsBridgeError
from opsbridge.sources.source import Item

Payloads = Callable[[], Iterable[Payload]]
"""The input from its beginning, each time it is asked for."""

NEAR: Final = 3
"""How many ids like the unknown one are named."""

COMPARED: Final = 20_000
"""Among how many ids like it is searched."""


class UnknownIdError(OpsBridgeError):
    """No incident, situation or event has the id."""

    exit_code = 2

    def __init__(self, asked: str, place: str, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(asked, islice(known, COMPARED), NEAR)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"{asked}: no such incident, situation or event in {place}{meant}")


class Fate(msgspec.Struct, frozen=True):
    """Where one event ended. An id that was sent more than once has as many."""

    event: str
    place: str
    """dead_letter, informational, suppressed, alert or expired (docs/events.md)."""
    reason: str
    """The rule's id, the reason, or what the event was to its alert."""
    detail: str
    incidents: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """All there is to say about one id."""

    asked: str
    fates: tuple[Fate, ...]
    """Of an event: where it ended; first of all, since it may be in no incident."""
    incident: Incident | None
    explanation: Explanation | None
    members: tuple[Member, ...] = ()
    """What is published of an incident that is not explained here."""
    notes: tuple[str, ...] = ()


class _Identified(msgspec.Struct, frozen=True):
    """As much of a broken event as says which one it is."""

    id: str = ""


_identified = msgspec.json.Decoder(_Identified).decode


class Run:
    """The input as it went through the core once, with the fates of the event that was asked for."""

    def __init__(self, replay: Replay, payloads: Payloads, asked: str) -> None:
        self.ledger: Ledger = replay.ledger
        self._replay = replay
        fates: list[Fate] = []
        for payload in payloads():
            for item in payload.items:
                if _id_of(item, payload) == asked:
                    fates.append(self._take(item, asked))
                else:
                    replay.take(item)
        replay.finish()
        homes = self.ledger.events_by_incident()
        self.homes: dict[str, list[str]] = {}
        """Event -> the incidents it is in."""
        for incident, events in homes.items():
            for event in events:
                self.homes.setdefault(event, []).append(incident)
        inside = tuple(dict.fromkeys(self.homes.get(asked, ())))
        self.fates = tuple(_ended(fate, inside) for fate in fates)

    def _take(self, item: Item, event: str) -> Fate:
        """Take in the event that was asked for; what became of it is what is one more afterwards."""
        accounts, first = self._replay.pipeline.accounts, self._replay.pipeline.first
        before = Counter(accounts.places)
        answer = self._replay.take(item)
        more = ((place, str(reason)) for place, reason in accounts.places - before if place != "expired")
        place, reason = next(more, ("alert", str(Outcome.WAITING)))  # one that waited may have expired just then
        detail = answer.detail if isinstance(answer, Rejected) else ""
        accepted = self._replay.pipeline.accepted
        if place == "alert" and isinstance(item, Report) and accepted:
            opener = first.opener(accepted[0].fingerprint)
            alert = f"{item.class_} on {item.ci}" if item.ci and item.class_ else f"with the key {item.fingerprint}"
            detail = f"the alert {alert}" + (f", which {opener} opened" if opener and opener != event else "")
        return Fate(event, place, reason, detail)

    def incident(self, asked: str, events: Iterable[str] = ()) -> str | None:
        """The incident that is asked for: by its id, its situation's, an event's, or as the one with these events.

        One that was merged is the one it was merged into; None if there is none.
        """
        name = incident_id(asked) if asked.startswith("S-") else asked
        if name not in self.ledger.incidents:
            votes = Counter(home for event in (asked, *events) for home in self.homes.get(event, ()))
            if not votes:
                return None
            name = votes.most_common(1)[0][0]
        while (heir := self.ledger.incidents[name].merged_into) in self.ledger.incidents:  # of some, nobody is told
            name = heir
        return name

    def known(self) -> Iterable[str]:
        """Every id that could have been asked for."""
        yield from self.ledger.incidents
        yield from self.homes


def explained(make: Callable[[], Replay], payloads: Payloads, situation: str) -> Explanation | None:
    """The explanation of one situation, with those of its parts: what they are shows only when it is explained."""
    asked = {situation}
    while True:
        replay = make()
        explainer = _explaining(replay, payloads, asked.__contains__)
        found = explainer.get(situation)
        if found is None:
            return None
        more = {name for each in (found, *found.parts) for name in parts_of(each)} - asked
        if not more:
            return found
        asked |= more


def _explaining(replay: Replay, payloads: Payloads, asked: Callable[[str], bool]) -> Explainer:
    explainer = Explainer(replay.pipeline, asked)
    for payload in payloads():
        replay.read(payload)
    replay.finish()
    explainer.look()
    return explainer


def investigate(make: Callable[[], Replay], payloads: Payloads, asked: str, place: str) -> Answer:
    """All there is to say about an incident, a situation or an event; raises `UnknownIdError`."""
    run = Run(make(), payloads, asked)
    name = run.incident(asked)
    if name is None and not run.fates:
        raise UnknownIdError(asked, place, run.known())
    return answer(make, payloads, run, asked, name)


def answer(make: Callable[[], Replay], payloads: Payloads, run: Run, asked: str, name: str | None) -> Answer:
    """The answer for an incident that was found, if one was."""
    if name is None:
        return Answer(asked, run.fates, None, None)
    incident = run.ledger.incidents[name]
    found = explained(make, payloads, incident.situation)
    notes = []
    if asked in run.ledger.incidents and asked != name:
        notes.append(f"{asked} was merged into {name}")
    return Answer(asked, run.fates, incident, found, notes=tuple(notes))


def investigate_all(make: Callable[[], Replay], payloads: Payloads) -> list[Answer]:
    """The same for every incident that was not merged into another, as they were first reported."""
    replay = make()
    found = _explaining(replay, payloads, lambda _: True)
    incidents = [each for each in replay.ledger.incidents.values() if each.status != "merged"]
    return [Answer(each.id, (), each, found.get(each.situation)) for each in incidents]


def _id_of(item: Item, payload: Payload) -> str:
    """The event's id; also in a payload that is nothing but a broken event."""
    if isinstance(item, Report):
        return item.id
    if len(payload.items) > 1:
        return ""
    try:
        return _identified(payload.content).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _ended(fate: Fate, incidents: tuple[str, ...]) -> Fate:
    """The fate, now that the input has ended: a resolution may have waited in vain."""
    if fate.place != "alert":
        return fate
    if fate.reason == Outcome.WAITING and not incidents:
        return msgspec.structs.replace(fate, detail=f"{fate.detail}, whose firing was never heard")
    return msgspec.structs.replace(fate, incidents=incidents)

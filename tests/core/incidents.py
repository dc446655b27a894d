"""A desk: one situation and its incident in virtual time, for the tests of the response stage."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from opsbridge.core.decisions import Impact, Member, Moved, Root, Situation, SituationUpdate, Status
from opsbridge.core.event import SEVERITY_NUMBER
from opsbridge.core.feedback import AboutIncident, Feedback, Said
from opsbridge.core.graph import CI, CIGraph
from opsbridge.core.policies import ResponsePolicy
from opsbridge.core.records import Incident, IncidentMembers, Notification
from opsbridge.core.response.selection import Decision, ResponseSelection
from opsbridge.core.rulebook import EMPTY, Rulebook
from opsbridge.core.second_level.reporting import slices

START: Final = 1_790_000_000_000
SECOND: Final = 1_000
MINUTE: Final = 60_000
HOUR: Final = 3_600_000

SITUATION: Final = "S-0000000000000001"
INCIDENT: Final = "INC-0000000000000001"

ESTATE: Final = CIGraph(
    [CI("db", group="dba", category="database", runbook="https://run/db", links=("https://d",))], []
)

_WORDS: Final[dict[str, dict[str, object]]] = {
    "assign": {"to": "kim"},
    "snooze": {"until": datetime(2030, 1, 1, tzinfo=UTC)},
    "split": {"alerts": ("a",)},
    "move": {"alerts": ("a",), "to": "INC-00000000000000aa"},
}


def situation(
    version: int = 1,
    status: Status = "open",
    *,
    name: str = SITUATION,
    severity: str = "major",
    root: str = "db",
    cis: int = 1,
    services: int = 0,
    reopened: int = 0,
    merged_into: str | None = None,
    now: int = START,
) -> Situation:
    """A snapshot."""
    return Situation(
        name,
        version,
        status,
        SEVERITY_NUMBER[severity],
        Root(root, "Down", silent=False, confidence=1.0),
        (),
        0 if status in ("resolved", "closed") else 1,
        1,
        Impact(cis, services, ()),
        START,
        now,
        None if status == "open" else now,
        merged_into,
        (),
        reopened=reopened,
    )


class Desk:
    """The stage, the time, and all that it has told."""

    def __init__(
        self,
        book: Rulebook = EMPTY,
        graph: CIGraph = ESTATE,
        policy: ResponsePolicy = ResponsePolicy(),  # noqa: B008 - frozen
        *,
        severity: str = "major",
        services: int = 0,
        name: str = SITUATION,
        root: str = "db",
    ) -> None:
        self._made_of = book, graph, policy
        self.stage = ResponseSelection(book, graph, policy)
        self.now = START
        self.told: list[Decision] = []
        self.told_at: list[int] = []
        self.severity, self.services, self.name, self.root = severity, services, name, root
        self._versions: dict[str, int] = {}
        self._members = 0
        self._said = 0
        self._saved: dict[bytes, bytes] = {}

    def wait(self, time: int) -> None:
        """Let time pass, in one jump."""
        self.now += time
        self.take(self.stage.expire(self.now))

    def until(self, time: int) -> None:
        """Let this time after START come."""
        self.wait(START + time - self.now)

    def update(
        self, status: Status = "open", *, joined: int = 0, cis: int = 0, name: str = "", **other: object
    ) -> list[SituationUpdate]:
        """The next version of the situation: so many alerts join it, and so many CIs."""
        name = name or self.name
        version = self._versions[name] = self._versions.get(name, 0) + 1
        new = tuple(
            Member(f"f{number}", 1, "db", "Down", f"e{number}")
            for number in range(self._members, self._members + joined)
        )
        self._members += joined
        options = {"severity": self.severity, "services": self.services, "root": self.root} | other
        snapshot = situation(version, status, name=name, cis=1 + cis, now=self.now, **options)  # type: ignore[arg-type]
        return slices(snapshot, Moved(new, cis_joined=tuple(f"ci{number}" for number in range(cis))), self.now)

    def news(self, status: Status = "open", **other: object) -> None:
        """The situation is told in another version."""
        self.take(self.stage.advance(self.update(status, **other)))  # type: ignore[arg-type]

    @staticmethod
    def spoken(word: str, **fields: object) -> AboutIncident:
        """What somebody says about the incident."""
        said = {"kind": word, "id": word, "by": "jo", "time": datetime(2026, 9, 21, tzinfo=UTC), "incident": INCIDENT}
        if not (word == "assign" and fields.keys() & {"group", "note"}):
            said |= _WORDS.get(word, {})
        return msgspec.convert(said | fields, Feedback)  # type: ignore[no-any-return]

    def say(self, word: str, **fields: object) -> None:
        """Somebody says it."""
        self._said += 1
        fields.setdefault("id", f"said-{self._said}")
        self.hear(self.spoken(word, **fields))

    def hear(self, said: Said) -> None:
        """Let the stage hear it; it has to know what it is about."""
        told = self.stage.heard(said)  # type: ignore[arg-type]
        assert not isinstance(told, str), told
        self.take(told)

    def take(self, told: Iterable[Decision]) -> None:
        """Take in what the stage tells."""
        told = list(told)
        self.told += told
        self.told_at += [self.stage.now] * len(told)

    def restart(self) -> None:
        """Go on with another stage that knows only what this one has saved, in whatever order."""
        saved, now = self.saved(), self.stage.now
        self.stage = ResponseSelection(*self._made_of)
        self.stage.restore(reversed(saved))
        self.stage.now = now

    def saved(self) -> list[tuple[bytes, bytes]]:
        """All that the stage has saved by now."""
        for key, value in self.stage.changes():
            if value is None:
                self._saved.pop(key, None)
            else:
                self._saved[key] = value
        return list(self._saved.items())

    # what was told

    @property
    def incident(self) -> Incident:
        """The incident as last told."""
        return self.incidents()[-1]

    def incidents(self, name: str = "") -> list[Incident]:
        """Every version of one incident."""
        wanted = "INC" + (name or self.name)[1:]
        return [each for each in self.told if isinstance(each, Incident) and each.id == wanted]

    def members(self) -> list[IncidentMembers]:
        """Every record of members."""
        return [each for each in self.told if isinstance(each, IncidentMembers)]

    def notices(self) -> list[Notification]:
        """Every notification."""
        return [each for each in self.told if isinstance(each, Notification)]

    def reasons(self) -> list[str]:
        """What the notifications are about."""
        return [each.reason for each in self.notices()]

    def timetable(self) -> list[str]:
        """Every notification by its own time after START: when, why, to whom, which level."""
        lines = []
        for each in self.notices():
            at = round((datetime.fromisoformat(each.time).timestamp() * 1000 - START) / 1000)
            lines.append(f"{at // 60}m{at % 60:02}s {each.reason} {each.to}{f' {each.level}' if each.level else ''}")
        return lines

"""Remembers why, beside a second level at work: of the situations asked for, the explanation of the last good moment.

A settled situation has no evidence left, so its explanation is taken whenever its candidates are scored, the last time
just before its alerts cease to be evidence. Only `opsbridge explain` and tests pay for this: it looks into the second
level from outside, and what that decides is the same with and without it.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from opsbridge.core.explain.because import Explanation, explain
from opsbridge.core.explain.trial import Scene, Trial
from opsbridge.core.pipeline import Pipeline
from opsbridge.core.second_level.level import SecondLevel
from opsbridge.core.second_level.reporting import Reporter
from opsbridge.core.second_level.situations import LiveSituation

_DERIVED: Final = "\x1f"
"""How the fingerprints of alerts begin that stand for a situation."""


class Explainer:
    """The explanations of the situations of one run."""

    def __init__(self, pipeline: Pipeline, asked: Callable[[str], bool] = lambda _: True) -> None:
        """Looks at a pipeline that has heard nothing yet; `asked` tells of a situation's id whether to explain it."""
        self._asked = asked
        self._watched = [pipeline.second]
        if pipeline.backbone is not None:
            self._watched.append(pipeline.backbone._engine)
        for second in self._watched:
            second.claims.reporter = _Watched(second, self._look)
        self._found: dict[str, Explanation] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def get(self, situation: str) -> Explanation | None:
        """The explanation of a situation, with those of the parts that domains have found; None if there is none.

        What a single domain found, and explains by itself, is told as it was found there.
        """
        found = self._found.get(situation)
        if found is None:
            return None
        parts = tuple(self._found[name] for name in parts_of(found) if name in self._found)
        if len(parts) == len(found.members) == 1 and parts[0].root.ci == found.root.ci:
            known = {(fact.kind, fact.ci) for fact in parts[0].tried}
            more = [fact for fact in found.tried if fact.kind == "own_alert" and (fact.kind, fact.ci) not in known]
            return msgspec.structs.replace(parts[0], situation=situation, tried=(*parts[0].tried, *more))
        return msgspec.structs.replace(found, parts=parts)

    def look(self) -> None:
        """Explain what is still evidence: the input ends."""
        for second in self._watched:
            for situation in list(second.situations):
                if situation.nodes and not situation.state.flapping:
                    self._look(second, situation)

    def _look(self, second: SecondLevel, situation: LiveSituation) -> None:
        name = situation.state.id
        if not self._asked(name):
            return
        claims = second.claims
        scene = Scene(Trial(claims.evidence), claims.at, claims.profiles, second.now)
        before = self._found.get(name)
        earlier = {member.fingerprint: member for member in before.members} if before else {}
        self._found[name] = explain(scene, situation, claims.related, earlier)


def parts_of(found: Explanation) -> list[str]:
    """The situations that domains have found and that stand as single alerts in this one (backbone.py)."""
    return [member.fingerprint.removeprefix(_DERIVED) for member in found.members if not member.event]


class _Watched(Reporter):
    """Lets somebody look at a situation whenever it is scored."""

    __slots__ = ("_look", "_second")

    def __init__(self, second: SecondLevel, look: Callable[[SecondLevel, LiveSituation], None]) -> None:
        claims = second.claims
        super().__init__(claims.graph, claims.evidence, claims.reporter.holding, claims.failed)
        self._second = second
        self._look = look

    def score(self, situation: LiveSituation) -> None:
        """Score the candidates as ever, and let the watcher look."""
        super().score(situation)
        self._look(self._second, situation)

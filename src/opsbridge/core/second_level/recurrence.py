"""Recurrence: a situation that was closed begins again, under its old id, if the same root fails again soon after.

Whether it is the same shows when the new situation is told of for the first time: until then its root may change, and
nobody has heard of it. Closed situations are kept with their alerts for so long. Asked by agenda.py.
"""

from opsbridge.core.second_level.memory import Memory
from opsbridge.core.second_level.situations import LiveSituation


class Recurrence:
    """The closed situations of one partition that may begin again, by the names of their roots."""

    __slots__ = ("_closed", "_memory", "_within")

    def __init__(self, memory: Memory, within_ms: int) -> None:
        self._memory = memory
        self._within = within_ms
        self._closed: dict[str, dict[str, LiveSituation]] = {}

    def keep(self, situation: LiveSituation) -> int | None:
        """Remember a situation that has been told of as closed, and until when; None if it is not to be remembered.

        What an operator put together does not begin again: what fires next is for the evidence to judge.
        """
        state = situation.state
        if not self._within or state.correction:
            return None
        for alert in situation.alerts.values():
            if alert.waiting or alert.pinned or not alert.spent:
                alert.waiting, alert.pinned, alert.spent = False, False, True
                self._memory.alert_changed(alert)
        self._closed.setdefault(state.root, {})[state.id] = situation
        return self.until(situation)

    def until(self, situation: LiveSituation) -> int:
        """Before this time a closed situation may begin again."""
        return situation.state.told_at + self._within

    def forget(self, situation: LiveSituation) -> None:
        """Too late: it will not begin again."""
        self._drop(situation)
        self._memory.forget(situation)

    def takes_over(self, situation: LiveSituation) -> bool:
        """Let a situation that nobody has heard of go on as the newest closed one with its root; whether there is one.

        Root means the same CI, and that it said the same, be it nothing: a server whose disk is full and that is then
        down has two problems. To miss a recurrence is better than to take two failures for one. What has been named in
        news of others keeps its name.
        """
        state = situation.state
        if state.version or state.named or state.correction:
            return False
        class_ = situation.class_of_root()
        before = max(
            (closed for closed in self._closed.get(state.root, {}).values() if closed.state.told_class == class_),
            key=lambda closed: (closed.state.told_at, closed.state.id),
            default=None,
        )
        if before is None:
            return False
        self._drop(before)
        memory = self._memory
        memory.situation_changed(state)  # under the name that it loses
        del memory.situations[state.id]
        situation.go_on_as(before)
        memory.situations[state.id] = situation
        memory.situation_changed(state)
        for alert in situation.alerts.values():
            memory.alert_changed(alert)
        return True

    def _drop(self, situation: LiveSituation) -> None:
        there = self._closed[situation.state.root]
        del there[situation.state.id]
        if not there:
            del self._closed[situation.state.root]

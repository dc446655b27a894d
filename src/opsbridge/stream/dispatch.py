"""What leaves a lane: which topic, which key, which partition, and what is counted of it.

Stages hand over what the core has said; nothing is decided here but where it goes. Everything is collected in the
lane's outbox and leaves when the lane settles.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, get_args
from zlib import crc32

import msgspec

from opsbridge.core.coordination.news import Answer, Denied, News
from opsbridge.core.decisions import (
    Derived,
    Expired,
    Outcome,
    Regroup,
    Rejected,
    Reminder,
    Shadowed,
    SituationUpdate,
    Suppressed,
    Transition,
    Withheld,
)
from opsbridge.core.event import Event
from opsbridge.core.first_level.alert import Heard
from opsbridge.core.first_level.level import unknown_cis
from opsbridge.core.graph import CIGraph
from opsbridge.core.ids import derived_id
from opsbridge.core.intake import Report
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    Notification,
    Problem,
    Response,
    ServiceRequest,
    Unanswered,
)
from opsbridge.core.second_level.backbone import home
from opsbridge.core.sharing import domain_of
from opsbridge.core.times import rfc3339
from opsbridge.core.written import WRITTEN
from opsbridge.settings import TopicSettings
from opsbridge.stream.batches import Record
from opsbridge.stream.dead_letters import Unheard, bury, original_headers
from opsbridge.stream.outbox import EVERY, Headers, Outbox
from opsbridge.stream.packing import packs
from opsbridge.stream.routed import forward, forward_derived
from opsbridge.stream.topics import topic_name
from opsbridge.web.metrics import Metrics

log = logging.getLogger(__name__)

UNTIL: Final = "until"
"""Header of a pack of events: the latest event time in it or before it, in milliseconds."""

Told = SituationUpdate | Suppressed | Shadowed
"""What second level and backbone tell."""

ALL: Final = "all"
"""The key of what coordination hears: there is one place for it."""

_PLACES: Final[Mapping[type[msgspec.Struct], tuple[str, Callable[[msgspec.Struct], str]]]] = {
    **WRITTEN,
    **dict.fromkeys(get_args(News), ("coordination", lambda _: ALL)),
    **dict.fromkeys(get_args(Answer), ("answers", attrgetter("situation"))),
}
"""What response and coordination say: the entity, and the record's key."""

_encode = msgspec.json.Encoder().encode


def partition_of(text: str, partitions: int) -> int:
    """Where events are heard that are kept by this text: a CI's id, or a group without one."""
    return crc32(text.encode()) % partitions


class Dispatch:
    """The way out of one lane."""

    def __init__(self, outbox: Outbox, topics: TopicSettings, metrics: Metrics) -> None:
        self.outbox = outbox
        self._topics = topics
        self._metrics = metrics
        self._announced: dict[str, int] = {}
        self._buried: Counter[str] = Counter()

    def _say(self, entity: str, key: str, thing: msgspec.Struct) -> None:
        self.outbox.add(topic_name(self._topics, entity), key.encode(), _encode(thing))

    def events(self, events: Iterable[tuple[str, Event]], partitions: int, until: int | None = None) -> None:
        """Pack events by the partition of the text beside each; a pack may say up to which event time it goes."""
        detected = topic_name(self._topics, "detected")
        headers = None if until is None else [(UNTIL, b"%d" % until)]
        by_partition: list[list[Event]] = [[] for _ in range(partitions)]
        for text, event in events:
            by_partition[partition_of(text, partitions)].append(event)
        for partition, ours in enumerate(by_partition):
            for pack in packs(ours):
                self.outbox.add(detected, None, pack, partition=partition, headers=headers)

    def transitions(self, transitions: Sequence[Transition], graph: CIGraph) -> None:
        """Pack changes of alerts by the domain that is to hear them; name the CIs that nobody knows."""
        alerts, shared = topic_name(self._topics, "alerts"), topic_name(self._topics, "shared")
        places: dict[tuple[str, str], list[Transition]] = {}
        for transition in transitions:
            backbone = home(graph, transition)
            place = (shared, backbone) if backbone else (alerts, domain_of(graph, transition))
            places.setdefault(place, []).append(transition)
        for (topic, domain), changed in places.items():
            key = domain.encode()
            for pack in packs(changed):
                self.outbox.add(topic, key, pack)
        unknown = unknown_cis(transitions)
        for discrepancy in unknown:
            self._say("discrepancies", discrepancy.reference, discrepancy)
        self._metrics.unknown_cis(len(unknown))
        self._metrics.transitions(Counter(transition.change for transition in transitions))

    def first_level(self, answers: Iterable[Heard], graph: CIGraph) -> None:
        """What the first level has made of events; what it has for other partitions is the caller's to send."""
        outcomes: Counter[Outcome] = Counter()
        transitions: list[Transition] = []
        derived: Counter[str] = Counter()
        withheld: Counter[tuple[str, str]] = Counter()
        decisions: list[Suppressed | Shadowed] = []
        for answer in answers:
            outcomes.update(answer.outcomes)
            transitions += answer.transitions
            for news in answer.news:
                match news:
                    case Expired():
                        self._metrics.expired(news.reason, news.events)
                    case Derived():
                        derived[news.rule] += 1
                    case Withheld():
                        withheld[news.place, news.reason] += 1
                    case Reminder():
                        self._announce(news)
                    case Suppressed() | Shadowed():
                        decisions.append(news)
        self._metrics.heard(outcomes)
        self._metrics.derived(derived)
        self._metrics.withheld(withheld)
        self.transitions(transitions, graph)
        self.decided(decisions)

    def situations(self, news: Iterable[Told], graph: CIGraph | None = None) -> None:
        """What the second level or a backbone tells; with a graph, situations go to the backbone of their root."""
        decisions: list[Suppressed | Shadowed] = []
        for each in news:
            if not isinstance(each, SituationUpdate):
                decisions.append(each)
            elif graph is not None and (backbone := home(graph, each)):
                self._say("shared", backbone, each)
            else:
                self._say("situations", each.situation.id, each)
        self.decided(decisions)

    def routed(self, record: Record, withheld: Withheld, one: Report | None = None) -> None:
        """An event that goes elsewhere, as it came; `one` of several that came in one payload."""
        forward(self.outbox, topic_name(self._topics, "routed"), record, withheld, one)

    def routed_derived(self, event: Event, withheld: Withheld) -> None:
        """The same for an event that a rule made."""
        forward_derived(self.outbox, topic_name(self._topics, "routed"), event, withheld)
        self._metrics.routed({withheld.route: 1})

    def decided(self, decisions: Iterable[Suppressed | Shadowed]) -> None:
        """What rules withhold, release, or would have done."""
        suppressed: Counter[tuple[str, str]] = Counter()
        shadowed: Counter[tuple[str, str]] = Counter()
        for each in decisions:
            if isinstance(each, Suppressed):
                suppressed[each.kind, each.state] += 1
                self._say("suppressed", each.fingerprint, each)
            else:
                shadowed[each.rule, each.would] += 1
                self._say("shadow", each.rule, each)
        self._metrics.suppressed(suppressed)
        self._metrics.shadowed(shadowed)

    def responses(self, decisions: Iterable[msgspec.Struct]) -> None:
        """What response and coordination decide and tell each other; what is no incident is logged and counted."""
        for decision in decisions:
            if isinstance(decision, Regroup):
                self._correct(decision)
            elif isinstance(decision, Unanswered):
                self._not_answered(decision)
            else:
                entity, key_of = _PLACES[type(decision)]
                self._say(entity, key_of(decision), decision)
                self._count(decision)

    def _correct(self, correction: Regroup) -> None:
        """An operator's word about alerts goes to every place that may know them."""
        for entity in ("corrections", "backbone-corrections"):
            self.outbox.add(topic_name(self._topics, entity), None, _encode(correction), partition=EVERY)

    def _not_answered(self, unanswered: Unanswered) -> None:
        if unanswered.begins:
            root, rule = unanswered.root, unanswered.rule
            log.info("situation %s of %s is no incident: rule %s", unanswered.situation, root, rule)
            self._metrics.without_incident(rule)

    def _count(self, decision: msgspec.Struct) -> None:
        match decision:
            case Incident():
                self._metrics.incident_update(decision.status, decision.priority)
            case Notification():
                self._metrics.notified(decision.reason)
            case Response():
                self._metrics.response_update(decision.action, decision.status)
            case Problem():
                self._metrics.problem_update(decision.status)
            case ChangeRequest() | ServiceRequest():
                entity, _ = _PLACES[type(decision)]
                self._metrics.ticket_update(entity, decision.status)
            case Denied():
                self._metrics.denied(decision.reason)

    def feedback(self, kind: str, result: str) -> None:
        """Feedback was heard or buried; of what cannot be read nobody knows the kind."""
        self._metrics.feedback(kind, result)

    def forward_feedback(self, record: Record, situation: str, headers: Headers) -> None:
        """Send feedback to the partition of its situation."""
        topic = topic_name(self._topics, "feedback")
        self.outbox.add(topic, situation.encode(), record.value, headers=original_headers(record) + headers)

    def bury(self, record: Record, rejected: Rejected | Unheard | Sequence[Rejected], stage: str) -> None:
        """A record that cannot be used, or not all of what it holds."""
        bury(self.outbox, topic_name(self._topics, "dead-letters"), record, rejected, stage)
        self._buried[(rejected[0] if isinstance(rejected, Sequence) else rejected).reason] += 1

    def settled(self) -> None:
        """Everything has been acknowledged."""
        self._metrics.dead_letters(self._buried)
        self._buried.clear()

    def _announce(self, reminder: Reminder) -> None:
        """A maintenance window ends soon."""
        if self._announced.get(reminder.rule) != reminder.ends_ms:
            self._announced[reminder.rule] = reminder.ends_ms
            minutes = (reminder.ends_ms - reminder.now_ms) / 60_000
            log.warning("maintenance window of rule %s ends in %.0f minutes", reminder.rule, minutes)
            self.responses([_notification(reminder)])
        self._metrics.window_ends(reminder.rule, reminder.ends_ms)


def _notification(reminder: Reminder) -> Notification:
    """The same for every partition that notices; to the rule, for want of anybody who owns the window."""
    return Notification(
        id=derived_id("NTF", reminder.rule, "maintenance_ends", reminder.ends_ms),
        reason="maintenance_ends",
        to=reminder.rule,
        text=f"maintenance window of rule {reminder.rule} ends at {rfc3339(reminder.ends_ms)}",
        rule=reminder.rule,
        time=rfc3339(reminder.now_ms),
    )

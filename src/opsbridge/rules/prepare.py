"""What rules add to an event before anything is decided: labels (`enrich`), then its identity (`dedup`).

Rules that enrich all see the event as it came in; of a label, the first rule that has a value for it wins. Rules that
say what an alert's identity is see the event as enrichment left it; the first that matches wins. Intake asks for firing
and resolved events alike, so that both get the same fingerprint; `compile_rules` makes the function.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from opsbridge.core.event import Event
from opsbridge.core.graph import CI
from opsbridge.core.rulebook import Prepare
from opsbridge.rules.matching.questions import Compiled, Conclusion, compiled
from opsbridge.rules.matching.reading import SEPARATOR, Read, joined, reader
from opsbridge.rules.rule import Constant, Enrich, FromField, FromTable, Identify, Rule

IDENTITY: Final = SEPARATOR
"""How a fingerprint begins that rules gave: no CI's id is empty, so none that is made of CI and class begins so, nor
that of an alert which a rule raised."""


def prepare_of(rules: Sequence[Rule]) -> tuple[Prepare | None, str]:
    """Enrichment and identity in one function, and its generated source; None if no rule asks for it."""
    stages = [stage for stage in (_enrichment(rules), _identity(rules)) if stage is not None]
    source = "".join(stage.source for stage in stages)
    if not stages:
        return None, source
    if len(stages) == 1:
        return stages[0].ask, source
    enrich, identify = (stage.ask for stage in stages)
    return lambda event, ci: identify(enrich(event, ci), ci), source


def _enrichment(rules: Sequence[Rule]) -> Compiled[Event] | None:
    asking = [(ask.match, rule.says) for rule in rules if isinstance(rule.says, Enrich) for ask in rule.asks]
    if not asking:
        return None

    def conclude(matching: list[int]) -> Conclusion[Event]:
        return _labelled([asking[number][1] for number in matching])

    return compiled([match for match, _ in asking], conclude, "event")


def _labelled(says: Sequence[Enrich]) -> Conclusion[Event]:
    """What makes an event with the labels that these rules set, the first rule first."""
    found: dict[str, list[Constant | FromField | FromTable]] = {}
    for said in says:
        for label, value in said.labels.items():
            found.setdefault(label, []).append(value)
    always = {label: first.text for label, (first, *_) in found.items() if isinstance(first, Constant)}
    looked_up = [(label, [_value(each) for each in values]) for label, values in found.items() if label not in always]

    def enriched(event: Event, ci: CI) -> Event:
        labels = event.labels | always
        for label, reads in looked_up:
            value = next((value for read in reads if (value := read(event, ci)) is not None), None)
            if value is not None:
                labels[label] = value
        return msgspec.structs.replace(event, labels=labels)

    return None, enriched


def _value(said: Constant | FromField | FromTable) -> Read:
    match said:
        case Constant(text):
            return lambda _event, _ci: text
        case FromField(field):
            read = reader(field)
            return lambda event, ci: read(event, ci) or None
        case FromTable(table, by):
            find, key = table.get, reader(by)
            return lambda event, ci: find(key(event, ci) or "")


def _identity(rules: Sequence[Rule]) -> Compiled[Event] | None:
    asking = [(ask.match, rule.says) for rule in rules if isinstance(rule.says, Identify) for ask in rule.asks]
    if not asking:
        return None
    identified = [_identified(said) for _, said in asking]
    return compiled([match for match, _ in asking], lambda matching: identified[matching[0]], "event")


def _identified(said: Identify) -> Conclusion[Event]:
    """What gives an event its fingerprint: the names of the fields and their values.

    So two rules that name the same fields, say for two tools that watch the same, give the same alert; two that name
    others never do.
    """
    prefix = f"{IDENTITY}{','.join(said.fields)}{SEPARATOR}"
    values = joined(said.fields)

    def identified(event: Event, ci: CI) -> Event:
        return msgspec.structs.replace(event, fingerprint=prefix + values(event, ci))

    return None, identified

"""Where everything that is told in public is written: the entity of the topics' catalogue, and the record's key.

The stream sends by this table, replay and review write and read recorded topics by it. Changes of alerts are not in it:
they are packed by correlation domain.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from opsbridge.core.decisions import Discrepancy, Shadowed, SituationUpdate, Suppressed
from opsbridge.core.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    Notification,
    Problem,
    Response,
    ServiceRequest,
)

WRITTEN: Final[Mapping[type, tuple[str, Callable[[Any], str]]]] = {  # each function is for its own type
    Incident: ("incidents", attrgetter("id")),
    IncidentMembers: ("incident-members", attrgetter("incident")),
    Problem: ("problems", attrgetter("id")),
    ChangeRequest: ("changes", attrgetter("id")),
    ServiceRequest: ("requests", attrgetter("id")),
    Response: ("responses", attrgetter("id")),
    Notification: ("notifications", attrgetter("id")),
    SituationUpdate: ("situations", attrgetter("situation.id")),
    Suppressed: ("suppressed", attrgetter("fingerprint")),
    Shadowed: ("shadow", attrgetter("rule")),
    Discrepancy: ("discrepancies", attrgetter("reference")),
}

"""The contract of the topics: what a record on each of them is, as models, JSON Schemas and one AsyncAPI document.

The models are a promise to consumers and publishers, and for them to import; the core has structs of its own, which a
test holds against these. Nothing inside OpsBridge reads or writes through them.
"""

from opsbridge.contract.inputs import ChangeRecord, Event, Feedback
from opsbridge.contract.records import (
    ChangeRequest,
    Incident,
    IncidentMembers,
    Notification,
    Problem,
    Response,
    ServiceRequest,
)
from opsbridge.contract.streams import Alert, Discrepancy, Shadow, SituationUpdate, Suppressed

__all__ = [
    "Alert",
    "ChangeRecord",
    "ChangeRequest",
    "Discrepancy",
    "Event",
    "Feedback",
    "Incident",
    "IncidentMembers",
    "Notification",
    "Problem",
    "Response",
    "ServiceRequest",
    "Shadow",
    "SituationUpdate",
    "Suppressed",
]

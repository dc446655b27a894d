"""What the feedback of a rule's test names, found in what was told until then, and the feedback made of it.

Only `run` calls this.
"""

import msgspec

from opsbridge.core.feedback import Feedback
from opsbridge.core.records import ChangeRequest, Incident, Problem, Response, ServiceRequest
from opsbridge.testing.spoken import KINDS, OfAlert, OfIncident, OfRule, Spoken, moment
from opsbridge.testing.view import View


class UnknownError(Exception):
    """Nothing has been told of what an entry names; the text says of what."""


def feedback_of(entry: Spoken, name: str, start: int, view: View) -> Feedback:
    """What is said, with the ids of what it names; UnknownError if there is no such thing."""
    said: dict[str, object] = {
        "kind": entry.kind,
        "id": name,
        "by": entry.by,
        "time": moment(start + entry.at).isoformat(),
        **entry.model_dump(include={"note", "group", "outcome", "output", "code"}, exclude_none=True),
    }
    if entry.incident is not None:
        said["incident"] = _incident(entry.incident, view)
    if entry.response is not None:
        response = _response(entry.response, view)
        said |= {"response": response.id, "situation": response.situation}
        if "idempotency_key" in KINDS[entry.kind].__struct_fields__:
            said["idempotency_key"] = _key(response, entry.attempt)
    if entry.record is not None:
        record = _record(entry.record, view)
        said |= {"record": record.id, "situation": "" if isinstance(record, Problem) else record.situation}
    if entry.to is not None:
        said["to"] = _incident(entry.to, view) if isinstance(entry.to, OfIncident) else entry.to
    if entry.until is not None:
        said["until"] = moment(start + entry.until).isoformat()
    if entry.alerts is not None:
        said["alerts"] = [_alert(alert, view) for alert in entry.alerts]
    return msgspec.convert(said, Feedback)  # type: ignore[no-any-return]  # a union of structs is a type to msgspec


def _incident(named: OfIncident, view: View) -> str:
    found = [incident.id for incident in view.records(Incident) if incident.root.ci == named.root]
    if not found:
        raise UnknownError(f"there is no incident with the root {named.root}")
    return found[-1]


def _response(named: OfRule, view: View) -> Response:
    found = [each for each in view.records(Response) if each.rule == named.rule and named.ci in (None, each.ci)]
    if not found:
        raise UnknownError(_nothing("response", named))
    return found[-1]


def _key(response: Response, attempt: int | None) -> str:
    """The idempotency key of an attempt, or of what is asked for now, or was asked for last."""
    if attempt is None and response.idempotency_key:
        return response.idempotency_key
    keys = [each.idempotency_key for each in response.tried if attempt in (None, each.attempt)]
    if not keys:
        asked = "nothing" if attempt is None else f"no attempt {attempt}"
        raise UnknownError(f"executors have been asked for {asked} by rule {response.rule}")
    return keys[-1 if attempt is None else 0]


def _record(named: OfRule, view: View) -> ChangeRequest | ServiceRequest | Problem:
    found: list[ChangeRequest | ServiceRequest | Problem] = [
        *(each for each in view.records(ChangeRequest) if named.ci in (None, each.root.ci)),
        *(each for each in view.records(ServiceRequest) if named.ci in (None, each.root.ci)),
        *(each for each in view.records(Problem) if named.ci is None or named.ci in each.same),
    ]
    of_rule = [each for each in found if each.rule == named.rule]
    if not of_rule:
        raise UnknownError(_nothing("problem, change or request", named))
    return of_rule[-1]


def _nothing(what: str, named: OfRule) -> str:
    return f"there is no {what} of rule {named.rule}" + ("" if named.ci is None else f" about {named.ci}")


def _alert(named: OfAlert, view: View) -> str:
    fingerprint = view.fingerprint(named.ci, named.class_)
    if fingerprint is None:
        raise UnknownError(f"no alert {named.class_} of {named.ci} has fired")
    return fingerprint

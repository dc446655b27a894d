"""Failed logins all over an estate, in order of event time up to `end`, for the live tests of rules that count.

Some users fail as often as a rule wants, each time on another CI; as many fail once less. Beside them, tills without
any edge complain of an order that they have in common, and some hosts are down.
"""

import random
from datetime import UTC, datetime

import orjson
from storm import Sent

HOSTS = tuple(f"host-{number}" for number in range(12))
TILLS = tuple(f"till-{number}" for number in range(8))
AUTH = "auth"

TOPOLOGY = orjson.dumps(
    {
        "cis": [{"id": name} for name in (AUTH, *HOSTS, *TILLS)],
        "depends_on": [[name, AUTH] for name in HOSTS],
    }
)

SPREAD_S = 20.0
"""How long it goes on, in event time."""

ENOUGH = 5

GUESSED = tuple(f"guessed-{number}" for number in range(8))
"""Users who fail often enough."""
NEARLY = tuple(f"nearly-{number}" for number in range(8))
"""Users who fail once less."""

RULES = f"""\
version: 1
rules:
- id: guessing
  kind: threshold
  type: event_count
  match: {{class: LoginFailed}}
  group_by: [labels.user]
  timespan: 1m
  condition: {{gte: {ENOUGH}}}
  resolve_after: 2h
  raise: {{class: PasswordGuessing, severity: major, ci: {AUTH}, summary: "{{labels.user}} failed {{count}} times"}}
- id: same-order
  kind: correlate
  join_by: labels.order
"""


def event(name: str, time: float, ci: str, class_: str, severity: str | None, **labels: str) -> Sent:
    """A canonical event; without a severity it is a resolution."""
    told: dict[str, object] = {
        "id": name,
        "time": datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds"),
        "ci": ci,
        "class": class_,
        "state": "firing" if severity else "resolved",
        "labels": labels,
    }
    if severity:
        told["severity"] = severity
    return ci.encode(), orjson.dumps(told)


def logins(*, end: float, seed: int = 1) -> tuple[Sent, ...]:
    """The records; the newest is of `end` (seconds since 1970)."""
    rng = random.Random(seed)
    start = end - SPREAD_S
    moments: list[tuple[float, str, str, str | None, dict[str, str]]] = []
    for users, times in ((GUESSED, ENOUGH), (NEARLY, ENOUGH - 1)):
        for user in users:
            severities = rng.choices(("info", "warning"), (3, 1), k=times)  # those of no significance count, too
            moments += [
                (start + rng.random() * SPREAD_S, rng.choice(HOSTS), "LoginFailed", severity, {"user": user})
                for severity in severities
            ]
    orders = {till: f"order-{number % 2}" for number, till in enumerate(TILLS)}
    moments += [(start + 4 + rng.random(), till, "OrderStuck", "major", {"order": orders[till]}) for till in TILLS]
    moments += [(start + 12 + rng.random(), till, "OrderStuck", None, {}) for till in TILLS[:3]]
    moments += [(start + rng.random() * SPREAD_S, host, "HostDown", "critical", {}) for host in HOSTS[:2]]
    moments.append((end, HOSTS[0], "HostDown", "critical", {}))
    moments.sort(key=lambda moment: moment[:2])
    return tuple(
        event(f"e{number}", time, ci, class_, severity, **labels)
        for number, (time, ci, class_, severity, labels) in enumerate(moments)
    )

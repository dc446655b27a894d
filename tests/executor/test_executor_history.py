"""What executors remember: who was first, what has ended, and nothing that is too old to be asked for again."""

from datetime import UTC, datetime

import msgspec

from opsbridge.core.feedback import Result, Started
from opsbridge.executor.history import History, Past

RESPONSE, SITUATION = "RSP-0000000000000001", "S-0000000000000001"


def started(key: str, name: str = "one") -> bytes:
    return msgspec.json.encode(
        Started(
            id=f"{key}:{name}",
            time=datetime.now(UTC),
            by=name,
            response=RESPONSE,
            situation=SITUATION,
            idempotency_key=key,
        )
    )


def result(key: str) -> bytes:
    return msgspec.json.encode(
        Result(
            id=key,
            time=datetime.now(UTC),
            by="one",
            response=RESPONSE,
            situation=SITUATION,
            idempotency_key=key,
            outcome="succeeded",
        )
    )


def test_the_first_to_begin_has_begun() -> None:
    history = History()
    history.tell(started("k", "one"), 10)
    history.tell(started("k", "two"), 11)
    assert history.of("k") == Past(told_ms=10, first="k:one", by="one", began_ms=10, ended=False)
    history.tell(result("k"), 12)
    assert history.of("k").ended


def test_what_is_no_feedback_about_keys_does_not_count() -> None:
    history = History()
    for value in (None, b"", b"{", b'{"kind": "assign"}', b'{"kind": "\xff"}', b'{"a":' * 50_000):
        history.tell(value, 1)
    assert len(history) == 0
    assert history.of("k") == Past()


def test_what_is_old_is_forgotten_and_the_rest_is_not() -> None:
    history = History()
    for number in range(10):
        history.tell(started(f"k{number}"), number)
    history.tell(result("k3"), 20)
    history.forget(5)
    assert len(history) == 5
    assert history.of("k3") == Past()
    assert history.of("k5").first == "k5:one"
    history.forget(1_000)
    assert len(history) == 0

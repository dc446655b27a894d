"""Payloads made wrong in the ways that a mapping could trip over: other types, fields gone, bytes flipped."""

import copy
import random

import orjson

VALUES: tuple[object, ...] = (
    None, "", " ", "x" * 600, "\x00", "é", "\U0001f600", "[::1", "http://", "a:b:c", "2026-01-01T00:00:00", "1" * 50,
    "nan", "inf", "1e400", "-1", "Feb 29 23:59:60", "0001-01-01T00:00:00+23:59", "{\"a\":", "[]", "{}", "null",
    0, -1, 1, 2.5, -0.0, 1e300, 2**63, -(2**63), 253402300800, 10**18, True, False,
    [], {}, [[]], [{}], [None], ["a", 1, None, {}], {"": ""}, {"a": {"b": {"c": [1]}}}, {"key": None}, [{"key": "a"}],
)  # fmt: skip


def deep(levels: int) -> object:
    value: object = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def mutated(random_: random.Random, payload: bytes) -> bytes:
    """The payload with something wrong in it."""
    try:
        root = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return _bytes(random_, payload)
    if random_.random() < 0.05:
        return _bytes(random_, payload)
    holder: list[object] = [copy.deepcopy(root)]
    for _ in range(random_.choice((1, 1, 2, 4))):
        _change(random_, holder)
    return orjson.dumps(holder[0] if holder else None)


def _change(random_: random.Random, holder: "list[object] | dict[str, object]") -> None:
    """Go some way down and change what is there."""
    keys: list[int | str]
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return
        key = random_.choice(keys)
        value = holder[key]  # type: ignore[index]
        if isinstance(value, dict | list) and value and random_.random() < 0.75:
            holder = value
            continue
        break
    match random_.randrange(6):
        case 0:
            del holder[key]  # type: ignore[arg-type]
        case 1 if isinstance(holder, dict):
            holder[random_.choice(("a.b", "", "key", "x" * 1200, str(random_.random())))] = value
        case 2 if isinstance(holder, list):
            holder.append(value)
        case 3:
            holder[key] = deep(random_.choice((3, 12, 200)))  # type: ignore[index]
        case 4 if isinstance(value, str):
            cut = random_.randrange(len(value) + 1)
            holder[key] = value[:cut] + random_.choice(("", "é", "{", "}", '"', "\n", "0")) + value[cut + 1 :]  # type: ignore[index]
        case _:
            holder[key] = copy.deepcopy(random_.choice(VALUES))  # type: ignore[index]


def _bytes(random_: random.Random, payload: bytes) -> bytes:
    changed = bytearray(payload)
    for _ in range(random_.choice((1, 2, 5))):
        at = random_.randrange(len(changed) + 1)
        match random_.randrange(4):
            case 0:
                changed[at : at + 1] = bytes((random_.randrange(256),))
            case 1:
                del changed[at : at + random_.randrange(1, 9)]
            case 2:
                changed[at:at] = random_.randbytes(random_.randrange(1, 5))
            case _:
                del changed[at:]
    return bytes(changed)

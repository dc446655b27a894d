"""The topics: names, settings and partitions, with the checks Apache Kafka makes when they are created or grown.

Only names and values are checked, most settings change nothing here: there is no compaction and no retention, what a
topic was made with is kept and shown. `max.message.bytes` and `message.timestamp.after.max.ms` are enforced. Called by
topic_api.py and data_api.py.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kio.schema.errors import ErrorCode

from opsbridge.devbroker.log import PartitionLog, Terms
from opsbridge.devbroker.settings import RefusedError, Settings

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_MOST_PARTITIONS = 10_000
_LONG = str(2**63 - 1)
_INT = str(2**31 - 1)


def _whole(low: int) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(r"-?\d+", text) is not None and int(text) >= low


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda text: text in words


def _share(text: str) -> bool:
    return re.fullmatch(r"0(\.\d+)?|1(\.0+)?", text) is not None


def _policy(text: str) -> bool:
    return all(word.strip() in ("compact", "delete") for word in text.split(","))


_FLAG = _one_of("true", "false")

# name: (default, what a value must be); names and defaults of Apache Kafka 4.1's topic settings
TOPIC_SETTINGS: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "cleanup.policy": ("delete", _policy),
    "compression.type": ("producer", _one_of("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")),
    "delete.retention.ms": ("86400000", _whole(0)),
    "file.delete.delay.ms": ("60000", _whole(0)),
    "flush.messages": (_LONG, _whole(1)),
    "flush.ms": (_LONG, _whole(0)),
    "index.interval.bytes": ("4096", _whole(0)),
    "max.compaction.lag.ms": (_LONG, _whole(1)),
    "max.message.bytes": ("1048588", _whole(0)),
    "message.timestamp.after.max.ms": ("3600000", _whole(0)),
    "message.timestamp.before.max.ms": (_LONG, _whole(0)),
    # LogAppendTime would mean to rewrite batches: refused here, which Apache Kafka would not do
    "message.timestamp.type": ("CreateTime", _one_of("CreateTime")),
    "min.cleanable.dirty.ratio": ("0.5", _share),
    "min.compaction.lag.ms": ("0", _whole(0)),
    "min.insync.replicas": ("1", _whole(1)),
    "preallocate": ("false", _FLAG),
    "retention.bytes": ("-1", _whole(-1)),
    "retention.ms": ("604800000", _whole(-1)),
    "segment.bytes": ("1073741824", _whole(1_048_576)),
    "segment.index.bytes": ("10485760", _whole(4)),
    "segment.jitter.ms": ("0", _whole(0)),
    "segment.ms": ("604800000", _whole(1)),
    "unclean.leader.election.enable": ("false", _FLAG),
}


@dataclass(slots=True)
class Topic:
    """A topic: the settings it was made with (only those that were given) and its partitions by index."""

    name: str
    given: Mapping[str, str]
    max_message_bytes: int
    timestamp_slack: int
    """How far in the future (ms) a record's timestamp may be."""
    compacted: bool
    partitions: list[PartitionLog] = field(default_factory=list)

    def terms(self, now: int) -> Terms:
        """Return what is asked of a batch that comes `now` (ms)."""
        return Terms(self.max_message_bytes, now + self.timestamp_slack, self.compacted)


class Topics:
    """Every topic of the broker by name; also where logs live on while the broker does not listen."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics: dict[str, Topic] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._topics

    def __iter__(self) -> Iterator[Topic]:
        return iter(sorted(self._topics.values(), key=lambda topic: topic.name))

    def topic(self, name: str) -> Topic:
        """Return the topic; raises `RefusedError` (unknown topic) if there is none."""
        try:
            return self._topics[name]
        except KeyError:
            raise RefusedError(ErrorCode.unknown_topic_or_partition, f"there is no topic {name!r}") from None

    def log(self, name: str, partition: int) -> PartitionLog:
        """Return the partition's log; raises `RefusedError` (unknown topic or partition) if there is none."""
        partitions = self.topic(name).partitions
        if not 0 <= partition < len(partitions):
            raise RefusedError(
                ErrorCode.unknown_topic_or_partition, f"topic {name!r} has partitions 0 to {len(partitions) - 1}"
            )
        return partitions[partition]

    def create(
        self, name: str, partitions: int = -1, given: Mapping[str, str] | None = None, *, validate_only: bool = False
    ) -> None:
        """Create a topic of `partitions` (-1: the broker's default); raises `RefusedError` as Apache Kafka would."""
        given = given or {}
        self._check_name(name)
        wanted = self._settings.default_partitions if partitions == -1 else partitions
        if not 1 <= wanted <= _MOST_PARTITIONS:
            raise RefusedError(
                ErrorCode.invalid_partitions, f"{partitions} partitions: 1 to {_MOST_PARTITIONS} are possible"
            )
        for key, value in given.items():
            _check_setting(key, value)
        if validate_only:
            return
        default_slack = TOPIC_SETTINGS["message.timestamp.after.max.ms"][0]
        self._topics[name] = Topic(
            name=name,
            given=dict(given),
            max_message_bytes=int(given.get("max.message.bytes", self._settings.message_max_bytes)),
            timestamp_slack=int(given.get("message.timestamp.after.max.ms", default_slack)),
            compacted="compact" in given.get("cleanup.policy", ""),
            partitions=[PartitionLog() for _ in range(wanted)],
        )

    def grow(self, name: str, count: int, *, validate_only: bool = False) -> None:
        """Give the topic `count` partitions in all; raises `RefusedError` unless that is more than it has."""
        topic = self.topic(name)
        have = len(topic.partitions)
        if not have < count <= _MOST_PARTITIONS:
            raise RefusedError(
                ErrorCode.invalid_partitions, f"topic {name!r} has {have} partitions, {count} are no increase"
            )
        if not validate_only:
            topic.partitions.extend(PartitionLog() for _ in range(count - have))

    def delete(self, name: str) -> None:
        """Forget the topic and wake whoever waits for it; raises `RefusedError` if there is none."""
        topic = self.topic(name)
        del self._topics[name]
        for log in topic.partitions:
            log.wake()

    def settings_of(self, topic: Topic) -> Sequence[tuple[str, str, bool]]:
        """Return (name, value, was it given) of every topic setting."""
        defaults = {key: default for key, (default, _) in TOPIC_SETTINGS.items()}
        defaults["max.message.bytes"] = str(self._settings.message_max_bytes)
        return [(key, topic.given.get(key, default), key in topic.given) for key, default in defaults.items()]

    def _check_name(self, name: str) -> None:
        if _NAME.fullmatch(name) is None or name in (".", ".."):
            raise RefusedError(
                ErrorCode.invalid_topic_exception, f"{name!r}: 1 to 249 letters, digits, '.', '_' and '-' are possible"
            )
        if name in self._topics:
            raise RefusedError(ErrorCode.topic_already_exists, f"Topic '{name}' already exists.")
        for other in self._topics:
            if other.replace(".", "_") == name.replace(".", "_"):
                raise RefusedError(
                    ErrorCode.invalid_topic_exception,
                    f"{name!r} collides with {other!r}: '.' and '_' are one in metrics",
                )


def _check_setting(key: str, value: str) -> None:
    if key not in TOPIC_SETTINGS:
        raise RefusedError(ErrorCode.invalid_config, f"Unknown topic config name: {key}")
    if not TOPIC_SETTINGS[key][1](value):
        raise RefusedError(ErrorCode.invalid_config, f"Invalid value {value} for configuration {key}")

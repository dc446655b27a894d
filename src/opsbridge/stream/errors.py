"""Errors of the streaming room, by whose fault.

OpsBridgeError
├── BrokerUnreachableError     exit code 3: no broker answers, or it refuses us
├── TopicsError           exit code 2: topics that are missing or made wrong
└── WorkerError           exit code 1: going on would risk wrong state, so the worker stops to be started again
    ├── RecoveryError     state cannot be read back completely
    ├── DeliveryError     records were not acknowledged, or cannot be sent at all
    └── StageError        a stage's own code failed
"""

from opsbridge.errors import OpsBridgeError


class BrokerUnreachableError(OpsBridgeError):
    """No Kafka broker answers at the configured address, or it refuses us."""

    exit_code = 3


class TopicsError(OpsBridgeError):
    """Topics are missing or made in a way OpsBridge cannot work with."""

    exit_code = 2


class WorkerError(OpsBridgeError):
    """The worker cannot go on without risking wrong state."""

    exit_code = 1


class RecoveryError(WorkerError):
    """State cannot be read back completely from its changelog."""


class DeliveryError(WorkerError):
    """Records were not acknowledged by the broker, or cannot be sent at all."""


class StageError(WorkerError):
    """A stage's own code failed."""

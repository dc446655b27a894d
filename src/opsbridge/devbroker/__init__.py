"""An in-memory, single-node broker that speaks the Kafka protocol on loopback, for trying and testing only.

`opsbridge demo` and the default tests run on it, so that neither needs Java or Docker. It keeps everything in memory,
authenticates nobody and refuses to listen beyond loopback; production runs on Apache Kafka. What it answers is held
against Apache Kafka by one contract suite (tests/broker). Needs the extra `opsbridge[demo]` (the codecs of `kio`).
"""

from opsbridge.devbroker.broker import DevBroker
from opsbridge.devbroker.settings import BeyondLoopbackError, Settings
from opsbridge.devbroker.threaded import ThreadedDevBroker

__all__ = ["BeyondLoopbackError", "DevBroker", "Settings", "ThreadedDevBroker"]

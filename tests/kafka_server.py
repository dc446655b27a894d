"""A real Apache Kafka without Docker: one KRaft node on free loopback ports, its jars fetched from Maven Central.

Used by the `kafka` fixtures, the benchmarks and `make kafka-test`, and as a command: `python tests/kafka_server.py`.
Needs a JDK (17 or later) and, for the first fetch, Maven. It says nothing about the embedded broker; both offer the
words of `Kafka` below.
"""

import argparse
import base64
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

_REPOSITORY = Path(__file__).resolve().parent.parent
_POM = _REPOSITORY / "scripts" / "kafka" / "pom.xml"
_CACHE = "KAFKA_TESTS_CACHE"
_FETCH_PATIENCE = 600.0
_START_PATIENCE = 90.0
_STOP_PATIENCE = 30.0
_LOG_TAIL = 30

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
# a killed broker comes back as soon as its old registration lapses
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
{more}"""


class KafkaUnavailableError(RuntimeError):
    """Apache Kafka cannot be run here; the message says what is missing and what to do."""


class Kafka(Protocol):
    """What tests may use of a broker, whichever it is: `embedded` or `apache`."""

    @property
    def name(self) -> str:
        """`embedded` or `apache`."""

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, the same after every restart."""

    def start(self) -> None:
        """Listen (again) with the data there is."""

    def stop(self) -> None:
        """Shut down in good order."""

    def kill(self) -> None:
        """Drop everything at once; acknowledged records are there after the next `start`."""


class ApacheKafka:
    """One Apache Kafka node as a context manager; data and ports last until `close` (or the end of the `with`).

    `properties` are added to (or override) the server's. Raises `KafkaUnavailableError` without java or jars.
    """

    name = "apache"

    def __init__(self, port: int = 0, *, heap: str = "1g", properties: dict[str, str] | None = None) -> None:
        self._java = _command("java", "a JDK (17 or later)")
        self._jars = _jars()
        self._heap = heap
        self._directory = Path(tempfile.mkdtemp(prefix="opsbridge-kafka-"))
        self._log = self._directory / "server.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._port = port or _free_port()
        more = "".join(f"{key}={value}\n" for key, value in (properties or {}).items())
        self._properties = self._directory / "server.properties"
        self._properties.write_text(
            _PROPERTIES.format(port=self._port, controller_port=_free_port(), data=self._directory / "data", more=more)
        )
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        try:
            self._format(cluster)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients, the same after every restart."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs, for those who measure it."""
        return None if self._server is None else self._server.pid

    def start(self) -> None:
        """Start the server with the data there is, and return when it answers."""
        if self._server is not None:
            raise RuntimeError(f"Apache Kafka already runs on {self.bootstrap_servers}")
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                self._call("kafka.Kafka", str(self._properties)), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        until = time.monotonic() + _START_PATIENCE
        while not _answers(self._port):
            died = self._server.poll() is not None
            if died or time.monotonic() > until:
                reason = "ended at once" if died else f"did not answer within {_START_PATIENCE:.0f} s"
                self.kill()
                raise RuntimeError(f"Apache Kafka {reason}; the end of its log:\n{self.log_tail()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Shut the server down in good order (a kill after 30 s); data stays for the next `start`."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server (SIGKILL); acknowledged records are there after the next `start`."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Kill the server and delete its data."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL:])

    def _end(self, number: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(number)
        try:
            server.wait(_STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(_STOP_PATIENCE)

    def _format(self, cluster: str) -> None:
        call = self._call("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._properties))
        done = subprocess.run(call, capture_output=True, text=True, timeout=_START_PATIENCE, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"Apache Kafka could not format its storage:\n{done.stdout}{done.stderr}")

    def _call(self, main: str, *arguments: str) -> list[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [self._java, f"-Xmx{self._heap}", quiet, "-cp", f"{self._jars}/*", main, *arguments]


def _jars() -> Path:
    """Return the folder of the jars of the pom's version, fetched when it is not there yet."""
    cache = Path(os.environ.get(_CACHE) or _REPOSITORY / ".cache" / "kafka")
    jars = cache / f"kafka-{_version()}"
    if jars.is_dir():
        return jars
    maven = _command("mvn", "Maven")
    cache.mkdir(parents=True, exist_ok=True)
    # fetched aside and moved, so that a broken fetch or a second fetcher never leaves half a folder
    with tempfile.TemporaryDirectory(dir=cache) as fetched:
        call = [maven, "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={fetched}/jars"]
        done = subprocess.run(call, capture_output=True, text=True, timeout=_FETCH_PATIENCE, check=False)
        if done.returncode != 0:
            raise KafkaUnavailableError(f"{' '.join(call)} failed:\n{done.stdout}{done.stderr}")
        try:
            (Path(fetched) / "jars").rename(jars)
        except OSError:
            if not jars.is_dir():
                raise
    return jars


def _version() -> str:
    found = ElementTree.parse(_POM).find("{*}properties/{*}kafka.version")  # noqa: S314 - the repository's own file
    if found is None or not found.text:
        raise KafkaUnavailableError(f"{_POM} names no kafka.version")
    return found.text


def _command(name: str, what: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise KafkaUnavailableError(f"there is no `{name}` on the PATH: Apache Kafka needs {what}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    """Whether a broker answers ApiVersions (version 0) without an error."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as probe:
            probe.sendall(struct.pack(">ihhih", 10, 18, 0, 7, -1))
            answer = probe.makefile("rb").read(10)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (7, 0)


def main() -> int:
    """Run a broker until SIGTERM or SIGINT, having printed its address."""
    parser = argparse.ArgumentParser(description="A real Apache Kafka on loopback; data is deleted at the end.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (%(default)s)")
    parser.add_argument("--heap", default="1g", help="the JVM's heap (%(default)s)")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ApacheKafka(asked.port, heap=asked.heap) as kafka:
            sys.stdout.write(f"listening on {kafka.bootstrap_servers}\n")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except KafkaUnavailableError as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What running a real Apache Kafka says when it cannot be run."""

import socket
from pathlib import Path

import pytest

from kafka_server import ApacheKafka, KafkaUnavailableError


def test_a_missing_jdk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaUnavailableError, match="no `java` on the PATH: Apache Kafka needs a JDK"):
        ApacheKafka()


def test_a_missing_maven_is_named_when_there_are_no_jars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KAFKA_TESTS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(KafkaUnavailableError, match="no `mvn` on the PATH: Apache Kafka needs Maven"):
        ApacheKafka()


@pytest.mark.kafka
def test_a_setting_that_cannot_be_is_shown() -> None:
    with pytest.raises(RuntimeError, match=r"could not format its storage(?s:.*)num\.io\.threads"):
        ApacheKafka(properties={"num.io.threads": "many"})


@pytest.mark.kafka
def test_the_end_of_the_log_is_shown_when_it_does_not_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        kafka = ApacheKafka(taken.getsockname()[1])
        with pytest.raises(RuntimeError, match=r"ended at once; the end of its log(?s:.*)already in use"), kafka:
            pass

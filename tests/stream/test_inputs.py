"""Which source reads what: topics, headers and settings, and what is wrong with them."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from opsbridge.core.decisions import Reject, Rejected
from opsbridge.core.intake import Report
from opsbridge.errors import OpsBridgeError
from opsbridge.settings import Settings, SettingsError
from opsbridge.settings.inputs import inputs
from opsbridge.sources.canonical import decode
from opsbridge.sources.inputs import Inputs
from opsbridge.sources.source import AUTO, SOURCE_HEADER, Item

EVENT = orjson.dumps(
    {"id": "e", "time": "2026-01-01T00:00:00Z", "ci": "web", "class": "Down", "state": "firing", "severity": "major"}
)
PROBLEM = orjson.dumps(
    {"eventid": 7, "clock": 1_767_225_600, "ns": 0, "value": 1, "name": "Down", "severity": 4}
    | {"hosts": [{"host": "web"}]}
)


def read(made: Inputs, topic: str, payload: bytes, *headers: tuple[str, bytes | None]) -> Sequence[Item]:
    return made.reader(topic)(payload, headers, 0)


def fingerprints(items: Sequence[Item]) -> list[str | None]:
    return [item.fingerprint if isinstance(item, Report) else item.__class__.__name__ for item in items]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def of_settings(**sections: dict[str, object]) -> Inputs:
    return inputs(Settings.model_validate(sections))


def test_a_topic_is_read_as_its_source_and_any_other_by_what_it_holds() -> None:
    made = of_settings(topics={"inputs": "one:zabbix,two:canonical,three"})
    assert fingerprints(read(made, "one", PROBLEM)) == ["zabbix:7"]
    assert fingerprints(read(made, "one", EVENT)) == ["Rejected"]
    assert fingerprints(read(made, "two", PROBLEM)) == ["Rejected"]
    assert read(made, "two", EVENT) == (decode(EVENT),)
    assert fingerprints(read(made, "three", PROBLEM)) == ["zabbix:7"]
    assert list(read(made, "three", EVENT)) == [decode(EVENT)]


def test_a_header_goes_before_the_topic_and_has_to_name_a_source() -> None:
    made = of_settings(topics={"inputs": "one:canonical"})
    assert fingerprints(read(made, "one", PROBLEM, ("a", None), (SOURCE_HEADER, b"zabbix"))) == ["zabbix:7"]
    (refused,) = read(made, "one", PROBLEM, (SOURCE_HEADER, b"zabix"))
    assert isinstance(refused, Rejected)
    assert refused.reason == Reject.INVALID_FIELD
    assert "'zabbix'" in refused.detail


def test_a_name_that_no_source_has_is_told_with_the_nearest() -> None:
    with pytest.raises(SettingsError) as told:
        of_settings(topics={"inputs": "one:zabix,two:canonical,three:nagos"})
    assert [each.split(":")[1].strip() for each in told.value.problems] == ["one", "three"]
    assert "'zabbix'" in told.value.problems[0]
    assert "'nagios'" in told.value.problems[1]


def test_mapping_files_of_ones_own_are_sources_too_and_a_directory_that_was_named_has_to_be_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "house.yaml").write_text(
        "source: house\ntitle: A tool of the house\npayload: json\nfields:\n  id: nr\n  time: at\n  ci: box\n"
        "  source: {const: house}\n  class: {const: Down}\n  severity: {const: major}\n  state: {const: firing}\n"
    )
    made = of_settings(topics={"inputs": "one:house"})
    (item,) = read(made, "one", b'{"nr": "1", "at": "2026-01-01T00:00:00Z", "box": "web"}')
    assert isinstance(item, Report)
    assert (item.ci, item.class_) == ("web", "Down")
    with pytest.raises(SettingsError, match=r"paths\.sources: no such file or directory"):
        of_settings(paths={"sources": tmp_path / "nowhere"})
    (tmp_path / "sources" / "house.yaml").write_text("source: house\n")
    with pytest.raises(OpsBridgeError, match=r"house\.yaml:1"):
        of_settings()


def test_without_settings_everything_is_recognised() -> None:
    made = of_settings()
    assert made.reader()(EVENT, (), 0) == made.reader("any")(EVENT, (), 0)
    assert made.sources.named(AUTO).name == AUTO

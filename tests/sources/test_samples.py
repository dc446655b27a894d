"""Every shipped mapping gives exactly what the samples beside it say, and `auto` recognises each of them."""

from pathlib import Path

import pytest

from opsbridge.sources.catalogue import SourceError, load_sources, shipped_sources
from opsbridge.sources.samples import Sample, failures, read_samples, samples_beside

SHIPPED = {source.name: source for source in shipped_sources()}


def samples_of(name: str) -> list[Sample]:
    beside = samples_beside(SHIPPED[name].mapping.path)
    return [] if beside is None else read_samples(beside)


SAMPLES = {f"{name}: {sample.name}": (name, sample) for name in SHIPPED for sample in samples_of(name)}


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_gives_what_it_says(sample: str) -> None:
    name, said = SAMPLES[sample]
    assert failures(said, SHIPPED[name], load_sources().auto) == []


def test_every_shipped_source_shows_what_fires_and_what_it_refuses() -> None:
    assert len(SHIPPED) == 16
    for name in SHIPPED:
        states = {event["state"] for sample in samples_of(name) for event in sample.events}
        assert "firing" in states, name
        assert any(sample.rejected for sample in samples_of(name)), name


WRITTEN = """\
- name: two
  payload: {id: "1", ci: x}
  arrived: "2026-03-01T08:00:00Z"
  events:
    - {id: "1", time: "2026-03-01T08:00:00Z", ci: x, class: C, state: firing, severity: major, source: t}
"""


def sample(folder: Path, text: str) -> Sample:
    path = folder / "tool.samples.yaml"
    path.write_text(text)
    (found,) = read_samples(path)
    return found


def test_a_sample_that_differs_is_told_field_by_field(tmp_path: Path) -> None:
    from mappings import sources_of

    sources = sources_of(tmp_path, {"labels": {"add": {"a": "ci"}}}, recognise=[{"id": "present", "ci": "present"}])
    tool = sources.mapped["tool"]
    assert failures(sample(tmp_path, WRITTEN), tool, sources.auto) == ['event 0: labels is {"a":"x"}, not {}']
    wrong = WRITTEN.replace("source: t}", "source: t, labels: {a: x}}")
    assert failures(sample(tmp_path, wrong), tool, sources.auto) == []
    more = wrong.replace('payload: {id: "1", ci: x}', 'payload: {id: "1"}') + "  withheld: [soft]\n"
    event, withheld, rejected, auto = failures(sample(tmp_path, more), tool, sources.auto)
    assert event.startswith("event 0 did not come: ")
    assert withheld == 'withheld for [], not ["soft"]'
    assert rejected == '1 rejected, not 0: ["no ci: ci is missing - at `$`"]'
    assert auto.startswith("auto does not recognise it (`auto: false` if it need not): ")
    refused = '- name: r\n  payload: {id: "1"}\n  auto: false\n  rejected: [no class]\n'
    assert failures(sample(tmp_path, refused), tool, sources.auto) == [
        'rejected with "no ci: ci is missing - at `$`", which has no "no class" in it'
    ]
    unexpected = '- name: r\n  payload: {id: "1", ci: x}\n  rejected: [no class]\n'
    assert failures(sample(tmp_path, unexpected), tool, sources.auto)[0].startswith("event 0 was not expected: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: x, payload: {}}", r"1:3: \[0\]: .*expects nothing"),
        ("- {name: x, events: []}", "must say `payload` or `text`"),
        ("- {name: x, payload: {}, rejectd: [a]}", r"\[0\]\.rejectd: unknown field; did you mean 'rejected'"),
        ("- {name: x, payload: {}, rejected: [a], arrived: noon}", "times are RFC 3339"),
        (
            "- {name: x, payload: {}, events: [{id: '1', time: x, state: firing, sevrity: x}]}",
            "did you mean 'severity'",
        ),
    ],
)
def test_a_sample_that_is_wrong_is_told_where(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        sample(tmp_path, text)

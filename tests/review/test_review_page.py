"""The page and the text: whole, escaped, nothing from elsewhere, every chart with its table beside it."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from opsbridge.review.charts import bars, timeline
from opsbridge.review.model import Review, Slot, Spread
from opsbridge.review.outages import Known
from opsbridge.review.page import page
from opsbridge.review.tell import clean, length, sections, spread
from review.period import Period, event

HOSTILE = "<script>alert('x')</script>\"&\x1b[31m\u202e"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Review:
    period = Period(tmp_path_factory.mktemp("page"))
    with period.events.open("ab") as file:
        file.writelines(
            event(1000 + turn, 660, HOSTILE, HOSTILE, source=HOSTILE, fingerprint=HOSTILE) + b"\n" for turn in range(40)
        )
    return period.review(period.records(), [Known(HOSTILE, 0, 1), Known("h1", 0, 1 << 42)])


class Reader(HTMLParser):
    """Notes what is open, what is loaded, and the text."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        named = {name: value or "" for name, value in attrs}
        assert not [name for name in named if name.startswith("on")]
        self.addresses += [named[name] for name in ("href", "src", "action", "data") if name in named]
        if "id" in named:
            assert named["id"] not in self.ids
            self.ids.add(named["id"])
        if tag not in self.VOID and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr] # in a tag
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.get_starttag_text().endswith("/>") or (self.open and self.open[-1] == tag):  # type: ignore[union-attr]
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(found: Review) -> None:
    html = page(found)
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert all(address.startswith("#") and address[1:] in reader.ids for address in reader.addresses)
    assert reader.addresses
    assert not {"script", "img", "iframe", "link", "object", "form"} & set(reader.seen)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", html)
    assert "default-src 'none'" in html
    assert "prefers-color-scheme:dark" in html


def test_what_came_with_events_is_escaped(found: Review) -> None:
    html = page(found)
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;\ufffd[31m\ufffd" in html
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_every_chart_is_an_image_with_a_name_and_its_table(found: Review) -> None:
    html = page(found)
    charts = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(charts) >= 5
    for chart in charts:
        root = ElementTree.fromstring(chart)  # noqa: S314 # our own page
        assert root.get("role") == "img"
        assert root.get("aria-label")
    assert html.count("<table>") > len(charts)
    assert all(re.search(r"<caption>|<thead>", table) for table in re.findall(r"<table>.*?</table>", html, re.DOTALL))


def test_nothing_of_a_chart_lies_outside_it(found: Review) -> None:
    for chart in re.findall(r"<svg.*?</svg>", page(found), re.DOTALL):
        root = ElementTree.fromstring(chart)  # noqa: S314 # our own page
        width, height = float(root.get("width", "")), float(root.get("height", ""))
        for shape in root.iter("{http://www.w3.org/2000/svg}rect"):
            x, y = float(shape.get("x", "")), float(shape.get("y", ""))
            assert 0 <= x <= x + float(shape.get("width", "")) <= width
            assert 0 <= y <= y + float(shape.get("height", "")) <= height
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(text.get("x", "")) <= width
            assert 0 <= float(text.get("y", "")) <= height


def test_charts_of_nothing_are_none() -> None:
    assert bars("nothing", [("a", 0)]) == ""
    assert bars("nothing", []) == ""
    assert timeline([]) == ""
    assert timeline([Slot("2026-01-01T12:00:00.000Z", 0, 0)]) == ""
    assert timeline([Slot("2026-01-01T12:00:00.000Z", 3, 1)]).count("<circle") == 1


def test_every_section_with_something_in_it_is_told(found: Review) -> None:
    names = [section.name for section in sections(found)]
    assert names == ["summary", "events", "alerts", "incidents", "responses", "rules", "outages", "checks"]
    for section in sections(found):
        for table in section.tables:
            assert all(len(row) == len(table.columns) for row in table.rows), table.title


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (0, "0s"), (0.25, "0.25s"), (59.96, "60s"), (60, "1m 0s"), (3_599.6, "1h 0m"), (90_061, "1d 1h")],
)
def test_lengths_read_well(seconds: float | None, words: str) -> None:
    assert length(seconds) == words


def test_a_spread_reads_well() -> None:
    assert spread(Spread(0)) == "-"
    assert spread(Spread(3, 1, 60, 3_600)) == "p50 1s, p90 1m 0s, max 1h 0m (of 3)"


def test_text_keeps_letters_of_all_kinds() -> None:
    assert clean("Störung 故障 ok\n") == "Störung 故障 ok\ufffd"


def test_the_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    assert "no events" in page(Period(tmp_path).review([]))

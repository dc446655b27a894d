"""A review as one HTML page that needs nothing else: no script, no font, no image from anywhere.

Every chart has its table beside it; what came with events is escaped, and the page's own policy forbids it to load or
run anything. It follows the reader's choice of light or dark.
"""

from collections.abc import Iterator
from html import escape
from typing import Final

from opsbridge.review.charts import bars, timeline
from opsbridge.review.model import Review
from opsbridge.review.tell import Row, Section, Table, percent, sections

_STYLE: Final = """\
:root{color-scheme:light dark;--ground:#fff;--ink:#1c2430;--soft:#5a6675;--line:#d5dbe3;--panel:#f4f6f9;--bar:#2f6fb3;
--mark:#b3261e;--on:#fff;--good:#1b6e3c;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ground:#14181f;--ink:#e6eaf0;--soft:#a3afbd;--line:#343d4a;--panel:#1d232d;
--bar:#6ea8e6;--mark:#f2938c;--on:#14181f;--good:#7fd3a0;--bad:#f2938c}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main,header,nav{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.5rem}
h1{font-size:1.6rem;margin:0}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
p{margin:.25rem 0;color:var(--soft)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;margin:1rem 0;padding:0}
a{color:var(--bar)}
a:focus-visible{outline:2px solid var(--bar);outline-offset:2px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1rem 0;padding:0}
.tiles div{background:var(--panel);border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.35rem;font-weight:600}
.pair{display:flex;flex-wrap:wrap;gap:.5rem 2rem;align-items:flex-start;margin:1rem 0}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:min(24rem,85vw)}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere;max-width:38rem}
th{font-weight:600}
thead th{overflow-wrap:normal}
tbody th{font-weight:400}
.n{text-align:right;white-space:nowrap}
svg{max-width:100%;min-width:30rem;height:auto;font:12px system-ui,sans-serif}
svg text{fill:var(--ink)}
svg .bar{fill:var(--bar)}
svg .mark{fill:var(--mark)}
svg .on{fill:var(--on);font-size:10px}
svg .axis{stroke:var(--line)}
.good{color:var(--good)}
.bad{color:var(--bad)}
@media print{nav{display:none}h2{break-after:avoid}table,svg{break-inside:avoid}}
"""


def page(review: Review) -> str:
    """The whole page."""
    told = sections(review)
    period = f"{escape(review.begins)} to {escape(review.ends or '')}" if review.begins else "no events"
    mood, word = ("good", "The figures add up.") if review.adds_up else ("bad", "The figures do not add up: see below.")
    return "".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
            f"<title>Event and outage review, {period}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n",
            f"<header><h1>Event and outage review</h1>\n<p>{period}</p>\n",
            f'<p class="{mood}">{word}</p></header>\n',
            '<nav aria-label="Sections"><ul>',
            *(f'<li><a href="#{each.name}">{escape(each.title)}</a></li>' for each in told),
            "</ul></nav>\n<main>\n",
            _tiles(review),
            _time(review),
            *(part for each in told for part in _section(each)),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _tiles(review: Review) -> str:
    events, incidents, responses = review.events, review.incidents, review.responses
    facts = [
        ("events", f"{events.read}"),
        ("incidents", f"{incidents.incidents}"),
        ("events to one incident", "-" if events.collapse_ratio is None else f"{events.collapse_ratio:g}"),
        ("needed a person", percent(events.needed_person.share)),
        ("auto-responses effective", percent(responses.success)),
        ("targets missed", f"{incidents.missed_acknowledge + incidents.missed_resolve}"),
    ]
    if review.outages is not None:
        facts.append(("outages without events", f"{review.outages.without_events} of {review.outages.outages}"))
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="tiles">{tiles}</dl>\n'


def _time(review: Review) -> str:
    chart = timeline(review.timeline)
    if not chart:
        return ""
    rows = [(slot.begins[:16].replace("T", " "), slot.events, slot.incidents) for slot in review.timeline]
    table = _table(Table("Events and incidents over time", ("from", "#events", "#incidents opened"), rows))
    return (
        f'<section aria-label="Over time"><div class="scroll">{chart}</div>'
        f"<details><summary>The same as a table</summary>{table}</details></section>\n"
    )


def _section(section: Section) -> Iterator[str]:
    yield f'<section aria-labelledby="{section.name}"><h2 id="{section.name}">{escape(section.title)}</h2>\n'
    for table in section.tables:
        chart = ""
        if table.bars is not None and len(table.rows) > 1:
            chart = bars(table.title, [(str(row[0]), _number(row[table.bars])) for row in table.rows])
        beside = f'<div class="scroll">{chart}</div>' * bool(chart)
        yield f'<div class="pair">{_table(table)}{beside}</div>\n'
    yield "</section>\n"


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{" class=n" * name.startswith("#")}>{escape(name.removeprefix("#"))}</th>'
        for name in table.columns
    )
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    body = "".join(f"<tr>{_row(table.columns, row)}</tr>" for row in table.rows)
    return f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(columns: tuple[str, ...], row: Row) -> str:
    cells = []
    for at, (name, value) in enumerate(zip(columns, row, strict=True)):
        text = escape("" if value is None else str(value))
        number = " class=n" * name.startswith("#")
        cells.append(f'<th scope="row"{number}>{text}</th>' if at == 0 else f"<td{number}>{text}</td>")
    return "".join(cells)


def _number(value: str | int | float | None) -> int:  # noqa: PYI041 # a cell's type
    return value if isinstance(value, int) else 0

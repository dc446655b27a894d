"""What the demo shows: live on a terminal, line by line elsewhere, and one table at the end."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from opsbridge.core.records import Incident, Response
from opsbridge.demo.audience import Audience, Figures, counted
from opsbridge.demo.scenario import Scenario

NEWS_LINES: Final = 8
SERVICES_SHOWN: Final = 6

_STATUS_STYLE: Final = {
    **dict.fromkeys(("open", "reopened", "escalated", "refused"), "bold red"),
    **dict.fromkeys(("resolved", "effective"), "green"),
    **dict.fromkeys(("closed", "merged", "cancelled"), "dim"),
}
"""Of incidents and auto-responses; whatever is not named is under way."""


class Screen:
    """Tells what happens while it happens."""

    def __init__(self, console: Console, *, plain: bool) -> None:
        self._console = console
        self._live = None if plain or not console.is_terminal else Live(console=console, refresh_per_second=8)
        self._news: deque[str] = deque(maxlen=NEWS_LINES)
        self._began = time.monotonic()
        self._last: tuple[float, int] = (self._began, 0)
        self._rate = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def step(self, text: str) -> None:
        """What is being done now."""
        self.news(text, style="dim")

    def news(self, text: str, *, style: str = "") -> None:
        """One thing that has happened."""
        line = f"{time.monotonic() - self._began:5.1f} s  {text}"
        self._news.append(line)
        if self._live is None:
            self._console.print(Text(line, style), soft_wrap=True)

    def show(self, published: int, total: int, audience: Audience, figures: Figures) -> None:
        """The state of things; on a plain screen only the news are told."""
        now = time.monotonic()
        since, before = self._last
        if now - since >= 1:
            self._rate = (figures.received - before) / (now - since)
            self._last = now, figures.received
        if self._live is not None:
            self._live.update(Group(*self._picture(published, total, audience, figures)))

    def _picture(self, published: int, total: int, audience: Audience, figures: Figures) -> Iterator[RenderableType]:
        counted = ", ".join(f"{count} {kind}" for kind, count in audience.counts.items()) or "none yet"
        yield Panel(
            f"events  {published} of {total} published, {figures.received} received, {self._rate:.0f} per second\n"
            f"incidents  {counted}; {audience.written} snapshots written",
            title="OpsBridge demo",
            title_align="left",
        )
        yield _incident_table(audience)
        if audience.responses:
            yield _response_table(audience)
        yield Text("\n".join(self._news), "dim", no_wrap=True, overflow="ellipsis")

    def finish(self, scenario: Scenario, audience: Audience, figures: Figures) -> None:
        """The table at the end."""
        if self._live is not None:
            self._live.stop()
        self._console.print(_final_table(scenario, audience, figures))


def _incident_table(audience: Audience) -> Table:
    table = Table()
    for column in ("incident", "status", "priority", "root", "confidence", "alerts", "affected CIs", "services"):
        table.add_column(column, overflow="fold")
    for incident in audience.incidents.values():
        table.add_row(
            incident.id,
            _status(incident.status),
            incident.priority,
            incident.root.ci + (" (silent)" if incident.root.silent else ""),
            f"{incident.root.confidence:.0%}",
            str(incident.alerts),
            str(incident.affected_cis),
            str(incident.affected_services),
        )
    return table


def _response_table(audience: Audience) -> Table:
    table = Table()
    for column in ("auto-response", "status", "action", "on", "attempts", "incident"):
        table.add_column(column, overflow="fold")
    for response in audience.responses.values():
        table.add_row(
            response.id,
            _status(response.status),
            response.action,
            response.ci,
            f"{response.attempt} of {response.attempts}",
            response.incident if response.incident in audience.incidents else "none",
        )
    return table


def _status(status: str) -> Text:
    return Text(status, _STATUS_STYLE.get(status, "yellow"))


def _final_table(scenario: Scenario, audience: Audience, figures: Figures) -> Table:
    table = Table(title="What became of it", title_justify="left", show_lines=False)
    table.add_column("what")
    table.add_column("which", overflow="fold")
    table.add_column("how many", justify="right")
    table.add_row("read", f"{scenario.fates.total()} published", str(figures.received))
    for (kind, *rest), count in sorted(figures.fates.items()):
        if kind != "heard":
            table.add_row(kind, ": ".join(rest), str(count))
    for outcome, count in sorted(figures.outcomes.items()):
        table.add_row("heard", outcome, str(count))
    table.add_row(
        "sum", "all events are accounted for" if figures.balanced else "THE SUM IS WRONG", str(figures.fates.total())
    )
    table.add_section()
    incidents = audience.standing()
    for incident in incidents:
        table.add_row("incident", Text(_described(incident, audience)), counted(incident.alerts, "alert"))
    table.add_section()
    for response in audience.responses.values():
        table.add_row("auto-response", Text(_done(response, audience)), counted(len(response.tried), "attempt"))
    table.add_section()
    heard = figures.outcomes.total()
    ratio = f"{heard / len(incidents):.0f} : 1" if incidents else "-"
    table.add_row("collapse", f"{heard} events of alerts in {len(incidents)} incidents", ratio)
    return table


def _described(incident: Incident, audience: Audience) -> str:
    root = incident.root
    services = audience.services(incident.id)
    shown = ", ".join(services[:SERVICES_SHOWN]) + (", ..." if len(services) > SERVICES_SHOWN else "")
    named = f": {shown}" if services else ""
    known = "".join(f"\n  known error {each.id}: {each.workaround or each.title}" for each in incident.known_errors)
    return (
        f"{incident.title} [{incident.status}]\n"
        f"  root {root.ci}, {'silent' if root.silent else f'sent {root.class_}'}, "
        f"confidence {root.confidence:.0%}\n"
        f"  {incident.priority}, for {incident.group or 'nobody: no rule and no owner says for whom'}\n"
        f"  {counted(incident.affected_cis, 'CI')} affected, {counted(len(services), 'service')}{named}{known}"
    )


def _done(response: Response, audience: Audience) -> str:
    told = f"told by {response.incident}" if response.incident in audience.incidents else "nobody had to be told"
    tried = "".join(f"\n  attempt {each.attempt}: {each.outcome}, {each.output.strip()}" for each in response.tried)
    return f"{response.action} on {response.ci} [{response.status}], {told}{tried}"

"""The catalogue of faults: each kind is a few departures from one plain fault; docs/quality.md has them in words."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.quality.breaks import Fault, Spec, backbone, cascading, plain, redundancy, starving
from benchmarks.quality.world import FLAWLESS, Flaws

Own = Literal["prompt", "late", "silent"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How the faults of a kind differ from one plain fault that reports itself in an estate that is known."""

    about: str
    draw: Callable[[Spec, int, random.Random], Fault | None]
    flaws: Flaws = FLAWLESS
    shared: bool = False
    faults: tuple[int, int] = (1, 1)
    own: Own = "prompt"
    lost: float = 0.0
    spurious: int = 0
    chronic: int = 0
    flapping: int = 0
    skew_ms: int = 0

    def count(self, number: int) -> int:
        """How many faults the scenario of this number has."""
        fewest, most = self.faults
        return fewest + number % (most - fewest + 1)


KINDS: Final[dict[str, Kind]] = {
    "single": Kind("one fault that reports itself", plain),
    "concurrent": Kind("two or three independent faults within a minute", plain, faults=(2, 3)),
    "cascading": Kind("a slow A breaks B, which reports a cause of its own minutes later", cascading),
    "silent": Kind("the root sends nothing", plain, own="silent"),
    "late": Kind("the root reports itself 30 to 180 s after its first symptom", plain, own="late"),
    "lost": Kind("30 % of the symptoms never arrive", plain, lost=0.3),
    "spurious": Kind("unrelated alerts at the same time, some of unknown CIs", plain, spurious=8),
    "flapping": Kind("members flap, tens to hundreds of times", plain, flapping=10),
    "chronic": Kind("some CIs alarm and clear again and again for hours", plain, chronic=6),
    "skew": Kind("the CIs' clocks are off by up to 20 s", plain, skew_ms=20_000),
    "redundancy": Kind("one of several fails; then, in half of the faults, the quorum is lost", redundancy),
    "starvation": Kind("consumers that stopped leave their providers idle", starving),
    "missing_edges": Kind("10 % of the edges are not in the topology shown", plain, flaws=Flaws(missing=0.1)),
    "wrong_edges": Kind("10 % more edges in the topology shown, all wrong", plain, flaws=Flaws(wrong=0.1)),
    "unmonitored": Kind("nothing watches 20 % of the CIs, half of them marked so", plain, flaws=Flaws(unmonitored=0.2)),
    "mixed": Kind(
        "two or three faults among all of the above: noise, loss, skew, a flawed topology",
        plain,
        flaws=Flaws(missing=0.05, wrong=0.05, unmonitored=0.1),
        faults=(2, 3),
        lost=0.1,
        spurious=5,
        chronic=4,
        flapping=2,
        skew_ms=5_000,
    ),
    "backbone": Kind("the backbone that all sites share is down", backbone, shared=True),
    "backbone_silent": Kind("the same, and it sends nothing", backbone, shared=True, own="silent"),
}
"""What is measured, by name."""

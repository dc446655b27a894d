"""What the demo's topics hold at its end, as files for `opsbridge review`: all but changelogs and internal hops."""

from pathlib import Path

from opsbridge.review.recorded import Recorder
from opsbridge.review.topics import held
from opsbridge.settings import Settings
from opsbridge.stream.topics import CATALOGUE


async def record_topics(settings: Settings, directory: Path) -> int:
    """Write every record of every topic that the review reads; how many there are."""
    count = 0
    with Recorder(directory) as recorder:
        public = [each.name for each in CATALOGUE if not (each.state or each.internal)]
        async for record in held(settings, [*public, "shared"]):
            recorder.write(record)
            count += 1
    return count

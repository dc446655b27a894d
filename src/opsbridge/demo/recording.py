"""What the demo's topics hold at its end, as files for `opsbridge review`: all but changelogs and internal hops."""

from pathlib import Path
from typing import Final

from opsbridge.review.recorded import Recorder
from opsbridge.review.topics import held
from opsbridge.settings import Settings
from opsbridge.stream.topics import CATALOGUE

_INTERNAL: Final = frozenset({"detected", "shared", "answers", "coordination"})


async def record_topics(settings: Settings, directory: Path) -> int:
    """Write every record of every topic that is not internal; how many there are."""
    count = 0
    with Recorder(directory) as recorder:
        entities = [entity.name for entity in CATALOGUE if not entity.state and entity.name not in _INTERNAL]
        async for record in held(settings, entities):
            recorder.write(record)
            count += 1
    return count

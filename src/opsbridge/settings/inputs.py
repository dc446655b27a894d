"""The sources of an installation: those that come with OpsBridge, its own, and which of them its topics name."""

from opsbridge.settings.loading import Settings, SettingsError
from opsbridge.settings.sections import SOURCES
from opsbridge.sources.catalogue import UnknownSourceError, load_sources
from opsbridge.sources.inputs import Inputs


def inputs(settings: Settings) -> Inputs:
    """What reads the payloads of the input topics.

    Raises `SettingsError` for sources that there are not, with the nearest name, and what is wrong with mapping files.
    """
    directory = settings.paths.sources
    if directory != SOURCES and not directory.exists():
        raise SettingsError([f"paths.sources: no such file or directory: {directory}"])
    sources = load_sources([directory] if directory.exists() else [])
    problems = []
    for each in settings.topics.inputs:
        try:
            sources.named(each.source)
        except UnknownSourceError as error:
            problems.append(f"topics.inputs: {each.topic}: {error}")
    if problems:
        raise SettingsError(problems)
    return Inputs(sources, {each.topic: each.source for each in settings.topics.inputs})

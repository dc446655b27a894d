"""Where a worker's log lines go and in which shape: stderr, for people or as JSON, libraries' lines included.

What libraries say below a warning is about their own parts, hundreds of lines at every start: it is only for `debug`.
"""

import logging
import os
import sys

import structlog

from opsbridge.settings import LogSettings


def set_up_logs(settings: LogSettings) -> None:
    """Send everything that is logged in this process to stderr; replaces what was set up before."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings)],
        )
    )
    if settings.level != "debug":
        handler.addFilter(_matters)
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _matters(record: logging.LogRecord) -> bool:
    """A warning, or said by us; `[^---Name]: Starting...` is said by Faust in the name of our classes."""
    if record.levelno >= logging.WARNING:
        return True
    return record.name.split(".", 1)[0] == "opsbridge" and not str(record.msg).startswith("[^")


def _rendering(settings: LogSettings) -> list[structlog.typing.Processor]:
    if settings.format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return [structlog.dev.ConsoleRenderer(colors=colour, exception_formatter=structlog.dev.plain_traceback)]

"""`opsbridge version`: what is installed, on which interpreter."""

import platform

from opsbridge import __version__
from opsbridge.cli.options import OutputFormat
from opsbridge.cli.output import Format, write_json, write_line


def version(output: OutputFormat = Format.TABLE) -> None:
    """Show the version, for example for a bug report."""
    if output is Format.JSON:
        write_json({"version": __version__, "python": platform.python_version(), "platform": platform.platform()})
    else:
        write_line(f"opsbridge {__version__} (Python {platform.python_version()})".encode())

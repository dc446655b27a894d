"""The flags that several commands share, and how they become settings, winning over environment, file and defaults."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsbridge.cli.output import Format

if TYPE_CHECKING:
    from opsbridge.settings import Settings
    from opsbridge.topology import DomainAttribute

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="TOML file; else $OPSBRIDGE_CONFIG, else ./opsbridge.toml."),
]
BootstrapServers = Annotated[
    str | None,
    typer.Option("--bootstrap-servers", "-b", metavar="HOST:PORT[,...]", help="Kafka brokers to start from."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting; may be given more than once."),
]
DomainsBy = Annotated[
    str | None,
    typer.Option(metavar="ATTRIBUTE", help="What domains are made of: site, owner or environment; else connection."),
]
KnownErrors = Annotated[
    list[Path] | None,
    typer.Option("--known-errors", metavar="PATH", help="Known errors, file or directory; may be repeated."),
]
Source = Annotated[
    str,
    typer.Option("--source", metavar="NAME", help="What the events come as; auto recognises it line by line."),
]
Mappings = Annotated[
    list[Path] | None,
    typer.Option("--sources", metavar="PATH", help="Mapping files of your own, file or directory; may be repeated."),
]
OutputFormat = Annotated[Format, typer.Option("--output", "-o", help="What to print.")]


def settings_from(config: Path | None, bootstrap_servers: str | None, sets: list[str] | None) -> "Settings":
    """The settings of this call; raises `SettingsError` with all that is wrong, `BadParameter` for a bad --set."""
    from opsbridge.settings import load_settings

    flags: dict[str, object] = {}
    for text in sets or ():
        _put(flags, *_parsed(text))
    if bootstrap_servers is not None:
        _put(flags, ["kafka", "bootstrap_servers"], bootstrap_servers)
    return load_settings(config, **flags)


def domain_attribute(domains_by: str | None) -> "DomainAttribute | None":
    """What --domains-by names; raises `BadParameter` for what no domain can be made of."""
    from opsbridge.topology import DOMAIN_ATTRIBUTES

    for known in DOMAIN_ATTRIBUTES:
        if domains_by == known:
            return known
    if domains_by is not None:
        raise typer.BadParameter(
            f"must be one of {', '.join(DOMAIN_ATTRIBUTES)}, not {domains_by!r}", param_hint="--domains-by"
        )
    return None


def _parsed(text: str) -> tuple[list[str], str]:
    key, equals, value = text.partition("=")
    path = [word.strip() for word in key.split(".")]
    if not equals or len(path) < 2 or not all(path):
        raise typer.BadParameter(f"expected SECTION.KEY=VALUE, not {text!r}", param_hint="--set")
    return path, value


def _put(tree: dict[str, object], path: list[str], value: str) -> None:
    for depth, word in enumerate(path[:-1], 1):
        inner = tree.setdefault(word, {})
        if not isinstance(inner, dict):
            raise typer.BadParameter(
                f"{'.'.join(path[:depth])} is given both as a value and as a section", param_hint="--set"
            )
        tree = inner
    tree[path[-1]] = value

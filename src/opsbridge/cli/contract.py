"""`opsbridge contract`: what a record on each topic is, as JSON Schemas and an AsyncAPI document, from the models."""

from pathlib import Path
from typing import Annotated

import typer

from opsbridge.cli.options import ConfigFile, Sets, settings_from
from opsbridge.cli.output import say


def contract(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where they are written to.")],
    config: ConfigFile = None,
    sets: Sets = None,
    *,
    breaking: Annotated[
        bool, typer.Option("--breaking", help="Write them even if they take back what those in DIR promise.")
    ] = False,
) -> None:
    """Write the contract of the topics: `DIR/topics/ENTITY.schema.json` and `DIR/asyncapi.yaml`.

    Where DIR has an earlier contract, nothing is written if the new one would break its readers or writers: what would
    break is told, field by field, and the exit code is 1.
    """
    import orjson
    import yaml

    from opsbridge.contract.compatibility import breaks
    from opsbridge.contract.documents import MESSAGES, asyncapi, json_schema

    settings = settings_from(config, None, sets)
    schemas = {output / "topics" / f"{entity}.schema.json": (entity, json_schema(entity)) for entity in MESSAGES}
    broken = [
        f"{path}: {line}"
        for path, (entity, schema) in schemas.items()
        if path.is_file()
        for line in breaks(orjson.loads(path.read_bytes()), schema, MESSAGES[entity].written_by)
    ]
    for line in broken:
        say(line)
    if broken and not breaking:
        say("nothing is written; --breaking writes it all the same")
        raise typer.Exit(1)
    (output / "topics").mkdir(parents=True, exist_ok=True)
    for path, (_, schema) in schemas.items():
        path.write_bytes(orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    document = yaml.safe_dump(asyncapi(settings.topics), sort_keys=False, allow_unicode=True, width=120)
    (output / "asyncapi.yaml").write_text(document, encoding="utf-8")
    say(f"{len(schemas)} schemas and {output / 'asyncapi.yaml'}")

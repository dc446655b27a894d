"""`python -m opsbridge.devbroker`: the dev broker in a process of its own, until SIGTERM or SIGINT.

Prints one line with the address once it listens. For trying and testing only: data is gone when it stops.
"""

import argparse
import asyncio
import logging
import signal
import sys

from opsbridge.devbroker.broker import DevBroker
from opsbridge.devbroker.settings import BeyondLoopbackError, Settings


def main(arguments: list[str] | None = None) -> int:
    """Run the broker; returns 0 after a signal, 2 when it cannot listen."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=asked.log.upper(), format="%(levelname)s %(name)s: %(message)s")
    settings = Settings(
        auto_create_topics=asked.auto_create_topics,
        default_partitions=asked.default_partitions,
        message_max_bytes=asked.message_max_bytes,
        min_session_timeout=asked.min_session_timeout,
    )
    try:
        asyncio.run(_serve(DevBroker(asked.host, asked.port, settings=settings)))
    except BeyondLoopbackError as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    except OSError as failed:
        sys.stderr.write(f"cannot listen on {asked.host}:{asked.port}: {failed.strerror}; choose another --port\n")
        return 2
    return 0


async def _serve(broker: DevBroker) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with broker:
        sys.stdout.write(f"listening on {broker.bootstrap_servers} (in memory, for trying and testing only)\n")
        sys.stdout.flush()
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m opsbridge.devbroker",
        description="An in-memory Kafka broker on loopback, for trying and testing only: no security, no disk.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (%(default)s)")
    parser.add_argument("--port", type=int, default=9092, help="0 takes a free one (%(default)s)")
    parser.add_argument("--auto-create-topics", action="store_true", help="create unknown topics on first use")
    parser.add_argument("--default-partitions", type=int, default=defaults.default_partitions, metavar="N")
    parser.add_argument("--message-max-bytes", type=int, default=defaults.message_max_bytes, metavar="BYTES")
    parser.add_argument("--min-session-timeout", type=float, default=defaults.min_session_timeout, metavar="SECONDS")
    parser.add_argument("--log", default="warning", choices=["debug", "info", "warning", "error"])
    return parser


if __name__ == "__main__":
    sys.exit(main())

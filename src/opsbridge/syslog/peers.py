"""Who may send: where the listener may listen, and which addresses it takes messages from.

Syslog has no authentication but TLS with certificates of the senders, so beyond loopback the operator says in so many
words what is let in. The command asks here before anything is opened.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from opsbridge.errors import OpsBridgeError

Transport: TypeAlias = Literal["tcp", "tls", "udp"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = tuple[str, int]

_LOOPBACK_NAMES: Final = frozenset({"localhost"})


class SyslogError(OpsBridgeError):
    """The listener may not, or cannot, listen as it was told to."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Peers:
    """Addresses that messages are taken from; no networks: all."""

    networks: tuple[Network, ...]

    def allowed(self, address: str) -> bool:
        """Whether messages from this address are taken."""
        if not self.networks:
            return True
        peer = ipaddress.ip_address(address)
        return any(peer in network for network in self.networks)


def plain_address(address: str) -> str:
    """A peer's address as people write it: without zone, and IPv4 as such where the socket speaks IPv6."""
    peer = ipaddress.ip_address(address.partition("%")[0])
    mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
    return str(mapped or peer)


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """`10.0.0.0/8`, `192.0.2.7`, `2001:db8::/32`; raises `SyslogError`."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise SyslogError(f"--allow: {error}") from None


def read_address(text: str, option: str) -> Address:
    """`HOST:PORT`, `[v6]:PORT` or `PORT` (on loopback); raises `SyslogError`."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not int(port) < 65536 or (not host and text != port):
        raise SyslogError(f"{option}: expected HOST:PORT, [IPV6]:PORT or PORT, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def on_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches it."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_unguarded(
    listen: Sequence[tuple[Transport, Address]], *, plain: bool, limited: bool, authenticated: bool
) -> None:
    """Raise `SyslogError` for addresses beyond loopback that are open to more than the operator has said.

    `plain`: TCP and UDP without TLS were allowed; `limited`: peers were named, or all of them explicitly let in;
    `authenticated`: senders on TLS need a certificate.
    """
    for transport, (host, port) in listen:
        if on_loopback(host):
            continue
        where = f"--{transport} {host}:{port} is reached from other machines"
        if transport != "tls" and not plain:
            raise SyslogError(
                f"{where}, and anybody between reads and changes messages: use --tls, or --insecure-plain"
            )
        if not limited and not (transport == "tls" and authenticated):
            raise SyslogError(
                f"{where}, and syslog asks nobody who they are: name the senders with --allow CIDR, "
                "or ask for certificates with --tls-clients (TLS only), or say --any-peer"
            )

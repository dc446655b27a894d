"""Who may send what: bearer tokens, passwords and signing secrets by source, read from lines and compared blindly.

A secret is kept as its digest where that is enough, never logged and never part of an error. Several credentials of one
source hold at the same time, so that they can be changed one by one. Format of the lines: docs/gateway.md.
"""

import base64
import binascii
import hashlib
import hmac
import re
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from opsbridge.errors import OpsBridgeError

EVERY_SOURCE: Final = "*"
SHORTEST: Final = 16
"""Characters of a secret: shorter ones can be guessed."""

SIGNATURE_HEADER: Final = "x-hub-signature-256"

_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9._-]*|\*")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,100}")
_HEX: Final = re.compile(r"(?:[A-Za-z0-9]+=)?([0-9A-Fa-f]{64})")

RequestHeaders = Mapping[str, str]
"""By name in lower case."""

Refusal = Literal[401, 403]


class CredentialsError(OpsBridgeError):
    """Lines that are no credentials; each is told by its number, without what is in it."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("credentials cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))


@dataclass(frozen=True, slots=True, repr=False)
class Presented:
    """A token, or user and password, that a request has to show: only its digest is known."""

    source: str
    scheme: Literal["bearer", "basic"]
    digest: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Signing:
    """A secret that the body of a request has to be signed with (HMAC-SHA256)."""

    source: str
    secret: bytes
    header: str
    timestamp: str
    """Of the header whose value is signed with the body; empty: only the body is."""
    separator: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """Whoever sent the request, as far as limits tell them apart."""

    name: str


ANYBODY: Final = Known("anybody")


@dataclass(frozen=True, slots=True)
class ToSign:
    """The request shows a signature: whether it is right can be told when the body is there."""

    check: Callable[[bytes], Known | None]


class Credentials:
    """All credentials of a gateway; none at all lets everybody in, which the gateway allows on loopback only."""

    def __init__(
        self,
        shown: Sequence[Presented] = (),
        signing: Sequence[Signing] = (),
        *,
        age: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._shown = tuple(shown)
        self._signing = tuple(signing)
        self._age = age
        self._clock = clock

    def __len__(self) -> int:
        return len(self._shown) + len(self._signing)

    @property
    def sources(self) -> set[str]:
        """The sources that credentials name, without `*`."""
        return ({each.source for each in self._shown} | {each.source for each in self._signing}) - {EVERY_SOURCE}

    def challenge(self) -> str:
        """What a request without credentials is asked for: `WWW-Authenticate`."""
        return 'Basic realm="opsbridge"' if any(each.scheme == "basic" for each in self._shown) else "Bearer"

    def judge(self, source: str, headers: RequestHeaders) -> Known | ToSign | Refusal:
        """Who sends to `source`; 401 if nobody that is known, 403 if somebody who may send to others only."""
        if not self:
            return ANYBODY
        found = self._shown_by(headers.get("authorization", ""))
        if any(_covers(each.source, source) for each in found):
            return Known(_name(found[0].digest))
        signing = [each for each in self._signing if _covers(each.source, source) and each.header in headers]
        if signing:
            return ToSign(lambda body: self._signed(signing, headers, body))
        return 403 if found else 401

    def anybody(self, headers: RequestHeaders) -> bool:
        """Whether the request shows a token or password of any source, where there are credentials."""
        return not self or bool(self._shown_by(headers.get("authorization", "")))

    def _shown_by(self, authorization: str) -> list[Presented]:
        scheme, _, value = authorization.partition(" ")
        scheme = scheme.lower()
        if scheme == "basic":
            try:
                shown = base64.b64decode(value.strip(), validate=True)
            except (binascii.Error, ValueError):
                return []
        elif scheme == "bearer":
            shown = value.strip().encode("latin-1", "replace")
        else:
            return []
        digest = hashlib.sha256(shown).digest()
        # all are compared, whichever is right
        equal = [hmac.compare_digest(each.digest, digest) and each.scheme == scheme for each in self._shown]
        return [each for each, right in zip(self._shown, equal, strict=True) if right]

    def _signed(self, signing: Sequence[Signing], headers: RequestHeaders, body: bytes) -> Known | None:
        right: list[Signing] = []
        for each in signing:
            moment = headers.get(each.timestamp, "")
            if each.timestamp and not self._timely(moment):
                continue
            mac = hmac.new(each.secret, digestmod="sha256")
            if each.timestamp:
                mac.update(moment.encode("latin-1", "replace") + each.separator)
            mac.update(body)
            told = [_HEX.fullmatch(part.strip()) for part in headers[each.header].split(",")][:10]
            given = [bytes.fromhex(found[1]) for found in told if found]
            if any([hmac.compare_digest(mac.digest(), one) for one in given]):  # noqa: C419 # all of them are compared
                right.append(each)
        return Known(_name(hashlib.sha256(right[0].secret).digest())) if right else None

    def _timely(self, moment: str) -> bool:
        if not (moment.isascii() and moment.isdecimal() and len(moment) <= 13):
            return False
        seconds = int(moment) / (1000 if len(moment) > 11 else 1)
        return abs(self._clock() - seconds) <= self._age


def _covers(of: str, source: str) -> bool:
    return of in (EVERY_SOURCE, source)


def _name(digest: bytes) -> str:
    """A name that tells secrets apart and says nothing about them."""
    return hashlib.sha256(b"name" + digest).hexdigest()[:8]


def read_credentials(
    file: Path | None, text: str | None, *, age: float = 300.0, clock: Callable[[], float] = time.time
) -> Credentials:
    """The credentials of a file and of the text of a setting; raises `CredentialsError` with all that is wrong."""
    problems: list[str] = []
    shown: list[Presented] = []
    signing: list[Signing] = []
    for place, lines in _texts(file, text, problems):
        for number, line in enumerate(lines, 1):
            if (words := line.split()) and not words[0].startswith("#"):
                read = _credential(words)
                if isinstance(read, str):
                    problems.append(f"{place}, line {number}: {read}")
                elif isinstance(read, Presented):
                    shown.append(read)
                else:
                    signing.append(read)
    if problems:
        raise CredentialsError(problems)
    return Credentials(shown, signing, age=age, clock=clock)


def open_to_others(file: Path) -> bool:
    """Whether more than owner and group may read the file."""
    return bool(file.stat().st_mode & stat.S_IROTH)


def _texts(file: Path | None, text: str | None, problems: list[str]) -> list[tuple[str, list[str]]]:
    texts = [] if text is None else [("gateway.credentials", re.split(r"[\n;]", text))]
    if file is not None:
        try:
            texts.append((str(file), file.read_text(encoding="utf-8").splitlines()))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file}: {getattr(error, 'strerror', None) or 'is not UTF-8'}")
    return texts


def _credential(words: Sequence[str]) -> Presented | Signing | str:
    """The credential of a line, or what is wrong with it."""
    if len(words) < 3:
        return "expected SOURCE token|basic|hmac SECRET"
    source, kind, secret, *options = words
    if not _SOURCE.fullmatch(source):
        return "the first word must be the name of a source, or * for all"
    if kind not in ("token", "basic", "hmac"):
        return "the second word must be token, basic or hmac"
    password = secret.partition(":")[2] if kind == "basic" else secret
    if kind == "basic" and not password:
        return "basic needs USER:PASSWORD"
    if len(password) < SHORTEST:
        return f"the secret is shorter than {SHORTEST} characters"
    if kind == "hmac":
        return _signing(source, secret, options)
    if options:
        return f"{kind} takes nothing after the secret"
    return Presented(source, "basic" if kind == "basic" else "bearer", hashlib.sha256(secret.encode()).digest())


def _signing(source: str, secret: str, options: Sequence[str]) -> Signing | str:
    given = dict(option.partition("=")[::2] for option in options)
    if unknown := given.keys() - {"header", "timestamp", "separator"}:
        return f"hmac knows no {sorted(unknown)[0][:20]!r}: header=, timestamp= and separator= there are"
    header, timestamp = given.get("header", SIGNATURE_HEADER), given.get("timestamp", "")
    if not _HEADER.fullmatch(header) or (timestamp and not _HEADER.fullmatch(timestamp)):
        return "header= and timestamp= take the name of a header"
    if "separator" in given and not timestamp:
        return "separator= stands between timestamp and body: it needs timestamp="
    return Signing(source, secret.encode(), header.lower(), timestamp.lower(), given.get("separator", ":").encode())

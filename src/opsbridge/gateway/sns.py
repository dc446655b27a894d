"""Amazon SNS as a sender: a subscription is confirmed by asking for an address that the message names.

That address is asked for only if the topic is one of those the operator allows, and the address is SNS's own in the
topic's region: otherwise anybody could make the gateway ask for anything. Signatures of messages are not checked (it
would need an X.509 library); a password in the subscription's address says who sends.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec

from opsbridge.gateway.limits import Refused

log = logging.getLogger(__name__)

TYPE_HEADER: Final = "x-amz-sns-message-type"
CONFIRM_SECONDS: Final = 10.0

_HOST: Final = re.compile(r"sns\.([a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2})\.amazonaws\.com(\.cn)?")
_ARN: Final = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")

Ask = Callable[[str], Awaitable[int]]
"""Asks for an address and gives the status of the answer."""


class Message(msgspec.Struct, frozen=True):
    """What SNS sends when a subscription begins or ends."""

    kind: str = msgspec.field(name="Type")
    topic: str = msgspec.field(name="TopicArn")
    url: str = msgspec.field(name="SubscribeURL", default="")


def about_subscription(headers: Mapping[str, str], body: bytes) -> Message | None:
    """The message if it is about a subscription and no notification; raises `Refused` (400) if it is not whole."""
    kind = headers.get(TYPE_HEADER)
    if kind is None or kind == "Notification":
        return None
    try:
        message = msgspec.json.decode(body, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "invalid_json", "no message of Amazon SNS about a subscription") from None
    if message.kind != kind or not _ARN.fullmatch(message.topic):
        raise Refused(400, "invalid_field", "no message of Amazon SNS about a subscription")
    return message


async def settle(message: Message, allowed: Collection[str], ask: Ask) -> str:
    """Confirm the subscription; what was done. Raises `Refused`: 403 not allowed, 400 not SNS's address, 502."""
    if message.kind == "UnsubscribeConfirmation":
        log.warning("the subscription to %s has been ended", message.topic)
        return "ended"
    if message.kind != "SubscriptionConfirmation":
        raise Refused(400, "invalid_field", "this type of message of Amazon SNS is not known")
    if message.topic not in allowed:
        log.warning("the subscription to %s was not confirmed: add it to gateway.sns_topics", message.topic)
        raise Refused(403, "forbidden", "subscriptions to this topic are not confirmed here (gateway.sns_topics)")
    if not is_address_of(message.topic, message.url):
        log.warning("the subscription to %s was not confirmed: its address is not that of SNS", message.topic)
        raise Refused(400, "invalid_field", "the address to confirm the subscription is not that of Amazon SNS")
    try:
        status = await ask(message.url)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        log.warning("the subscription to %s was not confirmed: %s", message.topic, type(error).__name__)
        raise Refused(502, "not_confirmed", "Amazon SNS did not answer") from None
    if status != 200:
        log.warning("the subscription to %s was not confirmed: SNS answers %d", message.topic, status)
        raise Refused(502, "not_confirmed", f"Amazon SNS answered {status}")
    log.info("the subscription to %s is confirmed", message.topic)
    return "confirmed"


def is_address_of(topic: str, url: str) -> bool:
    """Whether the address confirms a subscription to this topic at SNS itself, in the topic's region."""
    arn = _ARN.fullmatch(topic)
    if arn is None or not url.isascii() or re.search(r"[\s\\]", url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = _HOST.fullmatch(parts.netloc.removesuffix(":443"))
    if parts.scheme != "https" or port not in (None, 443) or host is None or host[1] != arn[1]:
        return False
    query = parse_qs(parts.query)
    return (
        parts.path in ("", "/") and query.get("Action") == ["ConfirmSubscription"] and query.get("TopicArn") == [topic]
    )


async def ask(url: str) -> int:
    """Ask for an address once: no redirects, no proxy, no cookies, and not for long. Raises what aiohttp raises."""
    timeout = aiohttp.ClientTimeout(total=CONFIRM_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        return answer.status

"""Subscriptions of Amazon SNS: only those that are allowed, and only SNS itself is asked."""

import asyncio
import json
import logging

import pytest
from gateways import EVENT, gateway

from opsbridge.gateway.sns import ask, is_address_of

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
ADDRESS = f"https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=very-secret"
TYPE = "x-amz-sns-message-type"


def message(**more: str) -> bytes:
    told = {"Type": "SubscriptionConfirmation", "TopicArn": TOPIC, "SubscribeURL": ADDRESS, "Token": "very-secret"}
    return json.dumps(told | more).encode()


@pytest.mark.parametrize(
    "address",
    [
        ADDRESS,
        ADDRESS.replace(".com/", ".com:443/"),
        ADDRESS.replace(".com/?", ".com?"),
    ],
)
def test_its_own_address_is_known(address: str) -> None:
    assert is_address_of(TOPIC, address)
    china = TOPIC.replace("arn:aws:sns:eu-central-1", "arn:aws-cn:sns:cn-north-1")
    there = address.replace(TOPIC, china).replace("eu-central-1.amazonaws.com", "cn-north-1.amazonaws.com.cn")
    assert is_address_of(china, there)


@pytest.mark.parametrize(
    "address",
    [
        "",
        ADDRESS.replace("https", "http"),
        ADDRESS.replace("sns.eu", "user@sns.eu"),
        ADDRESS.replace("https://", "https://user:word@"),
        ADDRESS.replace(".com/", ".com:8443/"),
        ADDRESS.replace(".com/", ".com:0443/"),
        ADDRESS.replace(".com/", ".com:/"),
        ADDRESS.replace(".com/", ".com:x/"),
        ADDRESS.replace(".com/", ".com./"),
        ADDRESS.replace(".com/", ".com.evil.net/"),
        ADDRESS.replace(".com/", ".com@evil.net/"),
        ADDRESS.replace("https://sns", "https://evil.net/sns"),
        ADDRESS.replace("https://sns", "https://evil.net\\@sns"),
        ADDRESS.replace("https://sns", "https://evil.sns"),
        ADDRESS.replace("sns.eu-central-1", "sns.us-east-1"),
        ADDRESS.replace("sns.eu-central-1", "s3.eu-central-1"),
        ADDRESS.replace("sns.", "sns\u3002"),
        ADDRESS.replace("sns.", "SNS\n."),
        ADDRESS.replace(".com/", ".com/elsewhere"),
        ADDRESS.replace("ConfirmSubscription", "DeleteTopic"),
        ADDRESS.replace("alarms", "other"),
        ADDRESS + "&Action=DeleteTopic",
        ADDRESS.replace("sns.eu-central-1.amazonaws.com", "127.0.0.1"),
        ADDRESS.replace("sns.eu-central-1.amazonaws.com", "[::1]"),
        "https://[",
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_address_of(TOPIC, address)


async def test_a_subscription_that_is_allowed_is_confirmed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opsbridge")
    asked: list[str] = []

    async def confirm(address: str) -> int:
        asked.append(address)
        return 200 if len(asked) == 1 else 500

    async with gateway(limits={"sns_topics": TOPIC}, confirm=confirm) as site:
        sns = {TYPE: "SubscriptionConfirmation", "content_type": "text/plain; charset=UTF-8"}
        answer = await site.post(message(), **sns)
        assert (answer.status_code, answer.json()) == (200, {"subscription": "confirmed"})
        assert asked == [ADDRESS]
        failed = await site.post(message(), **sns)
        assert (failed.status_code, failed.json()["error"]) == (502, "not_confirmed")
        for wrong in (message(SubscribeURL="https://evil.net/"), message(TopicArn="x"), message(Type="Other"), b"{"):
            assert (await site.post(wrong, **sns)).status_code == 400
        other = await site.post(message(TopicArn=TOPIC + "2"), **sns)
        assert (other.status_code, other.json()["error"]) == (403, "forbidden")
        assert (await site.post(message(), authorization="Bearer wrong", **sns)).status_code == 401
        assert len(asked) == 2
        ended = await site.post(message(Type="UnsubscribeConfirmation"), **{TYPE: "UnsubscribeConfirmation"})
        assert (ended.status_code, ended.json()) == (200, {"subscription": "ended"})
        notified = await site.post(EVENT, **{TYPE: "Notification", "content_type": "text/plain; charset=UTF-8"})
        assert notified.status_code == 202
        assert len(await site.written()) == 1
    assert "add it to gateway.sns_topics" in caplog.text
    assert "has been ended" in caplog.text
    assert "very-secret" not in caplog.text


async def test_nothing_is_confirmed_unless_it_is_allowed() -> None:
    async with gateway() as site:  # whose `confirm` fails the test
        assert (await site.post(message(), **{TYPE: "SubscriptionConfirmation"})).status_code == 403


async def test_a_redirect_is_not_followed() -> None:
    asked: list[bytes] = []

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        port = writer.get_extra_info("sockname")[1]
        writer.write(
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/there\r\nContent-Length: 0\r\n\r\n".encode()
        )
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await ask(f"http://127.0.0.1:{port}/here") == 302
    assert len(asked) == 1

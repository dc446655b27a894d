"""Where messages of a stream end, however it is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsbridge.syslog.framing import Framing, Message

LIMIT = 100


def read(*pieces: bytes, limit: int = LIMIT) -> list[Message]:
    framing = Framing(limit)
    return [*(message for piece in pieces for message in framing.feed(piece)), *framing.end()]


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"<34>one\n<35>two\n", [b"<34>one", b"<35>two"]),
        (b"<34>one\r\n\n \n<35>two", [b"<34>one", b"<35>two"]),
        (b"7 <34>one8 <35>t\nwo", [b"<34>one", b"<35>t\nwo"]),
        (b"7 <34>one<35>two\n9 <36>three", [b"<34>one", b"<35>two", b"<36>three"]),
        (b"8 <34>one\n<35>two\n", [b"<34>one", b"<35>two"]),  # the count has the line feed in it
        (b"9 <34>one\r\n7 <35>two", [b"<34>one", b"<35>two"]),
        (b"7 <34>one\n7 <35>two\n", [b"<34>one", b"<35>two"]),  # a count, and a line feed all the same
        (b"2026 was a year\n<34>one\n", [b"2026 was a year", b"<34>one"]),  # no count: no message follows
        (b"99999999999 <34>one\n", [b"99999999999 <34>one"]),
        (b"0 <34>one\n", [b"0 <34>one"]),
    ],
)
def test_messages_end_by_count_or_line_feed(stream: bytes, messages: list[bytes]) -> None:
    assert [message.content for message in read(stream)] == messages
    assert [message.content for message in read(*(stream[at : at + 1] for at in range(len(stream))))] == messages
    assert not any(message.cut for message in read(stream))


def test_a_message_beyond_the_limit_is_cut_and_the_next_one_is_whole() -> None:
    long = b"<34>" + b"x" * 1_000
    kept = Message(long[:LIMIT], cut=True)
    for stream in (long + b"\n<35>two\n", b"%d %s<35>two\n" % (len(long), long)):
        for size in (1, 7, 99, 100, 101, 5_000):
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
            assert read(*pieces) == [kept, Message(b"<35>two")], size


def test_a_message_as_long_as_the_limit_is_whole() -> None:
    line = b"<34>" + b"x" * (LIMIT - 4)
    assert read(line + b"\n") == read(b"%d %s" % (LIMIT, line)) == [Message(line)]


def test_a_counted_message_whose_sender_goes_away_is_cut() -> None:
    assert read(b"50 <34>one") == [Message(b"<34>one", cut=True)]


def test_what_is_kept_of_an_endless_message_is_bounded() -> None:
    framing = Framing(LIMIT)
    for _ in range(1_000):
        list(framing.feed(b"x" * 1_000))
        assert len(framing._rest) <= LIMIT


CONTENT = st.binary(max_size=40).filter(lambda content: b"\n" not in content and b"\r" not in content)
MESSAGES = st.lists(st.tuples(st.booleans(), CONTENT.map(lambda tail: b"<34>x" + tail + b"y")), max_size=8)


@given(MESSAGES, st.integers(1, 30))
def test_mixed_framing_cut_anywhere_gives_the_messages(messages: list[tuple[bool, bytes]], size: int) -> None:
    stream = b"".join(
        b"%d %s" % (len(content), content) if counted else content + b"\n" for counted, content in messages
    )
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert read(*pieces) == [Message(content) for _, content in messages]


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_any_bytes_give_messages_of_at_most_the_limit(pieces: list[bytes]) -> None:
    assert all(0 < len(message.content) <= LIMIT for message in read(*pieces))

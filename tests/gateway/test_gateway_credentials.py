"""Who may send what: tokens, passwords and signatures, and that nobody learns them from us."""

import gzip
import hashlib
import hmac
import json
import logging
from pathlib import Path

import pytest
from gateways import EVENT, gateway

from opsbridge.gateway.credentials import Credentials, CredentialsError, Known, ToSign, read_credentials
from opsbridge.gateway.server import GatewayError, require_safe
from opsbridge.settings import GatewaySettings

OLD, NEW, ALL = "old-token-0123456789", "new-token-0123456789", "token-of-every-source"
SECRET = "signing-secret-0123456789"  # noqa: S105
LINES = f"""
# what monitoring shows
canonical token {OLD}
canonical token {NEW}
* token {ALL}
several basic sns:pass-word-0123456789
text hmac {SECRET}
several hmac {SECRET} header=X-Grafana-Alerting-Signature timestamp=X-Time
"""
BODY = json.dumps(EVENT).encode()


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def test_tokens_open_their_sources_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with gateway(limits={"credentials": LINES}, token="") as site:
        for source, shown, status in (
            ("canonical", f"Bearer {OLD}", 202),
            ("canonical", f"bearer {NEW}", 202),
            ("canonical", f"Bearer {ALL}", 202),
            ("auto", f"Bearer {ALL}", 202),
            ("auto", f"Bearer {NEW}", 403),
            ("nowhere", f"Bearer {ALL}", 404),
            ("nowhere", f"Bearer {NEW}", 403),
            ("nowhere", "Bearer wrong", 401),
            ("canonical", "Bearer wrong", 401),
            ("canonical", f"Bearer {OLD[:-1]}", 401),
            ("canonical", f"Basic {OLD}", 401),
            ("canonical", f"{OLD}", 401),
            ("canonical", "", 401),
            ("several", "Basic c25zOnBhc3Mtd29yZC0wMTIzNDU2Nzg5", 400),  # let in: `{}` holds no alerts
            ("several", "Basic c25zOm90aGVyLXdvcmQtMDEyMzQ1Njc4", 401),
            ("several", "Basic \x7f", 400),  # it is no HTTP
            ("several", "Basic =", 401),
            ("several", "Bearer sns:pass-word-0123456789", 401),
        ):
            body = BODY if source in ("canonical", "auto") else b"{}"
            answer = await site.post(body, source, authorization=shown)
            assert answer.status_code == status, (source, shown, answer.text)
            assert ("www-authenticate" in answer.headers) == (status == 401)
            assert shown.rpartition(" ")[2] not in answer.text or not shown
        assert len(await site.written()) == 4
        assert (await site.http.get("/metrics")).status_code == 401
        assert (await site.http.get("/api/v1/sources")).status_code == 401
        assert (await site.http.get("/metrics", headers={"authorization": f"Bearer {NEW}"})).status_code == 200
        assert (await site.http.get("/healthz")).status_code == (await site.http.get("/readyz")).status_code == 200
    for secret in (OLD, NEW, ALL, SECRET, "pass-word"):
        assert secret not in caplog.text


async def test_a_signature_is_over_the_body_as_it_was_sent() -> None:
    line = b"db-1: full"
    async with gateway(limits={"credentials": LINES}, token="") as site:

        async def told(body: bytes, signature: str, **more: str) -> int:
            answer = await site.post(body, "text", content_type="text/plain", x_hub_signature_256=signature, **more)
            return answer.status_code

        assert await told(line, "sha256=" + signed(line)) == 202
        assert await told(line, signed(line).upper()) == 202
        assert await told(line, f"v1={signed(b'other')}, v1={signed(line)}") == 202
        packed = gzip.compress(line)
        assert await told(packed, signed(packed), content_encoding="gzip") == 202
        assert await told(packed, signed(line), content_encoding="gzip") == 401
        assert await told(line + b".", signed(line)) == 401
        assert await told(line, signed(line, "another secret, of the same length")) == 401
        for nonsense in ("", "sha256=", "sha256=zz", "x" * 64, "=" * 5_000):
            assert await told(line, nonsense) == 401
        assert len(await site.written()) == 4


def test_a_signature_with_a_timestamp_is_right_for_some_minutes() -> None:
    now = 1_700_000_000.0
    credentials = read_credentials(None, LINES, age=300, clock=lambda: now)

    def told(moment: str, over: str | None = None) -> bool:
        signature = signed((over or moment).encode() + b":" + BODY)
        who = credentials.judge("several", {"x-grafana-alerting-signature": signature, "x-time": moment})
        assert isinstance(who, ToSign)
        return isinstance(who.check(BODY), Known)

    assert told("1700000000")
    assert told("1699999700")
    assert told("1700000300000")  # milliseconds
    assert not told("1699999699")
    assert not told("1700000301")
    assert not told("1700000000", over="1699999999")
    assert not told("")
    assert not told("now")
    assert not told("9" * 400)


def test_without_a_timestamp_that_is_asked_for_nothing_is_right() -> None:
    credentials = read_credentials(None, LINES)
    who = credentials.judge("several", {"x-grafana-alerting-signature": signed(BODY)})
    assert isinstance(who, ToSign)
    assert who.check(BODY) is None


def test_what_is_no_credential_is_told_by_its_line_without_its_secret(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "canonical token\n"
        "Canonical! token 0123456789abcdef\n"
        "canonical word 0123456789abcdef\n"
        "canonical token tooshort\n"
        "canonical token 0123456789abcdef more\n"
        "canonical basic 0123456789abcdef\n"
        "canonical hmac 0123456789abcdef time=x\n"
        "canonical hmac 0123456789abcdef header=a_b\n"
        "canonical hmac 0123456789abcdef separator=.\n"
        "  # fine\n\n"
        "canonical token 0123456789abcdef\n"
    )
    with pytest.raises(CredentialsError) as wrong:
        read_credentials(file, "canonical token short; ")
    told = str(wrong.value).splitlines()
    assert told == [
        "credentials cannot be used:",
        "  - gateway.credentials, line 1: the secret is shorter than 16 characters",
        f"  - {file}, line 1: expected SOURCE token|basic|hmac SECRET",
        f"  - {file}, line 2: the first word must be the name of a source, or * for all",
        f"  - {file}, line 3: the second word must be token, basic or hmac",
        f"  - {file}, line 4: the secret is shorter than 16 characters",
        f"  - {file}, line 5: token takes nothing after the secret",
        f"  - {file}, line 6: basic needs USER:PASSWORD",
        f"  - {file}, line 7: hmac knows no 'time': header=, timestamp= and separator= there are",
        f"  - {file}, line 8: header= and timestamp= take the name of a header",
        f"  - {file}, line 9: separator= stands between timestamp and body: it needs timestamp=",
    ]
    with pytest.raises(CredentialsError, match="No such file"):
        read_credentials(tmp_path / "missing", None)
    assert "0123456789" not in repr(read_credentials(None, f"* token {ALL};* hmac {SECRET}")._shown)


async def test_credentials_are_read_again_without_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"canonical token {OLD}\n")
    limits = {"credentials": None, "credentials_file": file}
    async with gateway(limits=limits, token=OLD) as site:
        assert (await site.post(EVENT)).status_code == 202
        file.write_text(f"canonical token {OLD}\ncanonical token {NEW}\n")
        site.here.reload()
        assert (await site.post(EVENT)).status_code == 202
        assert (await site.post(EVENT, authorization=f"Bearer {NEW}")).status_code == 202
        for broken in ("canonical token short\n", "nosuch token 0123456789abcdef\n", ""):
            file.write_text(broken)
            site.here.reload()
            assert (await site.post(EVENT)).status_code == 202
            assert await site.metric("opsbridge_gateway_last_reload_successful") == 0
        file.write_text(f"canonical token {NEW}\n")
        site.here.reload()
        assert (await site.post(EVENT)).status_code == 401
        assert (await site.post(EVENT, authorization=f"Bearer {NEW}")).status_code == 202


async def test_without_credentials_pages_in_a_browser_cannot_send() -> None:
    async with gateway(limits={"credentials": None}, token="") as site:
        assert (await site.post(EVENT)).status_code == 202
        answer = await site.post(EVENT, content_type="text/plain", origin="https://example.net")
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


def test_beyond_loopback_it_needs_tls_and_credentials_or_words(tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.touch()
    some = read_credentials(None, f"* token {ALL}")
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        require_safe(GatewaySettings(host=host), Credentials(), insecure_http=False, no_auth=False)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.net", ""):  # noqa: S104 # it is refused
        plain, tls = GatewaySettings(host=host), GatewaySettings(host=host, tls_certfile=pem, tls_keyfile=pem)
        for settings, credentials, words, missing in (
            (plain, Credentials(), {}, ("--insecure-http", "--no-auth")),
            (plain, some, {}, ("--insecure-http",)),
            (tls, Credentials(), {}, ("--no-auth",)),
            (plain, Credentials(), {"insecure_http"}, ("--no-auth",)),
            (plain, Credentials(), {"no_auth"}, ("--insecure-http",)),
        ):
            with pytest.raises(GatewayError, match="is not loopback") as refused:
                require_safe(settings, credentials, insecure_http="insecure_http" in words, no_auth="no_auth" in words)
            assert [word for word in ("--insecure-http", "--no-auth") if word in str(refused.value)] == list(missing)
        require_safe(tls, some, insecure_http=False, no_auth=False)
        require_safe(plain, Credentials(), insecure_http=True, no_auth=True)

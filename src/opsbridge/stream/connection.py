"""How settings become a connection: keyword arguments for aiokafka, credentials for Faust.

Whoever opens a client (producer, admin, consumer, the Faust application) asks here, so that security is decided in one
place. Passwords are read when a connection is made and kept nowhere.
"""

import ssl

from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from opsbridge.settings import KafkaSettings, SettingsError

ClientOptions = dict[str, object]
"""Keyword arguments for an aiokafka client: their types differ by key."""


def client_options(kafka: KafkaSettings) -> ClientOptions:
    """What every aiokafka client needs: servers, client id, time-outs and security."""
    options: ClientOptions = {
        "bootstrap_servers": kafka.servers,
        "client_id": kafka.client_id,
        "request_timeout_ms": int(kafka.request_timeout * 1000),
        "security_protocol": kafka.security_protocol,
        "ssl_context": ssl_context(kafka),
    }
    if kafka.uses_sasl:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": _password(kafka),
        }
    return options


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """The TLS context of the settings, or nothing for an unencrypted connection; raises `SettingsError`."""
    if not kafka.uses_ssl:
        return None
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
        context.check_hostname = kafka.ssl_check_hostname
        if kafka.ssl_certfile and kafka.ssl_keyfile:
            secret = kafka.ssl_password.get_secret_value() if kafka.ssl_password else None
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile, password=secret)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError([f"kafka.ssl_cafile, ssl_certfile or ssl_keyfile cannot be used: {error}"]) from error
    return context


def faust_credentials(kafka: KafkaSettings) -> CredentialsT | None:
    """The same security for a Faust application's `broker_credentials`."""
    context = ssl_context(kafka)
    if kafka.uses_sasl:
        return SASLCredentials(
            username=kafka.sasl_username,
            password=_password(kafka),
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return SSLCredentials(context) if context is not None else None


def _password(kafka: KafkaSettings) -> str:
    try:
        return kafka.password() or ""
    except OSError as error:
        raise SettingsError([f"kafka.sasl_password_file: {error}"]) from error

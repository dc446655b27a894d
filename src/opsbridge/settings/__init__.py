"""What an operator may set (`sections`), where it is set (`loading`), and what the core is told by it (`obeyed`)."""

from opsbridge.settings.loading import (
    CONFIG_VARIABLE,
    DEFAULT_FILE,
    ENV_PREFIX,
    Settings,
    SettingsError,
    load_settings,
)
from opsbridge.settings.obeyed import policies, weights
from opsbridge.settings.sections import (
    KNOWN_ERRORS,
    SOURCES,
    AutomationSettings,
    CorrelationSettings,
    GatewaySettings,
    InputTopic,
    KafkaSettings,
    LogSettings,
    PathSettings,
    ResponseSettings,
    TopicSettings,
    WebSettings,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "ENV_PREFIX",
    "KNOWN_ERRORS",
    "SOURCES",
    "AutomationSettings",
    "CorrelationSettings",
    "GatewaySettings",
    "InputTopic",
    "KafkaSettings",
    "LogSettings",
    "PathSettings",
    "ResponseSettings",
    "Settings",
    "SettingsError",
    "TopicSettings",
    "WebSettings",
    "load_settings",
    "policies",
    "weights",
]

"""What the core has to obey by the settings, in its own words and units."""

from opsbridge.core.policies import AutomationPolicy, Policies, ResponsePolicy
from opsbridge.core.weights import Weights
from opsbridge.settings.loading import Settings


def weights(settings: Settings) -> Weights:
    """The second level's weights by these settings: nats in thousandths, seconds in milliseconds."""
    told = settings.correlation.model_dump(exclude={"domain_attribute"})
    timed = {"lag", "lead", "cleared"}
    return Weights(**{f"{key}_ms" if key in timed else key: round(value * 1000) for key, value in told.items()})


def policies(settings: Settings) -> Policies:
    """What the stages have to obey by these settings."""
    response, automation = settings.response, settings.automation
    return Policies(
        ResponsePolicy(forget_after_ms=round(response.forget_after * 1000), history=response.history),
        AutomationPolicy(enabled=automation.enabled, per_hour=automation.per_hour, concurrent=automation.concurrent),
        reopen_within_ms=round(response.reopen_within * 1000),
    )

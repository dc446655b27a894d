"""HTTP of one worker: metrics, health and readiness, on the worker's own event loop and on loopback by default."""

from opsbridge.web.metrics import Metrics
from opsbridge.web.readiness import Readiness
from opsbridge.web.server import WebError, create_web, serving

__all__ = ["Metrics", "Readiness", "WebError", "create_web", "serving"]

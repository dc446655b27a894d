"""OpsBridge: monitoring events in on Kafka, one incident that names its root cause out."""

__version__ = "0.1.0"

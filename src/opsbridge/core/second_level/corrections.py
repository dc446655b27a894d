"""Corrections: what operators say about which alerts belong together; their word is above all evidence.

A correction is broadcast to every place that may know the alerts; those that do not know them do nothing.
"""

import msgspec


class Regroup(msgspec.Struct, frozen=True):
    """These alerts leave the situation they are in, and are explained together: alone, or with another situation."""

    id: str
    """Of the feedback: the same correction heard twice changes nothing the second time."""
    alerts: tuple[str, ...]
    """Fingerprints. With none, all the alerts that came from `situation`."""
    situation: str
    """The one that they leave, or that had been merged."""
    into: str = ""
    """The situation that they belong to; empty: one of their own."""

"""The rules that come with OpsBridge: what the vocabulary of operations means, for estates that have not said more.

They stand behind an operator's own rules. A rule of the operator's with the id of a shipped one takes its place.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from opsbridge.rules.load import load_rules
from opsbridge.rules.rule import Rule

SHIPPED: Final = Path(__file__).with_name("defaults.yaml")


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """The shipped rules; they are read once in a process."""
    return load_rules([SHIPPED]).rules


def with_defaults(rules: Iterable[Rule]) -> list[Rule]:
    """These rules, and after them every shipped one whose id they do not take."""
    own = list(rules)
    taken = {rule.id for rule in own}
    return [*own, *(rule for rule in shipped_rules() if rule.id not in taken)]

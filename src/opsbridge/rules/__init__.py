"""Rule files: what they may say, everything wrong with them at once, and one compiled rule set for the core.

`load` reads files by the `language` and makes each a `rule`; `compile` puts rules together: `prepare` and `judge` are
what is asked of events (`matching` has the conditions), `correlation` and `defaults` what the second level is told.
"""

from opsbridge.rules.compile import RuleSet, compile_rules
from opsbridge.rules.known_errors import KnownErrorFiles, load_known_errors
from opsbridge.rules.language.lint import lint
from opsbridge.rules.language.schema import known_errors_schema, schema
from opsbridge.rules.load import RuleError, RuleFiles, RuleTests, load_rules
from opsbridge.rules.rule import Rule

__all__ = [
    "KnownErrorFiles",
    "Rule",
    "RuleError",
    "RuleFiles",
    "RuleSet",
    "RuleTests",
    "compile_rules",
    "known_errors_schema",
    "lint",
    "load_known_errors",
    "load_rules",
    "schema",
]

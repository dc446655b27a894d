"""Rule files: what they may say, everything wrong with them at once, and one compiled rule set for the core.

`load` reads files by the `language` and makes each a `rule`; `compile` puts rules together: `prepare` and `judge` are
what is asked of events (`matching` has the conditions), `correlation` and `defaults` what the second level is told.
"""

from opsbridge.rules.compile import RuleSet, compile_rules
from opsbridge.rules.language.lint import lint
from opsbridge.rules.language.schema import schema
from opsbridge.rules.load import RuleError, RuleFiles, RuleTests, load_rules
from opsbridge.rules.rule import Rule

__all__ = ["Rule", "RuleError", "RuleFiles", "RuleSet", "RuleTests", "compile_rules", "lint", "load_rules", "schema"]

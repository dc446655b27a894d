"""Rule files: what they may say, everything wrong with them at once, and one compiled judge for the core."""

from opsbridge.rules.judge import RuleSet, compile_rules
from opsbridge.rules.load import Rule, RuleError, RuleFiles, load_rules

__all__ = ["Rule", "RuleError", "RuleFiles", "RuleSet", "compile_rules", "load_rules"]

"""Rule files for tests: written from text, loaded, run."""

from pathlib import Path
from textwrap import dedent, indent

from opsbridge.testing.load import RuleTest, load_tests
from opsbridge.testing.run import Result, run_tests


def rule_file(folder: Path, rules: str, name: str = "rules.yaml") -> Path:
    """A rule file with these rules: a YAML list, indented as one likes."""
    path = folder / name
    path.write_text("version: 1\nrules:\n" + indent(dedent(rules).strip("\n"), "  ") + "\n")
    return path


def results(folder: Path, rules: str) -> list[Result]:
    """What becomes of the tests of these rules."""
    loaded = load_tests([rule_file(folder, rules)])
    return [result for suite in loaded.suites for result in run_tests(suite)]


def differences(folder: Path, rules: str) -> str:
    """What is wrong, of all tests of these rules."""
    found = results(folder, rules)
    assert found, "no tests"
    return "\n".join(result.difference for result in found if not result.passed)


def carried_by(path: Path) -> list[RuleTest]:
    """The tests of a rule file."""
    return [test for suite in load_tests([path]).suites for test in suite.tests]

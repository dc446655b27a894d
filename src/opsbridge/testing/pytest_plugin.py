"""pytest runs the tests of rule files: `pytest correlation_rules/`, or of paths in the ini option `opsbridge_rules`.

Only rule files that carry tests are collected, and none of directories that pytest goes through for other reasons. Each
test is an item `correlation_rules/web.yaml::rule-id::test name`; one that fails shows what was wanted and what found.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from opsbridge.testing.load import RuleTest, Suite
    from opsbridge.testing.run import Result

OPTION: Final = "opsbridge_rules"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_KEYS: Final = tuple(re.compile(rf"\b{key}[\"']?\s*:") for key in ("version", "rules", "kind", "tests"))
_BEGINS: Final = re.compile(r"^(version|rules)\s*:", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option."""
    parser.addini(OPTION, "Rule files of OpsBridge, or directories of them, whose tests are collected.", type="paths")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "RuleFile | None":
    """A collector for a rule file that was asked for and carries tests."""
    if file_path.suffix in _SUFFIXES and _asked_for(file_path, parent.config) and _carries_tests(file_path):
        found: RuleFile = RuleFile.from_parent(parent, path=file_path)
        return found
    return None


def _asked_for(path: Path, config: pytest.Config) -> bool:
    """Whether the file, or a directory that it is in, is named on the command line or by the option."""
    named = [*config.getini(OPTION)]
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        named += [config.invocation_params.dir / argument.split("::")[0] for argument in config.args]
    return any(path.resolve().is_relative_to(Path(each).resolve()) for each in named)


def _carries_tests(path: Path) -> bool:
    """Whether it is a rule file with tests; one that cannot be read is, if it begins like one: it shall be told of."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    if not all(key.search(text) for key in _KEYS):
        return False
    from opsbridge.documents import read_documents

    documents, findings = read_documents([path])
    if any(finding.level == "error" for finding in findings):
        return len(set(_BEGINS.findall(text))) == 2
    return any(_has_tests(document.value) for document in documents)


def _has_tests(value: object) -> bool:
    rules = value.get("rules") if isinstance(value, dict) and "version" in value else None
    return isinstance(rules, list) and any(
        isinstance(rule, dict) and "kind" in rule and bool(rule.get("tests")) for rule in rules
    )


class RuleFile(pytest.File):
    """A rule file."""

    def collect(self) -> "Iterator[CarryingRule]":
        """Its rules that carry tests."""
        from opsbridge.rules import RuleError
        from opsbridge.testing.load import load_tests

        try:
            (suite,) = load_tests([_shown(self)]).suites
        except RuleError as error:
            raise self.CollectError(str(error)) from None
        for rule in dict.fromkeys(test.rule for test in suite.tests):
            yield CarryingRule.from_parent(self, name=rule, suite=suite)


class CarryingRule(pytest.Collector):
    """A rule that carries tests."""

    def __init__(self, *, suite: "Suite", **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type] # pytest's own: name and parent
        self._suite = suite

    def collect(self) -> "Iterator[RuleItem]":
        """Its tests."""
        for test in self._suite.tests:
            if test.rule == self.name:
                yield RuleItem.from_parent(self, name=test.timetable.name, test=test, suite=self._suite)


class DifferenceError(Exception):
    """What was found is not what was wanted."""

    def __init__(self, result: "Result") -> None:
        super().__init__(f"{result.place}: {result.test.name}\n{result.difference}")


class RuleItem(pytest.Item):
    """One test of a rule."""

    def __init__(self, *, test: "RuleTest", suite: "Suite", **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type] # pytest's own: name and parent
        self._test, self._suite = test, suite

    def runtest(self) -> None:
        """Run it in virtual time."""
        from opsbridge.testing.run import book_of, run_test

        result = run_test(self._test, book_of(self._suite, self._test))
        if not result.passed:
            raise DifferenceError(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None) -> str:  # noqa: ARG002 # as the base has it
        """The difference; of anything else the traceback."""
        if isinstance(excinfo.value, DifferenceError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands."""
        return self.path, self._test.line - 1, self._test.name


def _shown(file: pytest.File) -> Path:
    """The file's path as messages should name it: as the user would from here, if it is below."""
    here = file.config.invocation_params.dir
    return file.path.relative_to(here) if file.path.is_relative_to(here) else file.path

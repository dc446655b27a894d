"""Results as a JUnit report: what build servers read. A suite is a rule file, a class is a rule.

Called by `opsbridge rules test`.
"""

import re
from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree as ET

from opsbridge.testing.run import Result

_NOT_OF_XML: Final = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def written(results: Iterable[Result]) -> bytes:
    """The report, an XML document."""
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.test.path, []).append(result)
    root = ET.Element("testsuites", _counted([result for each in suites.values() for result in each]))
    for path, held in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": _text(path)} | _counted(held))
        for result in held:
            _add(result, suite)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _counted(results: list[Result]) -> dict[str, str]:
    failed = sum(not result.passed for result in results)
    seconds = sum(result.seconds for result in results)
    return {"tests": str(len(results)), "failures": str(failed), "errors": "0", "time": f"{seconds:.3f}"}


def _add(result: Result, suite: ET.Element) -> None:
    test = result.test
    said = {"classname": test.rule, "name": test.timetable.name, "file": test.path, "line": str(test.line)}
    case = ET.SubElement(suite, "testcase", {name: _text(value) for name, value in said.items()})
    case.set("time", f"{result.seconds:.3f}")
    if not result.passed:
        message = f"{result.place}: what was found is not what was wanted"
        ET.SubElement(case, "failure", {"message": _text(message)}).text = _text(result.difference)


def _text(value: str) -> str:
    """The text, with what XML cannot hold written as Python would."""
    return _NOT_OF_XML.sub(lambda found: ascii(found[0])[1:-1], value)

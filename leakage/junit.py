"""A gate's checks as JUnit XML, which every CI shows. Knows no record.

The format as Jenkins and others read it: https://github.com/testmoapp/junitxml. What is not decided
is an error, so that no CI takes it for a pass.
"""

from xml.etree import ElementTree

from leakage.gate import Check, Verdict
from leakage.plain import plain
from leakage.sampling import Outcome

_ELEMENTS = {Outcome.FAIL: "failure", Outcome.INCONCLUSIVE: "error"}


def to_junit(verdict: Verdict) -> str:
    """One test a check: failed, in error where nothing is decided, or passed."""
    counts = {
        f"{name}s": str(sum(check.outcome is outcome for check in verdict.checks))
        for outcome, name in _ELEMENTS.items()
    }
    totals = {"name": "lethe leakage gate", "tests": str(len(verdict.checks)), **counts}
    root = ElementTree.Element("testsuites", totals)
    suite = ElementTree.SubElement(root, "testsuite", totals)
    for check in verdict.checks:
        _add(suite, check)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def _add(suite: ElementTree.Element, check: Check) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {"classname": _clean(f"lethe.leakage.{check.arm}"), "name": check.aim, "time": "0"},
    )
    if element := _ELEMENTS.get(check.outcome):
        ElementTree.SubElement(
            case, element, {"message": _clean(str(check)), "type": check.outcome.value}
        )
    ElementTree.SubElement(case, "system-out").text = _clean(str(check))


def _clean(text: str) -> str:
    """With the characters that XML 1.0 cannot hold, and those that nobody sees, spelled out."""
    return plain(text)

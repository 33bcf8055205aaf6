# SPDX-License-Identifier: GPL-2.0-only
"""What failed in a case, in one line: file, line and values of the expectation, as KUnit has them.

::

    # sizes_each: EXPECTATION FAILED at drivers/demo/sizes.c:88
    Expected got == want, but
        got == 12 (0xc)
        want == 16 (0x10)

is "drivers/demo/sizes.c:88: Expected got == want, but got == 12 (0xc), want == 16 (0x10)".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.model.results import CaseResult, CellResult
from harness.model.text import one_line
from harness.model.values import Verdict

SHOWN = 3  # cases of a cell
LINE_LIMIT = 400
_LINES = 8  # lines of one expectation that are looked at
_FAILED = re.compile(r"(?:EXPECTATION|ASSERTION) FAILED at (\S{1,300}:\d{1,9})")
_END = re.compile(r"#|(?:not )?ok ")  # of the lines of an expectation


@dataclass(frozen=True)
class FailedCase:
    """A case that is not as expected, and why in one line."""

    name: str
    what: str  # "" where it said nothing

    @property
    def text(self) -> str:
        return f"{self.name}: {self.what}" if self.what else self.name


def failed_cases(result: CellResult) -> tuple[FailedCase, ...]:
    """Return the cases of *result* that are not as expected, in order."""
    return tuple(
        FailedCase(one_line(case.name), _why(case)) for case in result.cases if not case.as_expected
    )


def _why(case: CaseResult) -> str:
    if case.verdict is not Verdict.FAIL:
        return f"{case.verdict.value}, expected {case.expected.value}"
    return expectation(case.diagnostics) or one_line(" ".join(case.diagnostics[:2]), LINE_LIMIT)


def expectation(diagnostics: tuple[str, ...]) -> str:
    """Return the first failed expectation among *diagnostics*, "" where there is none."""
    lines = [line for text in diagnostics for line in text.splitlines() or [""]]
    for number, line in enumerate(lines):
        found = _FAILED.search(line[:1000])
        if found:
            said = _said(lines[number + 1 : number + 1 + _LINES])
            return one_line(f"{found[1]}: {said}" if said else found[1], LINE_LIMIT)
    return ""


def _said(lines: list[str]) -> str:
    """Return the expectation and its values, of the *lines* behind the place that failed."""
    said, values, message = "", list[str](), ""
    for line in lines:
        text = line[:LINE_LIMIT].strip()
        if _END.match(text):
            break
        if not said:
            said, depth = text, _depth(line)
        elif _depth(line) > depth:
            values.append(text)
        else:  # a message of the test's own
            message = f" ({text})" if text else ""
            break
    return f"{said} {', '.join(values)}".strip() + message


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())

# SPDX-License-Identifier: GPL-2.0-only
"""Command lines that cannot be parsed: one line that says what is wrong, and the next step."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.model.text import one_line

_NO_VALUE = re.compile(r"argument (?P<option>--?[\w-]+)[^:]*: expected (?:one|at least one) arg")


class Parser(argparse.ArgumentParser):
    """A parser whose errors name the right spelling instead of printing all of the usage."""

    def parse_known_args(  # type: ignore[override]  # its overloads say no more
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse as argparse does; a command's own parser leaves no word to the one above it."""
        known, rest = super().parse_known_args(args, namespace)
        if rest and self._subparsers is None:
            self._refuse(rest[0])
        return known, rest

    def error(self, message: str) -> NoReturn:
        """Print *message* and what to do next; exit with 2."""
        found = _NO_VALUE.match(message)
        if found:
            action = self._option_string_actions[found["option"]]
            what = f"{found['option']} needs a value: {action.help or action.dest}"
            self._end(what, f"{self.prog} {found['option']} {action.metavar or 'VALUE'}")
        self._end(message.removeprefix("argument "), f"{self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Check a choice as argparse does, with a shorter error."""
        if action.choices is not None and value not in action.choices:
            names = [name for name in action.choices if isinstance(name, str)]
            self.error(f"{action.metavar or action.dest} '{value}': {suggest(str(value), names)}")

    def _refuse(self, word: str) -> NoReturn:
        option, equals, _ = word.partition("=")
        if not option.startswith("-") or option == "-":
            self._end(f"'{word}' is more than {self.prog} takes", f"{self.prog} --help")
        options = self._option_string_actions
        close = difflib.get_close_matches(option, options, n=1, cutoff=0.6)
        if option in ("--root", "--cache"):  # of the harness itself
            name, *command = self.prog.split()
            hint = f"{' '.join((name, option, 'FOLDER', *command))}: it stands before the command"
        elif close:
            hint = f"{self.prog} {close[0]} {options[close[0]].metavar or ''}".rstrip()
        else:
            hint = f"{self.prog} --help"
        self._end(f"{self.prog} has no option {option}{equals}".rstrip("="), hint)

    def _end(self, what: str, hint: str) -> NoReturn:
        error = UserError(one_line(what), hint=one_line(hint))
        print(*error.lines, sep="\n", file=sys.stderr)
        self.exit(error.exit_code)

# SPDX-License-Identifier: GPL-2.0-only
"""Guest tests and loads as described in test.toml and load.toml, checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from harness.host.paths import Checkout
from harness.model.errors import UserError
from harness.model.jsonio import from_table, suggest
from harness.model.values import GuestTest, Load
from harness.plan.loads import check_load

# Aliases until the next release.
OLD_KEYS = {"weather": "tolerated_splats"}
_MODULE = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")


def described_below(parent: Path, described_by: str) -> tuple[str, ...]:
    return tuple(sorted(file.parent.name for file in parent.glob(f"*/{described_by}")))


# ---------------------------------------------------------------- guest tests and loads


def load_tests(checkout: Checkout) -> dict[str, GuestTest]:
    """Return every guest test by name, sorted; a test is a folder with a ``test.toml``.

    Raises:
        UserError: a ``test.toml`` that says something not allowed, or is missing beside code.
    """
    tests = {}
    for file, table in _tables(checkout.tests, "test.toml"):
        if isinstance(table.get("knobs"), dict):
            table["knobs"] = [[path, _knob(value)] for path, value in table["knobs"].items()]
        for claim in table["proves"] if isinstance(table.get("proves"), list) else ():
            _rename_old_keys(claim, file)
            if isinstance(claim, dict) and isinstance(claim.get("cases"), str):
                claim["cases"] = [claim["cases"]]
        test = from_table(GuestTest, table, where=str(file))
        _check_test(test, file, checkout)
        tests[test.name] = test
    return tests


def _check_test(test: GuestTest, file: Path, checkout: Checkout) -> None:
    if not _MODULE.fullmatch(test.module):
        raise UserError(f"{file}: module = {test.module!r}: must be a module's name without .ko")
    if not test.suite.strip():
        raise UserError(f"{file}: suite = {test.suite!r}: must be the name of a KUnit suite")
    for symbol in test.needs:
        if not re.fullmatch(r"[A-Z0-9_]+", symbol) or symbol.startswith("CONFIG_"):
            raise UserError(f"{file}: needs: {symbol!r}: must be a Kconfig symbol without CONFIG_")
    if not 0 < test.timeout_s <= 24 * 3600:
        raise UserError(f"{file}: timeout_s = {test.timeout_s}: must be above 0, at most a day")
    series = described_below(checkout.patches, "series.toml")
    for number, claim in enumerate(test.proves):
        key = f"{file}: proves[{number}]"
        if claim.series not in series:
            raise UserError(f"{key}: unknown series '{claim.series}': "
                            f"{suggest(claim.series, series)}")  # fmt: skip
        if claim.patch < 1:
            raise UserError(f"{key}.patch = {claim.patch}: must be a patch's number, from 1")
        if not claim.cases:
            raise UserError(f"{key}.cases is empty: name the cases that fail before the patch")


def load_loads(checkout: Checkout) -> dict[str, Load]:
    """Return every load by name, sorted; a load is a folder with a ``load.toml``.

    Raises:
        UserError: a ``load.toml`` that says something not allowed, or is missing beside code.
    """
    loads = {}
    for file, table in _tables(checkout.loads, "load.toml"):
        if isinstance(table.get("shows"), dict):
            table["shows"] = [[counter, want] for counter, want in table["shows"].items()]
        load = from_table(Load, table, where=str(file))
        check_load(load, str(file))
        loads[load.name] = load
    return loads


def select_tests(
    tests: Mapping[str, GuestTest], patterns: Collection[str]
) -> tuple[GuestTest, ...]:
    """Return the tests whose names match one of *patterns*, every test if there are none."""
    return tuple(
        test
        for name, test in tests.items()
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    )


def read_toml(file: Path) -> dict[str, Any]:
    """Return the table in *file*.

    Raises:
        UserError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not TOML: {error}") from error


def _tables(parent: Path, described_by: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each description below *parent*: its file, and its table with name and folder."""
    for folder in _described(parent, described_by):
        file = folder / described_by
        table = read_toml(file)
        for key in ("name", "folder"):
            if key in table:
                raise UserError(
                    f"{file}: key '{key}' is not allowed: the folder's name is the name"
                )
        _rename_old_keys(table, file)
        yield file, {**table, "name": folder.name, "folder": str(folder)}


def _described(parent: Path, described_by: str) -> tuple[Path, ...]:
    """Return the folders below *parent* with a description; code without one is a mistake."""
    found = []
    for folder in sorted(path for path in parent.glob("[!._]*") if path.is_dir()):
        if (folder / described_by).is_file():
            found.append(folder)
        elif (folder / "Kbuild").exists() or any(folder.glob("*.c")):
            raise UserError(f"{folder}: has code but no {described_by}")
    return tuple(found)


def _rename_old_keys(table: Any, file: Path) -> None:
    for old, new in OLD_KEYS.items():
        if isinstance(table, dict) and old in table:
            if new in table:
                raise UserError(
                    f"{file}: '{old}' is the old name of '{new}': one of them is enough"
                )
            table[new] = table.pop(old)


def _knob(value: object) -> object:
    """Write a knob's value as the kernel's files take it."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    return str(value) if isinstance(value, int | float) else value

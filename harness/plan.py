# SPDX-License-Identifier: GPL-2.0-only
"""What a run is asked to do: plans, guest tests and loads as people write them, checked.

The command line, pytest's options and a plan's TOML file all come through :func:`plan_from`, so
``--ram 64M,96M`` and ``ram = ["64M", "96M"]`` mean the same and are refused in the same words.
Every error is one line that names the file or option, the key, the value and what is allowed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

from harness.errors import UserError
from harness.jsonio import from_table, suggest
from harness.kconfig import read_fragments
from harness.layout import Checkout
from harness.model import NO_SERIES, AccelChoice, GuestTest, Load, Plan
from harness.pressure import check_load, check_pressures, parse_loads

MIN_RAM_MIB = 16  # below it a kernel of these configurations has not even room for itself
MAX_RAM_MIB = 1 << 20
RAM_MIB = 128  # what a guest has where nobody says; the tests and loads are written for it
MAX_POSITION = 999

_RAM = re.compile(r"(?P<number>\d{1,7})\s*(?P<unit>[MG]?)(?:i?B)?", re.I)
_RANGE = re.compile(r"(?P<low>\d{1,6})(?:\s*-\s*(?P<high>\d{1,6}))?")
_MODULE = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")


# ---------------------------------------------------------------- one value


def parse_ram(value: object) -> int:
    """Return the MiB that *value* says: "96M", "1G", "96 MiB", "96", 96.

    Raises:
        UserError: it is no amount of RAM, or less than a guest can boot with.
    """
    found = _RAM.fullmatch(str(value).strip())
    if not found:
        raise UserError(f"{value!r} is no amount of RAM: allowed are 96M, 1G or a number of MiB")
    mib = int(found["number"]) * (1024 if found["unit"].upper() == "G" else 1)
    if not MIN_RAM_MIB <= mib <= MAX_RAM_MIB:
        raise UserError(f"{value!r} is {mib} MiB: allowed are {MIN_RAM_MIB}M to 1024G")
    return mib


def parse_rams(value: object) -> tuple[int, ...]:
    """Return one or more amounts of RAM in MiB: "64M,96M", 128, ["64M", 96]."""
    return tuple(dict.fromkeys(parse_ram(part) for part in _parts(value, "amount of RAM")))


def parse_positions(value: object) -> tuple[int, ...]:
    """Return positions, in order: 4, "0-2,4", [0, 4], ["0-2", 4]; () for "all".

    Raises:
        UserError: it holds something else than positions and ranges of them.
    """
    if value == "all":
        return ()
    positions: set[int] = set()
    for part in _parts(value, "position"):
        found = _RANGE.fullmatch(str(part).strip())
        low = int(found["low"]) if found else -1
        high = int(found["high"] or low) if found else -1
        if not 0 <= low <= high <= MAX_POSITION:
            raise UserError(f"{part!r} is no position: allowed are 4, 0-4, 0,2,4 or all")
        positions.update(range(low, high + 1))
    return tuple(sorted(positions))


def parse_names(value: object) -> tuple[str, ...]:
    """Return one or more names: "a,b" or ["a", "b"]."""
    names = []
    for part in _parts(value, "name"):
        if not isinstance(part, str) or not part.strip():
            raise UserError(f"{part!r} is no name: allowed are one name or several")
        names.append(part.strip())
    return tuple(dict.fromkeys(names))


def _parts(value: object, what: str) -> Iterable[object]:
    """Return the elements of a list, or of a text with commas."""
    parts: Iterable[object] = value.split(",") if isinstance(value, str) else [value]
    if isinstance(value, list | tuple):
        parts = value
    if parts in ([], (), [""]):
        raise UserError(f"{value!r} is empty: at least one {what} is needed")
    return parts


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{value!r} must be text that is not empty")
    return value.strip()


def _count(lowest: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        found = re.fullmatch(r"\d{1,4}", str(value).strip())
        if not found or int(str(value)) < lowest:
            raise UserError(f"{value!r} must be a whole number from {lowest}")
        return int(str(value))

    return convert


def _accel(value: object) -> str:
    if value not in get_args(AccelChoice):
        known = get_args(AccelChoice)
        raise UserError(f"unknown accelerator {value!r}: {suggest(str(value), known)}")
    return str(value)


# ---------------------------------------------------------------- a plan


@dataclass(frozen=True)
class _Key:
    """How a key of a plan becomes a field of it."""

    field: str
    convert: Callable[[object], Any]


_KEYS: dict[str, _Key] = {
    "series": _Key("series", _text),
    "base": _Key("base", _text),
    "arch": _Key("arch", parse_names),
    "positions": _Key("positions", parse_positions),
    "ram": _Key("ram_mib", parse_rams),
    "cpus": _Key("cpus", _count(1)),
    "tests": _Key("tests", parse_names),
    "loads": _Key("loads", parse_loads),
    "config": _Key("config", parse_names),
    "accel": _Key("accel", _accel),
    "jobs": _Key("jobs", _count(0)),
    "repeat": _Key("repeat", _count(1)),
    "mirror": _Key("mirror", _text),
}
_ALIASES = {"position": "positions", "ram_mib": "ram", "test": "tests", "load": "loads"}
# Empty lists that mean something: no further fragments, every test.
_MAY_BE_EMPTY = ("config", "tests", "positions")


def plan_from(plan: Plan, given: Mapping[str, tuple[str, object]]) -> Plan:
    """Lay *given* over *plan*.

    ``given`` maps a plan's key to where it stands, for errors ("--ram", "plan.toml: ram"), and
    the value as it was written there: text, or what TOML makes of it.

    Raises:
        UserError: a key that no plan has, one that is there twice, or a value not allowed.
    """
    changed: dict[str, Any] = {}
    for key, (where, value) in given.items():
        known = _KEYS.get(_ALIASES.get(key, key))
        if known is None:
            raise UserError(f"{where}: unknown key '{key}': {suggest(key, _KEYS, 'allowed are')}")
        if known.field in changed:
            raise UserError(f"{where}: the same is given twice under two names")
        if value == [] and key in _MAY_BE_EMPTY:
            changed[known.field] = ()
            continue
        try:
            changed[known.field] = known.convert(value)
        except UserError as error:
            raise UserError(f"{where}: {error.what}", hint=error.hint) from None
    return replace(plan, **changed)


def load_plan(file: Path, checkout: Checkout, *, archs: Collection[str] = ()) -> Plan:
    """Return the plan in the TOML file *file*, its names checked as by :func:`check_plan`.

    Raises:
        UserError: the file cannot be read, is not TOML, or says something that is not allowed.
    """
    table = read_toml(file)
    given = {key: (f"{file}: {key}", value) for key, value in table.items()}
    plan = plan_from(Plan(), given)
    return check_plan(plan, checkout, archs=archs, where=f"{file}: ")


def check_plan(plan: Plan, checkout: Checkout, *, archs: Collection[str], where: str = "") -> Plan:
    """Return *plan* if all its names mean something in *checkout*.

    ``archs`` are the architectures that exist; empty: not checked. ``where`` stands before the
    error. Positions are checked against the series when that is loaded.

    Raises:
        UserError: an unknown series, base, architecture, test, load or config topic.
    """
    _check_series(plan.series, checkout, where)
    if not re.fullmatch(r"[a-z][a-z0-9]*:\S.*", plan.base):
        raise UserError(
            f"{where}base '{plan.base}' is no source: allowed are debian:VERSION, dir:PATH, "
            "tar:PATH#sha256=HEX, git:PATH#REF"
        )
    _check_names("architecture", plan.arch, archs or plan.arch, where)
    _check_loads(plan, checkout, where)
    topics = {file.stem for file in checkout.kconfigs.glob("*.config")}
    _check_names("config topic", plan.config, topics, where)
    tests = _folders(checkout.tests, "test.toml")
    for pattern in plan.tests:
        if not any(fnmatchcase(name, pattern) for name in tests):
            raise UserError(f"{where}no guest test matches '{pattern}': {suggest(pattern, tests)}")
    return plan


def with_ram(plan: Plan, checkout: Checkout) -> Plan:
    """Return *plan* with the RAM of its guests, in MiB: where it has none, enough for its topics.

    Raises:
        UserError: a RAM size that no guest can boot with once the topics took their part.
    """
    fragments = read_fragments(checkout.kconfigs / f"{topic}.config" for topic in plan.config)
    takers = [fragment for fragment in fragments if fragment.takes_mib]
    taken = sum(fragment.takes_mib for fragment in takers)
    for mib in plan.ram_mib:
        if takers and mib < MIN_RAM_MIB + taken:
            names = ", ".join(f"{fragment.topic} {fragment.takes_mib}M" for fragment in takers)
            raise UserError(
                f"{mib}M of RAM is too little for a guest with these config topics: they take "
                f"{taken}M of it ({names})",
                hint=f"without --ram it gets {RAM_MIB + taken}M",
            )
    return plan if plan.ram_mib else replace(plan, ram_mib=(RAM_MIB + taken,))


def _check_series(series: str, checkout: Checkout, where: str) -> None:
    """A name must be a folder below patches/; a path must exist; a git range is left to git."""
    names = _folders(checkout.patches, "series.toml")
    if NO_SERIES in names:
        raise UserError(
            f"{checkout.patches / NO_SERIES}: '{NO_SERIES}' stands for no series",
            hint="give it another name",
        )
    if series == NO_SERIES or series in names or Path(series).expanduser().exists():
        return
    if series.startswith("edits:"):
        return
    if series.startswith("git:"):
        if ".." not in series:
            raise UserError(f"{where}series '{series}': allowed is git:REPOSITORY#FIRST..LAST")
    elif "/" in series or series.startswith("~") or Path(series).suffix:
        raise UserError(f"{where}series '{series}': there is no such file or folder")
    else:
        raise UserError(f"{where}unknown series '{series}': {suggest(series, names)}")


def _check_loads(plan: Plan, checkout: Checkout, where: str) -> None:
    loads = load_loads(checkout)
    for combination in plan.loads:
        try:
            check_pressures(combination, loads)
        except UserError as error:
            raise UserError(f"{where}{error.what}", hint=error.hint) from None


def _check_names(what: str, names: Iterable[str], known: Collection[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{where}unknown {what} '{name}': {suggest(name, known)}")


def _folders(parent: Path, described_by: str) -> tuple[str, ...]:
    return tuple(sorted(file.parent.name for file in parent.glob(f"*/{described_by}")))


# ---------------------------------------------------------------- guest tests and loads


def load_tests(checkout: Checkout) -> dict[str, GuestTest]:
    """Return every guest test by name, sorted; a test is a folder with a ``test.toml``.

    Raises:
        UserError: a ``test.toml`` that says something not allowed, or is missing beside code.
    """
    tests = {}
    for folder in _described(checkout.tests, "test.toml"):
        file = folder / "test.toml"
        table = dict(read_toml(file))
        _own(table, file)
        if isinstance(table.get("knobs"), dict):
            table["knobs"] = [[path, _knob(value)] for path, value in table["knobs"].items()]
        for claim in table["proves"] if isinstance(table.get("proves"), list) else ():
            if isinstance(claim, dict) and isinstance(claim.get("cases"), str):
                claim["cases"] = [claim["cases"]]
        test = from_table(
            GuestTest, {**table, "name": folder.name, "folder": str(folder)}, where=str(file)
        )
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
    series = _folders(checkout.patches, "series.toml")
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
    for folder in _described(checkout.loads, "load.toml"):
        file = folder / "load.toml"
        table = dict(read_toml(file))
        _own(table, file)
        if isinstance(table.get("shows"), dict):
            table["shows"] = [[counter, want] for counter, want in table["shows"].items()]
        load = from_table(
            Load, {**table, "name": folder.name, "folder": str(folder)}, where=str(file)
        )
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


def _described(parent: Path, described_by: str) -> tuple[Path, ...]:
    """Return the folders below *parent* with a description; code without one is a mistake."""
    found = []
    for folder in sorted(path for path in parent.glob("[!._]*") if path.is_dir()):
        if (folder / described_by).is_file():
            found.append(folder)
        elif (folder / "Kbuild").exists() or any(folder.glob("*.c")):
            raise UserError(f"{folder}: has code but no {described_by}")
    return tuple(found)


def _own(table: Mapping[str, Any], file: Path) -> None:
    for key in ("name", "folder"):
        if key in table:
            raise UserError(f"{file}: key '{key}' is not allowed: the folder's name is the name")


def _knob(value: object) -> object:
    """Write a knob's value as the kernel's files take it."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    return str(value) if isinstance(value, int | float) else value

# SPDX-License-Identifier: GPL-2.0-only
"""What a run is asked to do: plans, guest tests and loads as people write them, checked.

The command line, pytest's options and a plan's TOML file all come through :func:`plan_from`, so
``--ram 64M,96M`` and ``ram = ["64M", "96M"]`` mean the same and are refused in the same words.
Every error is one line that names the file or option, the key, the value and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

from harness.host.paths import Checkout
from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.model.values import NO_SERIES, AccelChoice, Plan
from harness.plan.descriptions import described_below, load_loads, read_toml
from harness.plan.loads import check_pressures, parse_loads

MIN_RAM_MIB = 16  # below it a kernel of these configurations has not even room for itself
MAX_RAM_MIB = 1 << 20
DEFAULT_BASE = "debian:5.10"  # it has none of the flagship's patches
RAM_MIB = 128  # what a guest has where nobody says; the tests and loads are written for it
MAX_POSITION = 999
_RAM = re.compile(r"(?P<number>\d{1,7})\s*(?P<unit>[MG]?)(?:i?B)?", re.I)
_RANGE = re.compile(r"(?P<low>\d{1,6})(?:\s*-\s*(?P<high>\d{1,6}))?")

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
    if plan.base and not re.fullmatch(r"[a-z][a-z0-9]*:\S.*", plan.base):
        raise UserError(
            f"{where}base '{plan.base}' is no source: allowed are debian:VERSION, dir:PATH, "
            "tar:PATH#sha256=HEX, git:PATH#REF"
        )
    _check_names("architecture", plan.arch, archs or plan.arch, where)
    _check_loads(plan, checkout, where)
    topics = {file.stem for file in checkout.kconfigs.glob("*.config")}
    _check_names("config topic", plan.config, topics, where)
    tests = described_below(checkout.tests, "test.toml")
    for pattern in plan.tests:
        if not any(fnmatchcase(name, pattern) for name in tests):
            raise UserError(f"{where}no guest test matches '{pattern}': {suggest(pattern, tests)}")
    return plan


def _check_series(series: str, checkout: Checkout, where: str) -> None:
    """A name must be a folder below patches/; a path must exist; a git range is left to git."""
    names = described_below(checkout.patches, "series.toml")
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

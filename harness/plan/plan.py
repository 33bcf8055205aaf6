# SPDX-License-Identifier: GPL-2.0-only
"""Values of a plan as people write them, and the check of its names against the checkout.

A value is text from a command line or what TOML makes of it: "64M,96M" and ["64M", 96] mean the
same. Every error is one line that names the value and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args

from harness.host.paths import Checkout, expanded
from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.model.values import NO_SERIES, AccelChoice, Plan
from harness.plan.descriptions import described_below, load_loads
from harness.plan.loads import check_pressures

MIN_RAM_MIB = 16  # less does not hold a kernel of these configurations
MAX_RAM_MIB = 1 << 20
DEFAULT_BASE = "debian:5.10"  # without any patch of the default series
RAM_MIB = 128  # default of a guest; tests and loads are written for it
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


def parse_text(value: object) -> str:
    """Return text that is not empty, without the blanks around it."""
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{value!r} must be text that is not empty")
    return value.strip()


def parse_mirrors(value: object) -> str:
    """Return Debian mirrors, each MAIN or MAIN,SECURITY, with blanks between."""
    return " ".join(parse_text(part) for part in (value if isinstance(value, list) else [value]))


def parse_count(lowest: int) -> Callable[[object], int]:
    """Return what converts a whole number from *lowest* up: 2 or "2"."""

    def convert(value: object) -> int:
        found = re.fullmatch(r"\d{1,4}", str(value).strip())
        if not found or int(str(value)) < lowest:
            raise UserError(f"{value!r} must be a whole number from {lowest}")
        return int(str(value))

    return convert


def parse_accel(value: object) -> str:
    """Return one of the accelerators that may be asked for."""
    if value not in get_args(AccelChoice):
        known = get_args(AccelChoice)
        raise UserError(f"unknown accelerator {value!r}: {suggest(str(value), known)}")
    return str(value)


# ---------------------------------------------------------------- names


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
            "tar:PATH#sha256=HEX, git:PATH#REF",
            hint=_meant_base(plan.base),
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


def _meant_base(base: str) -> str:
    """Return the spec that a *base* without a scheme may mean, "" where nothing is near."""
    path = expanded(base.partition("#")[0])
    if path.is_dir():
        at = f"git:{base}" if "#" in base else f"git:{base}#HEAD"
        here = () if "#" in base else (f"dir:{base}",)
        return ", or ".join((*here, *((at,) if (path / ".git").exists() or not here else ())))
    return f"debian:{base}" if re.fullmatch(r"\d+\.\d+(\.\d+)?", base) else ""


def _check_series(series: str, checkout: Checkout, where: str) -> None:
    """Check that a name is a folder below patches/ and a path exists; git checks its ranges."""
    names = described_below(checkout.patches, "series.toml")
    if NO_SERIES in names:
        raise UserError(
            f"{checkout.patches / NO_SERIES}: '{NO_SERIES}' stands for no series",
            hint="give it another name",
        )
    if series == NO_SERIES or series in names or expanded(series).exists():
        return
    if series.startswith("edits:"):
        return
    if series.startswith("git:"):
        if ".." not in series:
            repository, _, ref = series.removeprefix("git:").partition("#")
            ends = f"{ref}~1..{ref}" if ref else "A..B"
            raise UserError(
                f"{where}series '{series}': allowed is git:REPOSITORY#FIRST..LAST: the commit "
                "before the first patch, and that of the last",
                hint=f"git:{repository or 'REPO'}#{ends}",
            )
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

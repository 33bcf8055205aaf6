# SPDX-License-Identifier: GPL-2.0-only
"""Combinations of loads in a plan: names, intensities, seeds and times.

A combination is written on a command line as ``anon:95%:ramp=5+xfs-metadata:seed=7``, and in a
plan's TOML as a list of tables. Both become the one text that names it in cells and reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.model.values import NO_LOAD, Load

MAX_SECONDS = 24 * 3600.0
MAX_SEED = 2**32 - 1
_AMOUNT = re.compile(r"[1-9]\d{0,6}(?P<percent>%?)")
_SECONDS = re.compile(r"\d{1,5}(?:\.\d{1,3})?")
_SEED = re.compile(r"\d{1,10}")
# As they are written in a text; in a table the times say their unit: ramp_s, after_s.
_OPTIONS = {"seed": "seed", "ramp": "ramp_s", "after": "after_s"}
_FORM = "allowed are none, anon, anon:95%, anon:95%:seed=7:ramp=5:after=2, and several with '+'"


@dataclass(frozen=True)
class Pressure:
    """One load of a combination. With *ramp_s* or *after_s* the test begins meanwhile."""

    name: str
    intensity: str = ""  # "95%" or a count, as the load understands it; empty: its own default
    seed: int = 1
    ramp_s: float = 0.0  # from nothing to all of it, in seconds of the guest
    after_s: float = 0.0  # before it begins, in seconds of the guest

    def __str__(self) -> str:
        words = [self.name, self.intensity] if self.intensity else [self.name]
        words += [f"seed={self.seed}"] if self.seed != 1 else []
        words += [f"ramp={self.ramp_s:g}"] if self.ramp_s else []
        words += [f"after={self.after_s:g}"] if self.after_s else []
        return ":".join(words)

    @property
    def gradual(self) -> bool:
        """Whether the pressure begins while the test runs already."""
        return bool(self.ramp_s or self.after_s)

    def moved(self, seed_offset: int) -> Pressure:
        """Return it with the seed of a later run of a cell that is repeated."""
        return replace(self, seed=(self.seed + seed_offset) % (MAX_SEED + 1))

    def words(self, load: Load, seed_offset: int = 0) -> tuple[str, ...]:
        """Return the arguments of *load*'s program or module: name=value, numbers only.

        *seed_offset* sets apart the runs of one cell that is repeated.
        """
        intensity = (self.intensity or load.intensity).rstrip("%")
        said = (f"intensity={intensity}",) if intensity else ()
        return (
            *said,
            f"seed={self.moved(seed_offset).seed}",
            f"ramp_ms={round(self.ramp_s * 1000)}",
            f"after_ms={round(self.after_s * 1000)}",
        )


def pressures(text: str) -> tuple[Pressure, ...]:
    """Return the loads of the combination that *text* names; () for "none".

    Raises:
        UserError: it is no combination, or has a load twice.
    """
    if text.strip() == NO_LOAD:
        return ()
    found = tuple(_pressure(part.strip(), text) for part in text.split("+"))
    names = [pressure.name for pressure in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"load {text!r}: '{name}' is there twice")
        if name == NO_LOAD:
            raise UserError(f"load {text!r}: '{NO_LOAD}' goes with nothing else")
    return found


def parse_loads(value: object) -> tuple[str, ...]:
    """Return the combinations that a plan names, each in its one spelling.

    Text holds one or several, with commas between them. So does a list of texts. A list of
    tables is one combination; among texts, each table or list of tables is one of its own.

    Raises:
        UserError: a key, a value or a form that is not allowed.
    """
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list | tuple) or not value:
        raise UserError(f"{value!r} is no load: {_FORM}")
    if all(isinstance(part, Mapping) for part in value):
        value = [value]
    return tuple(dict.fromkeys(_combination(part) for part in value))


def check_load(load: Load, where: str) -> None:
    """Check what a ``load.toml`` says beyond the types of its keys; *where* is the file.

    Raises:
        UserError: a value that is not allowed.
    """
    if load.name == NO_LOAD:
        raise UserError(f"{load.folder}: '{NO_LOAD}' stands for no load: give it another name")
    if load.ready_timeout_s <= 0:
        raise UserError(f"{where}: ready_timeout_s = {load.ready_timeout_s}: must be above 0")
    if load.intensity and not _AMOUNT.fullmatch(load.intensity):
        raise UserError(f"{where}: intensity = {load.intensity!r}: must be a number, or like 95%")
    _check_range(load, where)
    if load.disk_mib < 0 or load.disk_times_ram < 0:
        raise UserError(f"{where}: disk_mib and disk_times_ram must not be below 0")
    if load.filesystem and not load.disk_mib:
        raise UserError(f"{where}: filesystem = {load.filesystem!r}: needs disk_mib as well")
    if load.disk_times_ram and not load.disk_mib:
        raise UserError(f"{where}: disk_times_ram = {load.disk_times_ram}: needs disk_mib as well")
    for symbol in load.needs:
        if not re.fullmatch(r"[A-Z0-9_]+", symbol) or symbol.startswith("CONFIG_"):
            raise UserError(f"{where}: needs: {symbol!r}: must be a Kconfig symbol without CONFIG_")


def check_pressures(combination: str, loads: Mapping[str, Load]) -> None:
    """Check that the loads of *combination* exist, go together and understand their intensity.

    Raises:
        UserError: one of them does not.
    """
    found = pressures(combination)
    for pressure in found:
        load = loads.get(pressure.name)
        if load is None:
            known = (*loads, NO_LOAD)
            raise UserError(f"unknown load '{pressure.name}': {suggest(pressure.name, known)}")
        if pressure.intensity and _kind(pressure.intensity) != _kind(load.intensity):
            told = f"must be like its default, {load.intensity}" if load.intensity else "has none"
            raise UserError(f"load '{pressure}': intensity {pressure.intensity}: {told}")
        if pressure.intensity:
            _check_intensity(load, pressure.intensity, f"load '{pressure}': intensity")


def _check_range(load: Load, where: str) -> None:
    if load.intensity_range is None:
        return
    least, most = load.intensity_range
    if not load.intensity:
        raise UserError(f"{where}: intensity_range: needs intensity, what there is by default")
    if not 1 <= least <= most:
        raise UserError(f"{where}: intensity_range = [{least}, {most}]: must be least and most")
    _check_intensity(load, load.intensity, f"{where}: intensity =")


def _check_intensity(load: Load, intensity: str, where: str) -> None:
    if load.intensity_range is None:
        return
    least, most = load.intensity_range
    if not least <= int(intensity.rstrip("%")) <= most:
        unit = "%" if load.intensity.endswith("%") else ""
        raise UserError(f"{where} {intensity}: must be {least}{unit} to {most}{unit}")


def _kind(intensity: str) -> str:
    """Return the kind of an intensity: "percent", "count", or "" for none."""
    return "percent" if intensity.endswith("%") else "count" if intensity else ""


def _combination(part: object) -> str:
    """Return the one spelling of a combination that a plan has as text or tables."""
    if isinstance(part, str):
        return "+".join(str(p) for p in pressures(part)) or NO_LOAD
    parts = part if isinstance(part, list | tuple) else [part]
    tables = [table for table in parts if isinstance(table, Mapping)]
    if not tables or len(tables) != len(parts):
        raise UserError(f"{part!r} is no load: {_FORM}")
    text = "+".join(_of_table(table) for table in tables)
    return "+".join(str(p) for p in pressures(text)) or NO_LOAD


def _of_table(table: Mapping[str, object]) -> str:
    """Write a table as text, which is checked afterwards."""
    known = [field.name for field in fields(Pressure)]
    for key in table:
        if key not in known:
            raise UserError(f"unknown key '{key}' of a load: {suggest(key, known, 'allowed are')}")
    if not isinstance(table.get("name"), str):
        raise UserError(f"{dict(table)!r} is no load: it needs a name")
    words = [str(table["name"])]
    words += [str(table["intensity"])] if table.get("intensity") not in (None, "") else []
    words += [f"{word}={table[key]}" for word, key in _OPTIONS.items() if key in table]
    return ":".join(words)


def _pressure(part: str, text: str) -> Pressure:
    name, *words = part.split(":")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
        raise UserError(f"{text!r} is no load: {_FORM}")
    intensity, options = "", dict[str, str]()
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in _OPTIONS and key not in options:
            options[key] = value
        elif not equals and not intensity and _AMOUNT.fullmatch(word):
            intensity = word
        else:
            raise UserError(f"load {text!r}: {word!r}: {_FORM}")
    return Pressure(
        name,
        intensity,
        _seed(options.get("seed", "1"), text),
        _time("ramp", options.get("ramp", "0"), text),
        _time("after", options.get("after", "0"), text),
    )


def _seed(value: str, text: str) -> int:
    if not _SEED.fullmatch(value) or int(value) > MAX_SEED:
        raise UserError(f"load {text!r}: seed={value}: must be a number from 0 to {MAX_SEED}")
    return int(value)


def _time(key: str, value: str, text: str) -> float:
    if not _SECONDS.fullmatch(value) or float(value) > MAX_SECONDS:
        raise UserError(f"load {text!r}: {key}={value}: must be seconds, as in {key}=2.5")
    return float(value)


def loads_named(combinations: Iterable[str]) -> tuple[str, ...]:
    """Return the names of all loads in *combinations*, each once."""
    return tuple(dict.fromkeys(p.name for text in combinations for p in pressures(text)))

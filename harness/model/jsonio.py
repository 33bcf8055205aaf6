# SPDX-License-Identifier: GPL-2.0-only
"""The model's frozen dataclasses as JSON text, and as tables that a person wrote in TOML.

Records are read leniently as to unknown keys, so that a newer harness may add one; a
person's table is read strictly, and every fault in it is one line that names the key.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.model.errors import UserError

T = TypeVar("T")


def to_json(value: object, *, indent: int | None = 1) -> str:
    """Return *value*, a dataclass of the model, as JSON text in pure ASCII.

    ``from_json`` gives back an equal value, lone surrogates (bytes of a console that were no
    text) included. Without *indent* it is one line, made several times as fast.
    """
    plain = _adapter(type(value)).dump_python(value, mode="json")
    return json.dumps(plain, indent=indent) + "\n"


def from_json(kind: type[T], text: str, *, where: str = "") -> T:
    """Return the *kind* that *text* holds; *where* names its file in errors.

    Raises:
        UserError: it is not JSON, or not a *kind*.
    """
    prefix = f"{where}: " if where else ""
    try:
        value: T = _adapter(kind).validate_python(json.loads(text))
    except ValidationError as error:
        raise UserError(f"{prefix}not a {kind.__name__}: {_first_fault(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{prefix}not JSON: {error}") from error
    return value


def from_table(kind: type[T], table: Mapping[str, Any], *, where: str) -> T:
    """Return the *kind* that *table* describes, as read from the TOML file *where*.

    Values must have the very type of their field (no "4" for 4) and keys must be its fields.

    Raises:
        UserError: one line that names file, key, value and what is allowed.
    """
    fault = _unknown_key(kind, table, "")
    if fault:
        raise UserError(f"{where}: {fault}")
    try:
        # pydantic takes lists for tuples and names for enum members in strict mode only from
        # JSON; TOML's dates have no JSON form and no field here.
        value: T = _adapter(kind).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        raise UserError(f"{where}: {_first_fault(error)}") from error
    return value


def suggest(word: str, known: Iterable[str], what: str = "there are") -> str:
    """Return "did you mean 'x'?", or all that is *known* where nothing is close to *word*."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"{what}: {', '.join(names)}" if names else "there are none yet"


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}  # making one takes milliseconds


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _unknown_key(kind: Any, value: Any, path: str) -> str:
    """Return what is wrong with the first key of *value* that *kind* does not have; "" if none."""
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        fields = typing.get_type_hints(kind)
        for key, inner in value.items():
            if key not in fields:
                return f"unknown key '{path}{key}': {suggest(key, fields, 'allowed are')}"
            fault = _unknown_key(fields[key], inner, f"{path}{key}.")
            if fault:
                return fault
    elif isinstance(value, list):
        parts = typing.get_args(kind)
        for number, inner in enumerate(value):
            fault = _unknown_key(
                parts[0] if parts else None, inner, f"{path.rstrip('.')}[{number}]."
            )
            if fault:
                return fault
    return ""


def _first_fault(error: ValidationError) -> str:
    """Put pydantic's first error into one line: key, value, what is allowed."""
    fault = error.errors(include_url=False, include_context=True)[0]
    key = ""
    for part in fault["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    if fault["type"] in ("missing", "missing_argument"):
        return f"key '{key}' is missing"
    wrong = fault["input"]
    allowed = str(fault["msg"]).removeprefix("Input ").replace("should be", "must be")
    expected = str(fault.get("ctx", {}).get("expected", ""))
    if isinstance(wrong, str) and expected:
        names = [name for name in expected.split("'") if name.strip(" ,") not in ("", "or")]
        if names:
            listed = f"allowed are: {', '.join(sorted(names))}"
            close = suggest(wrong, names, "allowed are")
            allowed = listed if close == listed else f"{close} {listed}"
    shown = repr(wrong) if len(repr(wrong)) < 80 else f"{repr(wrong)[:76]}..."
    return f"{key} = {shown}: {allowed}" if key else f"{shown}: {allowed}"

# SPDX-License-Identifier: GPL-2.0-only
"""The C of the guest's PID 1, and of what loads share: a module is a .c and its .h, and modules
use each other in one direction."""

from __future__ import annotations

import graphlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

GUEST = Path(__file__).resolve().parents[2] / "guest-tests"
INIT = GUEST / "init"
FOLDERS = pytest.mark.parametrize("folder", [INIT, GUEST / "loads/_lib"], ids=["init", "loads"])

_COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
_INCLUDE = re.compile(r'^#include "(\w+)\.h"', re.M)
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
# What starts at the margin, is not static and has a body is a function that others can call.
_FUNCTION = re.compile(
    r"^(?!static\b|typedef\b|struct\b|enum\b|union\b)[A-Za-z_][\w *]*?(\w+)\([^;{}]*\)\n\{", re.M
)
_DECLARATION = re.compile(r"^(?!typedef\b|static\b)[A-Za-z_][\w *]*?\b(\w+)\([^{}]*?\);", re.M)


def code_of(file: Path) -> str:
    """Return the text of *file* without comments and strings."""
    return _COMMENT_OR_STRING.sub(" ", file.read_text())


def included(file: Path) -> set[str]:
    return set(_INCLUDE.findall(file.read_text()))


def functions(folder: Path) -> dict[str, str]:
    """Return function → module that defines it, of those that other modules can call."""
    return {
        name: file.stem
        for file in sorted(folder.glob("*.c"))
        for name in _FUNCTION.findall(code_of(file))
    }


def uses(folder: Path) -> dict[str, set[str]]:
    """Return module → modules it uses: by a header it includes, or a function it names.

    A function can be declared by hand, where it is used: hence not the headers alone.
    """
    owner = functions(folder)
    used: dict[str, set[str]] = {}
    for file in sorted((*folder.glob("*.c"), *folder.glob("*.h"))):
        named = {owner[word] for word in _WORD.findall(code_of(file)) if word in owner}
        used.setdefault(file.stem, set()).update((named | included(file)) - {file.stem})
    return used


def circle(used: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of a circle, the first one also at the end; none: nothing."""
    try:
        graphlib.TopologicalSorter(used).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@FOLDERS
def test_no_circle_of_modules(folder: Path) -> None:
    used = uses(folder)
    assert any(used.values())
    assert circle(used) == []


@pytest.mark.parametrize(
    "seed",
    [
        '#include "verbs.h"\n',
        "void put_drop(void);\nvoid seeded(void)\n{\n\tput_drop();\n}\n",
    ],
    ids=["header", "function"],
)
def test_a_seeded_circle_is_found(tmp_path: Path, seed: str) -> None:
    folder = shutil.copytree(INIT, tmp_path / "init")
    with (folder / "link.c").open("a") as file:
        file.write(seed)
    assert "link" in circle(uses(folder))


@FOLDERS
def test_a_header_declares_what_its_own_c_file_defines(folder: Path) -> None:
    owner = functions(folder)
    declared = {
        name: file.stem
        for file in folder.glob("*.h")
        for name in _DECLARATION.findall(code_of(file))
    }
    owner.pop("main", None)
    assert declared == owner


@FOLDERS
def test_a_header_says_in_kernel_doc_what_it_declares(folder: Path) -> None:
    for file in folder.glob("*.h"):
        text = file.read_text()
        for name in _DECLARATION.findall(code_of(file)):
            assert re.search(rf"^/\*\*\n \* {name}\(\) - \w", text, re.M), f"{file.name}: {name}"

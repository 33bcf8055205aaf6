# SPDX-License-Identifier: GPL-2.0-only
"""Libraries and loader of dynamically linked programs, found inside an unpacked root.

ldd would run the program's loader, which another architecture's host cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from harness.model.errors import InfraError

MAX_LINKS = 16


@dataclass(frozen=True)
class Elf:
    """Headers of an ELF file."""

    machine: str  # e_machine as pyelftools names it: "EM_X86_64"
    interpreter: str  # path of its loader, "" for a static program or a library
    needed: tuple[str, ...]  # sonames


def read_elf(file: Path) -> Elf:
    """Return the headers of *file* that decide where and with what it runs.

    Raises:
        InfraError: it is no ELF file.
    """
    try:
        with file.open("rb") as stream:
            elf = ELFFile(stream)
            interpreter, needed = "", []
            for segment in elf.iter_segments():
                if isinstance(segment, InterpSegment):
                    interpreter = segment.get_interp_name()
                elif isinstance(segment, DynamicSegment):
                    tags: Iterable[Any] = segment.iter_tags("DT_NEEDED")
                    needed += [tag.needed for tag in tags]
            return Elf(elf.header.e_machine, interpreter, tuple(needed))
    except (ELFError, UnicodeDecodeError) as error:
        raise InfraError(f"{file.name} is no ELF file: {error}") from error


def in_root(root: Path, path: str) -> Path | None:
    """Return the file at *path* as seen from inside *root*, links followed; None if none is."""
    at: list[str] = []
    ahead = path.split("/")[::-1]
    links = 0
    while ahead:
        part = ahead.pop()
        here = root.joinpath(*at, part)
        if part == "..":
            at = at[:-1]
        elif part in ("", "."):
            continue
        elif here.is_symlink() and (links := links + 1) <= MAX_LINKS:
            target = str(here.readlink())
            if target.startswith("/"):
                at = []
            ahead += target.split("/")[::-1]
        else:
            at.append(part)
    file = root.joinpath(*at)
    return file if file.is_file() and not file.is_symlink() else None


def closure(root: Path, programs: Iterable[str], machine: str, triplet: str) -> dict[str, Path]:
    """Return the loaders and libraries that *programs* need: path in the guest → file.

    All are looked for inside *root*, an unpacked Debian system for *triplet*; libraries go where
    Debian's loader looks first.

    Raises:
        InfraError: one is missing, or a file is for another machine.
    """
    folders = (f"lib/{triplet}", f"usr/lib/{triplet}", "lib", "usr/lib")
    found: dict[str, Path] = {}
    loaders: set[str] = set()
    waiting = [(program, _existing(root, program)) for program in programs]
    while waiting:
        who, file = waiting.pop()
        elf = read_elf(file)
        if elf.machine != machine:
            raise InfraError(f"{who} is for {elf.machine}, not {machine}")
        if elf.interpreter:
            loader = _existing(root, elf.interpreter)
            found[elf.interpreter.lstrip("/")] = loader
            loaders.add(PurePosixPath(elf.interpreter).name)
        for soname in elf.needed:
            path = f"lib/{triplet}/{soname}"
            # libc needs the loader too, which is loaded before any search.
            if path in found or soname in loaders:
                continue
            candidates = (in_root(root, f"{folder}/{soname}") for folder in folders)
            library = next(filter(None, candidates), None)
            if library is None:
                raise InfraError(f"{who} needs {soname}, and none of the packages brings it")
            found[path] = library
            waiting.append((soname, library))
    return found


def _existing(root: Path, path: str) -> Path:
    file = in_root(root, path)
    if file is None:
        raise InfraError(f"none of the packages brings /{path.lstrip('/')}")
    return file

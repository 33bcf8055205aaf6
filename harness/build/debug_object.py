# SPDX-License-Identifier: GPL-2.0-only
"""An object of a kernel, compiled again with debug info and without touching its build folder."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path, PurePosixPath

from harness.host import process
from harness.source.apply import Contents, write_content

_COMMAND = re.compile(r"^(?:saved)?cmd_\S+ := (.*)$", re.M)  # savedcmd_ since 6.2


def compile_again(build: Path, name: str, source: Path, into: Path, deadline_s: float) -> None:
    """Compile the object *name* of *build* from the tree at *source* into the file *into*.

    An object whose command is not that of a compiler, or fails, leaves no file.

    Raises:
        InfraError: it took longer than *deadline_s* seconds.
        OSError: the build folder is gone.
    """
    remembered = build / PurePosixPath(name).parent / f".{PurePosixPath(name).name}.cmd"
    words = _compiler_words(remembered.read_text(encoding="utf-8", errors="replace"), name)
    if words is None:
        return
    tree = build.parent / "tree"
    places = ((str(tree), str(source)), (os.path.relpath(tree, build), str(source)))
    moved = [_moved(word, places) for word in words]
    argv = (
        *moved,
        *("-g", "-gz", f"-fdebug-prefix-map={source}/=", f"-fdebug-prefix-map={build}=."),
        *("-o", str(into)),
    )
    process.run(argv, cwd=build, deadline_s=deadline_s)


def source_view(pristine: Path, contents: Contents, into: Path) -> Path:
    """Lay out the tree at *pristine* with *contents* in it, as links; return its folder.

    Only folders on the way to a file of *contents* are made: it takes milliseconds.
    """
    if not contents:
        return pristine
    own = {PurePosixPath("."), *(p for name in contents for p in PurePosixPath(name).parents)}
    for folder in sorted(own):
        (into / folder).mkdir(parents=True, exist_ok=True)
        if not (pristine / folder).is_dir():
            continue
        for child in (pristine / folder).iterdir():
            inside = PurePosixPath(folder, child.name)
            if inside not in own and str(inside) not in contents:
                (into / inside).symlink_to(child)
    for name, content in contents.items():
        if content is not None:
            write_content(into, name, content)
    return into


def _compiler_words(text: str, name: str) -> list[str] | None:
    """Return the compiler's command without what it writes; None where it is another's."""
    found = _COMMAND.search(text)
    if found is None:
        return None
    command = found[1].replace("$(pound)", "#").replace("$$", "$")
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    words = words[1:] if words and words[0].endswith("ccache") else words
    for number, word in enumerate(words):  # objtool and others work on the object afterwards
        if word == ";" or word.endswith(";"):
            words = [*words[:number], *filter(None, (word.rstrip(";"),))]
            break
    if not words or not words[0].endswith("gcc") or "-c" not in words or name not in words:
        return None
    at = words.index(name)
    if words[at - 1] != "-o":
        return None
    words = [*words[: at - 1], *words[at + 1 :]]
    return [word for word in words if not word.startswith(("-Wp,-MMD", "-Wp,-MD"))]


def _moved(word: str, places: tuple[tuple[str, str], ...]) -> str:
    for old, new in places:
        at = word.find(f"{old}/")
        if at >= 0 and (at == 0 or word[at - 1] in "I=L"):
            return word[:at] + new + word[at + len(old) :]
    return word

# SPDX-License-Identifier: GPL-2.0-only
"""``dir:PATH``: a kernel tree on this machine, copied, so that it may be edited meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

from harness.host import process
from harness.host.files import key_of, sha256_of, write_whole
from harness.host.paths import Cache, expanded
from harness.model.errors import UserError
from harness.model.events import Report, Stage
from harness.model.values import SourceTree
from harness.source.trees import keep, tree_version

SCHEME = "dir"
HELP = "PATH (a folder that holds a kernel tree; uncommitted changes count)"
# kbuild refuses to build out of a tree that was built in.
_BUILT_IN = (".config", "include/config")


def fetch(rest: str, cache: Cache, mirror: str, report: Report) -> SourceTree:  # noqa: ARG001
    """Return a copy of the tree as it is now; its content decides whether it is a new one."""
    folder = expanded(rest).absolute()
    if not folder.is_dir():
        raise UserError(f"no folder {folder}", hint=f"{SCHEME}:{HELP}")
    tree_version(folder)
    names = _names(folder)
    spec = f"{SCHEME}:{rest}"
    report(Stage(f"source {spec}", f"reading {folder}"))
    digest = _digest(folder, names, cache)
    report(Stage(f"source {spec}", f"read {folder}", finished=True))
    return keep(cache, spec, digest, str(folder), lambda into: _copy(folder, names, into), report)


def _names(folder: Path) -> list[str]:
    """List the tree's files: what git knows or would add; without git, everything.

    Raises:
        UserError: no git, and the tree was built in.
    """
    if (folder / ".git").exists():
        argv = ("git", "-C", folder, "ls-files", "-z", "-co", "--exclude-standard")
        done = process.run(argv)
        if done.ok:
            listed = sorted(set(filter(None, done.stdout.split("\0"))))
            return [name for name in listed if os.path.lexists(folder / name)]
    if any((folder / name).exists() for name in _BUILT_IN):
        raise UserError(
            f"{folder} was built in, so nothing can be built from it out of tree",
            hint=f"run there: make mrproper (it removes .config): make -C {folder} mrproper",
        )
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder)  # noqa: PTH118
        for parent, folders, files in os.walk(folder)
        for name in files + [f for f in folders if os.path.islink(os.path.join(parent, f))]  # noqa: PTH114, PTH118
        if "/.git/" not in f"{parent}/"
    )


def _digest(folder: Path, names: list[str], cache: Cache) -> str:
    """Digest names, modes and contents; a file that looks untouched since last time is not read."""
    memory = cache.sources / "specs" / f"dir-{key_of(str(folder))[:16]}.json"
    try:
        before = json.loads(memory.read_text())
    except (OSError, ValueError):
        before = {}
    now: dict[str, list[object]] = {}
    parts: list[str] = []
    for name in names:
        path = folder / name
        status = path.lstat()
        look = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode]
        if name in before and before[name][:4] == look:
            content = before[name][4]
        elif stat.S_ISLNK(status.st_mode):
            content = str(path.readlink())
        else:
            content = sha256_of(path)
        now[name] = [*look, content]
        parts += (name, oct(status.st_mode & 0o170100), content)
    write_whole(memory, json.dumps(now))
    return key_of(*parts)


def _copy(folder: Path, names: list[str], into: Path) -> None:
    made: set[Path] = set()
    for name in names:
        copy = into / name
        if copy.parent not in made:
            copy.parent.mkdir(parents=True, exist_ok=True)
            made.add(copy.parent)
        shutil.copy2(folder / name, copy, follow_symlinks=False)

# SPDX-License-Identifier: GPL-2.0-only
"""A work tree that moves between the positions of a series; only files that differ are written.

Untouched files are hard links to the pristine tree, which takes neither time nor space. A file
that a position changes is replaced, never written in place. make sees a new time on exactly the
files whose content changed.
"""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

from harness.cache.lease import use
from harness.cache.store import hold
from harness.host import process
from harness.host.disk_space import clear_when_full, full, require_space, says_full
from harness.host.files import write_whole
from harness.host.paths import Cache
from harness.model.errors import InfraError
from harness.model.events import Note, Report, Stage
from harness.model.values import SourceTree
from harness.source.apply import Contents, read_content, write_content

# Folders of a tree, and the files that positions change; a copy without links takes a whole tree.
_LINKED_BYTES = 200 * 2**20
_COPIED_BYTES = int(1.6 * 2**30)
SHARED = "all-series"  # the folder of a tree's one work tree


class WorkTree:
    """A writable copy of *tree*, for all series on it, locked inside the ``with`` block.

    Whatever a series is called, and from which branch it was cut, only files that differ from what
    was built last are built again.
    """

    def __init__(
        self,
        tree: SourceTree,
        cache: Cache,
        report: Report = lambda _: None,
        name: str = SHARED,
    ) -> None:
        """Describe the work tree *name* of *tree*; nothing is made yet."""
        self.tree = tree
        self._name = f"{tree.digest[:12]}/{name}"
        self.folder = cache.work / self._name  # build folders lie here too
        self.path = self.folder / "tree"
        self._state = self.folder / "state.json"
        self._lock_name = f"work-{tree.digest[:12]}" + ("" if name == SHARED else f"-{name}")
        self._cache = cache
        self._report = report
        self._stack = ExitStack()

    def __enter__(self) -> WorkTree:
        """Wait for the tree and make it if it is not there.

        Raises:
            InfraError: no space for it.
        """
        with ExitStack() as stack:
            stack.enter_context(hold(self._cache.locks, self._lock_name, self._waiting))
            use(self._cache.work, self._name)
            self._ensure()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, wanted: Contents) -> tuple[str, ...]:
        """Make the tree the pristine one with *wanted* in it; return the files rewritten.

        Every file that may differ is compared, so the next move repairs an interrupted one.

        Raises:
            InfraError: no space.
        """
        names = sorted(self._dirty() | wanted.keys())
        self._remember(names)
        rewritten = []
        with clear_when_full(self.folder, "a position of the work tree"):
            for name in names:
                there = read_content(self.path, name)
                pristine = read_content(self.tree.path, name)
                aim = wanted.get(name, pristine)
                if there == aim:
                    continue
                rewritten.append(name)
                if aim is None:
                    _remove(self.path, name)
                else:
                    write_content(self.path, name, aim)
        self._remember([n for n in names if n in wanted and wanted[n] != self._pristine(n)])
        return tuple(rewritten)

    def _pristine(self, name: str) -> object:
        return read_content(self.tree.path, name)

    def _waiting(self) -> None:
        self._report(Note(f"waiting for another harness that builds in {self.folder}"))

    # ------------------------------------------------------------ state

    def _dirty(self) -> set[str]:
        """Files that may differ from pristine."""
        return set(self._read_state().get("dirty", ()))

    def _read_state(self) -> dict[str, list[str]]:
        try:
            state = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _remember(self, dirty: list[str]) -> None:
        text = json.dumps({"dirty": dirty, "origin": self._origin(), "since": self._since()})
        with clear_when_full(self.folder, "the state of the work tree"):
            write_whole(self._state, text)

    def _origin(self) -> list[str]:
        """Return the identity of the pristine folder, against a later one of the same name."""
        status = self.tree.path.stat()
        return [str(status.st_dev), str(status.st_ino)]

    def _since(self) -> list[str]:
        """Return when it was unpacked: an inode number may be used again."""
        return [str(self.tree.path.stat().st_ctime_ns)]

    def _ensure(self) -> None:
        state = self._read_state()
        same = state.get("origin") == self._origin()
        if self.path.is_dir() and same and state.get("since", self._since()) == self._since():
            return
        self._report(Stage(f"work {self.folder}", f"laying out a work tree of {self.tree.version}"))
        # Without the state, files that differ are not known: only a new copy is certain. Build
        # folders go too: a pristine file is older than an object made of another one.
        if self.folder.exists():
            shutil.rmtree(self.folder)
        new = self.folder / "tree.new"
        with clear_when_full(self.folder, "a work tree"):
            self.folder.mkdir(parents=True, exist_ok=True)
            _copy(self.tree.path, new)
        self._remember([])
        new.rename(self.path)
        self._report(Stage(f"work {self.folder}", "the work tree is there", finished=True))


def _copy(pristine: Path, new: Path) -> None:
    require_space(new, _LINKED_BYTES, "a work tree")
    if process.run(("cp", "-al", pristine, new)).ok:
        return
    # Another file system, or one without hard links.
    shutil.rmtree(new, ignore_errors=True)
    require_space(new, _COPIED_BYTES, "a work tree")
    done = process.run(("cp", "-a", "--reflink=auto", pristine, new))
    if done.ok:
        return
    shutil.rmtree(new, ignore_errors=True)
    if says_full(done.stderr):
        raise full(new, "a work tree")
    raise InfraError(f"cannot copy {pristine}", detail=done.stderr.strip()[-2000:])


def _remove(root: Path, name: str) -> None:
    path = root / name
    path.unlink()
    for folder in path.parents:
        if folder == root or any(folder.iterdir()):
            return
        folder.rmdir()

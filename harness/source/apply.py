# SPDX-License-Identifier: GPL-2.0-only
"""Files of a tree at a position of a series, always derived from the pristine tree.

Patches are applied in a temporary folder that holds only the files they touch, so a patch that
does not apply has changed nothing, and no position depends on the one before.
"""

from __future__ import annotations

import contextlib
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.host import process
from harness.host.disk_space import full, says_full
from harness.model.errors import PatchError
from harness.model.values import Patch, Series, SourceTree


@dataclass(frozen=True)
class Content:
    """Content of a file or symbolic link, and its exec bit."""

    data: bytes  # a link's target, for a link
    executable: bool = False
    link: bool = False


# By name below the tree's top; None: there is no such file.
Contents = Mapping[str, Content | None]
_FAILED_AT = re.compile(r"^error: patch failed: (?P<file>.*):(?P<line>\d+)$", re.M)
_APPLYING = re.compile(r"^Applying patch (?P<file>.*) with \d+ rejects?\.\.\.$")
_REJECTED = re.compile(r"^Rejected hunk #(?P<hunk>\d+)\.$")
_ABSENT = re.compile(
    r"^error: (?P<file>.*): (?P<why>No such file or directory|already exists in .*)$", re.M
)


def read_content(root: Path, name: str) -> Content | None:
    """Return what the tree at *root* has under *name*, None for nothing."""
    path = root / name
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(status.st_mode):
        return Content(bytes(path.readlink()), link=True)
    return Content(path.read_bytes(), executable=bool(status.st_mode & stat.S_IXUSR))


def write_content(root: Path, name: str, content: Content) -> None:
    """Replace *name* by *content* atomically."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".new.{path.name}")
    new.unlink(missing_ok=True)
    if content.link:
        new.symlink_to(content.data.decode(errors="surrogateescape"))
    else:
        new.write_bytes(content.data)
        new.chmod(0o755 if content.executable else 0o644)
    new.replace(path)


def contents_at(tree: SourceTree, series: Series, position: int) -> dict[str, Content | None]:
    """Return every file that *series* touches up to *position*, as it is at that position.

    Raises:
        PatchError: a patch does not apply; names patch, file, hunk and the tree's version.
    """
    applied = series.applied(position)
    names = sorted({name for patch in applied for name in patch.touches})
    if not names:
        return {}
    with _working_copy(tree, names) as root:
        for patch in applied:
            _apply(patch, root, tree)
        return {name: read_content(root, name) for name in names}


def versions_of(
    tree: SourceTree, series: Series, position: int, name: str
) -> list[tuple[int, bytes]]:
    """Return the text of file *name* as the base has it (0) and after each patch that touches it.

    By number of the patch, up to *position*; a file that is not there is empty.

    Raises:
        PatchError: a patch does not apply.
    """
    applied = series.applied(position)
    names = sorted({name for patch in applied for name in patch.touches} | {name})

    def text() -> bytes:
        content = read_content(root, name)
        return content.data if content is not None and not content.link else b""

    with _working_copy(tree, names) as root:
        versions = [(0, text())]
        for patch in applied:
            _apply(patch, root, tree)
            if name in patch.touches:
                versions.append((patch.number, text()))
    return versions


def unapplied(tree: SourceTree, series: Series) -> PatchError | None:
    """Return why the first patch of *series* that does not apply to *tree* does not; None: all do.

    Raises:
        PatchError: it is a base patch, without which there is no position at all.
    """
    try:
        contents_at(tree, series, series.positions[-1])
    except PatchError as error:
        if not error.number:
            raise
        return error
    return None


@contextlib.contextmanager
def _working_copy(tree: SourceTree, names: Iterable[str]) -> Iterator[Path]:
    """Give a temporary folder with the files *names* of *tree*, as far as it has them."""
    process.require_tool("git")
    with tempfile.TemporaryDirectory(prefix="harness-patch-") as folder:
        root = Path(folder)
        for name in names:
            content = read_content(tree.path, name)
            if content is not None:
                write_content(root, name, content)
        yield root


def _apply(patch: Patch, root: Path, tree: SourceTree) -> None:
    done = _git_apply(root, patch.file)
    if done.ok:
        return
    if says_full(done.stderr):
        raise full(root, f"applying {patch.file.name}")
    # Applied again with --reject, git names the hunks that fail.
    trial = _git_apply(root, patch.file, "--reject", "--verbose")
    where = _where(done.stderr, trial.stderr)
    error = PatchError(
        f"patch {patch.file.name} does not apply to kernel {tree.version}: {where}",
        hint=_advice(patch, tree),
        detail=done.stderr.strip(),
    )
    error.number = patch.number
    raise error


def _git_apply(root: Path, patch: Path, *options: str) -> process.Finished:
    # git allows no fuzz without -C. A repository above the folder must not matter.
    argv = ("git", "apply", "-p1", "--whitespace=nowarn", *options, "--", str(patch.absolute()))
    return process.run(argv, cwd=root, env={"GIT_CEILING_DIRECTORIES": str(root.parent)})


def _where(plain: str, verbose: str) -> str:
    """Name file and hunk, from the messages of git apply without and with --reject."""
    file = ""
    hunks: list[str] = []
    for line in verbose.splitlines():
        if match := _APPLYING.match(line):
            if hunks:
                break
            file = match["file"]
        elif match := _REJECTED.match(line):
            hunks.append(match["hunk"])
    if hunks:
        line = next((m["line"] for m in _FAILED_AT.finditer(plain) if m["file"] == file), "")
        at = f" (line {line})" if line else ""
        return f"{file}, hunk {hunks[0]}{at}"
    if match := _ABSENT.search(plain):
        return f"{match['file']}: {match['why'].lower()}, hunk 1"
    return plain.strip().partition("\n")[0].removeprefix("error: ")


def _advice(patch: Patch, tree: SourceTree) -> str:
    reverse = process.run(
        ("git", "apply", "-p1", "--check", "--reverse", "--", patch.file.absolute()),
        cwd=tree.path,
        env={"GIT_CEILING_DIRECTORIES": str(tree.path.parent)},
    )
    if reverse.ok:
        return "this kernel has the patch already: a base patch would have to take it out first"
    text = patch.file.read_text(errors="replace")
    hints = ["the tree is as it was; rebase the patch onto this kernel, or choose another --base"]
    if match := re.search(r"^base-commit: ([0-9a-f]{7,})", text, re.M):
        hints.append(f"it was made for commit {match[1][:12]}")
    if re.search(r"^prerequisite-patch-id: ", text, re.M):
        hints.append("it needs other patches first (prerequisite-patch-id)")
    return "; ".join(hints)

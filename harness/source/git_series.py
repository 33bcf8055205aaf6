# SPDX-License-Identifier: GPL-2.0-only
"""Series cut from a git repository: commits as patches, and uncommitted changes as one."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.cache.store import Store
from harness.host import process
from harness.host.files import key_of
from harness.model.errors import UserError
from harness.source.git_repository import SCHEME as GIT
from harness.source.git_repository import git, git_dir, resolve

EDITS = "edits"  # scheme of a series: changes of a work tree since a commit
UNCOMMITTED = "what is not committed yet"
SERIES = "series"  # kind of the store: patches cut from a repository or mbox
# The same text whatever the user's git configuration says of diffs.
_PLAIN_DIFF = ("--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")


def from_range(spec: str, store: Store) -> list[Path]:
    """Write the commits of ``git:REPO#A..B`` as patches."""
    repository, first, last = _split_range(spec)
    repo = git_dir(repository)
    begin, end = resolve(repo, first), resolve(repo, last)
    span = f"{begin}..{end}"
    merges = git(repo, "rev-list", "--merges", span).split()
    if merges:
        raise UserError(
            f"{spec} holds a merge ({merges[0][:12]}), so it is no series of patches",
            hint="name a range without merges",
        )

    def cut(into: Path) -> None:
        options = ("--no-signature", "--no-cover-letter", "--no-base", "--zero-commit",
                   "--no-numbered", "--subject-prefix=PATCH", *_PLAIN_DIFF)  # fmt: skip
        git(repo, "format-patch", "-q", f"-o{into}", *options, span)

    return cut_series(store, key_of(GIT, begin, end), cut)


def from_edits(spec: str, store: Store) -> list[Path]:
    """Write changes of a work tree since a commit as patches: later commits, then uncommitted ones.

    Untracked files count unless they are ignored.
    """
    repository, first = _split_edits(spec)
    repo = git_dir(repository)
    begin, end = resolve(repo, first), resolve(repo, "HEAD")
    committed = from_range(f"{GIT}:{repository}#{begin}..{end}", store) if begin != end else []
    changes = _uncommitted(repository)
    if not changes:
        return committed

    def cut(into: Path) -> None:
        for file in committed:
            shutil.copyfile(file, into / file.name)
        name = f"{len(committed) + 1:04d}-{slug(UNCOMMITTED)}.patch"
        head = f"From: nobody <nobody@localhost>\nSubject: {UNCOMMITTED}\n\n---\n"
        (into / name).write_bytes(head.encode() + changes)

    digest = hashlib.sha256(changes).hexdigest()
    return cut_series(store, key_of(EDITS, begin, end, digest), cut)


def _uncommitted(repository: Path) -> bytes:
    """Return the difference between HEAD and the files of the work tree, as a patch."""
    with tempfile.TemporaryDirectory(prefix="harness-edits-") as folder:
        # A copy of the index: the user's own keeps what is staged in it.
        index = Path(folder, "index")
        there = git_dir(repository) / "index"
        if there.is_file():
            shutil.copyfile(there, index)
        patch = Path(folder, "patch")  # bytes: sources may be in any encoding
        diff = ("diff", *_PLAIN_DIFF, "--binary", f"--output={patch}", "HEAD")
        for argv in (("add", "-A", "-N", "."), diff):
            words = ("git", "-C", repository, *argv)
            done = process.run(words, env={"GIT_INDEX_FILE": str(index)})
            if not done.ok:
                raise UserError(
                    f"git {argv[0]} failed in {repository}", detail=done.stderr.strip()[-2000:]
                )
        return patch.read_bytes() if patch.is_file() else b""


def range_base(spec: str) -> str:
    """Return the source spec of the commit that ``git:REPO#A..B`` or ``edits:REPO#A`` starts from.

    Raises:
        UserError: *spec* is neither.
    """
    edits = spec.startswith(f"{EDITS}:")
    repository, first = _split_edits(spec) if edits else _split_range(spec)[:2]
    return f"{GIT}:{repository}#{first}"


def _split_edits(spec: str) -> tuple[Path, str]:
    repository, _, first = spec.removeprefix(f"{EDITS}:").partition("#")
    if not repository or ".." in first or first.startswith("-"):
        raise UserError(f"'{spec}' is no work tree", hint="edits:REPO or edits:REPO#COMMIT")
    return Path(repository).expanduser().absolute(), first or "HEAD"


def _split_range(spec: str) -> tuple[Path, str, str]:
    repository, _, span = spec.removeprefix("git:").partition("#")
    first, dots, last = span.partition("..")
    if not repository or not dots or not first or not last or last.startswith("."):
        raise UserError(f"'{spec}' is no range of commits", hint="git:REPO#A..B, REPO as a path")
    return Path(repository).expanduser(), first, last


def cut_series(store: Store, key: str, cut: Callable[[Path], None]) -> list[Path]:
    """Return the patches that *store* keeps under *key*, in order; *cut* writes them if need be."""
    folder = store.get(SERIES, key) or store.put(SERIES, key, cut)
    return sorted(folder.glob("*.patch"))


def slug(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", title).strip("-.")[:52]

# SPDX-License-Identifier: GPL-2.0-only
"""Series cut from a git repository: commits as patches, and uncommitted changes as one."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.cache.store import Store
from harness.host import process
from harness.host.files import key_of
from harness.host.paths import expanded
from harness.model.errors import UserError
from harness.source.git_repository import SCHEME as GIT
from harness.source.git_repository import git, git_dir, is_url, resolve

EDITS = "edits"  # scheme of a series: changes of a work tree since a commit
UNCOMMITTED = "what is not committed yet"
SERIES = "series"  # kind of the store: patches cut from a repository or mbox
# Raise it when the same commits or mails would be cut into other files.
CACHE_VERSION = "2"
COMMITS = "commits.json"  # beside cut patches: the id of the commit that each was made of
_FROM = re.compile(rb"From ([0-9a-f]{40}) ")  # how git begins a patch, or a mail
# The same text whatever the user's git configuration says of diffs.
_PLAIN_DIFF = ("--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")


def from_range(spec: str, store: Store) -> list[Path]:
    """Write the commits of ``git:REPO#A..B`` as patches.

    Raises:
        UserError: as :func:`check_range`.
    """
    repo, begin, end = check_range(spec)

    def cut(into: Path) -> None:
        options = ("--no-signature", "--no-cover-letter", "--no-base", "--no-numbered",
                   "--subject-prefix=PATCH", *_PLAIN_DIFF)  # fmt: skip
        git(repo, "format-patch", "-q", f"-o{into}", *options, f"{begin}..{end}")
        keep_commits(into)

    return cut_series(store, key_of(GIT, CACHE_VERSION, begin, end), cut)


def check_range(spec: str) -> tuple[Path, str, str]:
    """Return the git folder and the ends, as commit ids, of ``git:REPO#A..B``, a line of commits.

    Raises:
        UserError: no repository, no such commit, or no line of commits from A on to B; the hint is
            the range that may be meant.
    """
    repository, first, last = _split_range(spec)
    repo = git_dir(repository)
    begin, end = resolve(repo, first), resolve(repo, last)
    like = f"{GIT}:{repository}#"
    common = _merge_base(repo, begin, end)
    if begin == end:
        raise UserError(
            f"{spec} is empty: both ends are commit {end[:12]}",
            hint=f"{like}{last}~1..{last} is its last commit alone",
        )
    if common == end:
        raise UserError(
            f"{spec} is the wrong way round: {last} is an ancestor of {first}",
            hint=f"{like}{last}..{first}",
        )
    if not common:
        raise UserError(
            f"{spec} is no series of patches: its ends have no commit in common",
            hint=f"name an ancestor of {last} in front of it; git log {last} lists them",
        )
    # The last merge hides what is before it, whether or not the range begins on its other side.
    merge = git(repo, "rev-list", "--merges", "-n1", end, f"^{begin}").strip()
    if common != begin or merge:
        since = merge or common
        why = (
            f"holds a merge ({merge[:12]}), so it"
            if merge
            else f"does not begin at an ancestor of its end: {first} parted from {last} "
            f"at {common[:12]}. It"
        )
        after = int(git(repo, "rev-list", "--count", f"{since}..{end}"))
        raise UserError(
            f"{spec} {why} is no series of patches",
            hint=f"{like}{since[:12]}..{last} is the line of commits since then"
            if after
            else f"{last} is the merge itself: git rebase {first} makes a line of its commits",
        )
    return repo, begin, end


def _merge_base(repo: Path, one: str, other: str) -> str:
    """Return the newest commit that both ends descend from, "" where there is none."""
    done = process.run(("git", f"--git-dir={repo}", "merge-base", one, other))
    return done.stdout.strip()


def from_edits(spec: str, store: Store) -> list[Path]:
    """Write changes of a work tree since a commit as patches: later commits, then uncommitted ones.

    Untracked files count unless they are ignored.
    """
    repository, begin, end = check_edits(spec)
    committed = from_range(f"{GIT}:{repository}#{begin}..{end}", store) if begin != end else []
    changes = _uncommitted(repository)
    if not changes:
        return committed

    def cut(into: Path) -> None:
        for file in committed:
            shutil.copyfile(file, into / file.name)
        if committed:
            shutil.copyfile(committed[0].with_name(COMMITS), into / COMMITS)
        name = f"{len(committed) + 1:04d}-{slug(UNCOMMITTED)}.patch"
        head = f"From: nobody <nobody@localhost>\nSubject: {UNCOMMITTED}\n\n---\n"
        (into / name).write_bytes(head.encode() + changes)

    digest = hashlib.sha256(changes).hexdigest()
    return cut_series(store, key_of(EDITS, CACHE_VERSION, begin, end, digest), cut)


def check_edits(spec: str) -> tuple[Path, str, str]:
    """Return repository, first commit and HEAD of ``edits:REPO#A``.

    Raises:
        UserError: as :func:`check_range` of A..HEAD, which may be empty.
    """
    repository, first = _split_edits(spec)
    repo = git_dir(repository)
    begin, end = resolve(repo, first), resolve(repo, "HEAD")
    if begin != end:
        check_range(f"{GIT}:{repository}#{first}..HEAD")
    return repository, begin, end


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
        begin = re.split(r"\.\.+", first)[0].strip("-") or "COMMIT"
        raise UserError(
            f"'{spec}' is no work tree",
            hint=f"{EDITS}:{repository or 'REPO'}, or {EDITS}:{repository or 'REPO'}#{begin}",
        )
    return expanded(repository).absolute(), first or "HEAD"


def _split_range(spec: str) -> tuple[Path, str, str]:
    repository, _, span = spec.removeprefix("git:").partition("#")
    first, dots, last = span.partition("..")
    if not repository or not dots or not first or not last or last.startswith("."):
        ends = (first.strip("-") or "A", last.strip(".-") or ("HEAD" if dots else "B"))
        if first and not dots:  # one commit: most likely the last one
            ends = (f"{first}~1", first)
        raise UserError(
            f"'{spec}' is no range of commits: it takes the one before the first patch and the "
            "one of the last",
            hint=f"{GIT}:{repository or 'REPO'}#{'..'.join(ends)}",
        )
    if is_url(repository):
        raise UserError(
            f"'{spec}': a range of commits is cut from a repository on this machine",
            hint=f"git clone {repository}, then {GIT}:PATH#{span}",
        )
    return expanded(repository), first, last


def cut_series(store: Store, key: str, cut: Callable[[Path], None]) -> list[Path]:
    """Return the patches that *store* keeps under *key*, in order; *cut* writes them if need be."""
    folder = store.get(SERIES, key) or store.put(SERIES, key, cut)
    return sorted(folder.glob("*.patch"))


def commit_in(patch: bytes) -> str:
    """Return the commit id in the first line of a patch as git writes it, "" where it has none."""
    found = _FROM.match(patch)
    return found[1].decode() if found and found[1].strip(b"0") else ""


def keep_commits(folder: Path) -> None:
    """Take the commit ids out of the patches in *folder*, and write them beside.

    The same change committed anew, as by a rebase, is the same patch.
    """
    ids = {}
    for file in folder.glob("*.patch"):
        text = file.read_bytes()
        if commit := commit_in(text):
            ids[file.name] = commit
            file.write_bytes(text.replace(commit.encode(), b"0" * 40, 1))
    (folder / COMMITS).write_text(json.dumps(ids))


def commit_of(patch: Path, text: bytes) -> str:
    """Return the id of the commit that *patch*, with content *text*, was made of; "" if unknown."""
    if commit := commit_in(text):
        return commit
    try:
        return str(json.loads(patch.with_name(COMMITS).read_text()).get(patch.name, ""))
    except (OSError, ValueError, AttributeError):
        return ""


def slug(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", title).strip("-.")[:52]

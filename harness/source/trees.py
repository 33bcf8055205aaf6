# SPDX-License-Identifier: GPL-2.0-only
"""Pristine trees in the cache: fetched whole, and fetched again when a file was changed.

``sources/<digest>/tree`` is the tree, ``source.json`` beside it says what it is,
``contents.json`` holds the digest of every file, and ``sources/specs/`` the digest that each spec
was resolved to, so that no network is needed again.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from harness.cache.lease import use
from harness.cache.store import hold, touch
from harness.host import process
from harness.host.disk_space import clear_when_full, full, require_space, says_full
from harness.host.files import key_of, sha256_of, write_whole
from harness.host.paths import FACTS, Cache
from harness.model.errors import InfraError, UserError
from harness.model.events import Note, Report, Stage
from harness.model.values import SourceTree

# A tree of 6.x with its folders, and what an archive of it adds while it is unpacked.
TREE_BYTES = int(1.6 * 2**30)
_VERSION = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", re.M)


def tree_version(path: Path) -> str:
    """Return what ``make kernelversion`` would say in the tree at *path*.

    Raises:
        UserError: not a kernel tree.
    """
    try:
        text = (path / "Makefile").read_text(errors="replace")[:4096]
    except OSError:
        text = ""
    found: dict[str, str] = dict(_VERSION.findall(text))
    if not (path / "Kconfig").is_file() or not found.get("PATCHLEVEL"):
        raise UserError(
            f"{path} is not a kernel tree",
            hint="its top level must hold the kernel's Makefile and Kconfig",
        )
    numbers = [found.get(name, "") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(filter(None, numbers)) + found.get("EXTRAVERSION", "")


def kept(cache: Cache, spec: str, *, look: bool = True) -> SourceTree | None:
    """Return the tree that *spec* was resolved to before; None if it must be fetched.

    With *look*, also where a file of it is not as it was unpacked; takes about 0.3 s.
    """
    try:
        pin = json.loads(_pin(cache, spec).read_text())
        digest, commit = str(pin["digest"]), str(pin.get("commit", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    tree = _load(cache, spec, digest, look=look)
    return replace(tree, commit=commit) if tree else None


def unpacked(cache: Cache, spec: str, digest: str) -> SourceTree | None:
    """Return the tree with *digest* if it is there, without looking at its files."""
    return _load(cache, spec, digest, look=False)


def keep(
    cache: Cache,
    spec: str,
    digest: str,
    origin: str,
    fill: Callable[[Path], None],
    report: Report,
    commit: str = "",
) -> SourceTree:
    """Return the tree with *digest*, filled by *fill* if the cache has none; remember *spec*.

    Remembered with it is the *commit* of a git repository that *spec* was resolved to.

    *fill* gets an empty folder and puts the tree's top level into it.

    Raises:
        UserError: what *fill* made is not a kernel tree.
        InfraError: no space.
    """

    def waiting() -> None:
        report(Note(f"waiting for another harness that fetches {spec}"))

    with hold(cache.locks, f"source-{digest[:16]}", waiting):
        tree = _load(cache, spec, digest)
        if tree is None:
            report(Stage(f"source {spec}", f"unpacking {origin}"))
            _make(cache, spec, digest, origin, fill)
            tree = _load(cache, spec, digest)
            if tree is None:
                raise InfraError(f"{cache.sources} does not keep what is written to it")
            report(Stage(f"source {spec}", f"{origin} is unpacked", finished=True))
    pin = {"spec": spec, "digest": digest} | ({"commit": commit} if commit else {})
    write_whole(_pin(cache, spec), json.dumps(pin))
    return replace(tree, commit=commit)


def _make(cache: Cache, spec: str, digest: str, origin: str, fill: Callable[[Path], None]) -> None:
    final = cache.sources / digest[:16]
    new = cache.sources / f".new-{digest[:16]}-{secrets.token_hex(4)}"
    require_space(cache.sources, TREE_BYTES, f"the source of {spec}")
    _sweep(cache, digest)
    with clear_when_full(cache.sources, f"the source of {spec}"):
        (new / "tree").mkdir(parents=True)
        try:
            fill(new / "tree")
            version = tree_version(new / "tree")
            facts = {
                "digest": digest,
                "origin": origin,
                "version": version,
                "fingerprint": fingerprint(new / "tree"),
            }
            record(new / "tree", new / FILE)
            (new / FACTS).write_text(json.dumps(facts, indent=1))
            new.rename(final)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _sweep(cache: Cache, digest: str) -> None:
    """Remove a damaged tree of this digest, and halves left by a crash (the lock is held)."""
    gone = cache.sources / f".new-{digest[:16]}-gone-{secrets.token_hex(4)}"
    final = cache.sources / digest[:16]
    if final.exists():
        final.rename(gone)
    for folder in cache.sources.glob(f".new-{digest[:16]}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _load(cache: Cache, spec: str, digest: str, *, look: bool = True) -> SourceTree | None:
    folder = cache.sources / digest[:16]
    if not folder.is_dir():
        return None
    use(cache.sources, folder.name)
    try:
        facts = json.loads((folder / FACTS).read_text())
        if facts["digest"] != digest:
            return None
        if look and facts["fingerprint"] != fingerprint(folder / "tree"):
            return None
        touch(folder / FACTS)
        return SourceTree(spec, facts["version"], facts["origin"], digest, folder / "tree")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def damage(folder: Path, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """Return the damage of the tree in *folder*, "" where all of it is as unpacked.

    Every file is read. A tree without digests gets them now, if no time or size has changed.
    """
    try:
        facts = json.loads((folder / FACTS).read_text())
        untouched = facts["fingerprint"] == fingerprint(folder / "tree")
    except (OSError, ValueError, KeyError, TypeError):
        return f"{FACTS} or the tree cannot be read"
    found = differing(folder / "tree", folder / FILE, on_bytes)
    if found:
        return f"the content of {found} is not what was unpacked"
    if not untouched:
        return "a file was added, removed, or written to"
    if found is None:
        record(folder / "tree", folder / FILE)
    return ""


def fingerprint(tree: Path) -> str:
    """Return a digest of every file's name, size, time and mode: cheap, and any edit shows."""
    parts: list[str] = []
    pending = [(str(tree), "")]
    while pending:
        folder, below = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = below + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{name}/"))
                else:
                    status = entry.stat(follow_symlinks=False)
                    parts.append(f"{name} {status.st_size} {status.st_mtime_ns} {status.st_mode}")
    return key_of(*sorted(parts))


def _pin(cache: Cache, spec: str) -> Path:
    return cache.sources / "specs" / f"{key_of(spec)[:16]}.json"


def unpack_tar(archive: Path, into: Path) -> None:
    """Unpack a tar archive, compressed or not, that holds a tree or one folder with a tree.

    Raises:
        UserError: tar cannot read it.
        InfraError: the disk is full.
    """
    process.require_tool("tar")
    inner = into.with_name("unpacking")
    inner.mkdir()
    argv = ("tar", "-x", "--no-same-owner", "-f", archive, "-C", inner)
    done = process.run(argv)
    if not done.ok:
        if says_full(done.stderr):
            raise full(into.parents[1], f"unpacking {archive.name}")
        raise UserError(f"tar cannot unpack {archive}", detail=done.stderr.strip()[-2000:])
    entries = list(inner.iterdir())
    top = entries[0] if len(entries) == 1 and entries[0].is_dir() else inner
    into.rmdir()
    top.rename(into)
    if top != inner:
        inner.rmdir()


FILE = "contents.json"


def record(tree: Path, file: Path) -> None:
    """Write the digest of every regular file below *tree* to *file*."""
    write_whole(file, json.dumps({name: sha256_of(tree / name) for name in _names(tree)}))


def differing(tree: Path, file: Path, on_bytes: Callable[[int], None]) -> str | None:
    """Return the first file that is not what *file* recorded, "" for none, None: no record.

    *on_bytes* is told the size of each file that was read.
    """
    try:
        recorded: dict[str, str] = dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return file.name
    for name, sha256 in recorded.items():
        path = tree / name
        try:
            if sha256_of(path) != sha256:
                return name
            on_bytes(path.stat().st_size)
        except OSError:
            return name
    return ""


def _names(tree: Path) -> Iterator[str]:
    """Yield the regular files below *tree*; links are in the tree's fingerprint."""
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(tree / below) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{below}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    yield below + entry.name

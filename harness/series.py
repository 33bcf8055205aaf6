# SPDX-License-Identifier: GPL-2.0-only
"""Patch series as people keep them: our layout, quilt, a folder or mbox of mails, a git range."""

from __future__ import annotations

import difflib
import email
import email.policy
import re
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import parseaddr
from pathlib import Path
from typing import ClassVar

import pydantic
from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from harness import process
from harness.errors import UserError
from harness.layout import Cache, Checkout, default_cache
from harness.model import NO_SERIES, Patch, Series, SourceTree
from harness.repository import EDITS, cut_once, from_edits, from_range, slug
from harness.source import git
from harness.store import sha256_of

ABOUT = "series.toml"
QUILT = "series"

_PREFIX = re.compile(r"^(?:\s*\[[^\]]*\])+\s*")
_PLACE = re.compile(r"\[[^\]]*?(\d+)/\d+[^\]]*\]")


@dataclass(frozen=True)
class _Base:
    """One ``[[kernel]]`` of a series.toml: the patches for one base."""

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    versions: str  # start of the tree's version, whole numbers: "5.10", "5.10.262"
    folder: str = "."
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True)
class _About:
    """A series.toml."""

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    kernel: tuple[_Base, ...]
    title: str = ""
    link: str = ""


# ---------------------------------------------------------------- where a series comes from


def series_from(
    spec: str, checkout: Checkout, tree: SourceTree, cache: Cache | None = None
) -> Series:
    """Return the series that *spec* names, as it applies to *tree*.

    *spec* is a name below ``patches/``, "none", ``git:REPO#A..B``, ``edits:REPO#A``, or a path:
    a folder with a ``series.toml``, a quilt ``series`` file or ``*.patch`` files, or an mbox.
    Patches cut out of an mbox or a repository are written to *cache* (None: the user's).

    Raises:
        UserError: no such series, not a patch, or it does not cover the tree's version.
    """
    kept = (cache or default_cache()).downloads / "series"
    if spec == NO_SERIES:
        return _nothing(checkout, tree)
    if spec.startswith(f"{git.SCHEME}:"):
        return _loose(spec, from_range(spec, kept), tree)
    if spec.startswith(f"{EDITS}:"):
        return _loose(spec, from_edits(spec, kept), tree, may_be_empty=True)
    named = checkout.patches / spec
    if (named / ABOUT).is_file():
        return load_series(named, tree.version)
    path = Path(spec).expanduser()
    if path.is_dir():
        if (path / ABOUT).is_file():
            return load_series(path.resolve(), tree.version)
        return _loose(path.resolve().name, _from_folder(path.resolve()), tree)
    if path.is_file():
        return _loose(path.stem, _from_mbox(path.resolve(), kept), tree)
    names = series_names(checkout)
    close = difflib.get_close_matches(spec, names, n=1)
    raise UserError(
        f"unknown series '{spec}'",
        hint=f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(names)}",
    )


def _nothing(checkout: Checkout, tree: SourceTree) -> Series:
    """Return the series without a patch: *tree* is taken as it is."""
    return Series(
        name=NO_SERIES,
        title=f"{tree.origin}, as it is",
        folder=checkout.patches,
        covers=tree.version,
        prepare=(),
        patches=(),
    )


def series_names(checkout: Checkout) -> tuple[str, ...]:
    """Return the names of the checkout's own series, sorted."""
    return tuple(sorted(file.parent.name for file in checkout.patches.glob(f"*/{ABOUT}")))


def load_series(folder: Path, tree_version: str) -> Series:
    """Return the series in *folder* (one with a series.toml) as it applies to *tree_version*.

    Raises:
        UserError: it does not cover that version, or a file of it is wrong.
    """
    about = _read_about(folder)
    base = next((b for b in about.kernel if matches(b.versions, tree_version)), None)
    if base is None:
        raise UserError(
            f"series '{folder.name}' does not cover kernel {tree_version}",
            hint=f"it covers: {', '.join(b.versions for b in about.kernel)}",
        )
    patches = folder / base.folder
    return Series(
        name=folder.name,
        title=about.title or folder.name,
        folder=patches,
        covers=base.versions,
        prepare=tuple(read_patch(_below(patches, name)) for name in base.prepare),
        patches=_numbered(_quilt(patches)),
    )


def covered(folder: Path) -> tuple[str, ...]:
    """Return the kernel versions that the series in *folder* covers.

    Raises:
        UserError: its series.toml is missing or wrong.
    """
    return tuple(base.versions for base in _read_about(folder).kernel)


def matches(versions: str, tree_version: str) -> bool:
    """Say whether *tree_version* starts with *versions*, in whole numbers: 5.10 is not 5.100."""
    rest = tree_version.removeprefix(versions)
    return rest != tree_version and not rest[:1].isdigit()


def _read_about(folder: Path) -> _About:
    file = folder / ABOUT
    try:
        about = pydantic.TypeAdapter(_About).validate_python(tomllib.loads(file.read_text()))
    except FileNotFoundError as error:
        raise UserError(f"no series at {folder}: {ABOUT} is missing") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file} is no TOML: {error}") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{file}: {key}: {first['msg'].lower()}") from error
    if not about.kernel:
        raise UserError(f"{file}: kernel: a series covers at least one", hint="add [[kernel]]")
    return about


def _loose(
    name: str, files: Sequence[Path], tree: SourceTree, *, may_be_empty: bool = False
) -> Series:
    """A series without a series.toml: it is taken to be for the tree it is asked for."""
    if not files and not may_be_empty:
        raise UserError(f"series '{name}' holds no patch")
    return Series(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-."),
        title=name,
        folder=files[0].parent if files else Path(),
        covers=tree.version,
        prepare=(),
        patches=_numbered(files),
    )


def _numbered(files: Sequence[Path]) -> tuple[Patch, ...]:
    return tuple(replace(read_patch(f), number=n) for n, f in enumerate(files, 1))


# ---------------------------------------------------------------- layouts


def _from_folder(folder: Path) -> list[Path]:
    """Patches of a folder: in quilt's order where there is one, else by name, covers left out."""
    if (folder / QUILT).is_file():
        return _quilt(folder)
    files = sorted(f for f in folder.iterdir() if f.suffix in (".patch", ".diff"))
    return [file for file in files if not file.name.startswith("0000-")]


def _quilt(folder: Path) -> list[Path]:
    """Read quilt's ``series`` file; only -p1 patches, as mails have them."""
    file = folder / QUILT
    if not file.is_file():
        raise UserError(f"no quilt series file: {file}")
    found = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise UserError(f"{file}:{number}: only -p1 patches are supported")
        found.append(_below(folder, words[0]))
    return found


def _below(folder: Path, name: str) -> Path:
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{folder}: '{name}' is outside the series")
    if not file.is_file():
        raise UserError(f"no patch {file}")
    return file


def _from_mbox(file: Path, kept: Path) -> list[Path]:
    """Cut an mbox, or one mail, into patches, as `git am` does; mails without a diff are passed."""
    process.require_tool("git")

    def cut(into: Path) -> None:
        mails = into / "mails"
        mails.mkdir()
        split = process.run(("git", "mailsplit", f"-o{mails}", "--", file))
        if not split.ok:
            raise UserError(f"{file} is no mbox", detail=split.stderr.strip())
        found = [mail for name in sorted(mails.iterdir()) if (mail := _mail(name)) is not None]
        places = [place for place, _, _ in found]
        if None not in places and len(set(places)) == len(places):
            found.sort(key=lambda mail: mail[0] or 0)
        for number, (_, title, text) in enumerate(found, 1):
            (into / f"{number:04d}-{slug(title)}.patch").write_bytes(text)
        shutil.rmtree(mails)

    return cut_once(kept / f"mbox-{sha256_of(file)[:16]}", cut)


def _mail(file: Path) -> tuple[int | None, str, bytes] | None:
    """Return a mail's place in its series, its title and its text as a patch; None without diff."""
    message, diff = file.with_suffix(".message"), file.with_suffix(".diff")
    info = process.run(
        ("git", "mailinfo", "--encoding=UTF-8", message, diff),
        stdin=file.read_text(errors="surrogateescape"),
    )
    if not info.ok or not diff.is_file() or not diff.read_bytes().strip():
        return None
    head = dict(line.partition(": ")[::2] for line in info.stdout.splitlines() if ": " in line)
    place = _PLACE.search(_header(file.read_bytes(), "Subject"))
    title = head.get("Subject", file.name)
    lines = (
        f"From: {head.get('Author', '')} <{head.get('Email', '')}>",
        f"Subject: {title}",
        f"Date: {head.get('Date', '')}",
    )
    text = "\n".join(lines).encode() + b"\n\n" + message.read_bytes() + b"---\n" + diff.read_bytes()
    return int(place[1]) if place else None, title, text


# ---------------------------------------------------------------- one patch


def read_patch(file: Path) -> Patch:
    """Read a mail-format patch, or a bare diff; its ``number`` is 0.

    Raises:
        UserError: not a patch, or one that changes nothing.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(f"no patch {file}") from error
    subject, sender = _header(raw, "Subject"), _header(raw, "From")
    name, address = parseaddr(sender)
    return Patch(
        number=0,
        file=file,
        title=_PREFIX.sub("", subject).strip() or file.stem,
        author=f"{name} <{address}>" if name else address,
        sha256=sha256_of(file),
        touches=_touched(file, raw.decode("utf-8", errors="replace")),
    )


def _touched(file: Path, text: str) -> tuple[str, ...]:
    try:
        parts = list(PatchSet(text))
    except UnidiffParseError as error:
        raise UserError(f"{file} is no patch: {str(error)[:200]}") from error
    names = {
        name.partition("\t")[0].partition("/")[2]
        for part in parts
        for name in (part.source_file, part.target_file)
        if name != "/dev/null"
    }
    if not names:
        raise UserError(f"{file} is no patch: it changes no file")
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise UserError(f"{file} reaches outside the kernel tree: {name}")
    return tuple(sorted(names))


def _header(raw: bytes, name: str) -> str:
    """Return a header of a mail, decoded, on one line; "" where the text has none."""
    # `git format-patch` starts with an mbox line, which is no header.
    head = raw.partition(b"\n\n")[0]
    message = email.message_from_bytes(head, policy=email.policy.default)
    return " ".join(str(message.get(name, "")).split())

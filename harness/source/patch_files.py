# SPDX-License-Identifier: GPL-2.0-only
"""Patches in files: a quilt series, a folder of mails, an mbox."""

from __future__ import annotations

import email
import email.headerregistry
import email.policy
import re
import shutil
from pathlib import Path

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from harness.cache.store import Store
from harness.host import process
from harness.host.files import key_of, sha256_of
from harness.model.errors import UserError
from harness.model.values import Patch
from harness.source.git_series import (
    CACHE_VERSION,
    commit_in,
    commit_of,
    cut_series,
    keep_commits,
    slug,
)

QUILT = "series"
# Every header is text: the library's parser of addresses fails on some that are none.
_AS_TEXT = email.policy.default.clone(
    header_factory=email.headerregistry.HeaderRegistry(use_default_map=False)
)
_PREFIX = re.compile(r"^(?:\s*\[[^\]]*\])+\s*")
_PLACE = re.compile(r"\[[^\]]*?(\d+)/\d+[^\]]*\]")

# ---------------------------------------------------------------- layouts


def from_folder(folder: Path) -> list[Path]:
    """Return a folder's patches in quilt's order if it has one, else by name; no cover letters."""
    if (folder / QUILT).is_file():
        return from_quilt(folder)
    files = sorted(f for f in folder.iterdir() if f.suffix in (".patch", ".diff"))
    return [file for file in files if not file.name.startswith("0000-")]


def from_quilt(folder: Path) -> list[Path]:
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
        found.append(below(folder, words[0]))
    return found


def below(folder: Path, name: str) -> Path:
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{folder}: '{name}' is outside the series")
    if not file.is_file():
        raise UserError(f"no patch {file}")
    return file


def from_mbox(file: Path, store: Store) -> list[Path]:
    """Cut an mbox, or one mail, into patches as `git am` does, without mails that have no diff."""
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
        keep_commits(into)

    return cut_series(store, key_of("mbox", CACHE_VERSION, sha256_of(file)), cut)


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
    mail = file.read_bytes()
    place = _PLACE.search(_header(mail, "Subject"))
    title = head.get("Subject", file.name)
    commit = commit_in(mail)
    lines = (
        *((f"From {commit} Mon Sep 17 00:00:00 2001",) if commit else ()),
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
    return Patch(
        number=0,
        file=file,
        title=_PREFIX.sub("", _header(raw, "Subject")).strip() or file.stem,
        sha256=sha256_of(file),
        touches=_touched(file, raw.decode("utf-8", errors="replace")),
        commit=commit_of(file, raw),
        author=_header(raw, "From"),
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
    message = email.message_from_bytes(head, policy=_AS_TEXT)
    return " ".join(str(message.get(name, "")).split())

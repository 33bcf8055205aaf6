# SPDX-License-Identifier: GPL-2.0-only
"""Patch series in every layout: series.toml, quilt, a folder or mbox of mails, a git range."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pydantic

from harness.cache.store import Store
from harness.host.paths import Checkout, expanded
from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.model.values import (
    NO_SERIES,
    Patch,
    Series,
    SourceTree,
    path_safe,
    place_name,
)
from harness.source.git_repository import SCHEME as GIT
from harness.source.git_repository import is_url
from harness.source.git_series import EDITS, check_edits, check_range, from_edits, from_range
from harness.source.patch_files import (
    QUILT,
    below,
    from_folder,
    from_mbox,
    from_quilt,
    read_patch,
)

ABOUT = "series.toml"
_MAIL = re.compile(r"\.[A-Za-z]+$")  # of a file with mails: .mbox, .patch


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


# ---------------------------------------------------------------- a series by its spec


def series_from(spec: str, checkout: Checkout, tree: SourceTree, store: Store) -> Series:
    """Return the series that *spec* names, as it applies to *tree*.

    *spec* is a name below ``patches/``, "none", ``git:REPO#A..B``, ``edits:REPO#A``, or a path:
    a folder with a ``series.toml``, a quilt ``series`` file or ``*.patch`` files, or an mbox.
    Patches cut out of an mbox or a repository are kept in *store*.

    Raises:
        UserError: no such series, not a patch, or it does not cover the tree's version.
    """
    if spec == NO_SERIES:
        return _nothing(checkout, tree)
    if spec.startswith(f"{GIT}:"):
        return _loose(spec, from_range(spec, store), tree)
    if spec.startswith(f"{EDITS}:"):
        return _loose(spec, from_edits(spec, store), tree, may_be_empty=True)
    _no_repository(expanded(spec))
    named = checkout.patches / spec
    if (named / ABOUT).is_file():
        return load_series(named, tree.version)
    path = expanded(spec)
    if path.is_dir():
        if (path / ABOUT).is_file():
            return load_series(path.resolve(), tree.version)
        return _loose(str(path.resolve()), from_folder(path.resolve()), tree)
    if path.is_file():
        return _loose(str(path.resolve()), from_mbox(path.resolve(), store), tree)
    raise UserError(f"unknown series '{spec}'", hint=suggest(spec, series_names(checkout)))


def check_series(spec: str) -> None:
    """Check what can be told of a series before its base is there, and takes no time.

    Raises:
        UserError: a git range that is no line of commits, or a repository without a range.
    """
    if spec.startswith(f"{GIT}:"):
        check_range(spec)
    elif spec.startswith(f"{EDITS}:"):
        check_edits(spec)
    else:
        _no_repository(expanded(spec))


def _no_repository(path: Path) -> None:
    """Refuse a git repository, with a work tree or bare, that is no folder of patches."""
    bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    if not (bare or (path / ".git").exists()):
        return
    if (path / ABOUT).is_file() or (path / QUILT).is_file() or from_folder(path):
        return
    raise UserError(
        f"'{path}' is a git repository: which of its commits are the series?",
        hint=f"{GIT}:{path}#A..B names them"
        + ("" if bare else f", {EDITS}:{path} what is not committed yet"),
    )


def absolute_spec(spec: str) -> str:
    """Return *spec*, of a series or base, with the path in it absolute; as it is without one."""
    scheme, colon, rest = spec.partition(":")
    if not colon or "/" in scheme:
        there = spec and expanded(spec).exists()
        return os.path.abspath(expanded(spec)) if there else spec  # noqa: PTH100
    place, hash_sign, ref = rest.partition("#")
    if scheme not in (GIT, EDITS, "dir", "tar") or not place or is_url(place):
        return spec
    return f"{scheme}:{os.path.abspath(expanded(place))}{hash_sign}{ref}"  # noqa: PTH100


def short_name(spec: str) -> str:
    """Return the name of the series *spec*: no path of the host, and no commits of a range.

    It is the same for each range of a repository, so that whoever compares runs of them can.
    """
    scheme, _, rest = spec.partition(":")
    if scheme in (GIT, EDITS):
        place = rest.partition("#")[0]
        if not is_url(place):
            place = str(expanded(place).resolve())
        return "-".join(filter(None, (scheme, place_name(place))))
    path = expanded(spec)
    # Of a folder all of it: "v6.1" has no suffix.
    name = path.resolve().name if path.is_dir() or not _MAIL.search(path.name) else path.stem
    return path_safe(name) or "series"


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
        prepare=tuple(read_patch(below(patches, name)) for name in base.prepare),
        patches=_numbered(from_quilt(patches)),
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
    spec: str, files: Sequence[Path], tree: SourceTree, *, may_be_empty: bool = False
) -> Series:
    """Return a series without a series.toml, taken to be for *tree*."""
    if not files and not may_be_empty:
        raise UserError(f"series '{spec}' holds no patch")
    return Series(
        name=short_name(spec),
        title=spec if spec.startswith((f"{GIT}:", f"{EDITS}:")) else Path(spec).name,
        folder=files[0].parent if files else Path(),
        covers=tree.version,
        prepare=(),
        patches=_numbered(files),
    )


def _numbered(files: Sequence[Path]) -> tuple[Patch, ...]:
    return tuple(replace(read_patch(f), number=n) for n, f in enumerate(files, 1))

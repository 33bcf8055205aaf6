# SPDX-License-Identifier: GPL-2.0-only
"""The kit of a kernel: the files of build and source folder that ``make M=`` needs.

Modules are built against a kit at any time and for several kernels at once, while the work tree
is at another position. ``kit/source`` points to the
headers, which kernels share as long as no patch touches them.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from harness.build.kbuild import Kbuild
from harness.cache.store import Store
from harness.host import process
from harness.host.disk_space import full, says_full
from harness.host.files import key_of
from harness.model.errors import InfraError
from harness.model.values import SourceTree
from harness.source.apply import Contents

HEADERS = "headers"
CACHE_VERSION = "1"
# kbuild finds the source by the folder of the Makefile that is included.
_MAKEFILE = "include $(dir $(lastword $(MAKEFILE_LIST)))source/Makefile\n"
_TOP_FILES = (".config", "Module.symvers")
_SINGLE_FILES = ("tools/objtool/objtool", "tools/bpf/resolve_btfids/resolve_btfids")
# Headers that this process found whole, by store and key: 6,000 files take 30 ms to look at.
_whole: set[tuple[Path, str]] = set()
_whole_lock = threading.Lock()
_LEFTOVER_SUFFIXES = frozenset((".o", ".a", ".cmd", ".d", ".so"))


def keep_headers(store: Store, kbuild: Kbuild, tree: SourceTree, contents: Contents) -> Path:
    """Keep what a module build reads of the source, at the position the work tree has now.

    *contents* are the files that the position changes. Returns the entry's folder.

    Raises:
        InfraError: no space.
    """
    srcarch = kbuild.srcarch
    parts = [CACHE_VERSION, tree.digest, srcarch]
    for name, content in sorted(contents.items()):
        if name.startswith(_source_prefixes(srcarch)):
            parts += (name, repr(content))
    key = key_of(*parts)
    kept = store.get(HEADERS, key)
    if kept is not None:
        return kept
    return store.put(HEADERS, key, lambda into: _copy_headers(kbuild.source, srcarch, into))


def headers_whole(store: Store, kit: Path) -> bool:
    """Say whether the headers that *kit* points to are there and as they were written.

    Checked once per process: a header that changes afterwards is found by the next process.
    """
    key = (kit / "source").readlink().parent.name
    with _whole_lock:
        if (store.root, key) not in _whole:
            if store.get(HEADERS, key) is None:
                return False
            _whole.add((store.root, key))
    return (kit / "source" / "Makefile").is_file()


def forget_headers() -> None:
    """Look at headers again when they are next needed."""
    with _whole_lock:
        _whole.clear()


def _source_prefixes(srcarch: str) -> tuple[str, ...]:
    arch = f"arch/{srcarch}"
    return ("Makefile", "include/", "scripts/", f"{arch}/include/", f"{arch}/Makefile")


def _copy_headers(source: Path, srcarch: str, into: Path) -> None:
    arch = Path("arch") / srcarch
    (into / "source" / arch).mkdir(parents=True)
    tops = [source / name for name in ("Makefile", "include", "scripts")]
    archs = [source / arch / "include", *(source / arch).glob("Makefile*")]
    for paths, folder in ((tops, into / "source"), (archs, into / "source" / arch)):
        _link(paths, folder)


def _link(paths: list[Path], folder: Path) -> None:
    """Link files into *folder*; the work tree replaces files and never writes in place."""
    if process.run(("cp", "-al", *paths, folder)).ok:
        return
    done = process.run(("cp", "-a", "--reflink=auto", *paths, folder))
    if not done.ok:
        if says_full(done.stderr):
            raise full(folder, "kernel headers")
        raise InfraError("cannot copy kernel headers", detail=done.stderr.strip()[-2000:])


def make_kit(kbuild: Kbuild, headers: Path, kit: Path) -> None:
    """Fill the folder *kit*, which lies in ``<store>/<kind>/<key>/``, from a finished build."""
    kit.mkdir()
    (kit / "Makefile").write_text(_MAKEFILE)
    (kit / "source").symlink_to(Path("../../..", HEADERS, headers.name, "source"))
    for file in _built_files(kbuild):
        copy = kit / file.relative_to(kbuild.out)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)


def _built_files(kbuild: Kbuild) -> Iterator[Path]:
    out = kbuild.out
    arch = out / "arch" / kbuild.srcarch
    yield from (out / name for name in (*_TOP_FILES, *_SINGLE_FILES) if (out / name).is_file())
    yield from arch.rglob("*.lds")
    for folder in (out / "include", out / "scripts", arch / "include"):
        for file in folder.rglob("*"):
            if file.is_file() and not _leftover(file, out):
                yield file


def _leftover(file: Path, out: Path) -> bool:
    """Say whether *file* is needed only to build the kernel again."""
    if file.suffix in _LEFTOVER_SUFFIXES or file.is_relative_to(out / "scripts" / "kconfig"):
        return True
    # One empty file per symbol: they tell make what a changed .config outdates.
    return file.is_relative_to(out / "include" / "config") and file.stat().st_size == 0

# SPDX-License-Identifier: GPL-2.0-only
"""What the build tests share: the toy kernel as a source, patches to it, and its architecture."""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

import pytest

from harness.arch import load_arch
from harness.build.kernel import build_kernel
from harness.host.paths import Cache
from harness.model.events import Event, Note
from harness.model.values import Arch, GuestTest, Kernel, Series, SourceTree
from harness.source.fetch import fetch
from harness.source.series import load_series

TOYKERNEL = Path(__file__).parent / "toykernel"
VMALLOC = "mm/vmalloc.c"
HEADER = "include/linux/toy.h"


def ignore(_: Event) -> None:
    """A report that nobody reads."""


def toy_arch() -> Arch:
    """The toy's architecture: compiled by the host's own compiler."""
    machine = subprocess.run(
        ("gcc", "-dumpmachine"), capture_output=True, text=True, check=True
    ).stdout.strip()
    return Arch(
        name="toy",
        kernel_arch="toy",
        debian_arch="amd64",
        triplet=machine,
        cross_packages=(),
        qemu_package="",
        uname="",
        elf_machine="",
        image="arch/toy/boot/Image",
        make_targets=("Image",),
        qemu="",
        machine="",
        cpu=(),
        firmware=(),
        virtio="",
        console="",
        cmdline=(),
        lone_cpu_cmdline=(),
        early_console=(),
        ram_at=0,
        text_at=0,
        registers=load_arch("x86_64").registers,
        probe=b"",
        probe_argv=(),
        probe_exit=0,
    )


def toy_tree(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> SourceTree:
    """The toy kernel, fetched as a folder is."""
    monkeypatch.setenv("TOYKERNEL_PYTHON", sys.executable)
    return fetch(f"dir:{TOYKERNEL}", cache, "", ignore)


class PatchWriter:
    """Writes a series of mail-format patches, each on top of the one before."""

    def __init__(self, folder: Path, base: Path = TOYKERNEL) -> None:
        self.folder = folder
        self._base = base
        self._now: dict[str, str] = {}
        self._names: list[str] = []

    def add(self, title: str, file: str, old: str, new: str) -> Path:
        """Add a patch that replaces *old* by *new* in *file*; "" for *old*: a new file."""
        before = self.text(file) if old else ""
        assert not old or before.count(old) == 1, f"{old!r} is not once in {file}"
        after = before.replace(old, new) if old else new
        self._now[file] = after
        diff = difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{file}" if old else "/dev/null",
            f"b/{file}",
        )
        number = len(self._names) + 1
        kind = "" if old else "new file mode 100644\n"
        text = (
            f"From: A Tester <tester@localhost>\nSubject: [PATCH {number}/9] {title}\n\n"
            f"Why.\n\n---\n\ndiff --git a/{file} b/{file}\n{kind}{''.join(diff)}"
        )
        return self.add_raw(f"{number:04d}-{title.replace(' ', '-')}.patch", text)

    def add_raw(self, name: str, text: str) -> Path:
        """Add a patch as it is."""
        file = self.folder / "5.10" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self._names.append(name)
        return file

    def text(self, file: str) -> str:
        """Return *file* with all patches so far."""
        return self._now.get(file) or (self._base / file).read_text()

    def series(self) -> Series:
        """Write the series' own files and load it."""
        about = 'title = "A toy series"\n[[kernel]]\nversions = "5.10"\nfolder = "5.10"\n'
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "series.toml").write_text(about)
        (self.folder / "5.10").mkdir(exist_ok=True)
        (self.folder / "5.10" / "series").write_text("".join(f"{n}\n" for n in self._names))
        return load_series(self.folder, "5.10.99")


def two_patches(folder: Path) -> Series:
    """A series of two: one changes a source file, the other a header."""
    writer = PatchWriter(folder)
    writer.add("one", VMALLOC, "\treturn -1;", "\treturn -12;")
    writer.add("two", HEADER, "TOY_LIMIT 16", "TOY_LIMIT 32")
    return writer.series()


def fragment(folder: Path, topic: str, text: str) -> Path:
    """Write a Kconfig fragment."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{topic}.config"
    file.write_text(text)
    return file


def toy_test(folder: Path, name: str, body: str = "int f(void) { return SHARED; }\n") -> GuestTest:
    """Write a guest test whose module is called as the test."""
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    (own / "Kbuild").write_text(f"obj-m := {name}.o\n")
    (own / f"{name}.c").write_text(f'#include "shared.h"\n#include <linux/toy.h>\n{body}')
    return GuestTest(name=name, folder=own, summary="", module=name, suite=name)


SWITCHED = "CONFIG_SWITCH=y\nCONFIG_MODULES=y\n"


class Bench:
    """A toy source, a series and a cache, ready to build."""

    def __init__(self, folder: Path, tree: SourceTree, cache: Cache) -> None:
        self.folder = folder
        self.tree = tree
        self.cache = cache
        self.arch: Arch = toy_arch()
        self.series: Series = two_patches(folder / "toy")
        self.fragments: tuple[Path, ...] = (fragment(folder / "kconfigs", "base", SWITCHED),)
        self.events: list[Event] = []

    def kernel(self, position: int) -> Kernel:
        self.events.clear()
        return build_kernel(
            self.tree, self.series, position, self.arch, self.fragments,
            self.cache, self.events.append,
        )  # fmt: skip

    def compiled(self, kernel: Kernel) -> set[str]:
        """Return the objects that make made for *kernel*."""
        lines = kernel.build_log.read_text().splitlines()
        return {line.split()[-1] for line in lines if line.startswith("  CC ")}

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


def git(folder: Path, *argv: str) -> str:
    """Run git in *folder* as somebody; return what it prints."""
    done = subprocess.run(
        ("git", "-c", "user.name=A Tester", "-c", "user.email=t@localhost", "-C", folder, *argv),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def toy_repository(folder: Path) -> Path:
    """Make *folder* a repository of the toy kernel with two commits on top: base, one, two."""
    subprocess.run(("cp", "-r", TOYKERNEL, folder), check=True)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    git(folder, "tag", "base")
    for tag, file, old, new in (
        ("one", VMALLOC, "return -1;", "return -12;"),
        ("two", HEADER, "TOY_LIMIT 16", "TOY_LIMIT 32"),
    ):
        path = folder / file
        path.write_text(path.read_text().replace(old, new))
        git(folder, "commit", "-qam", f"mm: change {tag}\n\nFrom here on.")
        git(folder, "tag", tag)
    return folder

# SPDX-License-Identifier: GPL-2.0-only
"""A kernel of two files, linked, and its build folder: what splats are decoded with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from harness.build.debug_object import source_view
from harness.cache.store import Store
from harness.model.values import Kernel, SourceTree
from harness.run.symbolize import DebugSource
from harness.source.apply import Contents, contents_at
from tests.integration.toy import PatchWriter, toy_arch

HEADER, POOL, GATE = "include/pool.h", "mm/pool.c", "mm/gate.c"
SOURCES = {
    HEADER: """\
int gate(int n);
extern volatile int taken;
static inline __attribute__((always_inline)) void pass(int n)
{
	gate(n);
	taken = n;
}
""",
    POOL: """\
#include "pool.h"
volatile int taken;
static __attribute__((noipa)) int size_of(int n)
{
	return gate(n) + 1;
}
int pool_take(int n)
{
	pass(n);
	return size_of(n) + taken;
}
""",
    # Its size_of is another function, and a longer one.
    GATE: """\
__attribute__((noipa)) int gate(int n)
{
	return n;
}
static __attribute__((noipa)) int size_of(int n)
{
	volatile int seven = 7;

	return gate(n) * seven + gate(seven);
}
int gate_twice(int n)
{
	return size_of(n) + size_of(n + 1);
}
""",
}
# Of no other position.
SET_UP = '__attribute__((section(".init.text"), used)) static int set_up(int n) { return gate(n); }'
CFLAGS = ("-O2", "-fno-pie", "-fno-asynchronous-unwind-tables")


def line_of(text: str, wanted: str) -> int:
    """Return the number of the only line with *wanted* in it."""
    (number,) = [n for n, line in enumerate(text.splitlines(), 1) if wanted in line]
    return number


def after_call(file: Path, function: str, called: str) -> int:
    """Return the offset in *function* at which its first call of *called* returns.

    A call's relocation is the last four bytes of the instruction (x86) or all of it (arm64).
    """
    with file.open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        (inside,) = symbols.get_symbol_by_name(function)
        start, size = inside["st_value"], inside["st_size"]
        found = [
            place["r_offset"] - start + 4
            for section in elf.iter_sections()
            if isinstance(section, RelocationSection) and section["sh_info"] == inside["st_shndx"]
            for place in section.iter_relocations()
            if symbols.get_symbol(place["r_info_sym"]).name == called
            and start <= place["r_offset"] < start + size
        ]
    return int(min(found))


class Built:
    """A kernel of two files as kbuild leaves it, at position 1 of a series that moves lines."""

    def __init__(self, folder: Path) -> None:
        pristine = folder / "pristine"
        for name, text in SOURCES.items():
            (pristine / name).parent.mkdir(parents=True, exist_ok=True)
            (pristine / name).write_text(text)
        self.writer = PatchWriter(folder / "toy", pristine)
        taken = "volatile int taken;\n"
        self.writer.add("down", POOL, taken, f"\n\n{SET_UP}\n{taken}")
        self.writer.add("more", HEADER, "int gate", "/* later */\nint gate")
        series = self.writer.series()
        tree = SourceTree("dir:toy", "5.10.99", "toy", "d" * 64, pristine)
        self.build = folder / "work" / "out"
        self._lay_out(tree, contents_at(tree, series, 1))
        kernel = folder / "kernel"
        kernel.mkdir()
        self.vmlinux = kernel / "vmlinux"
        self.run("gcc", "-nostdlib", "-no-pie", "-Wl,-e,pool_take", "-o", str(self.vmlinux),
                 *(self.object(name) for name in (POOL, GATE)))  # fmt: skip
        # The folder goes on to another position: what is decoded must not be read from there.
        shutil.rmtree(self.tree)
        shutil.copytree(pristine, self.tree)
        self.source = DebugSource(
            kernel=Kernel(
                arch="toy", tree_version="5.10.99", position=1, key="k" * 64, path=kernel,
                image=kernel / "Image", image_sha256="", config=kernel / "config",
                config_sha256="c" * 64, build_log=kernel / "log", kit=kernel / "kit",
                compiler="gcc", warnings=(), seconds=0.0, reused=False,
            ),
            arch=toy_arch(), tree=tree, series=series, build=self.build,
            store=Store(folder / "store"),
        )  # fmt: skip

    @property
    def tree(self) -> Path:
        return self.build.parent / "tree"

    def go_on(self) -> None:
        """Build the folder's present position, as kbuild does beside the guests of the last one."""
        self.run(*self.command(POOL))

    def run(self, *argv: str) -> None:
        subprocess.run(argv, cwd=self.build, check=True)

    @staticmethod
    def object(name: str) -> str:
        return str(Path(name).with_suffix(".o"))

    def command(self, name: str, *flags: str) -> list[str]:
        """Return how *name* is compiled, as kbuild does: one path whole, the other from here."""
        made = self.object(name)
        words = ["gcc", f"-Wp,-MMD,{Path(name).parent}/.{Path(name).stem}.d", *CFLAGS, *flags]
        return [*words, f"-I{self.tree}/include", "-c", "-o", made, f"../tree/{name}"]

    def remember(self, name: str, command: str) -> None:
        """Have the command of *name* in the build folder."""
        file = self.build / f"{Path(name).parent}/.{Path(name).stem}.o.cmd"
        file.write_text(f"savedcmd_{self.object(name)} := {command}\n\nsource_x := {name}\n")

    def _lay_out(self, tree: SourceTree, contents: Contents) -> None:
        (self.build / "mm").mkdir(parents=True)
        shutil.copytree(tree.path, self.tree)
        view = source_view(tree.path, contents, self.build.parent / "view")
        for name in SOURCES:
            shutil.copyfile(view / name, self.tree / name)
        for name in (POOL, GATE):
            words = self.command(name)
            self.run(*words)
            self.remember(name, f"{' '.join(words)} ; ./tools/objtool {self.object(name)}")

    def size(self, function: str, number: int = 0) -> int:
        """Return the size of *function* as the kernel tells it: up to the next one."""
        done = subprocess.run(("nm", "--defined-only", self.vmlinux), capture_output=True,
                              text=True, check=True)  # fmt: skip
        symbols = sorted(
            (int(at, 16), name)
            for at, kind, name in map(str.split, done.stdout.splitlines())
            if kind in "tT"
        )
        at = [a for a, name in symbols if name == function][number]
        return min((a for a, _ in symbols if a > at), default=at + (1 << 12)) - at

    def text(self, name: str) -> str:
        """Return a file as it is in the kernel."""
        found = contents_at(self.source.tree, self.source.series, 1)[name]
        assert found is not None
        return found.data.decode()

    def take(self) -> str:
        """Return how a stack names the call of gate() that pool_take() has through pass()."""
        offset = after_call(self.build / "mm/pool.o", "pool_take", "gate")
        return f"pool_take+{offset:#x}/{self.size('pool_take'):#x}"

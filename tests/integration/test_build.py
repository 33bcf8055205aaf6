# SPDX-License-Identifier: GPL-2.0-only
"""Kernels, modules and programs, built from the toy kernel tree."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness import build, guest_build, kernel_kit
from harness.build import build_kernel
from harness.errors import BuildError, InfraError, UserError
from harness.events import Event, Note, Stage
from harness.guest_build import build_modules, build_program
from harness.kbuild import MARKER, Kbuild
from harness.layout import Cache
from harness.model import Arch, Kernel, Series, SourceTree
from harness.store import Store, sha256_of
from harness.toolchain import find_toolchain
from tests.integration.toy import (
    HEADER,
    VMALLOC,
    PatchWriter,
    fragment,
    ignore,
    toy_arch,
    toy_test,
    toy_tree,
    two_patches,
)

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


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    cache = Cache(tmp_path / "cache")
    return Bench(tmp_path, toy_tree(cache, monkeypatch), cache)


# ---------------------------------------------------------------- kernels


def test_a_kernel_comes_with_all_that_is_needed_later(bench: Bench) -> None:
    kernel = bench.kernel(0)
    assert kernel.image.name == "Image"
    assert kernel.image.stat().st_size > 0
    assert "CONFIG_SWITCH=y" in kernel.config.read_text().splitlines()
    assert kernel.tree_version == "5.10.99"
    assert "gcc" in kernel.compiler.lower()
    assert (kernel.path / "vmlinux").is_file()
    assert (kernel.path / "System.map").is_file()
    assert bench.compiled(kernel) == {"kernel/main.o", "mm/vmalloc.o"}
    assert kernel.warnings == ()
    assert not kernel.reused


def test_progress_is_told_and_ends(bench: Bench) -> None:
    bench.kernel(0)
    stages = [e for e in bench.events if isinstance(e, Stage) and e.key == "build toy p0"]
    assert stages[-1].finished
    assert any(stage.done for stage in stages)


def test_a_second_build_runs_no_make_at_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.kernel(1)

    def no_make(*_: object, **__: object) -> None:
        raise AssertionError("make was run")

    monkeypatch.setattr(Kbuild, "make", no_make)
    # Not even the work tree, nor the tree it is made from.
    monkeypatch.setattr(build, "WorkTree", no_make)
    second = bench.kernel(1)
    assert second.reused
    assert replace(second, reused=False) == first


def test_positions_rebuild_only_what_they_change(bench: Bench) -> None:
    base = bench.kernel(0)
    one = bench.kernel(1)
    assert bench.compiled(one) == {"mm/vmalloc.o"}
    assert one.image_sha256 != base.image_sha256
    two = bench.kernel(2)
    assert bench.compiled(two) == {"kernel/main.o"}
    assert len({base.key, one.key, two.key}) == 3


def test_an_identical_kernel_is_built_from_nothing_elsewhere(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = bench.kernel(2)
    elsewhere = Cache(tmp_path / "other")
    other = Bench(tmp_path / "b", toy_tree(elsewhere, monkeypatch), elsewhere)
    there = other.kernel(2)
    assert there.key == here.key
    assert there.image_sha256 == here.image_sha256


def test_an_image_does_not_tell_where_it_was_built_nor_whether_ccache_was_there(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = bench.kernel(0)
    content = kernel.image.read_bytes()
    assert b"kernel/main.c\0" in content
    assert b"/kernel/main.c" not in content
    found = find_toolchain(bench.arch)
    monkeypatch.setattr(build, "find_toolchain", lambda _: replace(found, ccache=not found.ccache))
    other = Cache(tmp_path / "other")
    again = build_kernel(bench.tree, bench.series, 0, bench.arch, bench.fragments, other, ignore)
    assert not again.reused
    assert again.key == kernel.key
    assert again.image_sha256 == kernel.image_sha256


def test_every_input_changes_the_key(bench: Bench) -> None:
    base = bench.kernel(0).key
    more = fragment(bench.folder / "kconfigs", "more", "CONFIG_FEATURE=y\n")
    bench.fragments += (more,)
    wider = bench.kernel(0)
    assert wider.key != base
    assert "kernel/feature.o" in bench.compiled(wider)
    bench.arch = replace(bench.arch, make_targets=("vmlinux", "Image"))
    assert bench.kernel(0).key not in (base, wider.key)


def test_comments_and_order_of_fragments_build_nothing(bench: Bench) -> None:
    one = fragment(bench.folder / "kconfigs", "one", "CONFIG_FEATURE=y\n")
    bench.fragments += (one,)
    bench.kernel(0)
    one.write_text("# A word.\nCONFIG_FEATURE=y\n")
    bench.fragments = bench.fragments[::-1]
    assert bench.kernel(0).reused


def test_a_config_is_of_its_fragments_not_of_what_was_there_before(bench: Bench) -> None:
    with_number = fragment(bench.folder / "kconfigs", "n", "CONFIG_NUMBER=9\n")
    plain = bench.fragments
    bench.fragments = (*plain, with_number)
    assert "CONFIG_NUMBER=9" in bench.kernel(0).config.read_text()
    bench.fragments = plain
    assert "CONFIG_NUMBER=4" in bench.kernel(0).config.read_text()


def test_a_position_that_changes_kconfig_is_configured_from_nothing(bench: Bench) -> None:
    writer = PatchWriter(bench.folder / "defaults")
    writer.add("another-default", "Kconfig", "\tdefault 4\n", "\tdefault 5\n")
    bench.series = writer.series()
    numbers = [
        [
            line
            for line in bench.kernel(position).config.read_text().splitlines()
            if "NUMBER" in line
        ]
        for position in (0, 1)
    ]
    assert numbers == [["CONFIG_NUMBER=4"], ["CONFIG_NUMBER=5"]]


# ---------------------------------------------------------------- failures


def test_a_dropped_symbol_names_its_unmet_dependency(bench: Bench) -> None:
    bench.fragments = (
        fragment(bench.folder / "kconfigs", "broken", "CONFIG_FEATURE=y\nCONFIG_NOTHERE=y\n"),
    )
    with pytest.raises(UserError) as caught:
        bench.kernel(0)
    assert "CONFIG_FEATURE=y (broken.config)" in caught.value.what
    assert "unmet: SWITCH [=n]" in caught.value.what
    assert "\n" not in caught.value.what
    assert "CONFIG_NOTHERE=y" in caught.value.detail
    assert "no such symbol in this kernel" in caught.value.detail


def test_fragments_that_contradict_each_other_are_refused(bench: Bench) -> None:
    other = fragment(bench.folder / "kconfigs", "other", "# CONFIG_SWITCH is not set\n")
    bench.fragments += (other,)
    with pytest.raises(
        UserError, match=r"base\.config and other\.config.*CONFIG_SWITCH is y and n"
    ):
        bench.kernel(0)


def failing(bench: Bench) -> None:
    writer = PatchWriter(bench.folder / "failing")
    writer.add("breaks", VMALLOC, "\treturn size;", "\treturn sise;")
    writer.add("mends", VMALLOC, "\treturn sise;", "\treturn size + 2;")
    bench.series = writer.series()


def test_a_failing_compile_shows_the_compilers_own_first_error(bench: Bench) -> None:
    failing(bench)
    with pytest.raises(BuildError) as caught:
        bench.kernel(1)
    assert "position 1" in caught.value.what
    assert "mm/vmalloc.c:9:" in caught.value.what
    assert "error: 'sise' undeclared" in caught.value.what
    assert "In function" in caught.value.detail
    assert "return sise;" in caught.value.detail
    assert str(bench.cache.root) not in caught.value.what + caught.value.detail
    log = Path(caught.value.hint.removeprefix("full log: "))
    assert "sise" in log.read_text()


def test_after_a_failing_position_the_next_one_builds(bench: Bench) -> None:
    failing(bench)
    with pytest.raises(BuildError):
        bench.kernel(1)
    assert not bench.kernel(2).reused


def test_warnings_of_objects_made_earlier_are_still_told(bench: Bench) -> None:
    writer = PatchWriter(bench.folder / "warning")
    writer.add("warns", VMALLOC, "\tint sum = 0;", "\tint unused, sum = 0;")
    writer.add("elsewhere", HEADER, "TOY_LIMIT 16", "TOY_LIMIT 17")
    writer.add("mends", VMALLOC, "\tint unused, sum = 0;", "\tint sum = 0;")
    bench.series = writer.series()
    assert bench.kernel(0).warnings == ()
    (warning,) = bench.kernel(1).warnings
    assert warning.startswith("mm/vmalloc.c:")
    assert "unused variable" in warning
    two = bench.kernel(2)
    assert "mm/vmalloc.o" not in bench.compiled(two)
    assert two.warnings == (warning,)
    assert bench.kernel(3).warnings == ()


def test_an_image_that_make_does_not_yield_is_told(bench: Bench) -> None:
    bench.arch = replace(bench.arch, image="arch/toy/boot/zImage")
    with pytest.raises(BuildError, match=r"no arch/toy/boot/zImage"):
        bench.kernel(0)


def test_a_missing_compiler_is_named(bench: Bench) -> None:
    bench.arch = replace(bench.arch, triplet="mips-none-elf", cross_packages=("gcc-mips",))
    with pytest.raises(InfraError, match="'mips-none-elf-gcc' is not installed") as caught:
        bench.kernel(0)
    assert "gcc-mips" in caught.value.hint


def test_a_damaged_kernel_is_built_again(bench: Bench) -> None:
    kernel = bench.kernel(0)
    kernel.image.write_bytes(b"half")
    again = bench.kernel(0)
    assert not again.reused
    assert again.image_sha256 == kernel.image_sha256
    assert again.image.read_bytes() != b"half"


def flip(file: Path) -> None:
    """Flip one bit in the middle of *file*; its size stays."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_in_an_image_is_noticed_told_and_built_again(bench: Bench) -> None:
    kernel = bench.kernel(0)
    flip(kernel.image)
    again = bench.kernel(0)
    assert not again.reused
    assert sha256_of(again.image) == again.image_sha256 == kernel.image_sha256
    (note,) = bench.notes
    assert "damaged (the content of Image is not what was written)" in note
    assert bench.kernel(0).reused
    assert bench.notes == []


def test_damaged_headers_of_a_kernel_are_made_again(bench: Bench) -> None:
    kernel = bench.kernel(0)
    header = kernel.kit / "source" / HEADER
    good = header.read_bytes()
    header.unlink()  # it is linked to the source: another file in its place
    header.write_bytes(good.replace(b"16", b"61"))
    assert bench.kernel(0).reused  # looked at once per process
    kernel_kit.forget_headers()
    again = bench.kernel(0)
    assert not again.reused
    assert header.read_bytes() == good
    assert bench.kernel(0).reused


def test_a_work_tree_made_anew_is_built_anew(bench: Bench) -> None:
    """Pristine files are older than objects made of patched ones: make would believe those."""
    bench.kernel(1)
    (state,) = bench.cache.work.glob("*/*/state.json")
    state.unlink()
    kernel = bench.kernel(0)
    assert "mm/vmalloc.o" in bench.compiled(kernel)


def test_a_build_folder_whose_make_was_killed_starts_anew(bench: Bench) -> None:
    bench.kernel(0)
    (out,) = bench.cache.work.glob("*/*/build-toy-*")
    # As after a kill: an object that is newer than its source, and half-written.
    (out / "mm/vmalloc.o").write_bytes(b"")
    (out / MARKER).touch()
    one = bench.kernel(1)
    assert "kernel/main.o" in bench.compiled(one)
    assert any("starts anew" in note for note in bench.notes)
    assert not (out / MARKER).exists()


def test_ctrl_c_ends_make_and_its_compilers_and_keeps_no_half_result(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A compiler that says who it is and then takes its time.
    pids = tmp_path / "pids"
    slow = tmp_path / "bin" / f"{bench.arch.triplet}-gcc"
    slow.parent.mkdir()
    slow.write_text(
        '#!/bin/sh\ncase "$*" in *vmalloc.c*)\n'
        f"echo $$ >> {pids}; sleep 60 & echo $! >> {pids}; wait;; esac\n"
        f'exec /usr/bin/{bench.arch.triplet}-gcc "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")

    def press() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if pids.exists() and len(pids.read_text().split()) == 2:
                break
            time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        bench.kernel(0)
    presser.join()
    for pid in pids.read_text().split():
        assert (
            not Path("/proc", pid).exists()
            or "Z" in Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
        )
    assert list(bench.cache.store.glob("kernel/*")) == []
    monkeypatch.undo()
    monkeypatch.setenv("TOYKERNEL_PYTHON", sys.executable)
    assert not bench.kernel(0).reused


# ---------------------------------------------------------------- kit and modules


@pytest.fixture
def include(tmp_path: Path) -> Path:
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "shared.h").write_text("#define SHARED 7\n")
    return folder


def test_a_kit_holds_what_modules_need_and_little_else(bench: Bench) -> None:
    kit = bench.kernel(0).kit
    for name in (
        "Makefile", ".config", "Module.symvers", "include/generated/autoconf.h", "scripts/stamp",
        "include/config/auto.conf", "arch/toy/include/generated/toy.h", f"source/{HEADER}",
        "source/arch/toy/include/asm/toy.h", "source/scripts/Makefile.module", "source/Makefile",
    ):  # fmt: skip
        assert (kit / name).is_file(), name
    for name in ("include/config/FEATURE", "scripts/stamp.o", "kernel", "source/mm"):
        assert not (kit / name).exists(), name


def test_headers_are_shared_until_a_patch_touches_them(bench: Bench) -> None:
    base, one, two = (bench.kernel(position).kit / "source" for position in (0, 1, 2))
    assert base.resolve() == one.resolve()
    assert one.resolve() != two.resolve()
    assert "TOY_LIMIT 32" in (two / HEADER).read_text()
    assert "TOY_LIMIT 16" in (base / HEADER).read_text()


def test_make_in_the_kit_itself_builds_a_module(bench: Bench, include: Path) -> None:
    kit = bench.kernel(0).kit
    test = toy_test(bench.folder, "handmade")
    (bench.folder / "Kbuild").write_text("obj-m += handmade/\n")
    done = subprocess.run(
        ("make", "-C", kit, f"M={bench.folder}", f"KCFLAGS=-I{include}", "ARCH=toy",
         "CC=gcc", f"CROSS_COMPILE={bench.arch.triplet}-", "modules"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (test.folder / "handmade.ko").is_file()


def test_modules_are_built_against_their_kernel_wherever_the_tree_is_now(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    base = bench.kernel(0)
    bench.kernel(2)
    body = "#if TOY_LIMIT != 16\n#error wrong headers\n#endif\nint f(void) { return SHARED; }\n"
    test = toy_test(tmp_path / "tests", "one", body)
    modules = build_modules(base, bench.arch, (test,), include, bench.cache, ignore)
    assert modules["one"].name == "one.ko"
    assert modules["one"].stat().st_size > 0
    assert sorted(file.name for file in test.folder.iterdir()) == ["Kbuild", "one.c"]


def test_one_edited_test_builds_only_itself(bench: Bench, include: Path, tmp_path: Path) -> None:
    kernel = bench.kernel(0)
    tests = tuple(toy_test(tmp_path / "tests", name) for name in ("one", "two"))

    def modules() -> dict[str, Path]:
        return build_modules(kernel, bench.arch, tests, include, bench.cache, bench.events.append)

    first = modules()
    bench.events.clear()
    assert modules() == first
    assert bench.events == []

    (tests[1].folder / "two.c").write_text("int other;\n")
    second = modules()
    assert second["one"] == first["one"]
    assert second["two"] != first["two"]
    stages = [event.text for event in bench.events if isinstance(event, Stage)]
    assert stages
    assert not any("one" in text for text in stages)

    (include / "shared.h").write_text("#define SHARED 8\n")
    assert modules()["one"] != first["one"]


def test_a_module_that_does_not_compile_is_told_as_a_kernel_is(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    kernel = bench.kernel(0)
    tests = (
        toy_test(tmp_path / "tests", "one"),
        toy_test(tmp_path / "tests", "bad", "int f = x;\n"),
    )
    with pytest.raises(BuildError) as caught:
        build_modules(kernel, bench.arch, tests, include, bench.cache, ignore)
    assert "bad/bad.c:3:" in caught.value.what
    assert "error: 'x' undeclared" in caught.value.what
    assert Path(caught.value.hint.removeprefix("full log: ")).is_file()
    assert list(bench.cache.work.glob("modules-*")) == []


def test_a_kbuild_that_makes_another_module_is_told(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    kernel = bench.kernel(0)
    test = replace(toy_test(tmp_path / "tests", "one"), module="uno")
    with pytest.raises(BuildError, match=r"'one' made no uno\.ko") as caught:
        build_modules(kernel, bench.arch, (test,), include, bench.cache, ignore)
    assert "one.ko" in caught.value.hint


def test_a_test_without_a_kbuild_is_told(bench: Bench, include: Path, tmp_path: Path) -> None:
    kernel = bench.kernel(0)
    test = toy_test(tmp_path / "tests", "one")
    (test.folder / "Kbuild").unlink()
    with pytest.raises(UserError, match="'one' has no Kbuild"):
        build_modules(kernel, bench.arch, (test,), include, bench.cache, ignore)


def test_messages_of_a_module_name_its_source_not_the_copy(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    kernel = bench.kernel(0)
    test = toy_test(tmp_path / "tests", "one", "const char *f(void) { return __FILE__; }\n")
    modules = build_modules(kernel, bench.arch, (test,), include, bench.cache, ignore)
    content = modules["one"].read_bytes()
    assert b"one/one.c" in content
    assert b"/one/one.c" not in content
    assert str(bench.cache.root).encode() not in content


# ---------------------------------------------------------------- programs


def test_a_program_is_static_and_compiled_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "main.c").write_text('#include "say.h"\nint main(void) { return say(); }\n')
    (folder / "say.c").write_text('#include "say.h"\nint say(void) { return 42; }\n')
    (folder / "say.h").write_text("int say(void);\n")
    program = build_program(bench.arch, folder, bench.cache, ignore)
    assert program.name == "hello"
    assert subprocess.run((program,), check=False).returncode == 42
    with program.open("rb") as file:
        segments = {segment["p_type"] for segment in ELFFile(file).iter_segments()}
    assert "PT_LOAD" in segments
    assert "PT_INTERP" not in segments

    def never(*_: object) -> None:
        raise AssertionError("compiled again")

    with monkeypatch.context() as patched:
        patched.setattr(guest_build, "_compile", never)
        assert build_program(bench.arch, folder, bench.cache, ignore) == program
    (folder / "say.h").write_text("int say(void);\n/* edited */\n")
    assert build_program(bench.arch, folder, bench.cache, ignore) != program


def test_a_program_that_does_not_compile_is_told(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "main.c").write_text("int main(void)\n{\n\tint unused;\n\treturn 0;\n}\n")
    with pytest.raises(BuildError, match=r"main\.c:3:.*unused variable") as caught:
        build_program(bench.arch, folder, bench.cache, ignore)
    assert "error: unused variable" in caught.value.detail
    assert Store(bench.cache.store).get("program", "x") is None
    with pytest.raises(UserError, match="no C file"):
        build_program(bench.arch, tmp_path / "none", bench.cache, ignore)


def test_meta_says_what_the_kernel_was_made_of(bench: Bench) -> None:
    kernel = bench.kernel(0)
    meta = json.loads((kernel.path / "meta.json").read_text())
    assert meta["tree_version"] == "5.10.99"
    assert meta["compiler"] == kernel.compiler
    assert meta["linker"]

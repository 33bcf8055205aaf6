# SPDX-License-Identifier: GPL-2.0-only
"""Kernels, built from the toy kernel tree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import kernel as kernel_module
from harness.build import kernel_devel
from harness.build.kbuild import MARKER, Kbuild
from harness.build.kernel import build_kernel
from harness.build.toolchain import find_toolchain
from harness.cache.store import Store
from harness.host.files import sha256_of
from harness.host.paths import Cache
from harness.model.errors import BuildError, InfraError, UserError
from harness.model.events import Stage
from tests.integration.toy import (
    HEADER,
    VMALLOC,
    Bench,
    PatchWriter,
    fragment,
    ignore,
    toy_tree,
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    cache = Cache(tmp_path / "cache")
    return Bench(tmp_path, toy_tree(cache, monkeypatch), cache)


# ---------------------------------------------------------------- kernels


def test_kernel_comes_with_all_its_files(bench: Bench) -> None:
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


def test_progress_of_a_build_is_reported_and_ends(bench: Bench) -> None:
    bench.kernel(0)
    stages = [e for e in bench.events if isinstance(e, Stage) and e.key == "build toy p0"]
    assert stages[-1].finished
    assert any(stage.done for stage in stages)


def test_kernel_gone_right_after_its_put_is_an_error_of_the_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put

    def put_and_lost(store: Store, kind: str, key: str, fill: Callable[[Path], None]) -> Path:
        folder = put(store, kind, key, fill)
        if kind == kernel_module.KERNEL:
            shutil.rmtree(folder)
        return folder

    monkeypatch.setattr(Store, "put", put_and_lost)
    with pytest.raises(InfraError, match="does not keep what is written"):
        bench.kernel(0)


def test_kernel_in_the_store_runs_no_make(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.kernel(1)

    def no_make(*_: object, **__: object) -> None:
        raise AssertionError("make was run")

    monkeypatch.setattr(Kbuild, "make", no_make)
    # Not even the work tree, nor the tree it is made from.
    monkeypatch.setattr(kernel_module, "WorkTree", no_make)
    second = bench.kernel(1)
    assert second.reused
    assert replace(second, reused=False) == first


def test_kernel_of_the_next_position_rebuilds_only_what_changed(bench: Bench) -> None:
    base = bench.kernel(0)
    one = bench.kernel(1)
    assert bench.compiled(one) == {"mm/vmalloc.o"}
    assert one.image_sha256 != base.image_sha256
    two = bench.kernel(2)
    assert bench.compiled(two) == {"kernel/main.o"}
    assert len({base.key, one.key, two.key}) == 3


def test_kernel_of_another_series_on_the_same_base_rebuilds_only_what_differs(
    bench: Bench, tmp_path: Path
) -> None:
    bench.kernel(1)
    writer = PatchWriter(tmp_path / "git-linux")
    writer.add("one", VMALLOC, "\treturn -1;", "\treturn -13;")
    bench.series = writer.series()
    assert bench.compiled(bench.kernel(1)) == {"mm/vmalloc.o"}
    assert len(list(bench.cache.work.glob("*/*/tree"))) == 1


def test_kernel_built_elsewhere_is_identical(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = bench.kernel(2)
    elsewhere = Cache(tmp_path / "other")
    other = Bench(tmp_path / "b", toy_tree(elsewhere, monkeypatch), elsewhere)
    there = other.kernel(2)
    assert there.key == here.key
    assert there.image_sha256 == here.image_sha256


def test_image_is_the_same_in_any_folder_with_or_without_ccache(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = bench.kernel(0)
    content = kernel.image.read_bytes()
    assert b"kernel/main.c\0" in content
    assert b"/kernel/main.c" not in content
    found = find_toolchain(bench.arch)
    monkeypatch.setattr(
        kernel_module, "find_toolchain", lambda _: replace(found, ccache=not found.ccache)
    )
    other = Cache(tmp_path / "other")
    again = build_kernel(bench.tree, bench.series, 0, bench.arch, bench.fragments, other, ignore)
    assert not again.reused
    assert again.key == kernel.key
    assert again.image_sha256 == kernel.image_sha256


def test_key_changes_with_every_input(bench: Bench) -> None:
    base = bench.kernel(0).key
    more = fragment(bench.folder / "kconfigs", "more", "CONFIG_FEATURE=y\n")
    bench.fragments += (more,)
    wider = bench.kernel(0)
    assert wider.key != base
    assert "kernel/feature.o" in bench.compiled(wider)
    bench.arch = replace(bench.arch, make_targets=("vmlinux", "Image"))
    assert bench.kernel(0).key not in (base, wider.key)


def test_key_is_the_same_for_other_comments_and_order_of_fragments(bench: Bench) -> None:
    one = fragment(bench.folder / "kconfigs", "one", "CONFIG_FEATURE=y\n")
    bench.fragments += (one,)
    bench.kernel(0)
    one.write_text("# A word.\nCONFIG_FEATURE=y\n")
    bench.fragments = bench.fragments[::-1]
    assert bench.kernel(0).reused


def test_config_depends_on_its_fragments_alone(bench: Bench) -> None:
    with_number = fragment(bench.folder / "kconfigs", "n", "CONFIG_NUMBER=9\n")
    plain = bench.fragments
    bench.fragments = (*plain, with_number)
    assert "CONFIG_NUMBER=9" in bench.kernel(0).config.read_text()
    bench.fragments = plain
    assert "CONFIG_NUMBER=4" in bench.kernel(0).config.read_text()


def test_config_at_a_position_that_changes_kconfig_is_made_again(bench: Bench) -> None:
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


def test_dropped_symbol_names_its_unmet_dependency(bench: Bench) -> None:
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


def test_fragments_in_contradiction_are_refused(bench: Bench) -> None:
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


def test_failing_compile_shows_the_compilers_first_error(bench: Bench) -> None:
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


def test_kernel_after_a_failing_position_builds(bench: Bench) -> None:
    failing(bench)
    with pytest.raises(BuildError):
        bench.kernel(1)
    assert not bench.kernel(2).reused


def test_warnings_of_objects_made_earlier_are_kept(bench: Bench) -> None:
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


def test_missing_image_after_make_is_an_error(bench: Bench) -> None:
    bench.arch = replace(bench.arch, image="arch/toy/boot/zImage")
    with pytest.raises(BuildError, match=r"no arch/toy/boot/zImage"):
        bench.kernel(0)


def test_missing_compiler_is_named(bench: Bench) -> None:
    bench.arch = replace(bench.arch, triplet="mips-none-elf", cross_packages=("gcc-mips",))
    with pytest.raises(InfraError, match="'mips-none-elf-gcc' is not installed") as caught:
        bench.kernel(0)
    assert "gcc-mips" in caught.value.hint


def test_damaged_kernel_is_built_again(bench: Bench) -> None:
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


def test_flipped_bit_in_an_image_is_reported_and_built_again(bench: Bench) -> None:
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
    kernel_devel.forget_headers()
    again = bench.kernel(0)
    assert not again.reused
    assert header.read_bytes() == good
    assert bench.kernel(0).reused


def test_kernel_of_a_new_work_tree_is_built_from_nothing(bench: Bench) -> None:
    """Pristine files are older than objects made of patched ones: make would believe those."""
    bench.kernel(1)
    (state,) = bench.cache.work.glob("*/*/state.json")
    state.unlink()
    kernel = bench.kernel(0)
    assert "mm/vmalloc.o" in bench.compiled(kernel)


def test_build_folder_of_a_killed_make_starts_anew(bench: Bench) -> None:
    bench.kernel(0)
    (out,) = bench.cache.work.glob("*/*/build-toy-*")
    # As after a kill: an object that is newer than its source, and half-written.
    (out / "mm/vmalloc.o").write_bytes(b"")
    (out / MARKER).touch()
    one = bench.kernel(1)
    assert "kernel/main.o" in bench.compiled(one)
    assert any("starts anew" in note for note in bench.notes)
    assert not (out / MARKER).exists()


def test_ctrl_c_ends_make_with_its_compilers_and_keeps_nothing(
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

    over = threading.Event()

    def press() -> None:
        while not over.wait(0.05):
            if pids.exists() and len(pids.read_text().split()) == 2:
                signal.raise_signal(signal.SIGINT)
                return

    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            bench.kernel(0)
    finally:
        # A build that fails early must not let the key be pressed in some later test.
        over.set()
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


def test_meta_names_the_inputs_of_the_kernel(bench: Bench) -> None:
    kernel = bench.kernel(0)
    meta = json.loads((kernel.path / "meta.json").read_text())
    assert meta["tree_version"] == "5.10.99"
    assert meta["compiler"] == kernel.compiler
    assert meta["linker"]

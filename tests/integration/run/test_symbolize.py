# SPDX-License-Identifier: GPL-2.0-only
"""From a splat's frames to file and line, by a real compiler, nm and addr2line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.debug_object import compile_again, source_view
from harness.model.results import Frame, Place, Splat
from harness.model.values import SplatKind
from harness.run import symbolize as decoding
from harness.run.symbolize import MAX_SPLATS, decode
from harness.source.apply import Content
from tests.integration.toydebug import (
    CFLAGS,
    GATE,
    HEADER,
    POOL,
    SET_UP,
    SOURCES,
    Built,
    after_call,
    line_of,
)


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Built]:
    yield Built(tmp_path)
    decoding._known.clear()
    decoding._owners.clear()


def splat(*lines: str) -> Splat:
    return Splat(SplatKind.WARNING, "WARNING", "\n".join(lines), 1)


def frames(built: Built, *lines: str, module: Path | None = None) -> tuple[Frame, ...]:
    modules = () if module is None else (module,)
    (decoded,) = decode([splat("Call Trace:", *lines)], built.source, *modules)
    return decoded.frames


def places(built: Built, *lines: str, module: Path | None = None) -> list[tuple[Place, ...]]:
    return [frame.places for frame in frames(built, *lines, module=module)]


# ---------------------------------------------------------------- the kernel


def inlined(built: Built, inner: str) -> tuple[Place, ...]:
    pool = built.text(POOL)
    return (
        Place("pass", HEADER, line_of(SOURCES[HEADER], inner)),
        Place("pool_take", POOL, line_of(pool, "\tpass(n);")),
    )


def test_decode_call_gives_line_with_inlined_functions(built: Built) -> None:
    (frame,) = frames(built, f" {built.take()}")
    assert frame.symbol == built.take()
    assert (frame.module, frame.line, frame.exact) == ("", 2, False)
    assert frame.places == inlined(built, "\tgate(n);")
    assert line_of(built.text(POOL), "\tpass(n);") == line_of(SOURCES[POOL], "\tpass(n);") + 3


def test_decode_init_function_that_the_build_folder_has_no_more(built: Built) -> None:
    frame = f"RIP: 0010:set_up+0x0/{built.size('set_up'):#x}"
    expected = (Place("set_up", POOL, line_of(built.text(POOL), SET_UP)),)
    built.go_on()
    assert places(built, frame, f" {built.take()}") == [expected, inlined(built, "\tgate(n);")]


def test_decode_looks_at_most_limit_where_processor_stood_first(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_OBJECTS", 1)
    monkeypatch.setattr(decoding, "BUDGET_S", 0.0)
    other, exact = f" gate+0x1/{built.size('gate'):#x}", f"RIP: 0010:{built.take()}"
    first, second = frames(built, other, exact)
    assert (first.places, second.places[-1].file) == ((), POOL)


def test_where_the_processor_stood_is_not_where_a_call_returns_to(built: Built) -> None:
    (exact,) = frames(built, f"RIP: 0010:{built.take()}")
    assert exact.exact
    assert exact.places != inlined(built, "\tgate(n);")
    assert exact.places[-1].file == POOL


def test_decode_tells_same_named_functions_by_size(built: Built) -> None:
    sizes = {built.size("size_of", 0), built.size("size_of", 1)}
    assert len(sizes) == 2
    found = places(built, *(f" size_of+0x1/{size:#x}" for size in sizes))
    assert {some[-1].file for some in found} == {POOL, GATE}
    assert all(some[-1].function == "size_of" for some in found)


@pytest.mark.parametrize(
    "frame",
    [
        "no_such_function+0x4/0x40",
        "pool_take+0x4/0x7fff",  # longer than it is here: of another kernel
        "size_of+0x1/0x7ff",
        "taken+0x0/0x4",  # data
        "pool_take.$(touch${IFS}owned)+0x1/0x2",
    ],
)
def test_decode_of_unknown_function_gives_no_place(built: Built, frame: str) -> None:
    found = frames(built, f" {frame}", f" {built.take()}")
    assert found[-1].places == inlined(built, "\tgate(n);")
    assert all(one.places == () for one in found[:-1])
    assert not list(built.build.parent.rglob("owned"))


def test_nothing_is_written_into_the_build_folder(built: Built) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        files = [path for path in built.build.parent.rglob("*") if path.is_file()]
        return {f: (f.stat().st_mtime_ns, f.stat().st_ino) for f in files}

    before = state()
    assert places(built, f" {built.take()}") != [()]
    assert state() == before


def test_decode_leaves_splats_beyond_limit(built: Built) -> None:
    many = [splat(f" {built.take()}")] * (MAX_SPLATS + 2)
    decoded = decode(many, built.source)
    assert len(decoded) == len(many)
    assert all(one.frames[0].places for one in decoded[:MAX_SPLATS])
    assert decoded[MAX_SPLATS:] == tuple(many[MAX_SPLATS:])


# ---------------------------------------------------------------- what is compiled anew


def test_debug_object_is_kept(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places(built, f" {built.take()}") == [inlined(built, "\tgate(n);")]
    monkeypatch.setattr(decoding, "MAX_OBJECTS", 0)
    (built.build / "mm/.pool.o.cmd").write_text("nothing of use\n")
    assert places(built, f" {built.take()}") == [inlined(built, "\tgate(n);")]


def test_debug_object_that_fails_is_not_tried_again(built: Built) -> None:
    good = (built.build / "mm/.pool.o.cmd").read_text()
    built.remember(POOL, " ".join(built.command(POOL, "-include", "absent.h")))
    assert places(built, f" {built.take()}") == [()]
    (built.build / "mm/.pool.o.cmd").write_text(good)
    assert places(built, f" {built.take()}") == [()]


@pytest.mark.parametrize(
    "command",
    [
        "gcc -O0 {rest}",  # compiles, to a function of another length
        "clang {rest}",
        "gcc 'unbalanced {rest}",
        "touch owned ; gcc {rest}",
        "",
    ],
)
def test_another_command_than_the_kernels_is_not_believed(built: Built, command: str) -> None:
    words = [word for word in built.command(POOL)[1:] if word != "-O2"]
    built.remember(POOL, command.format(rest=" ".join(words)))
    assert places(built, f" {built.take()}") == [()]
    assert not list(built.build.parent.rglob("owned"))


def test_a_command_through_ccache_is_the_compilers(built: Built) -> None:
    built.remember(POOL, " ".join(("/usr/bin/ccache", *built.command(POOL))))
    assert places(built, f" {built.take()}") == [inlined(built, "\tgate(n);")]


def test_damaged_debug_object_hides_no_other(built: Built) -> None:
    (built.build / "mm/aaa.o").write_bytes(b"\x7fELF nonsense")
    (built.build / "mm/.aaa.o.cmd").write_text("savedcmd_mm/aaa.o := gcc\n")
    assert places(built, f" {built.take()}") == [inlined(built, "\tgate(n);")]


# ---------------------------------------------------------------- modules


def pins(folder: Path, *flags: str) -> Path:
    """Compile a module as guest_build does, its debug info beside it; return the module."""
    text = "int pins_fall(int n);\nint pins_init(int n)\n{\n\treturn pins_fall(n) + 1;\n}\n"
    source = folder / "modules" / "ten-pins" / "pins.c"
    source.parent.mkdir(parents=True)
    source.write_text(text)
    module = folder / "ten-pins.ko"
    flags = ("-g", f"-ffile-prefix-map={source.parents[1]}/=", *CFLAGS, *flags)
    kit = folder / "kit"  # what a module is built against, and in
    kit.mkdir()
    subprocess.run(("gcc", *flags, "-c", "-o", module, source), check=True, cwd=kit)
    shutil.copyfile(module, module.with_suffix(".debug"))
    return module


def in_module(module: Path, name: str = "ten_pins") -> str:
    offset = after_call(module, "pins_init", "pins_fall")
    return f" pins_init+{offset:#x}/0xfff [{name}]"


FELL = (Place("pins_init", "ten-pins/pins.c", 4),)


def test_decode_frame_of_module_gives_source(built: Built, tmp_path: Path) -> None:
    module = pins(tmp_path)
    (frame, kernels) = frames(built, in_module(module), f" {built.take()}", module=module)
    assert (frame.module, frame.places) == ("ten_pins", FELL)
    assert kernels.places == inlined(built, "\tgate(n);")


def test_compressed_debug_info_is_read(built: Built, tmp_path: Path) -> None:
    module = pins(tmp_path, "-gz")
    assert places(built, in_module(module), module=module) == [FELL]


@pytest.mark.parametrize(
    "line",
    [
        " pins_init+0x9/0xfff [another]",
        " pins_fall+0x1/0xfff [ten_pins]",  # it calls that, and does not have it
        " pool_take+0x1/0xfff [ten_pins]",  # the kernel's
    ],
)
def test_a_frame_of_no_module_of_ours_is_no_place(built: Built, tmp_path: Path, line: str) -> None:
    assert places(built, line, module=pins(tmp_path)) == [()]


@pytest.mark.parametrize("damage", [None, b"", b"\x7fELF", b"nonsense" * 99, "half"])
def test_decode_without_debug_info_gives_no_place(
    built: Built, tmp_path: Path, damage: bytes | str | None
) -> None:
    module = pins(tmp_path)
    debug = module.with_suffix(".debug")
    whole = debug.read_bytes()
    debug.unlink()
    if damage is not None:
        half = whole[: len(whole) // 2]
        debug.write_bytes(damage if isinstance(damage, bytes) else half)
    found = places(built, in_module(module), f" {built.take()}", module=module)
    assert found == [(), inlined(built, "\tgate(n);")]


def test_decode_without_module_gives_no_place(built: Built, tmp_path: Path) -> None:
    assert places(built, in_module(pins(tmp_path))) == [()]


# ---------------------------------------------------------------- what is gone


def spoiled(built: Built, what: str) -> None:
    """Take away or damage a part of what decoding reads."""
    match what:
        case "no vmlinux":
            built.vmlinux.unlink()
        case "an empty one":
            built.vmlinux.write_bytes(b"")
        case "nonsense":
            built.vmlinux.write_bytes(b"\x7fELF" + bytes(range(256)) * 9)
        case "half of it":
            built.vmlinux.write_bytes(built.vmlinux.read_bytes()[:900])
        case "no build folder":
            shutil.rmtree(built.build)
        case "no pristine tree":
            shutil.rmtree(built.source.tree.path)
        case "a patch that does not apply":
            built.source.series.patches[0].file.write_text(
                "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
            )


@pytest.mark.parametrize(
    "what",
    [
        "no vmlinux", "an empty one", "nonsense", "half of it", "no build folder",
        "no pristine tree", "a patch that does not apply",
    ],
)  # fmt: skip
def test_decode_with_lost_build_keeps_module_places(
    built: Built, tmp_path: Path, what: str
) -> None:
    module, take = pins(tmp_path), built.take()
    spoiled(built, what)
    decoded = frames(built, in_module(module), f" {take}", module=module)
    assert [frame.places for frame in decoded] == [FELL, ()]
    assert decoded[1].symbol == take


def test_decode_without_tool_gives_no_place(built: Built, tmp_path: Path) -> None:
    module, take = pins(tmp_path), built.take()
    built.source = replace(built.source, arch=replace(built.source.arch, triplet="no-such"))
    assert places(built, in_module(module), f" {take}", module=module) == [(), ()]


# ---------------------------------------------------------------- the tree that is compiled


def test_a_view_has_the_contents_and_all_else_as_links(tmp_path: Path) -> None:
    pristine = tmp_path / "pristine"
    for name in ("mm/a.c", "mm/b.c", "mm/deep/c.c", "lib/d.c", "gone.c"):
        (pristine / name).parent.mkdir(parents=True, exist_ok=True)
        (pristine / name).write_text(f"{name}\n")
    view = source_view(
        pristine,
        {
            "mm/a.c": Content(b"changed\n"),
            "new/e.c": Content(b"new\n"),
            "lib/link": Content(b"d.c", link=True),
            "gone.c": None,
        },
        tmp_path / "view",
    )
    seen = {
        str(Path(folder, file).relative_to(view)): Path(folder, file).read_text()
        for folder, _, files in os.walk(view, followlinks=True)
        for file in files
    }
    assert seen == {
        "mm/a.c": "changed\n",
        "mm/b.c": "mm/b.c\n",
        "mm/deep/c.c": "mm/deep/c.c\n",
        "lib/d.c": "lib/d.c\n",
        "lib/link": "lib/d.c\n",
        "new/e.c": "new\n",
    }
    assert (view / "mm/deep").is_symlink()
    assert (pristine / "mm/a.c").read_text() == "mm/a.c\n"
    assert source_view(pristine, {}, tmp_path / "other") == pristine


def test_an_object_without_a_folder_or_a_command_is_told(built: Built, tmp_path: Path) -> None:
    into = tmp_path / "object.o"
    for build in (tmp_path / "gone", built.build):
        with pytest.raises(FileNotFoundError):
            compile_again(build, "mm/absent.o", built.source.tree.path, into, 60.0)
    assert not into.exists()

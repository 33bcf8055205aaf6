# SPDX-License-Identifier: GPL-2.0-only
"""Modules and programs of guest tests, built for kernels of the toy tree."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from harness.build import modules
from harness.build.modules import build_each, build_modules, build_program
from harness.cache.store import Store
from harness.host.paths import Cache
from harness.model.errors import BuildError, UserError
from harness.model.events import Stage
from tests.integration.toy import (
    HEADER,
    Bench,
    ignore,
    toy_test,
    toy_tree,
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    cache = Cache(tmp_path / "cache")
    return Bench(tmp_path, toy_tree(cache, monkeypatch), cache)


# ---------------------------------------------------------------- kit and modules


@pytest.fixture
def include(tmp_path: Path) -> Path:
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "shared.h").write_text("#define SHARED 7\n")
    return folder


def test_kit_holds_the_needs_of_modules_and_little_else(bench: Bench) -> None:
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


def test_modules_are_built_against_their_kernel_at_any_position_of_the_tree(
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


def test_edited_test_builds_only_itself(bench: Bench, include: Path, tmp_path: Path) -> None:
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


def test_modules_link_what_they_name_of_the_library_which_is_compiled_once(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    kernel = bench.kernel(0)
    (include / "harness").mkdir()
    for name in ("add", "sub"):
        (include / "harness" / f"{name}.c").write_text(f"int {name}(void) {{ return 1; }}\n")
    (include / "harness" / "objects.mk").write_text("adding := harness/add.o\n")

    def modules(name: str) -> Path:
        test = toy_test(tmp_path / "tests", name)
        (test.folder / "main.c").write_text("int add(void);\nint f(void) { return add(); }\n")
        (test.folder / "Kbuild").write_text(
            f"include $(src)/harness/objects.mk\nobj-m := {name}.o\n{name}-y := main.o $(adding)\n"
        )
        return build_modules(kernel, bench.arch, (test,), include, bench.cache, ignore)[name]

    def functions(module: Path) -> set[str]:
        with module.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            return {s.name for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"}

    one, two = modules("one"), modules("two")
    assert functions(one) == functions(two) == {"f", "add"}
    assert "harness/add.o" not in one.with_name("build.log").read_text()
    assert len(list((bench.cache.store / "library").iterdir())) == 1

    (include / "harness" / "add.c").write_text("int add(void) { return 2; }\n")
    assert modules("one") != one
    assert len(list((bench.cache.store / "library").iterdir())) == 2

    (include / "harness" / "sub.c").write_text("int sub(void) { return x; }\n")
    with pytest.raises(BuildError, match=r"harness/sub\.c:1:.*'x' undeclared"):
        modules("one")


def test_module_that_does_not_compile_shows_the_compilers_first_error(
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


def test_modules_that_do_not_build_hide_no_others(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    kernel = bench.kernel(0)
    folder = tmp_path / "tests"
    bad = toy_test(folder, "bad", "int f = x;\n")
    bare = toy_test(folder, "bare")
    (bare.folder / "Kbuild").unlink()
    renamed = replace(toy_test(folder, "renamed"), module="uno")
    gone = toy_test(folder, "gone")
    (gone.folder / "gone.c").unlink()
    good = tuple(toy_test(folder, name) for name in ("one", "three", "two"))
    tests = (bad, bare, gone, *good, renamed)
    built, broken = build_each(kernel, bench.arch, tests, include, bench.cache, ignore)
    assert sorted(built) == ["one", "three", "two"]
    assert all(module.is_file() for module in built.values())
    assert sorted(broken) == ["bad", "bare", "gone", "renamed"]
    first = "guest test 'bad' does not build for toy position 0: bad/bad.c:3:"
    assert broken["bad"].what.startswith(first)
    assert "'x' undeclared" in broken["bad"].detail
    assert "has no Kbuild" in broken["bare"].what
    assert "'gone/gone." in broken["gone"].what
    assert "made no uno.ko" in broken["renamed"].what
    assert list(bench.cache.work.glob("modules-*")) == []


def test_module_that_builds_on_one_position_only_is_broken_on_others(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    body = "#if TOY_LIMIT != 32\n#error of another position\n#endif\nint f;\n"
    tests = (toy_test(tmp_path / "tests", "new", body), toy_test(tmp_path / "tests", "one"))
    for position, expected in ((0, ["one"]), (2, ["new", "one"])):
        kernel = bench.kernel(position)
        built, broken = build_each(kernel, bench.arch, tests, include, bench.cache, ignore)
        assert sorted(built) == expected
        assert ["of another position" in error.what for error in broken.values()] == (
            [True] if position == 0 else []
        )


def test_library_that_does_not_compile_is_why_none_builds(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    (include / "harness").mkdir()
    (include / "harness" / "sub.c").write_text("int sub(void) { return x; }\n")
    tests = tuple(toy_test(tmp_path / "tests", name) for name in ("one", "two"))
    built, broken = build_each(bench.kernel(0), bench.arch, tests, include, bench.cache, ignore)
    assert built == {}
    assert ["harness/sub.c:1:" in broken[name].what for name in ("one", "two")] == [True, True]


def test_kbuild_that_makes_another_module_is_refused(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    kernel = bench.kernel(0)
    test = replace(toy_test(tmp_path / "tests", "one"), module="uno")
    with pytest.raises(BuildError, match=r"'one' made no uno\.ko") as caught:
        build_modules(kernel, bench.arch, (test,), include, bench.cache, ignore)
    assert "one.ko" in caught.value.hint


def test_guest_test_without_a_kbuild_is_refused(
    bench: Bench, include: Path, tmp_path: Path
) -> None:
    kernel = bench.kernel(0)
    test = toy_test(tmp_path / "tests", "one")
    (test.folder / "Kbuild").unlink()
    with pytest.raises(UserError, match="'one' has no Kbuild"):
        build_modules(kernel, bench.arch, (test,), include, bench.cache, ignore)


def test_messages_of_a_module_name_its_source(bench: Bench, include: Path, tmp_path: Path) -> None:
    kernel = bench.kernel(0)
    test = toy_test(tmp_path / "tests", "one", "const char *f(void) { return __FILE__; }\n")
    modules = build_modules(kernel, bench.arch, (test,), include, bench.cache, ignore)
    content = modules["one"].read_bytes()
    assert b"one/one.c" in content
    assert b"/one/one.c" not in content
    assert str(bench.cache.root).encode() not in content


# ---------------------------------------------------------------- programs


def test_program_is_static_and_compiled_once(
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
        patched.setattr(modules, "_compile", never)
        assert build_program(bench.arch, folder, bench.cache, ignore) == program
    (folder / "say.h").write_text("int say(void);\n/* edited */\n")
    assert build_program(bench.arch, folder, bench.cache, ignore) != program


def test_program_links_only_what_it_uses_of_its_library(bench: Bench, tmp_path: Path) -> None:
    folder, library = tmp_path / "hello", tmp_path / "library"
    folder.mkdir()
    library.mkdir()
    (folder / "main.c").write_text('#include "say.h"\nint main(void) { return say(); }\n')
    (library / "say.h").write_text("int say(void);\n")
    (library / "say.c").write_text('#include "say.h"\nint say(void) { return 42; }\n')
    (library / "spare.c").write_text("int spare(void) { return 0; }\n")

    def build() -> Path:
        return build_program(bench.arch, folder, bench.cache, ignore, library=library)

    program = build()
    assert subprocess.run((program,), check=False).returncode == 42
    symbols = subprocess.run(("nm", program), capture_output=True, text=True, check=True).stdout
    assert " T say\n" in symbols
    assert " T spare\n" not in symbols
    for name in ("say.c", "say.h"):
        with (library / name).open("a") as file:
            file.write("/* edited */\n")
        assert build() != program
        program = build()


def test_program_that_does_not_compile_shows_the_compilers_first_error(
    bench: Bench, tmp_path: Path
) -> None:
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "main.c").write_text("int main(void)\n{\n\tint unused;\n\treturn 0;\n}\n")
    with pytest.raises(BuildError, match=r"main\.c:3:.*unused variable") as caught:
        build_program(bench.arch, folder, bench.cache, ignore)
    assert "error: unused variable" in caught.value.detail
    assert Store(bench.cache.store).get("program", "x") is None
    with pytest.raises(UserError, match="no C file"):
        build_program(bench.arch, tmp_path / "none", bench.cache, ignore)

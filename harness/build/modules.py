# SPDX-License-Identifier: GPL-2.0-only
"""Test modules, built against a kernel's kit, and static C programs for guests."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.build.kbuild import Kbuild
from harness.build.make_log import MakeLog, all_warnings, first_error
from harness.build.toolchain import Toolchain, find_toolchain
from harness.cache.store import Store, digest_kept
from harness.host import process, resources
from harness.host.disk_space import clear_when_full, full, says_full
from harness.host.files import digest_files, key_of
from harness.host.paths import Cache
from harness.model.errors import BuildError, HarnessError, InfraError, UserError
from harness.model.events import Note, Report, Stage
from harness.model.values import Arch, GuestTest, Kernel, Load

Modular = GuestTest | Load  # has a module
LIBRARY = "library"  # objects that modules link
OBJECTS = "harness"  # the folder of their sources below the headers', and of themselves in a test's

MODULE, PROGRAM = "module", "program"
# Raise it when the same inputs would be built differently from now on.
CACHE_VERSION = "4"
# -Os, and without code that nothing calls: the guests' RAM is small. Static: their root has no
# shared library to rely on.
PROGRAM_FLAGS = ("-static", "-Os", "-Wl,--gc-sections", "-Wall", "-Wextra", "-Werror", "-std=gnu11")


@dataclass(frozen=True)
class _ModuleBuild:
    """The modules that one make builds."""

    kernel: Kernel
    tools: Toolchain
    tests: tuple[Modular, ...]
    include: Path
    cache: Cache
    report: Report

    @property
    def stage(self) -> str:
        return f"modules {self.kernel.arch} p{self.kernel.position}"


def build_modules(
    kernel: Kernel,
    arch: Arch,
    tests: tuple[Modular, ...],
    include: Path,
    cache: Cache,
    report: Report,
) -> dict[str, Path]:
    """Return the module of every test, as :func:`build_each`, which see.

    Raises:
        BuildError: a module does not build; ``detail`` is the compiler's own first error.
        UserError: a test has no Kbuild.
        InfraError: a tool is missing, or no space.
    """
    built, broken = build_each(kernel, arch, tests, include, cache, report)
    for error in broken.values():
        raise error
    return built


def build_each(
    kernel: Kernel,
    arch: Arch,
    tests: tuple[Modular, ...],
    include: Path,
    cache: Cache,
    report: Report,
) -> tuple[dict[str, Path], dict[str, HarnessError]]:
    """Return the module of every test that builds against *kernel*, and why the others do not.

    Each is kept by its own sources and by the headers, configuration and exported symbols of the
    kernel. A test's folder has a Kbuild with ``obj-m := <module>.o``; the compiler finds the shared
    headers below *include* without being told there. Its Kbuild may link ``harness/<name>.o``,
    which is made of ``harness/<name>.c`` below *include*.

    Raises:
        InfraError: a tool is missing, or no space.
    """
    store = Store(cache.store)
    # By the kit, not the kernel: an edit of a C file that leaves exported symbols alone builds no
    # module again.
    shared: tuple[str, ...] = (kernel.arch, kernel.compiler, digest_kept(kernel.kit))
    shared += (digest_files(include),) if include.is_dir() else ()
    keys = {
        test.name: key_of(CACHE_VERSION, *shared, test.module, digest_files(test.folder))
        for test in tests
    }

    def found() -> dict[str, Path | None]:
        return {test.name: _module(store, keys[test.name], test) for test in tests}

    there = found()
    broken: dict[str, HarnessError] = {}
    if not all(there.values()):
        with store.lock(f"modules-{key_of(*shared)[:16]}"):
            there = found()
            missing = tuple(test for test in tests if there[test.name] is None)
            if missing:
                job = _ModuleBuild(kernel, find_toolchain(arch), missing, include, cache, report)
                broken = _make_modules(job, store, keys, key_of(CACHE_VERSION, *shared))
                there = found()
    modules = {name: module for name, module in there.items() if module is not None}
    if len(modules) + len(broken) != len(tests):
        raise InfraError(f"{cache.store} does not keep what is written to it")
    return modules, broken


def _module(store: Store, key: str, test: Modular) -> Path | None:
    folder = store.get(MODULE, key)
    return folder / f"{test.module}.ko" if folder else None


def _make_modules(
    job: _ModuleBuild, store: Store, keys: dict[str, str], library_key: str
) -> dict[str, HarnessError]:
    """Build the modules in a copy of their folders: nothing is written into the checkout.

    Returns why some do not build, by test.
    """
    broken: dict[str, HarnessError] = {
        test.name: UserError(
            f"{_called(test)} has no Kbuild",
            hint=f"write one in {test.folder}: obj-m := {test.module}.o",
        )
        for test in job.tests
        if not (test.folder / "Kbuild").is_file()
    }
    job = replace(job, tests=tuple(test for test in job.tests if test.name not in broken))
    if not job.tests:
        return broken
    names = ", ".join(test.name for test in job.tests)
    job.report(Stage(job.stage, f"building modules for {job.stage[8:]}: {names}"))
    with contextlib.ExitStack() as stack:
        stack.callback(job.report, Stage(job.stage, f"modules for {job.stage[8:]}", finished=True))
        stack.enter_context(clear_when_full(job.cache.work, "modules"))
        job.cache.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="modules-", dir=job.cache.work) as folder:
            top = Path(folder)
            try:
                warnings, library = _library(job, store, library_key, top / ".library")
            except BuildError as error:
                return broken | dict.fromkeys((test.name for test in job.tests), error)
            _lay_out(job, top, library)
            more, failed = _make_each(job, top, store, keys)
    for warning in dict.fromkeys(warnings + more):
        job.report(Note(f"{job.stage}: {warning}", "warning"))
    return broken | failed


def _make_each(
    job: _ModuleBuild, top: Path, store: Store, keys: dict[str, str]
) -> tuple[tuple[str, ...], dict[str, HarnessError]]:
    """Build and keep the modules of *job*; return warnings, and why some do not build.

    One make builds all. Where it fails, each half is tried by itself, down to those at fault:
    what was compiled stays, so that costs little more than their links.
    """
    folders = "".join(f"obj-m += {test.name}/\n" for test in job.tests)
    (top / "Kbuild").write_text(folders)
    log = top / "build.log"
    failed: dict[str, HarnessError] = {}
    try:
        warnings = _make(job, top, log, ("modules",))
    except BuildError as error:
        if len(job.tests) == 1:
            return (), {job.tests[0].name: error}
        half = len(job.tests) // 2
        warnings = ()
        for part in (job.tests[:half], job.tests[half:]):
            more, wrong = _make_each(replace(job, tests=part), top, store, keys)
            warnings += more
            failed |= wrong
        return warnings, failed
    for test in job.tests:
        try:
            _keep(store, keys[test.name], test, top, job.tools)
        except BuildError as error:
            failed[test.name] = error
    return warnings, failed


def _called(described: Modular) -> str:
    kind = "load" if isinstance(described, Load) else "guest test"
    return f"{kind} '{described.name}'"


def _library(
    job: _ModuleBuild, store: Store, key: str, top: Path
) -> tuple[tuple[str, ...], Path | None]:
    """Return the compiler's warnings and the folder of objects that modules may link, if any.

    They are compiled once for each kernel, not once for each module that links them.
    """
    sources = sorted((job.include / OBJECTS).glob("*.c"))
    kept = store.get(LIBRARY, key)
    if kept is not None or not sources:
        return (), kept
    shutil.copytree(job.include, top / "include")
    shutil.copytree(job.include / OBJECTS, top / OBJECTS)
    objects = [f"{OBJECTS}/{source.stem}.o" for source in sources]
    # As parts of a module, which is never linked.
    (top / "Kbuild").write_text(f"obj-m := library.o\nlibrary-y := {' '.join(objects)}\n")
    warnings = _make(job, top, top / "build.log", objects)

    def fill(into: Path) -> None:
        for file in (*(top / name for name in objects), *(top / OBJECTS).glob("*.mk")):
            shutil.copy2(file, into / file.name)

    return warnings, store.put(LIBRARY, key, fill)


def _lay_out(job: _ModuleBuild, top: Path, library: Path | None) -> None:
    for test in job.tests:
        shutil.copytree(test.folder, top / test.name, symlinks=True)
        if library is not None:
            shutil.copytree(library, top / test.name / OBJECTS)
    if job.include.is_dir():
        shutil.copytree(job.include, top / "include")


def _make(job: _ModuleBuild, top: Path, log: Path, goals: Sequence[str]) -> tuple[str, ...]:
    # Without ccache: each copy has a path of its own, so there would be no hits.
    tools = replace(job.tools, ccache=False)
    kbuild = Kbuild(job.kernel.kit / "source", job.kernel.kit, tools, job.cache)
    # Paths as in the checkout, not in the copy.
    follow = MakeLog(str(top))
    # A module names its sources in messages: as <test>/<file>, wherever the copy lies.
    variables = (
        f"M={top}",
        f"KCFLAGS=-I{top / 'include'} -ffile-prefix-map={top}/= -g",
    )
    done = kbuild.make(goals, log, jobs=resources.cores(), variables=variables, on_line=follow.feed)
    if done.ok:
        return all_warnings(follow.warnings)
    if any(says_full(line) for line in follow.lines):
        raise full(top, "modules")
    line, block = follow.error()
    where = f"{job.kernel.arch} position {job.kernel.position}"
    one = len(job.tests) == 1
    name = job.tests[0].name if one else "modules"
    what = f"{_called(job.tests[0])} does not" if one else "guest tests do not"
    kept = job.cache.work / f"failed-{name}-{job.kernel.arch}-p{job.kernel.position}.log"
    shutil.copy2(log, kept)
    raise BuildError(
        f"{what} build for {where}: {line}",
        hint=f"full log: {kept}",
        detail=block,
    )


def debug_of(module: Path) -> Path:
    """Return the file beside *module* that holds its debug info, which no guest has room for."""
    return module.with_suffix(".debug")


def _keep(store: Store, key: str, test: Modular, top: Path, tools: Toolchain) -> None:
    built = top / test.name / f"{test.module}.ko"
    if not built.is_file():
        there = sorted(file.name for file in (top / test.name).glob("*.ko"))
        raise BuildError(
            f"{_called(test)} made no {test.module}.ko",
            hint=f"its Kbuild made {', '.join(there) or 'no module'}; "
            "`module` in its description must be the same name",
        )

    def fill(into: Path) -> None:
        _part(tools, "--strip-debug", built, into / built.name)
        debug = debug_of(into / built.name)
        _part(tools, "--compress-debug-sections", built, debug)
        shutil.copy2(top / "build.log", into / "build.log")

    store.put(MODULE, key, fill)


def _part(tools: Toolchain, option: str, module: Path, into: Path) -> None:
    done = process.run((f"{tools.prefix}objcopy", option, module, into))
    if done.ok:
        return
    if says_full(done.stderr):
        raise full(into.parent, f"module {module.name}")
    raise InfraError(f"cannot copy {module.name}: {done.stderr.strip()[-500:]}")


# ---------------------------------------------------------------- programs


def build_program(
    arch: Arch, folder: Path, cache: Cache, report: Report, library: Path | None = None
) -> Path:
    """Return the static program made of the C files in *folder*, named after the folder.

    It finds the headers of the folder *library* as well, and is linked with what it uses of the
    C files there.

    Raises:
        UserError: there is no C file.
        BuildError: it does not compile; ``detail`` is the compiler's own first error.
        InfraError: a tool is missing, or no space.
    """
    if not any(folder.glob("*.c")):
        raise UserError(f"no C file in {folder}")
    folders = (folder,) if library is None else (folder, library)
    sources = [file for place in folders for file in sorted(place.glob("*.c"))]
    headers = [file for place in folders for file in sorted(place.glob("*.h"))]
    tools = find_toolchain(arch)
    inputs = digest_files(*sources, *headers)
    key = key_of(CACHE_VERSION, arch.name, tools.identity, *PROGRAM_FLAGS, folder.name, inputs)
    store = Store(cache.store)
    kept = store.get(PROGRAM, key)
    if kept is None:
        stage = f"program {arch.name} {folder.name}"
        report(Stage(stage, f"compiling {folder.name} for {arch.name}"))
        kept = store.put(
            PROGRAM, key, lambda into: _compile(tools, sources, into / folder.name, library)
        )
        report(Stage(stage, f"{folder.name} for {arch.name} is compiled", finished=True))
    return kept / folder.name


def _compile(
    tools: Toolchain, sources: Sequence[Path], program: Path, library: Path | None
) -> None:
    found = ("-I", str(library)) if library is not None else ()
    argv = (tools.cc, *PROGRAM_FLAGS, *found, "-o", str(program), *map(str, sources))
    done = process.run(argv)
    if done.ok:
        return
    if says_full(done.stderr):
        raise full(program.parent, f"compiling {program.name}")
    line, block = first_error(done.stderr.splitlines())
    raise BuildError(
        f"{program.name} does not compile for {tools.arch.name}: {line or done.stderr.strip()}",
        hint="is the C library for it installed? harness doctor tells"
        if "cannot find -l" in done.stderr
        else "correct it and run again",
        detail=block,
    )

# SPDX-License-Identifier: GPL-2.0-only
"""Kernels, built out of tree and kept in the store by content."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.build.configure import Configuration, configure
from harness.build.kbuild import Kbuild
from harness.build.kconfig import Asked, digest, make_variables, merge, read_fragments
from harness.build.kernel_devel import headers_whole, keep_headers, make_kit
from harness.build.make_log import (
    MakeLog,
    all_warnings,
    error_place,
    host_failure,
    merge_warnings,
)
from harness.build.toolchain import Toolchain, find_toolchain
from harness.cache.store import Store
from harness.host import resources
from harness.host.disk_space import clear_when_full, full, require_space, says_full
from harness.host.files import key_of, sha256_of, write_whole
from harness.host.paths import Cache
from harness.model.errors import InfraError, KernelBuildError, UserError
from harness.model.events import Note, Report, Stage
from harness.model.values import Arch, Kernel, Series, SourceTree
from harness.source.apply import Contents, contents_at
from harness.source.worktree import WorkTree

KERNEL = "kernel"
GCOV = "gcov"  # in a kernel's folder: the compiler's notes on files that count their lines
# Raise it when the same inputs would be built differently from now on.
CACHE_VERSION = "3"
_META = "meta.json"
_BUILD_BYTES = 700 * 2**20  # a build folder of the default fragments, without debug info
_REPORTS_PER_S = 4.0
# Lines that make prints for each symbol set to y, as measured on 5.10 (1778 for 696); serves for
# the very first build of a folder, before its own number is known.
_OBJECTS_PER_SYMBOL = 2.55


@dataclass(frozen=True)
class _Job:
    """One kernel to build."""

    tree: SourceTree
    series: Series
    position: int
    asked: tuple[Asked, ...]
    variables: tuple[str, ...]  # that make is given, of the fragments
    tools: Toolchain
    cache: Cache
    report: Report
    jobs: int
    profiled: tuple[str, ...] = ()

    @property
    def arch(self) -> Arch:
        return self.tools.arch

    @property
    def store(self) -> Store:
        return Store(self.cache.store)

    @property
    def key(self) -> str:
        return key_of(
            CACHE_VERSION,
            self.tree.digest,
            *(patch.sha256 for patch in self.series.applied(self.position)),
            digest(self.asked),
            *self.variables,
            self.arch.name,
            self.arch.kernel_arch,
            self.arch.image,
            *self.arch.make_targets,
            self.tools.identity,
            *_profile(self.profiled),
        )

    @property
    def place(self) -> str:
        """Name of the position among those of all series that are built in the same folder."""
        return f"{self.series.name} p{self.position}"

    @property
    def stage(self) -> str:
        return f"build {self.arch.name} p{self.position}"

    def tell(self, text: str, done: int = 0, total: int = 0, *, finished: bool = False) -> None:
        """Report progress."""
        self.report(Stage(self.stage, text, done, total, finished))


def build_kernel(
    tree: SourceTree,
    series: Series,
    position: int,
    arch: Arch,
    fragments: tuple[Path, ...],
    cache: Cache,
    report: Report,
    jobs: int | None = None,
    before: Callable[[], None] = lambda: None,
    profiled: tuple[str, ...] = (),
) -> Kernel:
    """Return the kernel of *tree* at *position* of *series*, with *fragments* over tinyconfig.

    A kernel that is in the store is not built again, and takes neither work tree nor make.
    *before* is called before *tree* is used for a build. The C files *profiled* (``mm/util.c``)
    count which of their lines are executed, which takes gcov.config among the fragments; their
    notes (``gcov/mm/util.gcno``) lie in the kernel's folder.

    Raises:
        UserError: fragments contradict each other, or Kconfig dropped a symbol.
        PatchError: a patch does not apply.
        KernelBuildError: it does not compile, or a patch takes an option away that was asked for;
            ``detail`` is the compiler's own first error.
        InfraError: a tool is missing, or no space.
    """
    asks = read_fragments(fragments)
    job = _Job(
        *(tree, series, position, merge(asks), make_variables(asks)),
        *(find_toolchain(arch), cache, report, jobs or resources.cores(), profiled),
    )
    kernel = _from_store(job, reused=True)
    if kernel is not None:
        job.tell(f"{arch.name} position {position}: kernel is in the store", finished=True)
        return kernel
    if damage := job.store.damage(KERNEL, job.key):
        report(
            Note(f"{job.stage}: the store's entry is damaged ({damage}): building again", "warning")
        )
    before()
    with WorkTree(tree, cache, report) as work:
        # Another harness may have built it while we waited for the tree.
        kernel = _from_store(job, reused=True)
        if kernel is None:
            _build(job, work)
            kernel = _from_store(job, reused=False)
    if kernel is None:
        raise InfraError(f"{cache.store} does not keep what is written to it")
    job.tell(f"{arch.name} position {position}: built in {kernel.seconds:.0f} s", finished=True)
    return kernel


def build_folder(tree: SourceTree, arch: Arch, fragments: tuple[Path, ...], cache: Cache) -> Path:
    """Return where kernels with *fragments* are built, whether or not there is anything yet."""
    return _folder(WorkTree(tree, cache), arch, merge(read_fragments(fragments)))


def _folder(work: WorkTree, arch: Arch, asked: tuple[Asked, ...]) -> Path:
    return work.folder / f"build-{arch.name}-{digest(asked)[:8]}"


# ---------------------------------------------------------------- the store


def _from_store(job: _Job, *, reused: bool) -> Kernel | None:
    folder = job.store.get(KERNEL, job.key)
    if folder is None or not headers_whole(job.store, folder / "kit"):
        return None
    meta = json.loads((folder / _META).read_text())
    return Kernel(
        arch=job.arch.name,
        tree_version=meta["tree_version"],
        position=job.position,
        key=job.key,
        path=folder,
        image=folder / meta["image"],
        image_sha256=meta["image_sha256"],
        config=folder / "config",
        config_sha256=meta["config_sha256"],
        build_log=folder / "build.log",
        kit=folder / "kit",
        compiler=meta["compiler"],
        warnings=tuple(meta["warnings"]),
        seconds=meta["seconds"],
        reused=reused,
    )


def _keep(job: _Job, kbuild: Kbuild, facts: dict[str, Any], headers: Path) -> None:
    def fill(into: Path) -> None:
        image = kbuild.out / job.arch.image
        shutil.copy2(image, into / image.name)
        for name, copy in (("vmlinux", "vmlinux"), ("System.map", "System.map"),
                           (".config", "config"), (_LOG, "build.log")):  # fmt: skip
            if (kbuild.out / name).is_file() and not (into / copy).exists():
                shutil.copy2(kbuild.out / name, into / copy)
        make_kit(kbuild, headers, into / "kit")
        for source in job.profiled:
            notes = Path(source).with_suffix(".gcno")
            if (kbuild.out / notes).is_file():  # else this configuration does not build it
                (into / GCOV / notes).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(kbuild.out / notes, into / GCOV / notes)
        meta = {
            **facts,
            "tree_version": job.tree.version,
            "image": image.name,
            "image_sha256": sha256_of(into / image.name),
            "config_sha256": sha256_of(into / "config"),
            "compiler": job.tools.version,
            "linker": job.tools.linker,
        }
        (into / _META).write_text(json.dumps(meta, indent=1))

    job.store.put(KERNEL, job.key, fill)


# ---------------------------------------------------------------- make

_LOG = ".harness-build.log"
_MEMORY = ".harness-memory.json"


def _build(job: _Job, work: WorkTree) -> None:
    begun = time.monotonic()
    require_space(job.cache.root, _BUILD_BYTES, f"building a kernel for {job.arch.name}")
    contents = contents_at(job.tree, job.series, job.position)
    job.tell(f"{job.arch.name} position {job.position}: going to the position")
    work.show(contents)
    out = _folder(work, job.arch, job.asked)
    kbuild = Kbuild(work.path, out, job.tools, job.cache)
    with clear_when_full(out, "a build folder"):
        if kbuild.half_done:
            job.report(Note(f"an earlier build was killed: {out} starts anew", "warning"))
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
        log = out / _LOG
        log.unlink(missing_ok=True)
        job.tell(f"{job.arch.name} position {job.position}: configuring")
        wanted = Configuration(job.asked, job.tree.version, _inputs(job, contents))
        try:
            _configure(job, kbuild, wanted, log)
            warnings = _compile(job, kbuild, log)
        except KernelBuildError:
            job.tell(f"{job.arch.name} position {job.position}: does not build", finished=True)
            raise
        headers = keep_headers(job.store, kbuild, job.tree, contents)
        seconds = round(time.monotonic() - begun, 1)
        _keep(job, kbuild, {"seconds": seconds, "warnings": warnings}, headers)


def _configure(job: _Job, kbuild: Kbuild, wanted: Configuration, log: Path) -> None:
    try:
        configure(kbuild, wanted, log)
    except UserError as error:
        if not job.position:
            raise
        # A symbol is not there, or cannot be had; whether a patch took it away, the base tells.
        raise KernelBuildError(
            error.what, error=error.what, hint=error.hint, detail=error.detail
        ) from error


def _inputs(job: _Job, contents: Contents) -> str:
    """Digest the inputs of a .config beside its fragments."""
    parts = [job.tools.identity]
    for name, content in sorted(contents.items()):
        if name.rpartition("/")[2].startswith(("Kconfig", "Makefile")):
            parts += (name, repr(content))
    return key_of(*parts)


def _profile(sources: tuple[str, ...]) -> tuple[str, ...]:
    """Return the variables that make objects of *sources* count, for make's command line.

    kbuild knows an object by its base name: others of that name count as well, unused.
    Functions that gcc inlines early (memalloc_nofs_save()) would have no counter on the line of the
    call, so early inlining is off.
    """
    stems = [Path(source).stem for source in sources]
    counts = [f"GCOV_PROFILE_{stem}.o=y" for stem in stems]
    return (*counts, *(f"CFLAGS_{stem}.o=-fno-early-inlining" for stem in stems))


def _compile(job: _Job, kbuild: Kbuild, log: Path) -> tuple[str, ...]:
    """Run make to the end; return the warnings of the whole kernel, objects made before included.

    Raises:
        KernelBuildError: it failed.
    """
    memory = _Memory(kbuild.out / _MEMORY)
    follow = MakeLog(str(kbuild.source), "../tree")
    total = memory.expected(job, kbuild.out)
    last = 0.0

    def line(text: str) -> None:
        nonlocal last
        if follow.line(text) and time.monotonic() - last >= 1 / _REPORTS_PER_S:
            last = time.monotonic()
            job.tell(
                f"{job.arch.name} position {job.position}: {follow.current}",
                follow.done,
                max(total, follow.done) if total else 0,
            )

    goals = (*job.arch.make_targets, "modules")
    variables = (*job.variables, *_profile(job.profiled))
    done = kbuild.make(goals, log, jobs=job.jobs, variables=variables, on_line=line)
    memory.learn(job, follow, whole=done.ok)
    if not done.ok:
        raise _failure(job, follow, kbuild, log)
    if not (kbuild.out / job.arch.image).is_file():
        raise KernelBuildError(
            f"make succeeded, but there is no {job.arch.image}",
            error=f"make succeeded, but there is no {job.arch.image}",
            hint=f"make_targets of harness/arch/{job.arch.name}.py must yield it; full log: {log}",
        )
    return all_warnings(memory.warnings)


def _failure(job: _Job, follow: MakeLog, kbuild: Kbuild, log: Path) -> InfraError:
    line, block = follow.error()
    if any(says_full(text) for text in follow.lines):
        return full(kbuild.out, f"building a kernel for {job.arch.name}")
    kept = log.with_name(f"failed-{job.series.name}-p{job.position}.log")
    shutil.copy2(log, kept)
    hint = f"full log: {kept}"
    kernel = f"{job.arch.name} kernel {job.tree.version}"
    if sign := host_failure(follow.lines):
        return InfraError(f"the host stopped the build of {kernel}: {sign}", hint=hint)
    place, error = error_place(line)
    return KernelBuildError(
        f"{kernel} does not build at position {job.position}: {line}",
        error=error,
        place=place,
        hint=hint,
        detail=block,
    )


class _Memory:
    """Facts that a build folder keeps of its builds: warnings by object, objects by position."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            facts = json.loads(file.read_text())
        except (OSError, ValueError):
            facts = {}
        self.warnings: dict[str, list[str]] = facts.get("warnings", {})
        self._objects: dict[str, int] = facts.get("objects", {})

    def expected(self, job: _Job, out: Path) -> int:
        """Return how many objects a build will print, 0 where there is no telling."""
        if (out / "vmlinux.o").exists():
            return self._objects.get(job.place, 0)
        symbols = (out / ".config").read_text().count("=y\n")
        return self._objects.get("whole") or int(symbols * _OBJECTS_PER_SYMBOL)

    def learn(self, job: _Job, follow: MakeLog, *, whole: bool) -> None:
        """Keep the facts of a make, also of one that failed."""
        self.warnings = merge_warnings(self.warnings, follow.warnings)
        if whole:
            first = "whole" not in self._objects
            self._objects["whole" if first else job.place] = follow.done
        facts = {"warnings": self.warnings, "objects": self._objects}
        write_whole(self._file, json.dumps(facts))

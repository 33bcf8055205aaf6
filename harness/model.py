# SPDX-License-Identifier: GPL-2.0-only
"""The values that travel through the pipeline: frozen, without I/O.

plan → source → patch → configure → build → image → boot → run → collect → report: each stage
takes the value before it and returns a new one.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

AccelName = Literal["tcg", "kvm"]
AccelChoice = Literal["tcg", "kvm", "auto"]


class Verdict(enum.Enum):
    """Result words of KCIDB v5, in its priority: the first one present wins over the rest."""

    FAIL = "FAIL"  # the kernel under test did wrong
    ERROR = "ERROR"  # the test itself broke
    MISS = "MISS"  # the harness failed to run the test
    PASS = "PASS"
    DONE = "DONE"  # ran, and judges nothing
    SKIP = "SKIP"

    @staticmethod
    def worst(verdicts: tuple[Verdict, ...]) -> Verdict:
        """Return the verdict of highest priority; MISS where there is none at all."""
        order = list(Verdict)
        return min(verdicts, key=order.index, default=Verdict.MISS)


class SplatKind(enum.Enum):
    """What the kernel complained about; the last two are weather where a test says so."""

    PANIC = "panic"
    OOPS = "oops"
    BUG = "bug"
    WARNING = "warning"
    LOCKDEP = "lockdep"
    KASAN = "kasan"
    LEAK = "leak"
    HUNG_TASK = "hung-task"
    RCU_STALL = "rcu-stall"
    LOCKUP = "lockup"
    OOM_KILL = "oom-kill"
    ALLOC_FAILURE = "alloc-failure"


# ---------------------------------------------------------------- machines


@dataclass(frozen=True)
class Arch:
    """Everything that differs between guest architectures; one file in ``harness/arch`` each."""

    name: str  # as people write it: "x86_64", "arm64"
    kernel_arch: str  # make's ARCH=
    debian_arch: str  # dpkg's architecture of the packages inside the guest
    triplet: str  # prefix of gcc and binutils that build for it
    cross_packages: tuple[str, ...]  # Debian packages that build for it on another architecture
    qemu_package: str  # Debian package of the emulator
    uname: str  # `uname -m` of a host on which KVM could run it
    elf_machine: str  # e_machine of its ELF files, as pyelftools names it
    image: str  # what QEMU boots, as a path in the kernel's build folder
    make_targets: tuple[str, ...]  # goals given to make that yield `image`
    qemu: str  # emulator's program name
    machine: str  # -machine
    cpu: tuple[tuple[AccelName, str], ...]  # -cpu, by accelerator
    firmware: tuple[str, ...]  # further argv: firmware, or nothing
    virtio: str  # suffix of virtio device names: "pci" or "device"
    console: str  # the kernel's name of the serial console
    cmdline: tuple[str, ...]  # kernel parameters only this architecture needs
    probe: bytes  # a program that runs bare and powers off: proof that an accelerator executes
    probe_argv: tuple[str, ...]  # how QEMU loads the probe, "{probe}" standing for its file
    probe_exit: int  # QEMU's exit status when the probe ran


# ---------------------------------------------------------------- sources and series


@dataclass(frozen=True)
class SourceTree:
    """A pristine kernel tree, fetched and verified, never written to."""

    spec: str  # as the user gave it: "debian:5.10", "dir:/src/linux"
    version: str  # `make kernelversion`: "5.10.262"
    origin: str  # where it is from, for people: "linux-source-5.10 5.10.262-1"
    digest: str  # identifies the content, hex
    path: Path


@dataclass(frozen=True)
class Patch:
    """One mail-format patch."""

    number: int  # 1-based place in the series; 0 for a base patch
    file: Path
    title: str  # subject without "[PATCH n/m]"
    author: str
    sha256: str
    touches: tuple[str, ...]  # files of the kernel tree, sorted


@dataclass(frozen=True)
class Series:
    """Patches in order, as they apply to one base kernel."""

    name: str
    title: str
    folder: Path  # of the patches for this base
    covers: str  # the kernel these patches are for: "5.10"
    prepare: tuple[Patch, ...]  # base patches: applied before position 0
    patches: tuple[Patch, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        """0 (the base) to the number of patches."""
        return tuple(range(len(self.patches) + 1))

    def title_at(self, position: int) -> str:
        """Return the title of the last patch applied at *position*; "base" at 0."""
        return self.patches[position - 1].title if position else "base"

    def applied(self, position: int) -> tuple[Patch, ...]:
        """Every patch that is in the tree at *position*, base patches first."""
        return self.prepare + self.patches[:position]

    def patchset_hash(self, position: int) -> str:
        """KCIDB's patchset_hash: sha256 over the list of the patches' sha256, "" for none."""
        applied = self.applied(position)
        if not applied:
            return ""
        return hashlib.sha256("".join(p.sha256 + "\n" for p in applied).encode()).hexdigest()


# ---------------------------------------------------------------- kernels


@dataclass(frozen=True)
class Kernel:
    """A kernel built at one position; everything lives in one folder of the store."""

    arch: str
    tree_version: str
    position: int
    key: str  # content key: tree, patches, config, compiler, recipe
    path: Path
    image: Path  # what QEMU boots
    image_sha256: str
    config: Path  # the final .config
    config_sha256: str
    build_log: Path
    kit: Path  # what modules are built against: headers, scripts, Module.symvers
    compiler: str  # first line of `gcc --version`
    warnings: tuple[str, ...]  # the compiler's, one line each
    seconds: float  # what the build took when it was made
    reused: bool  # taken from the store by this run


# ---------------------------------------------------------------- guest tests and loads


@dataclass(frozen=True)
class Proves:
    """What a guest test says of a series: its cases fail before the patch and pass from it on."""

    series: str
    patch: int  # position from which `cases` pass
    cases: tuple[str, ...] = ("*",)  # glob patterns of the cases that must fail before it


@dataclass(frozen=True)
class GuestTest:
    """A KUnit suite, built as a module against each kernel; ``test.toml`` describes it."""

    name: str
    folder: Path
    summary: str
    module: str  # name of the module, without ".ko"
    suite: str  # name of the KUnit suite it registers
    timeout_s: float = 45.0  # on a guest of reference speed; scaled by the guest's own
    knobs: tuple[tuple[str, str], ...] = ()  # (path, value): files to write before the module loads
    params: tuple[str, ...] = ()  # module parameters
    weather: tuple[SplatKind, ...] = ()  # splats that are ordinary for this test
    artifacts: tuple[str, ...] = ()  # guest files fetched over SSH when the test is done
    proves: tuple[Proves, ...] = ()

    def fails_before(self, series: str, case: str) -> int:
        """First position of *series* at which *case* must pass; 0: at every one."""
        for claim in self.proves:
            if claim.series == series and any(fnmatchcase(case, p) for p in claim.cases):
                return claim.patch
        return 0

    def patch_of(self, series: str) -> int:
        """Number of the patch of *series* that this test proves; 0: none."""
        return max((c.patch for c in self.proves if c.series == series), default=0)


@dataclass(frozen=True)
class Load:
    """A program that puts memory under pressure until it is stopped; ``load.toml`` describes it."""

    name: str
    folder: Path
    summary: str
    args: tuple[str, ...] = ()
    ready_timeout_s: float = 30.0  # until it prints "ready"; scaled by the guest's speed
    setup: tuple[tuple[str, ...], ...] = ()  # commands run in the guest before it starts
    weather: tuple[SplatKind, ...] = ()  # splats that are ordinary under this load


# ---------------------------------------------------------------- plan and cells


@dataclass(frozen=True)
class Plan:
    """What a run is asked to do; names are checked against the checkout when it is loaded."""

    series: str = "vmalloc-nofail"
    base: str = "debian:5.10"
    arch: tuple[str, ...] = ("x86_64", "arm64")
    positions: tuple[int, ...] = ()  # empty: every position of the series
    ram_mib: tuple[int, ...] = (128,)
    cpus: int = 1
    tests: tuple[str, ...] = ()  # glob patterns; empty: every guest test
    loads: tuple[str, ...] = ("none", "anon")  # "none" is the run without a load
    config: tuple[str, ...] = ()  # further fragments, by topic
    accel: AccelChoice = "tcg"
    jobs: int = 0  # cells at a time; 0: as many as cores and memory allow
    mirror: str = ""  # Debian mirror; empty: the host's own


@dataclass(frozen=True)
class Cell:
    """One entry of the matrix: arch × base × position × config × RAM × test × load."""

    arch: str
    base: str
    position: int
    config: tuple[str, ...]
    ram_mib: int
    test: str
    load: str  # "none" without one

    @property
    def id(self) -> str:
        """Names the cell everywhere: reports, folders, pytest; safe as a path."""
        base = self.base.replace("/", "_").replace(":", "-")
        suffix = "" if self.load == "none" else f"+{self.load}"
        config = "".join(f"+{topic}" for topic in self.config)
        return f"{self.arch}/{base}{config}/p{self.position}/{self.ram_mib}M/{self.test}{suffix}"

    @property
    def column(self) -> str:
        """The test as a row of the matrix names it: with its load."""
        return self.test if self.load == "none" else f"{self.test} + {self.load}"


@dataclass(frozen=True)
class GuestSpec:
    """A guest to boot: all that decides what QEMU is told."""

    arch: Arch
    kernel: Path
    initramfs: Path
    ram_mib: int
    cpus: int = 1
    accel: AccelName = "tcg"
    cmdline: tuple[str, ...] = ()  # kernel parameters beyond the harness' own
    network: bool = True  # a virtio-net device, reachable from loopback only


# ---------------------------------------------------------------- results


@dataclass(frozen=True)
class Splat:
    """One complaint of the kernel, cut out of its log."""

    kind: SplatKind
    title: str  # one line: what it says, without addresses
    text: str  # all its lines
    line: int  # 1-based line of the log at which it starts


@dataclass(frozen=True)
class CaseResult:
    """One KUnit case, or any other leaf of a KTAP tree."""

    name: str  # dotted below the suite for nested ones
    verdict: Verdict
    expected: Verdict = Verdict.PASS
    directive: str = ""  # SKIP, TODO, XFAIL, TIMEOUT, ERROR as printed
    diagnostics: tuple[str, ...] = ()  # its "#" lines and whatever it printed

    @property
    def as_expected(self) -> bool:
        return self.verdict is self.expected


class Ended(enum.Enum):
    """How the run of one test ended, as the session saw it."""

    DONE = "done"  # module loaded, all records in
    REFUSED = "refused"  # the kernel refused the module; `errno` says why
    DIED = "died"  # the guest was gone: panic, reset, triple fault
    SILENT = "silent"  # no answer before the deadline
    LOST = "lost"  # our link or QEMU broke


@dataclass(frozen=True)
class TestOutcome:
    """What one test did in a guest, before anybody judges it."""

    __test__ = False  # not a pytest class

    ended: Ended
    log: tuple[str, ...]  # kernel log of the test, one record each, in order
    errno: int = 0  # of finit_module
    seconds: float = 0.0
    lost_records: int = 0  # gaps in the kernel log's sequence numbers
    reason: str = ""  # one line where ended is not DONE
    load_ended: str = ""  # how the load ended, where it did so by itself


@dataclass(frozen=True)
class Observation:
    """What a guest did for one cell, before it is judged; kept for later runs."""

    outcome: TestOutcome | None  # None: the guest never became ready
    boot_console: tuple[str, ...] = ()  # the console's lines, where outcome is None
    argv: tuple[str, ...] = ()
    seconds: float = 0.0  # boot, load and test together
    boot: str = "cold"  # how the guest came to be: "cold", "clone"
    note: str = ""  # what could not be collected, one line


@dataclass(frozen=True)
class CellResult:
    """A cell's verdict with its evidence; ``result.json`` in the cell's folder."""

    cell: Cell
    verdict: Verdict
    expected: Verdict
    reason: str  # one line for people
    cases: tuple[CaseResult, ...] = ()
    splats: tuple[Splat, ...] = ()
    seconds: float = 0.0
    boot: str = "cold"  # how the guest came to be: "cold", "clone"
    reused: bool = False  # verdict of an earlier run with the same content
    kernel_key: str = ""
    argv: tuple[str, ...] = ()
    qemu_version: str = ""
    evidence: tuple[tuple[str, str], ...] = ()  # (what, path below the run folder)
    anomalies: tuple[str, ...] = ()  # wrong beside the cases: the kernel died, splats, lost results

    @property
    def as_expected(self) -> bool:
        """Did the right cases fail, and nothing else go wrong?"""
        cases = all(case.as_expected for case in self.cases)
        return self.verdict is self.expected and cases and not self.anomalies


@dataclass(frozen=True)
class KernelRecord:
    """A kernel as a run used it, for reports; the later fields are empty where none was built."""

    arch: str
    position: int
    patch_title: str  # of the last patch applied; "base" at 0
    version: str
    patchset_hash: str
    key: str = ""
    config_sha256: str = ""
    compiler: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    reused: bool = False
    config: str = ""  # path below the run folder
    build_log: str = ""
    error: str = ""  # why there is no kernel


@dataclass(frozen=True)
class RunRecord:
    """A whole run; ``run.json`` in the run's folder, and all that a report reads."""

    id: str
    started: str  # ISO 8601, UTC
    seconds: float
    harness_version: str
    plan: Plan
    series_title: str
    patch_titles: tuple[str, ...]
    tree_version: str
    tree_origin: str
    tree_digest: str
    host: str  # kernel, cores, RAM of the host, one line
    kernels: tuple[KernelRecord, ...] = ()
    cells: tuple[CellResult, ...] = ()
    finished: bool = True  # False: stopped by Ctrl-C or an error; cells that ran are kept
    error: str = ""

    @property
    def as_expected(self) -> bool:
        return self.finished and all(c.as_expected for c in self.cells)


# ---------------------------------------------------------------- events


@dataclass(frozen=True)
class Stage:
    """Something long began, moved on or ended. ``total`` 0: length unknown."""

    key: str  # the same for all events of one piece of work: "build arm64 p2"
    text: str  # what it is doing, one line
    done: int = 0
    total: int = 0
    finished: bool = False


@dataclass(frozen=True)
class Note:
    """A line for people that belongs to no stage."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class CellDone:
    """A verdict is in."""

    result: CellResult
    done: int
    total: int


Event = Stage | Note | CellDone


@dataclass(frozen=True)
class Speed:
    """How fast a guest is, against the machine the time-outs were written for."""

    factor: float = field(default=1.0)  # 2.0: half as fast, so every time-out doubles

    def scale(self, seconds: float) -> float:
        """Return *seconds* of the reference guest as seconds of this one; never less."""
        return seconds * max(1.0, self.factor)

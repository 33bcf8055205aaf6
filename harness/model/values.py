# SPDX-License-Identifier: GPL-2.0-only
"""The values that travel through the pipeline: frozen, without I/O.

plan → source → patch → configure → build → image → boot → run → collect → report: each stage
takes the value before it and returns a new one.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

# Beside it a name needs quoting in a shell, or means something else in the address of a page.
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
COMMIT_SHOWN = 12  # digits of a commit's id where people read it
AccelName = Literal["tcg", "kvm"]
AccelChoice = Literal["tcg", "kvm", "auto"]


def path_safe(text: str, limit: int = 80) -> str:
    """Return *text* as a name of a file or folder: at most *limit* of A-Za-z0-9._+- alone.

    It begins and ends with a letter or digit; "" where *text* has none.
    """
    return _UNSAFE.sub("-", text)[:limit].strip("-.+_")


def place_name(place: str) -> str:
    """Return the last part of a path or URL, as a name of a folder: "linux" of "/src/linux.git"."""
    parts = re.split(r"[/:]+", place.removesuffix("/").removesuffix(".git").rstrip("/"))
    return path_safe(parts[-1], 40)


def base_name(base: str) -> str:
    """Return the spec of a source as part of a folder's name: "git-linux-v6.1", "debian-5.10".

    The folders above a repository or archive are left out.
    """
    scheme, _, rest = base.partition(":")
    place, _, ref = rest.partition("#")
    parts = (scheme, place_name(place), path_safe(ref.removeprefix("sha256="), 24))
    return "-".join(filter(None, parts))


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
    """Kinds of complaints of the kernel; a test may tolerate the last two."""

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
    UNCLASSIFIED = "unclassified"  # has the shape of a complaint, and no rule knows it
    OOM_KILL = "oom-kill"
    ALLOC_FAILURE = "alloc-failure"


# ---------------------------------------------------------------- machines


@dataclass(frozen=True)
class Registers:
    """How a processor's state is read: names as QEMU's ``info registers`` has them.

    Several names are in order of preference. Frames on a stack are alike everywhere: the previous
    frame's address at [frame], and behind it the address to return to.
    """

    counter: tuple[str, ...]
    stack: tuple[str, ...]
    frame: tuple[str, ...]
    link: str  # of a function that was just called: where it returns to; "": on top of the stack
    flags: tuple[str, ...]
    privileged: str  # what QEMU's text has where it runs the kernel, or what calls itself so
    masked: tuple[int, int]  # (mask, value): flags & mask == value where interrupts are off
    # What the processor itself pushes in a trap, above the instruction pointer: the kernel's code
    # segment. 0: it pushes nothing, and the kernel links a frame.
    trap_segment: int
    # Where the kernel keeps what a trap interrupted, a frame pointer with its lowest bit set leads
    # there: offsets of the interrupted frame and instruction pointers. None: it does not.
    trap_offsets: tuple[int, int] | None
    # How functions begin behind whose frame is the one that a trap interrupted.
    trap_entries: tuple[str, ...]
    # Functions in which a kernel waits with interrupts off although one wakes it.
    idle: tuple[str, ...]
    # The called address, given an address and the bytes before it: where these are a direct call.
    call_target: Callable[[int, bytes], int | None]


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
    lone_cpu_cmdline: tuple[str, ...]  # further ones where TCG emulates a single CPU
    early_console: tuple[str, ...]  # kernel parameters of a console that speaks as soon as one can
    ram_at: int  # physical address of the first byte of RAM
    text_at: int  # physical address at which QEMU puts the kernel's symbol _text
    registers: Registers
    probe: bytes  # a program that runs bare and powers off: proof that an accelerator executes
    probe_argv: tuple[str, ...]  # how QEMU loads the probe, "{probe}" standing for its file
    probe_exit: int  # QEMU's exit status when the probe ran
    max_cpus: int = 8  # that its machine takes


# ---------------------------------------------------------------- sources and series


@dataclass(frozen=True)
class SourceTree:
    """A pristine kernel tree, fetched and verified, never written to."""

    spec: str  # as the user gave it: "debian:5.10", "dir:/src/linux"
    version: str  # `make kernelversion`: "5.10.262"
    origin: str  # where it is from, for people: "linux-source-5.10 5.10.262-1"
    digest: str  # identifies the content, hex
    path: Path
    commit: str = ""  # full id, where it is one of a git repository


@dataclass(frozen=True)
class Patch:
    """One mail-format patch."""

    number: int  # 1-based place in the series; 0 for a base patch
    file: Path
    title: str  # subject without "[PATCH n/m]"
    sha256: str
    touches: tuple[str, ...]  # files of the kernel tree, sorted
    commit: str = ""  # full id that it was cut from; "" where that is not known
    author: str = ""  # "Name <address>"


# In place of a load's name: no load.
NO_LOAD = "none"
# In place of a series' name: the kernel as it is. Position 0 only; no claim of a test applies, so
# every case must pass.
NO_SERIES = "none"


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

    def commit_at(self, position: int) -> str:
        """Return the id of the commit that the last patch at *position* was cut from, or ""."""
        return next((p.commit for p in reversed(self.patches[:position])), "")

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
    """Claim of a guest test: cases that fail before a patch of a series and pass from it on."""

    series: str
    patch: int  # position from which `cases` pass
    cases: tuple[str, ...] = ("*",)  # glob patterns of the cases that must fail before it
    tolerated_splats: tuple[SplatKind, ...] = ()  # splats that are ordinary before it


@dataclass(frozen=True)
class GuestTest:
    """A KUnit suite, built as a module against each kernel; ``test.toml`` describes it."""

    name: str
    folder: Path
    summary: str
    module: str  # name of the module, without ".ko"
    suite: str  # name of the KUnit suite it registers
    timeout_s: float = 45.0  # on a guest of reference speed; scaled by the guest's own
    stall_s: float = 0.0  # how long it may show no progress; 0: a part of timeout_s
    knobs: tuple[tuple[str, str], ...] = ()  # (path, value): files to write before the module loads
    params: tuple[str, ...] = ()  # module parameters
    tolerated_splats: tuple[SplatKind, ...] = ()  # splats that are ordinary for this test
    artifacts: tuple[str, ...] = ()  # guest files fetched over SSH when the test is done
    disk_mib: int = 0  # size of the scratch disk that it needs; 0: none
    needs: tuple[str, ...] = ()  # Kconfig symbols without which its cases skip themselves
    own_pressure: bool = False  # it makes its own, and goes without loads
    proves: tuple[Proves, ...] = ()

    def on(self, config: Collection[str]) -> GuestTest:
        """Return the test as it is on a kernel whose .config has the lines *config*.

        Where something is missing that it needs, it claims nothing: its cases may skip.
        """
        missing = any(f"CONFIG_{symbol}=y" not in config for symbol in self.needs)
        return replace(self, proves=()) if missing else self

    def fails_before(self, series: str, case: str) -> int:
        """First position of *series* at which *case* must pass; 0: at every one."""
        number = self.claim_on(series, case)
        return 0 if number is None else self.proves[number].patch

    def claim_on(self, series: str, case: str) -> int | None:
        """Return which of ``proves``, from 0, says when *case* fails; None: none of them."""
        for number, claim in enumerate(self.proves):
            if claim.series == series and any(fnmatchcase(case, p) for p in claim.cases):
                return number
        return None

    def loads_of(self, loads: tuple[str, ...], named: bool) -> tuple[str, ...]:
        """Return the loads that it runs under, in a plan with *loads*.

        A test that makes pressure of its own runs without, unless it is *named* in the plan and
        the plan has nothing but loads.
        """
        asked = named and NO_LOAD not in loads
        return loads if asked or not self.own_pressure else (NO_LOAD,)

    def tolerated_at(self, series: str, position: int) -> frozenset[SplatKind]:
        """Splats that are ordinary at *position* of *series*."""
        before = (
            c.tolerated_splats for c in self.proves if c.series == series and position < c.patch
        )
        return frozenset(self.tolerated_splats).union(*before)

    def patch_of(self, series: str) -> int:
        """Number of the patch of *series* that this test proves; 0: none."""
        return max((c.patch for c in self.proves if c.series == series), default=0)


@dataclass(frozen=True)
class Load:
    """Memory pressure that lasts until it is stopped; ``load.toml`` describes it.

    A program, or with ``module`` a kernel module.
    """

    name: str
    folder: Path
    summary: str
    module: str = ""  # name of the module, without ".ko"; empty: it is a program
    intensity: str = ""  # how much of it where a plan does not say: "125%", or a count
    intensity_range: tuple[int, int] | None = None  # least and most that it takes
    args: tuple[str, ...] = ()
    ready_timeout_s: float = 30.0  # until it prints "ready"; scaled by the guest's speed
    setup: tuple[tuple[str, ...], ...] = ()  # commands run in the guest before it starts
    disk_mib: int = 0  # size of the scratch disk that it needs; 0: none
    disk_times_ram: int = 0  # how many times the guest's RAM it has at least
    filesystem: Literal["", "ext4", "xfs"] = ""  # made on its disk, mounted for it, checked after
    needs: tuple[str, ...] = ()  # Kconfig symbols without which it cannot run
    shows: tuple[tuple[str, str], ...] = ()  # (counter of the guest, what it must do): its purpose
    tolerated_splats: tuple[SplatKind, ...] = ()  # splats that are ordinary under this load

    def disk_for(self, ram_mib: int) -> int:
        """Size in MiB of its scratch disk in a guest of *ram_mib*; 0: it has none."""
        return max(self.disk_mib, self.disk_times_ram * ram_mib) if self.disk_mib else 0


# ---------------------------------------------------------------- plan and cells


@dataclass(frozen=True)
class Plan:
    """The request of a run; names are checked against the checkout when it is loaded."""

    series: str = "vmalloc-nofail"
    base: str = ""  # empty: where a git series begins, else the kernel that the suites are for
    arch: tuple[str, ...] = ("x86_64", "arm64")
    positions: tuple[int, ...] = ()  # empty: every position of the series
    ram_mib: tuple[int, ...] = ()  # empty: 128, and what the config topics take
    cpus: int = 1
    tests: tuple[str, ...] = ()  # glob patterns; empty: every guest test
    # Combinations as :mod:`harness.plan.loads` spells them; "none" is the run without a load.
    loads: tuple[str, ...] = ("none", "anon")
    config: tuple[str, ...] = ()  # further fragments, by topic
    accel: AccelChoice = "tcg"
    jobs: int = 0  # cells at a time; 0: as many as cores and memory allow
    repeat: int = 1  # how often each cell is run, in a fresh guest each time
    mirror: str = ""  # Debian mirrors, blanks between, tried in order; empty: the host's own
    append: tuple[str, ...] = ()  # kernel parameters beyond the harness' own
    qemu_args: tuple[str, ...] = ()  # texts of arguments of QEMU's, as a shell would split them


@dataclass(frozen=True)
class Cell:
    """One entry of the matrix: arch × base × position × config × RAM × test × load."""

    arch: str
    base: str
    position: int
    config: tuple[str, ...]
    ram_mib: int
    test: str
    load: str  # a combination as :mod:`harness.plan.loads` spells it; "none" without one
    repeat: int = 0  # which of several runs of the same cell

    @property
    def id(self) -> str:
        """Names the cell everywhere: reports, folders, pytest; parts as :func:`path_safe`."""
        suffix = "" if self.load == NO_LOAD else f"+{self.load}"
        # No load's name has a dot in it.
        suffix = suffix.replace(":", ".").replace("%", "pct").replace("=", "-")
        suffix += f".run{self.repeat + 1}" if self.repeat else ""
        base = "+".join((base_name(self.base), *self.config))
        return f"{self.arch}/{base}/p{self.position}/{self.ram_mib}M/{self.test}{suffix}"

    @property
    def load_names(self) -> tuple[str, ...]:
        """Names of the loads that its test runs under, without how much of each."""
        named = () if self.load == NO_LOAD else self.load.split("+")
        return tuple(part.partition(":")[0] for part in named)

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
    qemu_args: tuple[str, ...] = ()  # arguments of QEMU's beyond the harness' own
    network: bool = True  # a virtio-net device, reachable from loopback only
    disks_mib: tuple[int, ...] = ()  # sizes of virtio disks, empty at first and gone with the guest
    ssh: Path | None = None  # folder with the SSH server, put into the guest when it is asked for
    content: str = ""  # stands for what is in kernel and initramfs; empty: it is never cloned


@dataclass(frozen=True)
class Speed:
    """Speed of a guest, relative to the machine that time-outs are written for."""

    factor: float = field(default=1.0)  # 2.0: half as fast, so every time-out doubles

    def scale(self, seconds: float) -> float:
        """Return *seconds* of the reference guest as seconds of this one; never less."""
        return seconds * max(1.0, self.factor)

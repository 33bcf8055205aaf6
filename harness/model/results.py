# SPDX-License-Identifier: GPL-2.0-only
"""Observations and verdicts: the values that a run folder keeps and reports read."""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass

from harness.model.values import COMMIT_SHOWN, Cell, Plan, SplatKind, Verdict, path_safe


@dataclass(frozen=True)
class Place:
    """A line of source."""

    function: str  # that it is in, inlined ones by their own name
    file: str  # in the kernel tree, or <test>/<file> for a guest test's module
    line: int


@dataclass(frozen=True)
class Frame:
    """A place in code that a splat names, and the source it was compiled from."""

    symbol: str  # "function+0x1b/0x40"
    module: str  # "" for the kernel itself
    line: int  # 1-based line of the splat's text
    exact: bool  # the processor stood there; else it is where a call returns to
    places: tuple[Place, ...] = ()  # innermost inlined function first; empty: not known


@dataclass(frozen=True)
class Splat:
    """One complaint of the kernel, cut out of its log."""

    kind: SplatKind
    title: str  # one line: what it says, without addresses
    text: str  # all its lines
    line: int  # 1-based line of the log at which it starts
    case: str = ""  # the case that was running; "" where none was
    when: str = ""  # the same in words: "in case X", "after the last case"
    frames: tuple[Frame, ...] = ()
    died: bool = False  # the kernel did: by all of its lines, also those that `text` leaves out


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


_LINE = re.compile(r"(?<=:)\d+\b")  # of a source file


class Stop(enum.Enum):
    """Stage that a kernel did not get past, by its own doing, so that no test could run on it."""

    APPLY = "apply"
    BUILD = "build"
    BOOT = "boot"


@dataclass(frozen=True)
class KernelFault:
    """What is wrong with a position itself, before any test."""

    stage: Stop
    what: str  # one line, the same in every run: "does not build: lib/glob.c:45: error: ..."
    place: str = ""  # "lib/glob.c:45" that it names; "" where it names none
    patch: int = 0  # number of the patch that it leads to; 0: to none
    exact: bool = True  # the place is a line of that patch; else in a file that the patch changes
    detail: str = ""  # the compiler's lines, git's, or the end of the console
    grounds: str = ""  # why the host and the base are not to blame, one line

    @property
    def kind(self) -> tuple[Stop, str]:
        """The same for faults that are alike but for the line, which other patches move."""
        return self.stage, _LINE.sub("", self.what)

    @property
    def text(self) -> str:
        """What is wrong, with its place and the patch, as one line."""
        at = f" ({self.place})" if self.place and self.place not in self.what else ""
        return ", ".join(filter(None, (f"{self.what}{at}", self.leads_to)))

    @property
    def leads_to(self) -> str:
        """The patch in words, to follow the place: "a line of patch 6", or ""."""
        if not self.patch or not self.place:
            return ""
        return f"a line of patch {self.patch}" if self.exact else f"patch {self.patch} changes it"


class Ended(enum.Enum):
    """End of one test's run, as the harness saw it."""

    DONE = "done"  # module loaded, all records in
    REFUSED = "refused"  # the kernel refused the module; `errno` says why
    DIED = "died"  # the guest was gone: panic, reset, triple fault
    STUCK = "stuck"  # no progress for so long that waiting on makes no sense; `stuck` says how
    SILENT = "silent"  # no answer before the deadline
    LOST = "lost"  # QEMU or the link to it broke
    UNTRIED = "untried"  # its load could not be had, so it was not run


class Stuck(enum.Enum):
    """Kind of a standstill."""

    LIVELOCK = "livelock"  # the kernel is busy, and gets nowhere
    HANG = "hang"  # it waits for what never comes


@dataclass(frozen=True)
class Shown:
    """A claim of a load about the guest's counters, and what became of it."""

    load: str
    counter: str
    want: str  # "> 0": it grew; "is > 100": its value
    before: int  # before the load was started
    after: int  # while it still ran
    borne_out: bool


@dataclass(frozen=True)
class Phase:
    """Kernel log of a stretch of time before or after the test of a cell."""

    when: str  # in words: "while load anon was stopped"
    log: tuple[str, ...]  # kernel log, one record each, in order
    ended: Ended = Ended.DONE  # else how the guest was lost in it, or LOST: QEMU or its link broke
    reason: str = ""  # one line where ended is not DONE
    lost_records: int = 0  # as in TestOutcome
    found_records: int = 0


@dataclass(frozen=True)
class TestOutcome:
    """Outcome of one test in a guest, not judged yet."""

    __test__ = False  # not a pytest class

    ended: Ended
    log: tuple[str, ...]  # kernel log of the test, one record each, in order
    errno: int = 0  # of finit_module
    seconds: float = 0.0
    lost_records: int = 0  # gaps in the kernel log's sequence numbers
    found_records: int = 0  # others that it had lost, and the console has: in the log again
    reason: str = ""  # one line where ended is not DONE
    load_ended: str = ""  # how the load ended, where it did so by itself
    load_broke: tuple[str, ...] = ()  # loads that did not end well once told to
    unsound: tuple[str, ...] = ()  # broken file systems of loads
    phases: tuple[Phase, ...] = ()  # those in which the kernel said something, or that went bad
    stuck: Stuck | None = None  # how the test was stuck, where ended is STUCK
    where: str = ""  # function of the kernel that it was stuck in, "" where nobody knows

    @property
    def all_lost(self) -> int:
        """Number of kernel log records that are lost, of the test and around it."""
        return self.lost_records + sum(phase.lost_records for phase in self.phases)

    @property
    def all_found(self) -> int:
        """Number of records that only the console has."""
        return self.found_records + sum(phase.found_records for phase in self.phases)


class Death(enum.Enum):
    """Kinds of a boot that ends before the guest is ready."""

    HALTED = "halted"  # the processor stands, and nothing can wake it
    IDLE = "idle"  # it waits, with interrupts on, for what does not come
    SPINNING = "spinning"  # it runs in one place for ever
    PANIC = "panic"
    RESET = "reset"  # it reset or powered off without a panic
    TRIPLE_FAULT = "triple fault"
    RAM = "needs more RAM"
    INITRAMFS = "initramfs"  # it cannot be unpacked, or is no file system
    INIT = "init"  # it is not there, or died
    SILENT = "silent"  # the time was over, and none of the above was seen


# Deaths by what the kernel was given: its own fault only where another kernel lives with the same.
_OF_THE_GIVEN = frozenset({Death.RAM, Death.INITRAMFS, Death.INIT})


@dataclass(frozen=True)
class BootDeath:
    """How a kernel died at boot, as one or two boots showed it."""

    kind: Death
    what: str  # one line, without addresses and times: the same in each run
    frames: tuple[Frame, ...] = ()  # the stack at its end, innermost first; without places
    console: tuple[str, ...] = ()  # lines of the first boot
    early_log: tuple[str, ...] = ()  # of the second boot, which had an early console
    registers: str = ""  # what QEMU said of the processors, and the stack by name
    seconds: float = 0.0  # what both boots took until they were known to be dead
    again: bool = False  # the second boot died in the same way
    second: str = ""  # how the second boot ended, where it was another way, in one line

    @property
    def attributable(self) -> bool:
        """Whether it takes no more than a working emulator to lay this to the kernel.

        Else another kernel must have come up with the same RAM and initramfs.
        """
        return self.kind not in _OF_THE_GIVEN


@dataclass(frozen=True)
class Observation:
    """Evidence of one cell, not judged yet; kept for later runs."""

    outcome: TestOutcome | None  # None: the guest never became ready
    boot_console: tuple[str, ...] = ()  # the console's lines, where outcome is None
    argv: tuple[str, ...] = ()
    seconds: float = 0.0  # boot, load and test together
    boot: str = "cold"  # how the guest came to be: "cold", "clone"
    note: str = ""  # what could not be collected, one line
    fault: KernelFault | None = None  # where outcome is None: why the kernel does not boot


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
    argv: tuple[str, ...] = ()
    qemu_version: str = ""
    evidence: tuple[tuple[str, str], ...] = ()  # (what, path below the run folder)
    found_records: int = 0  # that the kernel's log had lost, and the console has
    anomalies: tuple[str, ...] = ()  # wrong beside the cases: the kernel died, splats, lost results
    fault: KernelFault | None = None  # why no test could run on its kernel; the verdict is FAIL
    commit: str = ""  # full id of the last patch applied, where it was cut from one

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
    fault: KernelFault | None = None  # the same or why it does not boot, if by its own doing


@dataclass(frozen=True)
class PatchRecord:
    """A patch of the series as a run used it, for reports."""

    number: int
    title: str
    sha256: str
    commit: str = ""  # full id that it was cut from, "" where that is not known
    author: str = ""
    file: str = ""  # path below the run folder


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
    series_name: str = ""  # as stable as the series: no path and no range; "" of an older harness
    base_commit: str = ""  # full id, where the base is one of a git repository
    patches: tuple[PatchRecord, ...] = ()
    about: str = ""  # what the run was for, where it is not `harness run`: "bisect: ..."

    @property
    def name(self) -> str:
        """Name of the series, the same for each range of a repository."""
        return self.series_name or path_safe(self.plan.series)

    def commit_at(self, position: int) -> str:
        """Return the short id of the last commit at *position*, of the base at 0; "" if unknown."""
        commits = {patch.number: patch.commit for patch in self.patches} | {0: self.base_commit}
        return commits.get(position, "")[:COMMIT_SHOWN]

    @property
    def as_expected(self) -> bool:
        return self.finished and all(c.as_expected for c in self.cells)

    @property
    def unpatched(self) -> bool:
        """Whether the base was taken as it is: there is one position, and it needs no number."""
        return not self.patch_titles


# ---------------------------------------------------------------- a test over time

MAX_MARKS = 2000
MAX_MARK_TEXT = 400  # characters


@dataclass(frozen=True)
class Mark:
    """An event on the time axis of a test."""

    t: float  # seconds since the test began
    kind: str  # "case-begin", "case-end", "oom-kill", "splat", "stuck"
    text: str  # one line

    def json(self) -> str:
        """Return its line of ``samples.jsonl``."""
        return json.dumps(
            {"t": round(self.t, 6), "mark": self.kind, "text": self.text[:MAX_MARK_TEXT]}
        )

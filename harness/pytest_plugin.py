# SPDX-License-Identifier: GPL-2.0-only
"""pytest plugin: guest tests as items, and guests as fixtures.

``pytest guest-tests --series vmalloc-nofail --arch arm64 --position 4 --ram 96M`` collects every
``test.toml`` below the given folder, one item per cell, or with ``--repeat`` per run of one. An
item passes when its verdict is PASS, is *xfailed* when it fails as its ``test.toml`` declares for
that position, is skipped on SKIP, and fails on everything else; a cell that could not be run
(MISS) is an error, never a failure of the kernel.

A test in Python asks for the fixtures ``guest`` or ``kernel`` and runs once (or as ``--repeat``
says) for each architecture and position that was asked for, else on the first architecture at the
last position::

    def test_release(guest):
        with guest.ssh() as ssh:
            assert ssh.run("uname -r").stdout.startswith("5.10")

It fails where the kernel is at fault, whatever it asserts itself: see :mod:`harness.run.driven`.
A fault of the host or of the harness is pytest's *error* in whatever phase.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from rich.console import Console

from harness.arch import load_arch
from harness.build.modules import build_modules
from harness.guest.guest import BootFailure, Guest
from harness.guest.transport.agent import GuestDied
from harness.host.paths import default_cache, find_checkout
from harness.model.errors import GuestError, HarnessError, InfraError, PatchError, UserError
from harness.model.jsonio import suggest
from harness.model.results import CellResult
from harness.model.text import one_line, visible
from harness.model.values import Arch, Cell, GuestTest, Kernel, Plan, Verdict
from harness.plan.descriptions import load_tests, read_toml
from harness.plan.options import OPTIONS, declare, given_options, plan_of
from harness.report.splat_text import splat_block
from harness.report.terminal.view import View
from harness.run.artifacts import GuestArtifacts
from harness.run.driven import TOLERABLE, Drive, Seen, parse_tolerated, seen_of_boot
from harness.run.folder import RunFolder
from harness.run.kernel_failed import KernelFailed
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan, completed, prepare, subject
from harness.run.workspace import Workspace
from harness.source.fetch import known
from harness.verdict.judge import judge_fault

PACKAGE = Path(__file__).resolve().parent
SPLATS_SHOWN = 10
PREFIX = "kph_"  # of our options among those of other plugins
TESTS = ("guest-tests", "tests")  # the folders of a checkout that hold them


@dataclass
class PytestLab:
    """The state of one pytest session: its plan's lab, run folder and artifacts.

    Everything runs in pytest's own thread, so an interrupt ends it like any exception.
    """

    plan: Plan
    workspace: Workspace
    fresh: bool
    evidence: Callable[[], Path]  # makes the folder for it
    asked: frozenset[str] = frozenset()  # options that the command line or the plan's file has
    told: bool = False  # what the session is about, in its header
    _artifacts: dict[tuple[str, int], GuestArtifacts] = field(default_factory=dict)
    _bare: dict[tuple[str, int], GuestArtifacts] = field(default_factory=dict)

    @cached_property
    def ready(self) -> ResolvedPlan:
        """The plan; source and series are fetched on first use."""
        return prepare(self.plan, self.workspace, announce=not self.told)

    @cached_property
    def lab(self) -> Lab:
        return Lab(self.ready, self.workspace)

    @cached_property
    def run(self) -> RunFolder:
        """The folder of the session's cells."""
        return RunFolder(self.evidence())

    @property
    def positions(self) -> tuple[int, ...]:
        return self.plan.positions or self.ready.positions

    @property
    def driven(self) -> tuple[tuple[int, str], ...]:
        """Positions and architectures of a test in Python: what was asked for, else one of each."""
        positions = self.positions if "position" in self.asked else self.positions[-1:]
        archs = self.plan.arch if "arch" in self.asked else self.plan.arch[:1]
        return tuple(product(positions, archs))

    def bare(self, arch: Arch, position: int) -> GuestArtifacts:
        """Return one kernel and what it takes to boot it, built on first use."""
        key = (arch.name, position)
        if key not in self._bare:
            kernel = self.lab.kernel(arch, position)
            self._bare[key] = self.lab.boot_artifacts(arch, kernel)
        return self._bare[key]

    def module(self, kernel: Kernel, name: str) -> Path:
        """Return the module of the guest test called *name*, built for *kernel*.

        Raises:
            UserError: there is no such test.
            BuildError: it does not build.
        """
        tests = load_tests(self.workspace.checkout)
        if name not in tests:
            raise UserError(f"no guest test '{name}': {suggest(name, tests)}")
        where = (self.workspace.checkout.include, self.workspace.cache, self.workspace.report)
        return build_modules(kernel, load_arch(kernel.arch), (tests[name],), *where)[name]

    def artifacts(self, arch: Arch, position: int) -> GuestArtifacts:
        """Return one kernel with all that runs on it, built on first use."""
        key = (arch.name, position)
        if key not in self._artifacts:
            kernel = self.bare(arch, position).kernel
            self._artifacts[key] = self.lab.guest_artifacts(arch, kernel)
        return self._artifacts[key]

    def judge(self, cell: Cell) -> CellResult:
        """Run one cell, or reuse what is known of it."""
        arch = load_arch(cell.arch)
        ready = self.lab.ready
        try:
            artifacts = self.artifacts(arch, cell.position)
        except KernelFailed as failed:
            return judge_fault(cell, ready.test(cell.test), ready.series.name, failed.fault)
        job = self.lab.job(arch, artifacts, cell)
        return self.lab.run(job, self.run, fresh=self.fresh)


LAB = pytest.StashKey[PytestLab]()
DRIVES = pytest.StashKey[list[Drive]]()  # guests that an item has
TOLERATES = "tolerates"
ENDS = (Exception, pytest.fail.Exception, pytest.skip.Exception)  # of a test
# Loggers that tell of each guest that ends: for whoever asks for their levels.
NOISY = ("qemu.qmp", "paramiko", "asyncio")
CONSOLE_SHOWN = 200  # lines


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of a plan."""
    group = parser.getgroup("kernel patch harness")
    declare(group.addoption, PREFIX)
    group.addoption("--plan", dest=PREFIX + "plan", metavar="PLAN.toml", help="plan to start from")
    group.addoption(
        "--fresh", dest=PREFIX + "fresh", action="store_true", help="boot, reuse no verdict"
    )


def lab_of(config: pytest.Config) -> PytestLab:
    """Return the session's lab; a bad option ends pytest with one line.

    Raises:
        pytest.UsageError: the plan is not valid.
    """
    if LAB not in config.stash:
        named = config.getoption(PREFIX + "plan")
        file = Path(named) if named else None
        try:
            checkout = find_checkout(config.rootpath)
            plan = completed(plan_of(vars(config.option), checkout, file, PREFIX), checkout)
            cache = default_cache()
        except HarnessError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise pytest.UsageError(f"{error.what}{hint}") from None
        # Plain lines beside pytest's own output: a build of minutes must not look like a hang.
        view = View(Console(file=sys.__stderr__, highlight=False), live=False)
        config.add_cleanup(view.close)
        asked = {_dest(key) for key in (*given_options(vars(config.option), PREFIX), *_keys(file))}
        workspace = Workspace(checkout, cache, report=view, settle=view.close)
        config.stash[LAB] = PytestLab(
            plan=plan,
            workspace=workspace,
            fresh=bool(config.getoption(PREFIX + "fresh")),
            evidence=partial(evidence_folder, config),
            asked=frozenset(asked),
        )
    return config.stash[LAB]


def _keys(file: Path | None) -> tuple[str, ...]:
    return tuple(read_toml(file)) if file is not None else ()


def _dest(key: str) -> str:
    """Return the word of a flag for *key*, which is one, or a field of the plan."""
    return next((option.dest for option in OPTIONS if key in (option.dest, option.field)), key)


def evidence_folder(config: pytest.Config) -> Path:
    """Return a new folder below pytest's own, which keeps those of the last few sessions."""
    # Not public, and yet what the fixture tmp_path_factory gives to tests; items have no fixtures.
    factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined]
    return factory.mktemp("guests")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name series, base, commits and kernel version, where the command line asks for a plan.

    A base that is still to be fetched is named once it is there.
    """
    lab = config.stash.get(LAB, None)
    with contextlib.suppress(HarnessError):  # whoever needs it says what is wrong
        if lab is not None and known(lab.plan.base, lab.workspace.cache):
            lab.told = True
            return subject(lab.plan, lab.ready.series, lab.ready.tree)
    return None


# ---------------------------------------------------------------- items


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect ``test.toml`` files as guest tests: those of ``guest-tests/tests``, no others."""
    if file_path.name != "test.toml" or file_path.parents[1].parts[-2:] != TESTS:
        return None
    collector: GuestTestFile = GuestTestFile.from_parent(parent, path=file_path)
    return collector


class GuestTestFile(pytest.File):
    """One guest test: an item for each cell of the plan."""

    def collect(self) -> Iterable[pytest.Item]:
        """Make one item per architecture, position, RAM, load and repeat."""
        lab = lab_of(self.config)
        test = load_tests(lab.workspace.checkout)[self.path.parent.name]
        plan = lab.plan
        if plan.tests and not any(fnmatchcase(test.name, pattern) for pattern in plan.tests):
            return
        loads = test.loads_of(plan.loads, named=bool(plan.tests))
        repeats = range(plan.repeat)
        for where in product(lab.positions, plan.arch, plan.ram_mib, loads, repeats):
            position, arch, ram, load, repeat = where
            cell = Cell(arch, plan.base, position, plan.config, ram, test.name, load, repeat)
            run = _run(repeat, plan)
            yield GuestTestItem.from_parent(self, test=test, cell=cell, run=run)


def _run(repeat: int, plan: Plan) -> str:
    """Return how names tell the runs of one thing apart, in words that -k takes; "" for one."""
    return f"-run{repeat + 1}" if plan.repeat > 1 else ""


class VerdictDiffers(Exception):
    """The kernel did something else than what is expected of it."""


class GuestTestItem(pytest.Item):
    """One run of a cell."""

    def __init__(self, *, test: GuestTest, cell: Cell, run: str, **kwargs: Any) -> None:
        suffix = "" if cell.load == "none" else f"+{cell.load}"
        name = f"{cell.test}{suffix}[{cell.arch}-p{cell.position}-{cell.ram_mib}M{run}]"
        super().__init__(name=name, **kwargs)
        self.test = test
        self.cell = cell
        self.add_marker(pytest.mark.guest)

    def setup(self) -> None:
        """Bring the cell to a verdict; what fails here is pytest's *error*, not a failure."""
        try:
            self.result = lab_of(self.config).judge(self.cell)
        except HarnessError as error:
            said = f"{error.what} ({error.hint})"
            if isinstance(error, UserError) and not isinstance(error, PatchError):
                pytest.exit(said, returncode=pytest.ExitCode.USAGE_ERROR)  # no item can do better
            raise pytest.UsageError(said) from None
        for what, text in self._evidence():
            self.add_report_section("call", what, text)
        self.user_properties.append(("verdict", self.result.verdict.value))
        self.user_properties.append(("expected", self.result.expected.value))
        if self.result.verdict is Verdict.MISS:
            raise HarnessError(f"not run: {self.result.reason}")

    def runtest(self) -> None:
        """Say what the verdict is in pytest's own words."""
        result = self.result
        if result.verdict is Verdict.SKIP:
            pytest.skip(result.reason)
        if not result.as_expected:
            folder = lab_of(self.config).run.cell(result.cell)
            raise VerdictDiffers(_difference(result, folder))
        if result.verdict is Verdict.FAIL:
            pytest.xfail(f"fails before patch {self._patch()}, as declared: {result.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show our own errors as lines; a traceback of ours tells a person nothing."""
        if isinstance(excinfo.value, VerdictDiffers | HarnessError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the item in reports."""
        return self.path, None, self.cell.id

    def _patch(self) -> int:
        return self.test.patch_of(lab_of(self.config).lab.ready.series.name)

    def _evidence(self) -> Iterator[tuple[str, str]]:
        run = lab_of(self.config).run.path
        for what, path in self.result.evidence:
            if what in ("test", "argv", "build-errors"):
                yield what, (run / path).read_text(errors="replace")
        if not self.result.as_expected:
            yield "evidence", "\n".join(str(run / path) for _, path in self.result.evidence)


def _difference(result: CellResult, folder: Path) -> str:
    """Return all that is to be said of a cell that is not as expected; *folder* has its files."""
    head = f"{result.cell.id}: {result.verdict.value}, expected {result.expected.value}"
    lines = [head, result.reason] if result.reason else [head]
    for case in result.cases:
        if not case.as_expected:
            lines.append(f"  {case.name}: {case.verdict.value}, expected {case.expected.value}")
            lines += [f"    {visible(text)}" for text in case.diagnostics[:20]]
    lines += map(splat_block, result.splats[:SPLATS_SHOWN])
    return "\n".join((*lines, f"evidence: {folder}"))


# ---------------------------------------------------------------- fixtures


def pytest_configure(config: pytest.Config) -> None:
    """Declare our marker, and refuse a wrong option before anything is collected."""
    config.addinivalue_line("markers", "guest: boots guests of the kernel patch harness")
    config.addinivalue_line(
        "markers",
        f"{TOLERATES}(kind, ...): complaints of the kernel that do not fail this test: "
        f"{', '.join(TOLERABLE)}",
    )
    if not (config.getoption("log_level") or config.getini("log_level")):
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if given_options(vars(config.option), PREFIX) or config.getoption(PREFIX + "plan"):
        lab_of(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a kernel on each that was asked for, as often as the plan says."""
    if "kernel" not in metafunc.fixturenames:
        return
    lab = lab_of(metafunc.config)
    repeats = range(lab.plan.repeat)
    cases = [(*where, repeat) for where, repeat in product(lab.driven, repeats)]
    ids = [f"{arch}-p{position}{_run(repeat, lab.plan)}" for position, arch, repeat in cases]
    metafunc.parametrize("kernel", cases, ids=ids, indirect=True, scope="session")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a wrong kind in a marker before anything runs.

    Raises:
        pytest.UsageError: there is no such kind.
    """
    # A worker of xdist has nobody to tell: there it is an error of the test.
    if not hasattr(item.config, "workerinput") and (wrong := _wrong_kind(item)):
        raise pytest.UsageError(wrong)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker has a wrong kind."""
    if wrong := _wrong_kind(item):
        pytest.fail(wrong, pytrace=False)


def _wrong_kind(item: pytest.Item) -> str:
    try:
        _tolerated(item)
    except UserError as error:
        return f"{item.nodeid}: {error.what} ({error.hint})"
    return ""


def _tolerated(item: pytest.Item) -> frozenset[str]:
    words = [word for mark in item.iter_markers(TOLERATES) for word in mark.args]
    return parse_tolerated(words, f"mark {TOLERATES}") if words else frozenset()


@pytest.fixture(scope="session")
def harness_lab(request: pytest.FixtureRequest) -> PytestLab:
    """The session's plan, source, series and kernels."""
    return lab_of(request.config)


@pytest.fixture(scope="session")
def kernel(request: pytest.FixtureRequest, harness_lab: PytestLab) -> Kernel:
    """A kernel built at one position of the series, for one architecture."""
    position, name, _ = request.param
    try:
        return harness_lab.bare(load_arch(name), position).kernel
    except KernelFailed as failed:
        raise KernelAtFault(failed.text) from None


@pytest.fixture
def guest(
    request: pytest.FixtureRequest, kernel: Kernel, harness_lab: PytestLab, tmp_path: Path
) -> Iterator[Guest]:
    """A fresh guest that runs ``kernel``; down again when the test is done."""
    arch = load_arch(kernel.arch)
    lab = harness_lab.lab
    artifacts = harness_lab.bare(arch, kernel.position)
    spec = lab.spec(arch, artifacts, harness_lab.plan.ram_mib[0])
    try:
        with (
            lab.boots.guest(spec, tmp_path) as booted,
            Drive(booted, artifacts.debug, _tolerated(request.node)) as drive,
        ):
            lab.boots.came_up(spec, f"position {kernel.position}")
            booted.find_module = partial(harness_lab.module, kernel)
            request.node.stash.setdefault(DRIVES, []).append(drive)
            yield booted
    except BootFailure as failure:
        judged = lab.judge_boot(kernel.position, spec, failure, artifacts.debug)
        _show(request.node, Seen(console=failure.console), tmp_path)
        try:
            seen = seen_of_boot(judged, artifacts.debug)
        except GuestError as error:
            raise error from None
        raise KernelAtFault(_told(seen, tmp_path)) from None


class KernelAtFault(Exception):
    """The kernel of a guest did wrong while a test in Python drove it."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test in Python whose kernel is at fault; show what its guests printed if it fails.

    Raises:
        KernelAtFault: in place of what the test met, if that was an error of the guest.
        InfraError: the emulator broke.
    """
    if DRIVES not in item.stash:
        return (yield)
    try:
        result = yield
    except ENDS as error:
        fault = _after(item, error)
        if fault is error or fault is None:
            raise
        raise fault from None
    fault = _after(item, None)
    if fault is not None:
        raise fault
    return result


def _after(item: pytest.Item, error: BaseException | None) -> BaseException | None:
    """Return what becomes of a test that ended by *error*, None where it ended well."""
    told: BaseException | None = None
    for drive in item.stash.get(DRIVES, ()):
        folder = drive.guest.machine.folder
        seen = drive.conclude()
        if seen.fault and told is None:
            told = KernelAtFault(_told(seen, folder))
        elif seen.lost and told is None:
            told = InfraError(f"the guest was lost: {seen.lost}", hint=f"see {folder}")
        if told or not isinstance(error, pytest.skip.Exception | None):
            _show(item, seen, folder)
    if told is None or isinstance(error, HarnessError | pytest.skip.Exception | None):
        return told or error
    item.add_report_section("call", "kernel", str(told))
    return error


def _told(seen: Seen, folder: Path) -> str:
    splats = map(splat_block, seen.splats[:SPLATS_SHOWN])
    return "\n".join((one_line(seen.fault), *splats, f"evidence: {folder}"))


def _show(item: pytest.Item, seen: Seen, folder: Path) -> None:
    lines = map(visible, seen.console[-CONSOLE_SHOWN:])
    item.add_report_section("call", f"console of the guest in {folder}", "\n".join(lines))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a fault of a kernel as a failure and ours as an error, in whatever phase it shows.

    Neither has a traceback through our code, which would tell a person nothing.
    """
    ended = call.excinfo.value if call.excinfo is not None else None
    if call.when == "setup" and isinstance(ended, HarnessError):
        ended = _after(item, ended)  # another fixture has asked for something
    ours = isinstance(ended, InfraError) and not isinstance(ended, GuestError)
    if call.excinfo is not None and isinstance(ended, HarnessError):
        _cut(call.excinfo)
    report = yield
    if report.failed and isinstance(ended, KernelAtFault | GuestDied):
        report.when = "call"
    elif report.failed and ours and report.when == "call":
        report.when = "setup"
    if report.failed and (ours or isinstance(ended, KernelAtFault)):
        report.longrepr = "\n".join(ended.lines) if isinstance(ended, HarnessError) else str(ended)
    return report


def _cut(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Take the frames of ours out of a traceback."""
    theirs: list[TracebackType] = []
    trace: TracebackType | None = excinfo.tb
    while trace is not None:
        if not Path(trace.tb_frame.f_code.co_filename).is_relative_to(PACKAGE):
            theirs.append(trace)
        trace = trace.tb_next
    for one in reversed(theirs):
        trace = TracebackType(trace, one.tb_frame, one.tb_lasti, one.tb_lineno)
    if trace is not None:
        excinfo.traceback = type(excinfo.traceback)(trace)

# SPDX-License-Identifier: GPL-2.0-only
"""pytest plugin: guest tests as items, and guests as fixtures.

``pytest guest-tests --series vmalloc-nofail --arch arm64 --position 4 --ram 96M`` collects every
``test.toml`` below the given folder, one item per cell, or with ``--repeat`` per run of one. An
item passes when its verdict is PASS, is *xfailed* when it fails as its ``test.toml`` declares for
that position, is skipped on SKIP, and fails on everything else; a cell that could not be run
(MISS) is an error, never a failure of the kernel.

A test in Python asks for the fixtures ``guest`` or ``kernel`` and runs once (or as
``--repeat`` says) per architecture and position of the plan::

    def test_release(guest):
        with guest.ssh() as ssh:
            assert ssh.run("uname -r").stdout.startswith("5.10")
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.arch import load_arch
from harness.guest.guest import Guest
from harness.host.paths import default_cache, find_checkout
from harness.model.errors import HarnessError, PatchError, UserError
from harness.model.results import CellResult
from harness.model.values import Arch, Cell, GuestTest, Kernel, Plan, Verdict
from harness.plan.descriptions import load_tests
from harness.plan.options import declare, given_options, plan_of
from harness.report.terminal.view import View
from harness.run.artifacts import GuestArtifacts
from harness.run.folder import RunFolder
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan, completed, prepare, subject
from harness.run.workspace import Workspace
from harness.source.fetch import known

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
    run: RunFolder
    told: bool = False  # what the session is about, in its header
    _artifacts: dict[tuple[str, int], GuestArtifacts] = field(default_factory=dict)

    @cached_property
    def ready(self) -> ResolvedPlan:
        """The plan; source and series are fetched on first use."""
        return prepare(self.plan, self.workspace, announce=not self.told)

    @cached_property
    def lab(self) -> Lab:
        return Lab(self.ready, self.workspace)

    @property
    def positions(self) -> tuple[int, ...]:
        return self.plan.positions or self.ready.positions

    def artifacts(self, arch: Arch, position: int) -> GuestArtifacts:
        """Return one kernel with all that runs on it, built on first use."""
        key = (arch.name, position)
        if key not in self._artifacts:
            kernel = self.lab.kernel(arch, position)
            self._artifacts[key] = self.lab.guest_artifacts(arch, kernel)
        return self._artifacts[key]

    def judge(self, cell: Cell) -> CellResult:
        """Run one cell, or reuse what is known of it."""
        arch = load_arch(cell.arch)
        job = self.lab.job(arch, self.artifacts(arch, cell.position), cell)
        return self.lab.run(job, self.run, fresh=self.fresh)


LAB = pytest.StashKey[PytestLab]()


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
        except HarnessError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise pytest.UsageError(f"{error.what}{hint}") from None
        # Plain lines beside pytest's own output: a build of minutes must not look like a hang.
        view = View(Console(file=sys.__stderr__, highlight=False), live=False)
        config.add_cleanup(view.close)
        # What a person needs of the evidence goes into pytest's own report.
        folder = tempfile.TemporaryDirectory(prefix="kph-pytest-")
        config.add_cleanup(folder.cleanup)
        workspace = Workspace(checkout, default_cache(), report=view, settle=view.close)
        config.stash[LAB] = PytestLab(
            plan=plan,
            workspace=workspace,
            fresh=bool(config.getoption(PREFIX + "fresh")),
            run=RunFolder(Path(folder.name)),
        )
    return config.stash[LAB]


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
            raise VerdictDiffers(_difference(result))
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
        for what, path in self.result.evidence:
            if what in ("test", "argv"):
                yield what, (lab_of(self.config).run.path / path).read_text(errors="replace")


def _difference(result: CellResult) -> str:
    head = f"{result.cell.id}: {result.verdict.value}, expected {result.expected.value}"
    lines = [head, result.reason] if result.reason else [head]
    for case in result.cases:
        if not case.as_expected:
            lines.append(f"  {case.name}: {case.verdict.value}, expected {case.expected.value}")
            lines += [f"    {text}" for text in case.diagnostics[:20]]
    lines += [f"  {splat.kind.value}: {splat.title}" for splat in result.splats]
    return "\n".join(lines)


# ---------------------------------------------------------------- fixtures


def pytest_configure(config: pytest.Config) -> None:
    """Declare our marker, and refuse a wrong option before anything is collected."""
    config.addinivalue_line("markers", "guest: boots guests of the kernel patch harness")
    if given_options(vars(config.option), PREFIX) or config.getoption(PREFIX + "plan"):
        lab_of(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a kernel on each of the plan, as often as the plan says."""
    if "kernel" not in metafunc.fixturenames:
        return
    lab = lab_of(metafunc.config)
    cases = list(product(lab.positions, lab.plan.arch, range(lab.plan.repeat)))
    ids = [f"{arch}-p{position}{_run(repeat, lab.plan)}" for position, arch, repeat in cases]
    metafunc.parametrize("kernel", cases, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def harness_lab(request: pytest.FixtureRequest) -> PytestLab:
    """The session's plan, source, series and kernels."""
    return lab_of(request.config)


@pytest.fixture(scope="session")
def kernel(request: pytest.FixtureRequest, harness_lab: PytestLab) -> Kernel:
    """A kernel built at one position of the series, for one architecture."""
    position, name, _ = request.param
    return harness_lab.artifacts(load_arch(name), position).kernel


@pytest.fixture
def guest(kernel: Kernel, harness_lab: PytestLab, tmp_path: Path) -> Iterator[Guest]:
    """A fresh guest that runs ``kernel``; down again when the test is done."""
    arch = load_arch(kernel.arch)
    lab = harness_lab.lab
    artifacts = harness_lab.artifacts(arch, kernel.position)
    spec = lab.spec(arch, artifacts, harness_lab.plan.ram_mib[0])
    with lab.templates.guest(spec, tmp_path) as booted:
        yield booted

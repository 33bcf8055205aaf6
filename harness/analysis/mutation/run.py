# SPDX-License-Identifier: GPL-2.0-only
"""Mutation testing for a series: does some test tell each wrong variant of it from the right one?

A mutant is one more patch on top of the series, so everything that builds and judges a position
builds and judges it too: the work tree changes by one file, make compiles that, and the tests are
expected to pass as they do without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from concurrent import futures
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.mutation.mutate import SOURCES, Mutant, mutants_of
from harness.analysis.mutation.record import Fate, MutantResult, MutantsRecord
from harness.build.kernel import KERNEL
from harness.guest.guest import BootFailure
from harness.guest.template import KIND as TEMPLATE
from harness.guest.template import template_key
from harness.host.deadline import Deadline
from harness.host.files import digest_files, key_of
from harness.model.errors import GuestError, UserError
from harness.model.events import Note, Stage
from harness.model.jsonio import from_json, to_json
from harness.model.results import CellResult
from harness.model.values import Arch, GuestSpec, Kernel, Series, Verdict
from harness.run.artifacts import GuestArtifacts
from harness.run.folder import RunFolder
from harness.run.kernel_failed import KernelFailed
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan
from harness.run.workspace import Workspace
from harness.source.apply import contents_at, read_content
from harness.source.patch_files import read_patch

KIND = "mutant"
RESULT = "result.json"
# Raise it when the same mutant would meet another fate for a reason that no key has.
CACHE_VERSION = "2"


@dataclass(frozen=True)
class _Subject:
    """The code under mutation, and the right kernel that mutants are compared with."""

    lab: Lab
    arch: Arch
    position: int
    kernel: Kernel
    run: RunFolder

    def patched(self, patch: Path) -> Lab:
        """Return the lab for a plan with *patch* behind the position, which has that alone."""
        ready = self.lab.ready
        series = ready.series
        at = self.position + 1
        mutated: Series = replace(
            series,
            patches=(*series.patches[: self.position], replace(read_patch(patch), number=at)),
        )
        return self.lab.with_plan(replace(ready, series=mutated, positions=(at,)))


def find_mutants(ready: ResolvedPlan, position: int) -> tuple[tuple[Mutant, str], ...]:
    """Return the mutants of what the series has brought at *position*, each with its diff.

    Raises:
        PatchError: a patch does not apply.
    """
    before = contents_at(ready.tree, ready.series, 0)
    found: list[tuple[Mutant, str]] = []
    for name, content in sorted(contents_at(ready.tree, ready.series, position).items()):
        if content is None or content.link or not name.endswith(SOURCES):
            continue
        old = before[name] if name in before else read_content(ready.tree.path, name)
        after = content.data.decode("utf-8", "surrogateescape")
        text = old.data.decode("utf-8", "surrogateescape") if old else ""
        found += [(mutant, mutant.diff(after)) for mutant in mutants_of(name, text, after)]
    return tuple(found)


def run_mutants(
    ready: ResolvedPlan,
    arch: Arch,
    position: int,
    workspace: Workspace,
    run: RunFolder,
    *,
    deadline: Deadline,
    on_result: Callable[[MutantsRecord], None],
    only: Collection[int] = (),
) -> MutantsRecord:
    """Build and test every mutant on *arch* until *deadline*; what is done is not done again.

    ``only`` are the numbers of some mutants, from 1, as :func:`find_mutants` has them in order.

    *on_result* gets the record each time a mutant has met its fate.

    Raises:
        UserError: there is no mutant, or the tests do not pass on the right code.
    """
    mutants = dict(enumerate(find_mutants(ready, position), 1))
    if not mutants:
        raise UserError(f"series '{ready.series.name}' has no code at position {position}")
    for number in only:
        if number not in mutants:
            raise UserError(f"there is no mutant {number}", hint=f"1 to {len(mutants)}: --list")
    mutants = {number: mutants[number] for number in sorted(only) or mutants}
    with Lab(replace(ready, archs=(arch,)), workspace) as lab:
        subject = _Subject(lab, arch, position, lab.kernel(arch, position), run)
        round_ = _Round(subject, len(mutants), on_result)
        round_.check_the_right_code()
        for number, (mutant, diff) in mutants.items():
            if deadline.passed:
                workspace.report(
                    Note("the time is up: the same command goes on from here", "warning")
                )
                break
            round_.take(number, mutant, diff)
        round_.wait()
    return round_.record()


class _Round:
    """Mutants on their way to their fate: one is compiled while others are tested."""

    def __init__(
        self,
        subject: _Subject,
        total: int,
        on_result: Callable[[MutantsRecord], None],
    ) -> None:
        self._subject = subject
        self._total = total
        self._on_result = on_result
        self._running: list[futures.Future[None]] = []
        self._results: dict[int, MutantResult] = {}
        self._order: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def check_the_right_code(self) -> None:
        """Run the tests on the series as it is: a test that fails there tells nothing.

        Raises:
            UserError: one does not pass.
        """
        subject, lab = self._subject, self._subject.lab
        artifacts = lab.guest_artifacts(subject.arch, subject.kernel)
        running = [
            lab.submit(self._test, lab, artifacts, subject.position, test.name)
            for test in lab.ready.tests
        ]
        seen = sorted((future.result() for future in running), key=lambda r: r.seconds)
        self._order = tuple(result.cell.test for result in seen)  # the quickest first
        odd = [result for result in seen if not result.as_expected]
        if odd:
            raise UserError(
                f"{odd[0].cell.id} is {odd[0].verdict.value} on the right code: {odd[0].reason}",
                hint="mutants say something only where the tests pass without them",
            )

    def take(self, number: int, mutant: Mutant, diff: str) -> None:
        """Build one mutant, and let it be tested beside the next one's build."""
        subject = self._subject
        patch = subject.run.path / "mutants" / f"{number:03d}.patch"
        patch.parent.mkdir(parents=True, exist_ok=True)
        subject_line = f"mutant: {mutant.operator}: {mutant.what}".replace("\n", " ")
        head = f"From: nobody <nobody@localhost>\nSubject: {subject_line}\n\n---\n"
        patch.write_text(head + diff, "utf-8", "surrogateescape")
        begun = time.monotonic()
        result = MutantResult(
            mutant.file, mutant.line, mutant.operator, mutant.what, diff, Fate.UNDECIDED
        )
        lab = subject.patched(patch)
        key = self._key(lab.ready)
        known = lab.workspace.store.get(KIND, key)
        if known is not None:
            kept = from_json(MutantResult, (known / RESULT).read_text(encoding="utf-8"))
            self._enter(number, replace(kept, reused=True))
            return
        try:
            kernel = lab.kernel(subject.arch, subject.position + 1)
        except KernelFailed as failed:
            by = failed.fault.what
            self._decide(number, key, replace(result, fate=Fate.UNBUILDABLE, by=by), begun)
            return
        if kernel.image_sha256 == subject.kernel.image_sha256:
            self._forget(kernel)
            self._decide(number, key, replace(result, fate=Fate.EQUIVALENT), begun)
            return
        job = (number, key, result, begun, lab, kernel)
        self._running = [future for future in self._running if not _done(future)]
        self._running.append(lab.submit(self._try, *job))

    def wait(self) -> None:
        """Wait until every mutant that was taken has met its fate."""
        for future in futures.as_completed(self._running):
            future.result()

    def record(self) -> MutantsRecord:
        """Return what is known now, in the order of lines."""
        ready = self._subject.lab.ready
        with self._lock:
            results = tuple(self._results[number] for number in sorted(self._results))
        return MutantsRecord(
            ready.series.name,
            ready.plan.base,
            ready.tree.version,
            self._subject.arch.name,
            self._subject.position,
            tuple(test.name for test in ready.tests),
            self._total,
            results,
        )

    # ------------------------------------------------------------ one mutant

    def _try(
        self,
        number: int,
        key: str,
        result: MutantResult,
        begun: float,
        lab: Lab,
        kernel: Kernel,
    ) -> None:
        try:
            fate, by = self._boot(number, lab, kernel)
            if fate is not Fate.KILLED:
                artifacts = lab.guest_artifacts(self._subject.arch, kernel)
                fate, by = self._fate(lab, artifacts)
        finally:
            self._forget(kernel)
        self._decide(number, key, replace(result, fate=fate, by=by), begun)

    def _boot(self, number: int, lab: Lab, kernel: Kernel) -> tuple[Fate, str]:
        """Boot a mutant: one that does not come up must not cost every test its time."""
        spec = self._spec(kernel)
        try:
            with lab.boots.guest(spec, self._subject.run.path / "mutants" / f"{number:03d}"):
                lab.boots.came_up(spec, f"mutant {number}")
        except BootFailure as failure:
            judged = lab.judge_boot(lab.ready.positions[0], spec, failure)
            if judged.fault is None:
                return Fate.UNDECIDED, judged.why
            return Fate.KILLED, f"the boot: {judged.fault.what}"
        except GuestError as error:
            return Fate.UNDECIDED, error.what
        return Fate.UNDECIDED, ""

    def _spec(self, kernel: Kernel) -> GuestSpec:
        arch, lab = self._subject.arch, self._subject.lab
        return lab.spec(arch, lab.boot_artifacts(arch, kernel), lab.ready.plan.ram_mib[0])

    def _fate(self, lab: Lab, artifacts: GuestArtifacts) -> tuple[Fate, str]:
        missed = ""
        for name in self._order:
            seen = self._test(lab, artifacts, lab.ready.positions[0], name)
            if seen.verdict is Verdict.MISS:
                missed = missed or f"{name}: {seen.reason}"
            elif not seen.as_expected:
                return Fate.KILLED, _killer(seen)
        return (Fate.UNDECIDED, missed) if missed else (Fate.SURVIVED, "")

    def _test(self, lab: Lab, artifacts: GuestArtifacts, position: int, name: str) -> CellResult:
        arch = self._subject.arch
        cell = next(cell for cell in lab.ready.cells(arch, position) if cell.test == name)
        job = lab.job(arch, artifacts, cell)
        job = replace(job, debug=None)  # nobody looks, and the source is not that of a position
        return lab.run(job, self._subject.run)

    def _forget(self, kernel: Kernel) -> None:
        """Drop a mutant's kernel and template: nobody else asks for them, and they are large."""
        store = self._subject.lab.workspace.store
        if kernel.image_sha256 != self._subject.kernel.image_sha256:
            store.drop(TEMPLATE, template_key(self._spec(kernel)))
        store.drop(KERNEL, kernel.key)

    def _key(self, ready: ResolvedPlan) -> str:
        """Return what a mutant's fate follows from: its kernel's inputs, and the tests."""
        checkout = self._subject.lab.workspace.checkout
        tests = (digest_files(test.folder) for test in ready.tests)
        patches = (patch.sha256 for patch in ready.series.applied(ready.positions[0]))
        ram = map(str, ready.plan.ram_mib)
        return key_of(
            CACHE_VERSION, self._subject.kernel.key, *patches, digest_files(checkout.include),
            digest_files(checkout.init), *tests, *ram, str(ready.plan.cpus),
        )  # fmt: skip

    def _decide(self, number: int, key: str, result: MutantResult, begun: float) -> None:
        result = replace(result, seconds=round(time.monotonic() - begun, 1))
        if result.fate is not Fate.UNDECIDED:
            self._subject.lab.workspace.store.put(
                KIND, key, lambda into: _write(into / RESULT, to_json(result))
            )
        self._enter(number, result)

    def _enter(self, number: int, result: MutantResult) -> None:
        with self._lock:
            self._results[number] = result
            done = len(self._results)
        text = f"{result.file}:{result.line}: {result.what}: {result.fate.value}"
        by = f" by {result.by}" if result.fate is Fate.KILLED else ""
        level = "info" if result.fate in (Fate.KILLED, Fate.EQUIVALENT) else "warning"
        report = self._subject.lab.workspace.report
        if level == "warning":
            report(Note(f"{text}{by}", "warning"))
        report(Stage("mutants", f"{text}{by}", done, self._total, done == self._total))
        self._on_result(self.record())


def _killer(seen: CellResult) -> str:
    """Name what told the mutant from the right code: a case, or how the kernel ended."""
    cases = [case.name for case in seen.cases if not case.as_expected]
    if cases:
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        return f"{seen.cell.test}: {cases[0]}{more}"
    return f"{seen.cell.test}: {seen.reason}"


def _done(future: futures.Future[None]) -> bool:
    if not future.done():
        return False
    future.result()  # what went wrong there is not lost
    return True


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")

# SPDX-License-Identifier: GPL-2.0-only
"""JUnit XML of a run, for the test report of a CI.

JUnit knows passed, failed, broken and skipped; a run knows verdicts that are as expected or
not: before its patch, a test *must* fail. JUnit gets whether the expectation held:

- A verdict that is as expected passes, an expected FAIL too. Which verdict it was stands in the
  first line of its ``<system-out>``, and the expected FAILs are counted in the suite's
  properties.
- Each run of a repeated cell is a test case of its own, ``.runN`` in its class; one called
  "(all runs)" fails as FLAKY where the runs differ.
- SKIP is ``<skipped>`` where it is as expected.
- A verdict that is not as expected is a ``<failure>``, in either direction: FAIL for PASS, and
  PASS for FAIL, which says that the test does not prove its patch. A SKIP in place of another
  verdict is one too: it would hide that nothing was tested.
- It is an ``<error>`` where no check failed: the guest crashed, the test broke (ERROR) or the
  harness could not run it (MISS).

One ``<testsuite>`` stands for one architecture and position. Each cell is a ``<testcase>`` called
"(whole test)", which carries the cell's own verdict, its splats and its log, followed by one for
each KUnit case. Class names are flat and dotted: ``vmalloc-nofail.x86_64.p2.debian-5_10.128M.TEST``
with ``.LOAD`` where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from junit_xml import TestCase, TestSuite, to_xml_report_string

from harness.host.files import write_whole
from harness.model.results import CaseResult, CellResult, KernelRecord, RunRecord
from harness.model.text import clip, one_line, visible
from harness.model.values import Cell, Verdict, base_name
from harness.report.excerpts import LOG_LIMIT, exhibits, read_excerpt
from harness.report.failures import failed_cases
from harness.report.matrix import verdict_text
from harness.report.reproduce import run_command, shell_command
from harness.report.splat_text import splat_line
from harness.verdict.flaky import Tally, tallies
from harness.verdict.splat import is_death

NAME = "junit.xml"
WHOLE = "(whole test)"  # the test case that stands for a cell
CALM_LOG_LIMIT = 8 * 1024  # bytes of log for a cell that is as expected


def write_junit(record: RunRecord, folder: Path) -> Path:
    """Write ``junit.xml`` of *record*, whose run is in *folder*, and return it."""
    path = folder / NAME
    repeated = tallies(record)
    suites = [
        _suite(record, folder, arch, position, results, repeated)
        for (arch, position), results in _by_kernel(record.cells).items()
    ]
    suites += [_unfinished(record)] if not record.finished else []
    write_whole(path, to_xml_report_string(suites, encoding="utf-8"))
    return path


def _by_kernel(results: Iterable[CellResult]) -> dict[tuple[str, int], list[CellResult]]:
    groups: dict[tuple[str, int], list[CellResult]] = {}
    for result in results:
        groups.setdefault((result.cell.arch, result.cell.position), []).append(result)
    return groups


def _suite(
    record: RunRecord,
    folder: Path,
    arch: str,
    position: int,
    results: Sequence[CellResult],
    repeated: Sequence[Tally],
) -> TestSuite:
    series = record.name
    kernel = next((k for k in record.kernels if (k.arch, k.position) == (arch, position)), None)
    cases = [case for result in results for case in _cases(record, folder, result)]
    cases += [
        _all_runs(record, tally)
        for tally in repeated
        if (tally.cell.arch, tally.cell.position) == (arch, position)
    ]
    return TestSuite(
        visible(f"{series}.{arch}.p{position}"),
        cases,
        timestamp=visible(record.started),
        properties=_properties(record, kernel, results),
    )


def _properties(
    record: RunRecord, kernel: KernelRecord | None, results: Sequence[CellResult]
) -> dict[str, str]:
    facts = {
        "run": record.id,
        "tree": record.tree_version,
        "tree_origin": record.tree_origin,
        "series": record.plan.series,
        "base": record.plan.base,
        "base_commit": record.base_commit,
        "harness": record.harness_version,
        "host": record.host,
        "qemu": ", ".join(sorted({r.qemu_version for r in results if r.qemu_version})),
        "as_expected": f"{sum(r.as_expected for r in results)} of {len(results)}",
    }
    for verdict in Verdict:
        count = sum(r.verdict is verdict and r.as_expected for r in results)
        if count and verdict is not Verdict.PASS:
            facts[f"expected_{verdict.value}"] = str(count)
    if kernel is not None:
        facts["patch"] = kernel.patch_title
        facts["commit"] = record.commit_at(kernel.position)
        facts["patchset_hash"] = kernel.patchset_hash
        facts["config_sha256"] = kernel.config_sha256
        facts["compiler"] = kernel.compiler
    return {name: one_line(value) for name, value in facts.items() if value}


def class_name(record: RunRecord, cell: Cell) -> str:
    """Return the flat dotted class name of *cell*; each part is free of dots and spaces.

    The history of a test in a CI goes by it: it is the same for each range of a repository.
    """
    base = cell.base
    if record.plan.series.startswith(("git:", "edits:")):  # then it moves with the range
        base = base.partition("#")[0]
    base = "+".join((base_name(base), *cell.config))
    parts = [record.name, cell.arch, f"p{cell.position}", base, f"{cell.ram_mib}M", cell.test]
    parts += [] if cell.load == "none" else [cell.load]
    parts += [f"run{cell.repeat + 1}"] if cell.repeat else []
    return ".".join("_".join(visible(p).replace(".", "_").split()) for p in parts)


def _cases(record: RunRecord, folder: Path, result: CellResult) -> list[TestCase]:
    name = class_name(record, result.cell)
    whole = TestCase(WHOLE, name, result.seconds, _cell_output(folder, result))
    if not result.as_expected:
        why = (result.reason, *(case.text for case in failed_cases(result)))
        shell = shell_command(record, result)
        again = (
            f"run it again: {run_command(record, result.cell)}",
            f"a shell in its guest: {shell}" if shell else "",
        )
        text = "\n".join((*why, *filter(None, again)))
        verdict = verdict_text(result)
        message = f"{verdict}: {result.reason}" if result.reason.strip() else verdict
        _mark(whole, result.verdict, message, text, _crashed(result))
    elif result.verdict is Verdict.SKIP:
        whole.add_skipped_info(one_line(result.reason) or "skipped")
    return [whole, *(_case(name, case) for case in result.cases)]


def _all_runs(record: RunRecord, tally: Tally) -> TestCase:
    """Return the test case of all runs of a cell: a failure where they differ."""
    entry = TestCase("(all runs)", class_name(record, tally.cell), None, tally.text)
    if tally.flaky:
        entry.add_failure_info(tally.text, tally.text, "FLAKY")
    return entry


def _case(class_name: str, case: CaseResult) -> TestCase:
    diagnostics = clip("\n".join(case.diagnostics), CALM_LOG_LIMIT)
    tail = "as expected" if case.as_expected else f"expected {case.expected.value}"
    verdict = f"{case.verdict.value}, {tail}"
    output = f"verdict: {verdict}\n{diagnostics}".rstrip()
    entry = TestCase(one_line(case.name), class_name, None, output)
    if not case.as_expected:
        message = f"{verdict}: {diagnostics}" if diagnostics.strip() else verdict
        _mark(entry, case.verdict, message, diagnostics)
    elif case.verdict is Verdict.SKIP:
        entry.add_skipped_info(one_line(case.diagnostics[0]) if case.diagnostics else "skipped")
    return entry


def _mark(case: TestCase, verdict: Verdict, message: str, text: str, crashed: bool = False) -> None:
    """Mark *case* as not as expected: an error where no check of the test failed."""
    message = one_line(message)
    if crashed:
        case.add_error_info(message, visible(text), "crash")
    elif verdict in (Verdict.ERROR, Verdict.MISS):
        case.add_error_info(message, visible(text), verdict.value)
    else:
        case.add_failure_info(message, visible(text), verdict.value)


def _crashed(result: CellResult) -> bool:
    died = result.verdict is Verdict.FAIL and any(map(is_death, result.splats))
    return (
        died and result.fault is None
    )  # a kernel that does not boot fails as one that does not build


def _cell_output(folder: Path, result: CellResult) -> str:
    """Return the verdict, the splats and the logs of a cell, each log cut to a bounded size.

    A cell that is as expected needs no more than what the kernel logged during the test;
    one that is not gets every log there is.
    """
    parts = [
        f"verdict: {verdict_text(result)}",
        f"reason: {one_line(result.reason)}",
        f"cell: {visible(result.cell.id)}",
    ]
    parts += [f"splat: {splat_line(s)}" for s in result.splats]
    logs = [e for e in exhibits(result.evidence) if not e.artifact and e.name.endswith(".log")]
    logs.sort(key=lambda e: e.label == "console log")  # the longest one, with the boot in it, last
    limit = LOG_LIMIT
    if result.as_expected:
        logs, limit = logs[:1], CALM_LOG_LIMIT
    for log in logs:
        excerpt = read_excerpt(folder, log.name, limit)
        if excerpt is not None and not excerpt.binary:
            parts += ["", f"--- {log.label} ({visible(log.name)})", excerpt.text.rstrip("\n")]
    return "\n".join(parts)


def _unfinished(record: RunRecord) -> TestSuite:
    """Return the suite of a run that was stopped, which must not look like a passed one."""
    case = TestCase("(run)", f"{record.name}.run", record.seconds)
    case.add_error_info(one_line(record.error) or "the run was stopped before its end", "", "MISS")
    return TestSuite(visible(f"{record.name}.run"), [case])

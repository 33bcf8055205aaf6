# SPDX-License-Identifier: GPL-2.0-only
"""What is printed when a run has ended."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.model.results import CaseResult, PatchRecord, RunRecord
from harness.model.values import Verdict
from harness.report.terminal.view import DIFFERENCES_SHOWN, print_record
from tests.unit.sample_run import TITLES, make_run


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return make_run(tmp_path_factory.mktemp("run") / "run")


def ascii_console(width: int = 80) -> tuple[Console, io.BytesIO]:
    """Return a console that cannot write anything but ASCII, and what it wrote."""
    raw = io.BytesIO()
    return Console(file=io.TextIOWrapper(raw, "ascii", write_through=True), width=width), raw


def printed(record: RunRecord, width: int = 80, paths: tuple[Path, ...] = ()) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_record(console, record, paths)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_outcome_at_80_columns(record: RunRecord) -> None:
    lines = printed(record).splitlines()

    assert lines[1:11] == [
        "                       x86_64            arm64",
        "patches applied        0  1  2  3  4     0  1  2  3  4",
        "vmalloc-scope          ✗  ✓  ✓  ✓  ✓     ✗  ✓  ✓  ✓  ✓",
        "  + anon               ✗  ✓  ✓  ✓  ✓     ✗  ✓  ✓  ✓  ✓",
        "vmalloc-nofail-sweep   ✗  ✗  ✓  ✓  ✓     ✗  ✗  ✓  ✓  ✓",
        "  + anon               ✗  ✗  ✓  ✓  ✓     ✗  ✗  ✓  ✓  ✓",
        "kvmalloc-flags         ✗  ✗  ✗  ✗  ✓     ✗  ✗  ✗  ✗  ✓",
        "  + anon               ✗  ✗  ✗  ✗  ✓     ✗  ?! ✗  ✗  ✓",
        "vmalloc-hygiene        ✓  ✓  ✓  ✓  ✓     ✓  ✓  ✓  ✓  ✓",
        "  + anon               ✓  ✓  ✓  ✗! ✓     ✓  ✓  ✓  ✓  ✓",
    ]
    assert "✓ PASS   ✗ FAIL   ? MISS   ! not as expected" in lines
    assert "?! arm64 p1 128M kvmalloc-flags + anon" in lines
    assert "   MISS, expected FAIL: QEMU ended with status 1 before the guest was ready" in lines
    assert f"patch 1: {TITLES[0]}" in lines
    assert "  turns vmalloc-hygiene from PASS to FAIL on x86_64, under anon" in lines
    assert lines[-1] == "2 differences: 80 verdicts in 12 min 14 s"


@pytest.mark.parametrize(
    ("test", "width", "head"),
    [
        ("vmalloc-nofail-sweep", 80, "patches applied  "),
        ("vmalloc-nofail-sweep", 26, "patches "),
        ("short", 80, "patches applied  "),
        ("a", 20, "patches "),
    ],
)
def test_head_of_a_narrow_table_is_not_cut(
    record: RunRecord, test: str, width: int, head: str
) -> None:
    cells = tuple(
        replace(one, cell=replace(one.cell, test=test))
        for one in record.cells
        if one.cell.test == "vmalloc-scope" and one.cell.load == "none"
    )
    lines = printed(replace(record, cells=cells), width).splitlines()
    (numbers,) = {line for line in lines if line.startswith("patches") and " 0" in line}
    assert numbers.startswith(head)
    assert numbers.split()[: len(head.split())] == head.split()


def test_outcome_of_an_unpatched_kernel_has_no_positions(record: RunRecord) -> None:
    cells = tuple(r for r in record.cells if r.cell.position == 0 and r.cell.load == "none")
    title = "linux-source-6.12 6.12.118-1, as it is"
    plan = replace(record.plan, series="none")
    bare = replace(record, plan=plan, cells=cells, patch_titles=(), series_title=title)
    lines = printed(bare).splitlines()

    assert lines[1:6] == [
        f"{title}: every case must pass",
        "",
        "                       x86_64   arm64",
        "kvmalloc-flags         ✗        ✗",
        "vmalloc-nofail-sweep   ✗        ✗",
    ]
    assert not any("position" in line or "patch" in line for line in lines)


def test_outcome_names_cells_with_lost_records(record: RunRecord) -> None:
    said = "kernel log records were lost, and read from the console: {}"
    assert said[:30] not in printed(record, 300)
    lost = [replace(r, found_records=7 * r.as_expected) for r in record.cells]
    one = [replace(r, found_records=0) if r.cell.position else r for r in lost]
    for cells in (lost, one[:1], [replace(r, found_records=7) for r in record.cells]):
        losers = [r.cell.id for r in cells if r.as_expected]
        where = losers[0] + (f" and {len(losers) - 1} more" if len(losers) > 1 else "")
        lines = printed(replace(record, cells=tuple(cells)), 300).splitlines()
        assert said.format(where) in lines


def test_ascii_terminal(record: RunRecord) -> None:
    console, raw = ascii_console()

    print_record(console, replace(record, patch_titles=(*TITLES[:3], "ünïcode")))

    text = raw.getvalue().decode("ascii")
    assert "vmalloc-scope          F  P  P  P  P     F  P  P  P  P\n" in text
    assert "P PASS   F FAIL   M MISS   ! not as expected" in text
    assert "patch 4: \\xfcn\\xefcode" in text


def test_no_escape_code_without_a_terminal(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    assert "\x1b" not in printed(record)


def test_outcome_that_is_as_expected(tmp_path: Path) -> None:
    lines = printed(make_run(tmp_path, differences=False)).splitlines()

    assert "!" not in "".join(lines[:14])
    assert lines[-1] == "as expected: 80 verdicts in 12 min 14 s"
    assert lines[lines.index(f"patch 3: {TITLES[2]}") + 1] == "  changes no verdict"


def test_paths_of_the_reports(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    far = Path("/very") / ("long" * 40) / "junit.xml"

    lines = printed(record, paths=(tmp_path / "runs" / "x" / "report.html", far)).splitlines()

    assert lines[-2:] == ["  runs/x/report.html", f"  {far}"]


@pytest.mark.parametrize("width", [40, 50, 60, 80, 100, 140, 200])
def test_nothing_is_wider_than_the_terminal(record: RunRecord, width: int) -> None:
    text = printed(record, width)

    assert max(cell_len(line) for line in text.splitlines()) <= width
    signs = sum(text.split("PASS")[0].count(sign) for sign in "✓✗?")
    assert signs == 80 + 1  # every verdict, whatever the width, and the first one of the legend


def test_many_positions_are_broken_into_blocks(record: RunRecord) -> None:
    cells = tuple(
        replace(result, cell=replace(result.cell, position=position))
        for position in range(40)
        for result in record.cells[:1]
    )

    text = printed(replace(record, cells=cells), 60)

    assert max(map(len, text.splitlines())) <= 60
    assert text.split("PASS")[0].count("✗") == 40 + 1
    assert "39" in text


def test_outcome_many_differences_are_cut(record: RunRecord) -> None:
    bad = tuple(replace(result, verdict=Verdict.ERROR) for result in record.cells)

    lines = printed(replace(record, cells=bad)).splitlines()

    assert f"   and {80 - DIFFERENCES_SHOWN} more: see the report" in lines
    assert sum(line.startswith("E! ") for line in lines) == DIFFERENCES_SHOWN


def test_each_verdict_has_a_sign_of_its_own(record: RunRecord) -> None:
    cells = tuple(
        replace(record.cells[0], verdict=v, expected=v, cases=(CaseResult("a", v, v),),
                cell=replace(record.cells[0].cell, position=n))
        for n, v in enumerate(Verdict)
    )  # fmt: skip

    unicode_row = printed(replace(record, cells=cells)).splitlines()[3]
    console, raw = ascii_console()
    print_record(console, replace(record, cells=cells))
    ascii_row = raw.getvalue().decode().splitlines()[3]

    assert len(set(unicode_row.split()[1:])) == len(set(ascii_row.split()[1:])) == len(Verdict)


def test_outcome_of_a_stopped_run(record: RunRecord) -> None:
    stopped = replace(record, cells=record.cells[:20], finished=False, error="interrupted")

    lines = printed(stopped).splitlines()

    assert lines[-2].startswith("stopped before the end; as expected so far: 20 verdicts")
    assert lines[-1] == "interrupted"


def test_run_without_verdicts(record: RunRecord) -> None:
    lines = printed(replace(record, cells=())).splitlines()

    assert lines[-1] == "no verdicts: 0 verdicts in 12 min 14 s"
    assert "patches 1-4: not tested: no test has verdicts before and after it" in lines


def test_outcome_names_the_failed_expectation_and_how_to_run_it(record: RunRecord) -> None:
    lines = printed(record, 100).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("✗! x86_64 p3 128M"))
    assert "   FAIL, expected PASS: case no_leak failed: 12 vmalloc pages" in lines[at + 1]
    assert (
        "   no_leak: vmalloc-hygiene.c:118: 12 vmalloc pages more than before the test"
        in (lines[at + 2])
    )
    text = "\n".join(lines[at:]).replace("\\\n", " ")
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("   harness ")]
    assert [words[:2] for words in commands[:2]] == [["harness", "run"], ["harness", "shell"]]
    assert commands[0][8:12] == ["--position", "3", "--ram", "128M"]


def test_outcome_of_a_repeated_cell_names_its_failure_once(record: RunRecord) -> None:
    bad = next(r for r in record.cells if not r.as_expected and r.cases)
    good = next(r for r in record.cells if r.as_expected)
    runs = [replace(bad, cell=replace(bad.cell, repeat=n)) for n in range(20)]
    runs[3:5] = [replace(good, cell=run.cell) for run in runs[3:5]]
    text = printed(replace(record, cells=tuple(runs)), 200)
    assert text.count("case no_leak failed") == 1
    assert "FAIL, expected PASS, in 18 of 20 runs: case no_leak failed" in text
    assert "1 difference: 20 verdicts" in text


def test_outcome_of_some_positions_folds_patches_that_were_not_tested(record: RunRecord) -> None:
    some = tuple(r for r in record.cells if r.cell.position in (2, 3))
    text = printed(replace(record, cells=some), 200)
    assert "patches 1-2, 4: not tested: no test has verdicts before and after it" in text
    assert text.count("not tested") == 1
    assert f"patch 3: {TITLES[2]}" in text


def test_outcome_names_commits(record: RunRecord) -> None:
    patches = tuple(PatchRecord(n, t, "5", f"{n}" * 40) for n, t in enumerate(TITLES, 1))
    text = printed(replace(record, patches=patches, about="bisect: first fixing position: 2"), 200)
    assert f"patch 2: 222222222222 {TITLES[1]}" in text
    assert "bisect: first fixing position: 2" in text

# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark's own arithmetic: turns, medians, ratios, bars, the table; nothing is timed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import disturbance, kunit
from bench.measure import Group, groups_of, measure, turns
from bench.model import Contender, Figure, Measured, Once, Row
from bench.results import Conditions, Result, Results, load, merged, result_of, save
from bench.roots import _edit
from bench.rows import all_rows, select
from bench.stats import Estimate, Summary, estimate, summary
from bench.table import BEGIN, END, render, terse, write
from bench.testbed import Testbed
from harness.host.paths import Cache, Checkout
from harness.model.errors import InfraError, UserError
from harness.run.workspace import Workspace
from harness.source.patch_files import read_patch

UNDER = Conditions("2026-11-24T10:00:00+00:00", "a machine", 0.0, ("harness 1", "QEMU 7.2"))


def contender(name: str, values: list[float], log: list[str] | None = None) -> Contender:
    """Return a contender that gives *values*, one a run, and notes each run in *log*."""

    @contextmanager
    def open_(_: Testbed) -> Iterator[Once]:
        left = iter(values)

        def once() -> dict[str, float]:
            if log is not None:
                log.append(name)
            return {"whole": next(left)}

        yield once

    return Contender(name, f"run {name}", open_)


def broken(name: str) -> Contender:
    @contextmanager
    def open_(_: Testbed) -> Iterator[Once]:
        raise InfraError(f"{name} is not installed")
        yield

    return Contender(name, f"run {name}", open_)


def row(name: str, ours: Contender, theirs: Contender | None = None, bar: float | None = 1) -> Row:
    return Row(
        name=name,
        title=f"title of {name}",
        ours=Figure(ours, "whole"),
        theirs=Figure(theirs, "whole") if theirs else None,
        bar=bar,
        unit="ratio" if theirs else "s",
    )


def result(name: str, ours: tuple[float, ...], theirs: tuple[float, ...], bar: float) -> Result:
    mine, other = contender("a", []), contender("b", [])
    return result_of(row(name, mine, other, bar), Measured(ours, theirs), UNDER)


@pytest.fixture
def testbed(tmp_path: Path) -> Testbed:
    workspace = Workspace(Checkout(tmp_path), Cache(tmp_path / "cache"), lambda _: None)
    return Testbed(workspace, tmp_path / "testbed")


def silent(_: str) -> None:
    """Tell nobody."""


# ---------------------------------------------------------------- numbers


def test_a_summary_is_minimum_median_maximum() -> None:
    assert summary([3, 1, 10, 2]) == Summary(1, 2.5, 10)


def test_ratio_is_of_medians() -> None:
    assert estimate([1, 2, 30], [4, 8, 5]).value == 2 / 5


def test_the_interval_holds_the_value_and_lies_within_the_samples() -> None:
    got = estimate([1.0, 1.1, 1.2, 1.3, 5.0], [2.0, 2.1, 2.2, 2.3, 2.4])
    assert 1.0 / 2.4 <= got.low <= got.value <= got.high <= 5.0 / 2.0
    assert got == estimate([1.0, 1.1, 1.2, 1.3, 5.0], [2.0, 2.1, 2.2, 2.3, 2.4])


def test_spread_of_single_sample_is_none() -> None:
    assert estimate([3.0]) == Estimate(3.0, 3.0, 3.0)


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], [0.0, 1.0])])
def test_estimate_of_no_samples_is_refused(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        estimate(ours, theirs)


# ---------------------------------------------------------------- turns


def test_contenders_take_turns_and_each_begins_once() -> None:
    got = list(turns(("a", "b", "c"), 3))
    assert [run for run, _ in got] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert "".join(name for _, name in got) == "abcbcacab"


def test_a_contender_of_two_rows_runs_once_a_round(testbed: Testbed) -> None:
    log: list[str] = []
    shared = contender("shared", [9, 1, 2, 3], log)
    first, second = contender("x", [9, 4, 5, 6], log), contender("y", [9, 7, 8, 9], log)
    (group,) = groups_of((row("r1", shared, first), row("r2", shared, second)), runs=3)
    got, _ = measure(group, testbed, silent)
    assert log.count("shared") == 4  # the first is the warm-up, which does not count
    assert got["r1"] == Measured((1, 2, 3), (4, 5, 6))
    assert got["r2"] == Measured((1, 2, 3), (7, 8, 9))


def test_failing_contender_loses_only_own_rows(testbed: Testbed) -> None:
    good, bad = contender("good", [1, 1, 1]), broken("vng")
    (group,) = groups_of((row("r1", good, bad), row("r2", good)), runs=2)
    got, _ = measure(group, testbed, silent)
    assert got["r1"].failure == "vng: vng is not installed"
    assert got["r2"] == Measured((1, 1))


def test_contender_is_closed_after_measurement(testbed: Testbed) -> None:
    closed = []

    @contextmanager
    def open_(_: Testbed) -> Iterator[Once]:
        yield lambda: {"whole": 1.0}
        closed.append(True)

    group = Group("g", (row("r", Contender("a", "a", open_)),), runs=1, warm_ups=0)
    measure(group, testbed, silent)
    assert closed == [True]


def test_groups_keep_their_rows_and_their_own_number_of_runs() -> None:
    few = dataclasses.replace(row("few", contender("a", [])), group="slow", runs=3)
    groups = groups_of((row("r1", contender("b", [])), few), runs=None)
    assert [(group.name, group.runs) for group in groups] == [("guests", 9), ("slow", 3)]
    assert [group.runs for group in groups_of((few,), runs=5)] == [5]


def test_own_work_is_no_disturbance(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = iter([10.0, 30.0]), iter([1.0, 11.0]), iter([100.0, 105.0])
    monkeypatch.setattr(disturbance, "_busy_s", lambda: next(busy))
    monkeypatch.setattr(disturbance, "_own_s", lambda: next(own))
    monkeypatch.setattr(disturbance.time, "monotonic", lambda: next(now))
    assert disturbance.Disturbance().cores() == 2.0  # 20 s of all, 10 s of them ours, in 5 s
    monkeypatch.undo()
    assert disturbance._busy_s() > 0


# ---------------------------------------------------------------- rows


def test_row_names_are_unique_and_contenders_unambiguous() -> None:
    rows = all_rows()
    assert len({row.name for row in rows}) == len(rows)
    figures = [f for row in rows for f in (row.ours, row.theirs) if f]
    meant: dict[str, str] = {}
    for figure in figures:
        assert meant.setdefault(figure.contender.name, figure.contender.what) == (
            figure.contender.what
        )


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["clone-cold/arm64", "clone-cold/x86_64", "cold-vng"]),
        (["clone"], ["clone-cold/arm64", "clone-cold/x86_64"]),
        (["*/arm64", "cold-vng"], ["clone-cold/arm64", "cold-vng"]),
    ],
)
def test_rows_are_chosen_by_name_beginning_or_glob(patterns: list[str], names: list[str]) -> None:
    given = [row(n, contender("a", [])) for n in ("clone-cold/arm64", "clone-cold/x86_64")]
    given.append(row("cold-vng", contender("a", [])))
    assert [chosen.name for chosen in select(given, patterns)] == names


def test_select_of_unknown_row_is_refused() -> None:
    with pytest.raises(UserError, match="no row is called 'colne'") as caught:
        select((row("clone", contender("a", [])),), ["colne"])
    assert "there are: clone" in caught.value.hint


# ---------------------------------------------------------------- results


@pytest.mark.parametrize(("ours", "bar", "verdict"), [((1.0,), 0.5, "pass"), ((1.1,), 0.5, "miss")])
def test_bar_is_inclusive(ours: tuple[float, ...], bar: float, verdict: str) -> None:
    assert result("r", ours, (2.0,), bar).verdict == verdict


def test_merged_results_replace_measured_row_alone(tmp_path: Path) -> None:
    old = Results((result("a", (1.0,), (2.0,), 1), result("b", (3.0,), (4.0,), 1)))
    new = Results((result("b", (5.0,), (6.0,), 1),))
    got = merged(old, new, ("b", "a"))
    assert [r.name for r in got.rows] == ["b", "a"]
    assert got.rows[0].measured.ours == (5.0,)
    assert merged(old, new, ("a",)).rows == (old.rows[0],)
    save(got, tmp_path)
    assert load(tmp_path) == got


def test_merged_results_keep_numbers_of_failed_row() -> None:
    old = Results((result("a", (1.0,), (2.0,), 1),))
    failed = dataclasses.replace(old.rows[0], measured=Measured((), failure="no network"))
    assert merged(old, Results((failed,)), ("a",)) == old
    assert merged(Results(), Results((failed,)), ("a",)).rows == (failed,)


# ---------------------------------------------------------------- the table


def test_the_table_says_bar_ratio_spread_and_verdict() -> None:
    text = render(Results((result("r", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), 1 / 8),)))
    (line,) = [line for line in text.splitlines() if line.startswith("| title of r")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["title of r", "≤ 1/8", "1/5"]
    assert cells[4:] == [
        "**miss**", "0.200 s (0.100 s to 0.300 s)", "1.00 s (1.00 s to 1.00 s)", "3",
    ]  # fmt: skip
    assert "a machine; harness 1; QEMU 7.2. Rows: r." in text


def test_table_names_busy_machine() -> None:
    one = result("r", (1.0,), (2.0,), 1)
    busy = dataclasses.replace(one, conditions=dataclasses.replace(UNDER, others=1.25))
    assert "**Not idle**: 1.25 cores" in render(Results((busy,)))
    assert "Not idle" not in render(Results((one,)))


def test_table_names_reason_of_unmeasured_row() -> None:
    failed = dataclasses.replace(
        result("r", (1.0,), (1.0,), 1), measured=Measured((), failure="vng: no network")
    )
    assert "title of r: not measured: vng: no network" in render(Results((failed,)))
    assert terse(failed) == "r: not measured: vng: no network"


def test_only_the_part_between_the_marks_is_replaced(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    results = Results((result("r", (1.0,), (2.0,), 1),))
    write(results, readme)
    write(results, readme)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n| what ")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count("title of r") == 1


# ---------------------------------------------------------------- peers and edits


def test_kunit_time_is_read_from_output() -> None:
    text = "[1] Testing complete. Ran 40 tests: passed: 38, skipped: 2\n[1] Elapsed time: 0.512s\n"
    assert kunit.elapsed(text) == 0.512


@pytest.mark.parametrize(
    "text", ["", "[1] Testing complete. Ran 0 tests: passed: 0\n[1] Elapsed time: 0.1s\n"]
)
def test_a_kunit_run_without_tests_is_no_measurement(text: str) -> None:
    with pytest.raises(InfraError, match="ran no test"):
        kunit.elapsed(text)


def test_edits_are_distinct_patches(tmp_path: Path) -> None:
    texts = [_edit("a\nb\nc\nd\n") for _ in range(2)]
    assert texts[0] != texts[1]
    file = tmp_path / "edit.patch"
    file.write_text(texts[0])
    assert read_patch(file).touches == ("mm/vmalloc.c",)

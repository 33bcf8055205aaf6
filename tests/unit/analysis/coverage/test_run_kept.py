# SPDX-License-Identifier: GPL-2.0-only
"""What a test counted on a kernel, kept for later runs; and what is lost with a guest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.coverage import run
from harness.analysis.coverage.diff_lines import Counts
from harness.arch import all_archs
from harness.host.paths import Cache, Checkout
from harness.model.errors import GuestError
from harness.model.results import CellResult, Ended, Observation, TestOutcome
from harness.model.values import Cell, GuestTest, Verdict
from harness.run.cell import CellJob
from harness.run.folder import RunFolder
from harness.run.workspace import Workspace

SOURCE = "mm/a.c"


class Guests:
    """Stands for guests: what they observe and count is told beforehand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.seen = Observation(TestOutcome(Ended.DONE, ("ok",)), seconds=2.0)
        self.counts: Counts = {SOURCE: {7: 3, 12: 0}}
        self.counters = {SOURCE: b"raw"}
        self.alive = True
        self.fault: GuestError | None = None
        self.booted = 0
        self.reset = False
        self._space = Workspace(Checkout(folder), Cache(folder / "cache"), lambda _: None)
        self._run = RunFolder(folder / "run")
        for name, stand_in in (
            ("judged", self._judged),
            ("reset_counters", self._reset),
            ("read_counters", lambda *_: self.counters),
            ("count_lines", lambda *_: self.counts),
        ):
            monkeypatch.setattr(run, name, stand_in)

    def _observe(self, _: CellJob, folder: Path, around: Any) -> Observation:
        assert folder.is_dir()
        assert not list(folder.iterdir())
        (folder / "console.log").write_text("boot\n")
        self.booted += 1
        if self.fault is not None:
            raise self.fault
        with around(SimpleNamespace(alive=self.alive)):
            assert self.reset
            self.reset = False
        return self.seen

    def _reset(self, _: Any) -> None:
        self.reset = True

    def _judged(self, job: CellJob, seen: Observation) -> CellResult:
        return CellResult(job.cell, Verdict.PASS, Verdict.PASS, "", seconds=seen.seconds)

    def test(self, key: str = "k", sources: tuple[str, ...] = (SOURCE,)) -> run._Tested:
        """Run the test of one cell."""
        test = GuestTest("sweep", Path("sweep"), "", "sweep", "sweep")
        cell = Cell("x86_64", "dir:toy", 1, (), 128, "sweep", "none")
        job = SimpleNamespace(key=key, cell=cell, test=test, series=SimpleNamespace(name="toy"))
        unused: Any = None
        lab: Any = SimpleNamespace(workspace=self._space, observe=self._observe)
        one = run._Counting(all_archs()[0], unused, sources, lab, self._run)
        return one.test(cast(CellJob, job))


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Guests:
    return Guests(monkeypatch, tmp_path)


def test_counts_of_same_kernel_come_from_store(guests: Guests) -> None:
    first, again = guests.test(), guests.test()
    assert guests.booted == 1
    assert (first.counted, first.reused) == (True, False)
    assert (again.counted, again.reused) == (True, True)
    assert again.counts == first.counts == {SOURCE: {7: 3, 12: 0}}  # lines are numbers again
    assert again.result == first.result
    guests.test("another")
    guests.test(sources=(SOURCE, "mm/b.c"))
    assert guests.booted == 3


def test_counts_of_stuck_test_are_not_kept(guests: Guests) -> None:
    guests.seen = Observation(TestOutcome(Ended.STUCK, ()))
    assert guests.test().counted
    assert not guests.test().reused
    assert guests.booted == 2


def test_counts_of_dead_guest_are_lost(guests: Guests) -> None:
    guests.alive = False
    guests.seen = Observation(TestOutcome(Ended.DIED, ()))
    lost = guests.test()
    assert (lost.counted, lost.counts, lost.reused) == (False, {}, False)
    assert lost.result.verdict is Verdict.PASS  # as judged: it is not the counters' to say
    assert not guests.test().reused


def test_counts_without_guest_are_a_miss(guests: Guests) -> None:
    guests.fault = GuestError("no counters there")
    lost = guests.test()
    assert (lost.counted, lost.counts) == (False, {})
    assert lost.result.verdict is Verdict.MISS
    assert lost.result.reason == "no counters there"
    guests.fault = None
    assert guests.test().counted


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.dictionaries(st.integers(1, 10**6), st.integers(0, 2**64))))
def test_counts_read_back_equal(tmp_path_factory: pytest.TempPathFactory, counts: Counts) -> None:
    folder = tmp_path_factory.mktemp("entry")
    run._write(folder, Observation(None), counts)
    assert run._read_counts((folder / run.COUNTS).read_text(encoding="utf-8")) == counts

# SPDX-License-Identifier: GPL-2.0-only
"""Tests that do not end, in real guests: told from slow ones, named, and with their stacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.arch import arch_names, load_arch
from harness.build.modules import build_modules
from harness.guest.guest import boot
from harness.model.results import Ended, Stuck, TestOutcome
from harness.model.values import Cell, GuestSpec, GuestTest, Plan, Verdict
from harness.run.artifacts import boot_artifacts, guest_spec, make_kernel
from harness.run.guest_test import MODULES, run_test
from harness.run.prepare import prepare
from harness.run.workspace import Workspace
from harness.verdict.judge import judge

HERE = Path(__file__).parent
TEST = GuestTest("stuck", HERE / "stuck", "", module="stuck", suite="stuck", timeout_s=30.0)

# On a busy host the harness takes its time, and the kernel's own detector would be first.
KNOBS = (("/proc/sys/kernel/soft_watchdog", "0"),)


@dataclass(frozen=True)
class Bench:
    """A guest of one architecture, and the module of the seeds, built for its kernel."""

    spec: GuestSpec
    module: Path


@pytest.fixture(scope="module", params=arch_names())
def bench(request: pytest.FixtureRequest, workspace: Workspace) -> Bench:
    arch = load_arch(request.param)
    plan = Plan(arch=(arch.name,), positions=(4,))
    ready = prepare(plan, workspace)
    kernel = make_kernel(ready, arch, 4, workspace)
    spec = guest_spec(plan, arch, boot_artifacts(ready, arch, kernel, workspace), 96, "tcg")
    modules = build_modules(
        *(kernel, arch, (TEST,), workspace.checkout.include, workspace.cache, workspace.report)
    )
    return Bench(spec, modules[TEST.name])


@dataclass(frozen=True)
class Seen:
    """What became of one seed."""

    outcome: TestOutcome
    stacks: str  # stuck.txt
    samples: tuple[Mapping[str, object], ...]

    @property
    def reason(self) -> str:
        cell = Cell("any", "debian:5.10", 4, (), 96, TEST.name, "none")
        result = judge(cell, TEST, "none", self.outcome, frozenset())
        assert result.verdict is Verdict.FAIL
        return result.reason


def run(bench: Bench, folder: Path, how: str, stall_s: float = 0.0, *params: str) -> Seen:
    test = GuestTest(
        *("stuck", TEST.folder, "", "stuck", "stuck", TEST.timeout_s, stall_s),
        params=(f"how={how}", *params),
        knobs=KNOBS,
    )
    with boot(bench.spec, folder) as guest:
        guest.put(f"{MODULES}/stuck.ko", bench.module)
        outcome = run_test(guest, test)
        assert guest.alive is (outcome.ended is Ended.DONE)
    stacks = folder / "stuck.txt"
    lines = (folder / "samples.jsonl").read_text().splitlines()
    return Seen(
        outcome,
        stacks.read_text() if stacks.exists() else "",
        tuple(map(json.loads, lines)),
    )


def test_a_retry_without_sleep_is_a_livelock(bench: Bench, tmp_path: Path) -> None:
    seen = run(bench, tmp_path, "livelock")
    assert (seen.outcome.ended, seen.outcome.stuck) == (Ended.STUCK, Stuck.LIVELOCK)
    assert "retry_without_sleep" in seen.stacks
    assert ", in case 2: no progress for" in seen.reason
    assert seen.reason.startswith("LIVELOCK in ")
    tries = [s["retries"] for s in seen.samples if "retries" in s]
    assert tries[0] < tries[-1]  # type: ignore[operator]
    assert {s["done"] for s in seen.samples if "done" in s} == {0}


def test_a_deadlock_is_a_hang(bench: Bench, tmp_path: Path) -> None:
    seen = run(bench, tmp_path, "deadlock")
    assert (seen.outcome.ended, seen.outcome.stuck) == (Ended.STUCK, Stuck.HANG)
    assert seen.outcome.where in ("first_then_second", "second_then_first")
    assert seen.reason.startswith(f"HANG in {seen.outcome.where}, in case 2: ")
    # Both sides of it, and what memory there was.
    assert {"first_then_second", "second_then_first"} <= set(seen.stacks.replace("+", " ").split())
    assert "Mem-Info" in seen.stacks


@pytest.mark.parametrize("how", ["starve", "irqs-off"])
def test_a_guest_that_answers_nobody_is_looked_at_from_outside(
    bench: Bench, tmp_path: Path, how: str
) -> None:
    seen = run(bench, tmp_path, how, 3.0)
    assert (seen.outcome.ended, seen.outcome.stuck) == (Ended.STUCK, Stuck.LIVELOCK)
    # The kernel's own functions have names; the module's have none outside of the guest.
    assert "kunit_try_run_case" in seen.stacks
    assert "sysrq t: the guest d" in seen.stacks


def test_a_slow_test_is_left_to_end(bench: Bench, tmp_path: Path) -> None:
    seen = run(bench, tmp_path, "slow", 1.0, "slow_seconds=4")
    assert seen.outcome.ended is Ended.DONE
    assert not seen.stacks
    samples = [s for s in seen.samples if "mark" not in s]
    assert len(samples) > 10
    assert 0 < samples[-1]["free_kib"] < samples[-1]["available_kib"] + samples[-1]["free_kib"]  # type: ignore[operator]
    # The last samples may be of a guest from which the module is gone.
    counted = [s for s in samples if s.get("done")]
    assert sum(counted[-1]["latency_us"]) == counted[-1]["done"]  # type: ignore[call-overload]
    named = [(s["mark"], s["text"]) for s in seen.samples if "mark" in s]
    assert ("case-end", "ok at_seed") in named

# SPDX-License-Identifier: GPL-2.0-only
"""Kernels with a fault sown into them, a livelock and a deadlock: named as such, soon, with stacks.

Two patches are laid on top of the flagship series, as somebody would who goes on from there; each
position has one fault, in what vfree() does while somebody waits for room. The suite that finds
them, ``vmalloc-nofail-wait``, knows nothing of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.model.results import CellResult, RunRecord
from harness.model.values import Verdict
from harness.report.json import read_json
from harness.run.diagnose import NAME
from harness.verdict.task_dump import tasks_of
from tests.qemu.conftest import ROOT

SERIES = ROOT / "patches" / "vmalloc-nofail"
SEEDS = Path(__file__).parent / "seeded"
TEST = "vmalloc-nofail-wait"
SOUND, LIVELOCK, DEADLOCK = 4, 5, 6  # positions
pytestmark = pytest.mark.slow("a livelock and a deadlock sown into kernels", minutes=6)
PART = 1 / 3  # of the plain time-out, from the last progress to the end of the last look

Found = Mapping[tuple[str, int], CellResult]  # by architecture and position


def lay_on_top(series: Path) -> None:
    """Make *series* the flagship series with the seeds after its last patch.

    It keeps its name, and with it the build tree: each position costs a few files of the kernel.
    """
    shutil.copytree(SERIES, series)
    order = series / "5.10" / "series"
    with order.open("a") as file:
        for seed in sorted(SEEDS.glob("*.patch")):
            shutil.copy(seed, order.parent)
            file.write(f"{seed.name}\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    root = tmp_path_factory.mktemp("seeded")
    lay_on_top(root / SERIES.name)
    words = ("--series", root / SERIES.name, "--position", f"{SOUND}-{DEADLOCK}", "--test", TEST)
    argv = (sys.executable, "-m", "harness", "run", *words, "--load", "none", "--fresh")
    done = subprocess.run(
        (*argv, "--out", root / "run"), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 1, done.stdout
    return root / "run", read_json(root / "run")


@pytest.fixture(scope="module")
def found(run: tuple[Path, RunRecord]) -> Found:
    cells = run[1].cells
    assert len(cells) == 3 * len(arch_names())
    return {(result.cell.arch, result.cell.position): result for result in cells}


def last_look(run: tuple[Path, RunRecord], result: CellResult) -> str:
    text = (run[0] / dict(result.evidence)[Path(NAME).stem]).read_text()
    print(f"{result.reason}\n\n{text}")  # shown where a test fails
    return text


def waits(text: str, function: str) -> tuple[str, tuple[str, ...]]:
    """Return state and stack, innermost first, of the task that is in *function*."""
    for task in tasks_of(text.splitlines()):
        stack = tuple(frame.function for frame in task.stack)
        if function in stack:
            return task.state, stack
    pytest.fail(f"no task is in {function}")


@pytest.mark.parametrize("arch", arch_names())
def test_the_kernel_without_a_seed_passes(found: Found, arch: str) -> None:
    assert found[arch, SOUND].verdict is Verdict.PASS


@pytest.mark.parametrize("arch", arch_names())
def test_a_retry_without_sleep_is_a_livelock(
    run: tuple[Path, RunRecord], found: Found, arch: str
) -> None:
    result = found[arch, LIVELOCK]
    assert result.verdict is Verdict.FAIL
    assert not result.as_expected
    text = last_look(run, result)
    assert result.reason.startswith("LIVELOCK in vunmap_in_turn, in case 1: no progress for ")
    state, stack = waits(text, "vunmap_in_turn")
    assert (state, stack[stack.index("vunmap_in_turn") :][1:3]) == ("R", ("__vunmap", "vfree"))
    assert "schedule_timeout_uninterruptible" in waits(text, "wait_for_room")[1]
    # The processor itself, as QEMU sees it.
    assert re.search(r"^  vunmap_in_turn\+0x[0-9a-f]+\n  __vunmap\+0x[0-9a-f]+$", text, re.M)


@pytest.mark.parametrize("arch", arch_names())
def test_a_deadlock_is_a_hang(run: tuple[Path, RunRecord], found: Found, arch: str) -> None:
    result = found[arch, DEADLOCK]
    assert result.verdict is Verdict.FAIL
    assert not result.as_expected
    text = last_look(run, result)
    assert result.reason.startswith("HANG in vunmap_in_turn, in case 1: no progress for ")
    # Both sides of it, each asleep on the mutex of the other, and what memory there was.
    for side in ("vunmap_in_turn", "wait_for_room"):
        state, stack = waits(text, side)
        assert state == "D"
        assert "__mutex_lock" in stack[: stack.index(side)]
    assert "Mem-Info" in text


@pytest.mark.parametrize("position", [LIVELOCK, DEADLOCK])
@pytest.mark.parametrize("arch", arch_names())
def test_it_is_named_in_less_than_a_third_of_the_time_out(
    run: tuple[Path, RunRecord], found: Found, arch: str, position: int
) -> None:
    result = found[arch, position]
    silent = re.search(r"no progress for ([\d.]+) of its (\d+) s", result.reason)
    seen = re.search(r"^seen in ([\d.]+) s; ", last_look(run, result), re.M)
    assert silent
    assert seen
    # Both as the harness counted them: a slow host makes the time-out longer as well.
    spent, whole = float(silent[1]) + float(seen[1]), float(silent[2])
    print(f"{arch} p{position}: {spent:.1f} of {whole:.0f} s, with its boot {result.seconds:.1f} s")
    assert spent < whole * PART

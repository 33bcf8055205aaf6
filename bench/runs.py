# SPDX-License-Identifier: GPL-2.0-only
"""Whole ``harness run`` commands as contenders, with what their process took."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.guests import WHOLE
from bench.model import Sample
from bench.testbed import Testbed
from harness.build.kernel import KERNEL
from harness.host import process
from harness.model.errors import InfraError
from harness.model.jsonio import from_json
from harness.model.results import RunRecord

SHARE, PEAK = "own share", "own peak"


@dataclass(frozen=True)
class Ran:
    """A finished command: its record, and its figures."""

    record: RunRecord
    sample: Sample


def run_harness(testbed: Testbed, root: Path, *words: str) -> Ran:
    """Run ``harness run WORDS`` in the checkout *root* as a command of its own.

    Raises:
        InfraError: a verdict was not as declared, or it failed.
    """
    folder = testbed.new_folder("run")
    facts = folder / "facts.json"
    argv = (sys.executable, "-m", "bench.account", str(facts), "--root", str(root),
            "--cache", str(testbed.workspace.cache.root), "run", *words,
            "--out", str(folder / "out"))  # fmt: skip
    begun = time.perf_counter()
    # Where the package `bench` is: the checkout under measure may be one without it.
    done = process.run(argv, cwd=Path(__file__).parents[1])
    whole = time.perf_counter() - begun
    if not done.ok:
        raise InfraError(
            f"harness run {' '.join(words)} ended with {done.status}",
            detail=(done.stdout + done.stderr).strip()[-4000:],
        )
    took = json.loads(facts.read_text())
    sample = {
        WHOLE: whole,
        SHARE: 100 * took["own_s"] / (took["own_s"] + took["children_s"]),
        PEAK: took["peak_kib"] / 1024,
    }
    record = from_json(RunRecord, (folder / "out" / "run.json").read_text())
    return Ran(record, sample)


def check(record: RunRecord, cells: int, *, shared: bool = False) -> None:
    """Check that *record* holds *cells* new verdicts, as declared: else nothing was measured.

    With *shared*, cells may share what was seen: of a series edited as never before, that is
    positions whose kernels are the same bit for bit, within this one run.

    Raises:
        InfraError: it does not.
    """
    odd = [c.cell.id for c in record.cells if not c.as_expected or (c.reused and not shared)]
    if len(record.cells) != cells or odd or all(c.reused for c in record.cells):
        raise InfraError(
            f"{len(record.cells)} of {cells} cells ran; reused or not as declared: "
            f"{', '.join(odd[:5]) or 'none'}"
        )


def forget_kernels(testbed: Testbed, record: RunRecord) -> None:
    """Take kernels of an edit that nobody will ask for again out of the store."""
    for kernel in record.kernels:
        shutil.rmtree(testbed.workspace.store.root / KERNEL / kernel.key)

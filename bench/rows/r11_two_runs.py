# SPDX-License-Identifier: GPL-2.0-only
"""Two runs at the same time on one cache."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bench.guests import WHOLE
from bench.model import Contender, Figure, Once, Row, Sample
from bench.runs import run_harness
from bench.testbed import POSITION, TOPICS, Testbed, prepared

ARCH = "x86_64"
ODD = "odd cells"


@contextmanager
def _open(testbed: Testbed) -> Iterator[Once]:
    root = testbed.workspace.checkout.root
    tests = len(prepared(testbed, ARCH).tests)
    words = ("--arch", ARCH, "--position", str(POSITION), "--config", ",".join(TOPICS),
             "--load", "none", "--fresh")  # fmt: skip
    run_harness(testbed, root, *words)

    def once() -> Sample:
        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(run_harness, testbed, root, *words) for _ in range(2)]
            ran = [run.result() for run in both]
        cells = [cell for one in ran for cell in one.record.cells]
        right = sum(cell.as_expected and not cell.reused for cell in cells)
        return {ODD: 2 * tests - right, WHOLE: max(one.sample[WHOLE] for one in ran)}

    yield once


ROWS = (
    Row(
        name="two-runs",
        title="two runs at once on one cache: cells whose verdict is not as declared",
        ours=Figure(Contender("two runs", "harness run --fresh, twice at once", _open), ODD),
        bar=0,
        unit="count",
        group="two-runs",
        runs=3,
        warm_ups=0,
    ),
)

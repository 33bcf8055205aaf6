# SPDX-License-Identifier: GPL-2.0-only
"""Many isolated guest tests, end to end, against as many runs of virtme-ng."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench import vng
from bench.guests import WHOLE
from bench.model import Contender, Figure, Once, Row, Sample
from bench.roots import trivial_root
from bench.runs import PEAK, SHARE, check, run_harness
from bench.testbed import POSITION, TOPICS, Testbed


@contextmanager
def _open(testbed: Testbed) -> Iterator[Once]:
    root = trivial_root(testbed)
    words = ("--arch", "x86_64", "--position", str(POSITION), "--config", ",".join(TOPICS),
             "--load", "none", "--fresh", "--repeat", str(testbed.cells))  # fmt: skip

    def once() -> Sample:
        ran = run_harness(testbed, root, *words)
        check(ran.record, testbed.cells)
        return ran.sample

    yield once


OURS = Contender("isolated tests", "harness run --repeat 200 of a test that does nothing", _open)

ROWS = (
    Row(
        name="isolated-vng",
        title="200 isolated trivial guest tests, whole command, against as many `vng ... -- true`",
        ours=Figure(OURS, WHOLE),
        theirs=Figure(vng.MANY, WHOLE),
        bar=1 / 30,
        group="isolated",
        runs=3,
        warm_ups=0,
        reading="vng only runs `true`, and loads no module; as many at a time as the harness",
    ),
    Row(
        name="own-cpu",
        title="Python's own share of the processor time of a 200-cell run",
        ours=Figure(OURS, SHARE),
        bar=10,
        unit="%",
        group="isolated",
        runs=3,
        warm_ups=0,
        reading="the harness process with all its threads, against it and everything it started",
    ),
    Row(
        name="own-memory",
        title="peak memory of the Python process in that run",
        ours=Figure(OURS, PEAK),
        bar=None,
        unit="MiB",
        group="isolated",
        runs=3,
        warm_ups=0,
    ),
)

# SPDX-License-Identifier: GPL-2.0-only
"""A sweep over all positions, against the sum of its make times alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.guests import WHOLE
from bench.model import Contender, Figure, Once, Row, Sample
from bench.plain_make import open_make
from bench.roots import edited_series
from bench.runs import check, forget_kernels, run_harness
from bench.testbed import Testbed, prepared
from harness.host.paths import Checkout
from harness.plan.descriptions import load_tests

ARCH = "x86_64"


@contextmanager
def _open_ours(testbed: Testbed) -> Iterator[Once]:
    edited = edited_series(testbed, "bench-sweep", prepared(testbed, ARCH).tree)
    tests = len(load_tests(Checkout(edited.root)))

    def once() -> Sample:
        edited.edit_base()
        ran = run_harness(testbed, edited.root, "--series", edited.name, "--arch", ARCH,
                          "--load", "none")  # fmt: skip
        check(ran.record, tests * len(edited.series().positions), shared=True)
        forget_kernels(testbed, ran.record)
        return ran.sample

    yield once


@contextmanager
def _open_make(testbed: Testbed) -> Iterator[Once]:
    ready = prepared(testbed, ARCH)
    edited = edited_series(testbed, "bench-sweep-alone", ready.tree)
    with open_make(testbed, ARCH, ready.tree) as make:

        def once() -> Sample:
            edited.edit_base()
            series = edited.series()
            return {WHOLE: sum(make.seconds(series, position) for position in series.positions)}

        yield once


ROWS = (
    Row(
        name="sweep",
        title="sweep over five positions, one architecture, every deterministic test, "
        "against the sum of its make times alone",
        ours=Figure(
            Contender("sweep", "harness run --load none over a series edited anew", _open_ours),
            WHOLE,
        ),
        theirs=Figure(
            Contender("sweep, make alone", "make vmlinux modules at positions 0 to 4", _open_make),
            WHOLE,
        ),
        bar=1.2,
        group="sweep",
        runs=3,
        reading="both in build folders that hold an earlier sweep, so every build is incremental; "
        "positions with the same kernel, bit for bit, share their verdicts",
    ),
)

# SPDX-License-Identifier: GPL-2.0-only
"""From an edit of mm/vmalloc.c to the verdicts, against make of such an edit alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.guests import WHOLE
from bench.model import Contender, Figure, Once, Row, Sample
from bench.plain_make import open_make
from bench.roots import edited_series
from bench.runs import check, forget_kernels, run_harness
from bench.testbed import Testbed, prepared
from harness.host.paths import Checkout
from harness.plan.descriptions import load_tests, select_tests

ARCH = "x86_64"
TESTS = "*vmalloc*"


@contextmanager
def _open_ours(testbed: Testbed) -> Iterator[Once]:
    edited = edited_series(testbed, "bench-edit", prepared(testbed, ARCH).tree)
    tests = select_tests(load_tests(Checkout(edited.root)), (TESTS,))

    def once() -> Sample:
        edited.edit_last()
        last = str(len(edited.series().patches))
        ran = run_harness(testbed, edited.root, "--series", edited.name, "--arch", ARCH,
                          "--position", last, "--test", TESTS, "--load", "none")  # fmt: skip
        check(ran.record, len(tests))
        forget_kernels(testbed, ran.record)
        return ran.sample

    yield once


@contextmanager
def _open_make(testbed: Testbed) -> Iterator[Once]:
    ready = prepared(testbed, ARCH)
    edited = edited_series(testbed, "bench-edit-alone", ready.tree)
    with open_make(testbed, ARCH, ready.tree) as make:

        def once() -> Sample:
            edited.edit_last()
            series = edited.series()
            return {WHOLE: make.seconds(series, len(series.patches))}

        yield once


ROWS = (
    Row(
        name="edit",
        title="edit of mm/vmalloc.c to the verdict of every deterministic vmalloc test, "
        "against make of such an edit alone",
        ours=Figure(
            Contender("edit to verdict", "harness run of the edited series", _open_ours), WHOLE
        ),
        theirs=Figure(
            Contender(
                "edit, make alone", "make vmlinux modules, tree and config ready", _open_make
            ),
            WHOLE,
        ),
        bar=1.3,
        group="edit",
        runs=5,
        reading="each edit is one that no store and no ccache has seen",
    ),
)

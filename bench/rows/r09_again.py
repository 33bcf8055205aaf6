# SPDX-License-Identifier: GPL-2.0-only
"""A second run of the default plan, nothing changed."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.guests import WHOLE
from bench.model import Contender, Figure, Once, Row, Sample
from bench.runs import run_harness
from bench.testbed import Testbed
from harness.model.errors import InfraError


@contextmanager
def _open(testbed: Testbed) -> Iterator[Once]:
    root = testbed.workspace.checkout.root
    run_harness(testbed, root)

    def once() -> Sample:
        ran = run_harness(testbed, root)
        new = [cell.cell.id for cell in ran.record.cells if not cell.reused]
        if new or not ran.record.cells:
            raise InfraError(f"cells that ran again: {', '.join(new[:5]) or 'there are none'}")
        return ran.sample

    yield once


ROWS = (
    Row(
        name="again",
        title="second run of the default plan, nothing changed",
        ours=Figure(Contender("second run", "harness run, every verdict reused", _open), WHOLE),
        bar=3,
        unit="s",
        group="again",
        runs=5,
    ),
)

# SPDX-License-Identifier: GPL-2.0-only
"""The leftovers of a thousand clones in a row."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.model import Contender, Figure, Once, Row, Sample
from bench.testbed import Testbed
from harness.host import process
from harness.model.errors import InfraError

ARCH = "x86_64"


@contextmanager
def _open(testbed: Testbed) -> Iterator[Once]:
    def once() -> Sample:
        argv = (sys.executable, "-m", "bench.soak", str(testbed.workspace.cache.root), ARCH,
                str(testbed.clones))  # fmt: skip
        own = {"TMPDIR": str(testbed.new_folder("soak"))}
        done = process.run(argv, cwd=Path(__file__).parents[2], env=own)
        if not done.ok:
            raise InfraError("the soak failed", detail=done.stderr[-2000:])
        sample: Sample = json.loads(done.stdout)
        return sample

    yield once


CLONES = Contender("soak", "python -m bench.soak: a thousand clones, one after the other", _open)


def _row(figure: str, what: str, bar: float, *, kib: bool = False) -> Row:
    return Row(
        name=f"soak/{figure}",
        title=f"1,000 clones in a row leave behind: {what}",
        ours=Figure(CLONES, figure),
        bar=bar,
        unit="KiB" if kib else "count",
        group="soak",
        runs=1,
        warm_ups=0,
    )


ROWS = (
    _row("processes", "processes", 0),
    _row("files", "files, the template's store included", 0),
    _row("descriptors", "descriptors, sockets among them", 0),
    _row("threads", "threads", 0),
    # An interpreter's heap is not one size; a leak of the least object would be 50 KiB.
    _row("memory_kib", "memory of the Python process", 1024, kib=True),
)

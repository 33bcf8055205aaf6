# SPDX-License-Identifier: GPL-2.0-only
"""A fresh clone against the kernel's own kunit.py."""

from bench import kunit
from bench.guests import READY, WHOLE, clone
from bench.model import Figure, Row

ROWS = (
    Row(
        name="clone-kunit/run",
        title="fresh clone ready, against kunit.py's boot and run of its tiny kernel",
        ours=Figure(clone("x86_64"), READY),
        theirs=Figure(kunit.EXEC, kunit.BOOT_AND_RUN),
        bar=1 / 6,
        reading="the time that kunit.py itself reports, which leaves its own start out",
    ),
    Row(
        name="clone-kunit/whole",
        title="fresh clone ready and gone again, against the whole kunit.py process",
        ours=Figure(clone("x86_64"), WHOLE),
        theirs=Figure(kunit.EXEC, WHOLE),
        bar=None,
    ),
)

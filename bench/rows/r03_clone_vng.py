# SPDX-License-Identifier: GPL-2.0-only
"""A fresh clone against virtme-ng."""

from bench import vng
from bench.guests import RAN, READY, WHOLE, clone
from bench.model import Figure, Row

ROWS = (
    Row(
        name="clone-vng",
        title="fresh clone ready, against `vng ... -- true`, x86_64",
        ours=Figure(clone("x86_64"), READY),
        theirs=Figure(vng.ONE, WHOLE),
        bar=1 / 50,
    ),
    Row(
        name="clone-vng/program",
        title="fresh clone that has run /bin/true as well, against `vng ... -- true`, x86_64",
        ours=Figure(clone("x86_64"), RAN),
        theirs=Figure(vng.ONE, WHOLE),
        bar=None,
    ),
)

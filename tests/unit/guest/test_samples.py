# SPDX-License-Identifier: GPL-2.0-only
"""Samples and marks, whatever a guest sends."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.guest.samples import parse_sample, sample_json
from harness.verdict.log_facts import read_log
from harness.verdict.marks import marks

LOG = (
    "    # Subtest: demo",
    "    1..2",
    "    ok 1 - a",
    "anon invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    "Out of memory: Killed process 28 (anon) total-vm:1332kB",
    "    not ok 2 - b",
    "not ok 1 - demo",
)


def test_sample_figures_are_relative_to_begin() -> None:
    figures = parse_sample(b"at_us=2500000 free_kib=12 free_orders=1,2,0 t=9 Bad=1 x=-1 y=")
    assert figures == {"at_us": 2500000, "free_kib": 12, "free_orders": (1, 2, 0), "t": 9}
    assert json.loads(sample_json(figures, 2_000_000)) == {
        "t": 0.5,
        "free_kib": 12,
        "free_orders": [1, 2, 0],
    }


@given(st.binary(max_size=300))
def test_sample_parse_of_any_bytes_never_fails(line: bytes) -> None:
    figures = parse_sample(line)
    assert figures is None or isinstance(figures["at_us"], int)


def test_cases_and_oom_kills_are_marked_at_their_times() -> None:
    times = [1_000_000 * n for n in range(1, len(LOG) + 1)]
    found = [(m.t, m.kind, m.text) for m in marks(read_log(LOG), times, 1_000_000)]
    assert found == [
        (0.0, "case-begin", "a"),
        (2.0, "case-begin", "b"),
        (2.0, "case-end", "ok a"),
        (
            3.0,
            "oom-kill",
            "OOM kill of anon, asked by anon: pid 28; order 0, GFP_KERNEL",
        ),
        (5.0, "case-end", "not ok b"),
    ]

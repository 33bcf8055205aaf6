# SPDX-License-Identifier: GPL-2.0-only
"""Samples, whatever a guest sends."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.guest.samples import parse_sample, sample_json


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

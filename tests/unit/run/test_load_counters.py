# SPDX-License-Identifier: GPL-2.0-only
"""Claims of loads about the guest's counters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.host.paths import find_checkout
from harness.model.errors import UserError
from harness.model.values import Load
from harness.plan.descriptions import load_loads
from harness.run.load_counters import VMSTAT, claims, toothless

LOAD = Load("anon", Path("anon"), "fills memory")
BEFORE = {VMSTAT: "pswpin 10\npswpin_x 99\n", "/f": "Mlocked:   12 kB\nig 1 2 3\n", "/n": "7\n8\n"}
AFTER = {VMSTAT: "pswpin 15\npswpin_x 99\n", "/f": "Mlocked:   4 kB\nig 1 7 3\n", "/n": "9\n8\n"}


@pytest.mark.parametrize(
    ("counter", "want", "figures", "borne_out"),
    [
        ("pswpin", "> 0", (10, 15), True),
        ("pswpin", ">= 6", (10, 15), False),
        ("pswpin", "is >= 15", (10, 15), True),
        ("pswpi", "> 0", (0, 0), False),
        ("/f:Mlocked", "< 0", (12, 4), True),
        ("/f:ig.1", "> 4", (2, 7), True),
        ("/f:ig.5", "> 0", (0, 0), False),
        ("/gone:x", "> 0", (0, 0), False),
        ("/n", "> 1", (7, 9), True),
        ("/n:8", "> 0", (0, 0), False),
        ("/gone", "> 0", (0, 0), False),
    ],
)
def test_claim_is_compared_with_guest_counters(
    counter: str, want: str, figures: tuple[int, int], borne_out: bool
) -> None:
    (claim,) = claims(replace(LOAD, shows=((counter, want),)))
    shown = claim.shown(BEFORE, AFTER)
    assert ((shown.before, shown.after), shown.borne_out) == (figures, borne_out)
    assert (toothless([shown]) == "") is borne_out


@pytest.mark.parametrize(
    ("counter", "want"), [("pswpin", "grows"), ("a b", "> 0"), ("f:x", "> 0"), ("/f:", "> 0")]
)
def test_claims_of_malformed_counter_is_refused(counter: str, want: str) -> None:
    with pytest.raises(UserError) as caught:
        claims(replace(LOAD, shows=((counter, want),)))
    assert "load.toml: shows" in caught.value.what


def test_loads_of_checkout_all_claim_something() -> None:
    for load in load_loads(find_checkout(Path(__file__).parent)).values():
        assert claims(load), load.name

# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the flagship series, real ones in real guests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.analysis.mutation.record import Fate, MutantsRecord
from harness.model.jsonio import from_json
from tests.qemu.conftest import Harness

ONE = ("--arch", "x86_64", "--test", "vmalloc-scope,vmalloc-nofail-sweep")


def listed(harness: Harness) -> dict[int, str]:
    done = harness("mutants", "--list")
    assert done.returncode == 0, done.stderr
    found = (re.match(r" *(\d+) (.*)", line) for line in done.stdout.splitlines())
    return {int(match[1]): match[2] for match in found if match}


def test_mutants_of_the_series_are_listed(harness: Harness) -> None:
    mutants = listed(harness)
    assert len(mutants) >= 30
    assert all(what.startswith("mm/") for what in mutants.values())


@pytest.mark.slow("a mutant of the series on x86_64", minutes=2)
def test_a_dropped_unmap_is_found_out_and_remembered(harness: Harness, tmp_path: Path) -> None:
    mutants = listed(harness)
    (number,) = (n for n, what in mutants.items() if "drop `unmap_kernel_range" in what)
    for _ in range(2):
        out = ("--only", str(number), "--out", str(tmp_path))
        done = harness("mutants", *ONE, *out)
        assert done.returncode == 0, done.stdout + done.stderr
        text = (tmp_path / "mutants-x86_64.json").read_text()
        (result,) = from_json(MutantsRecord, text).results
        assert result.fate is Fate.KILLED
        assert result.by.startswith("vmalloc-nofail-sweep: nofail_")
        assert "-\t\tunmap_kernel_range(addr, size);" in result.diff
    assert result.reused
    assert "| killed | vmalloc-nofail-sweep" in (tmp_path / "mutants-x86_64.md").read_text()


def test_an_unknown_mutant_is_a_wrong_request(harness: Harness) -> None:
    done = harness("mutants", *ONE, "--only", "900")
    assert done.returncode == 2
    assert "there is no mutant 900" in done.stderr

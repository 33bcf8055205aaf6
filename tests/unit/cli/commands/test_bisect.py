# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a bisection as one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.cli.commands.bisect import joined
from tests.unit.sample_run import make_run


def test_joined_steps_are_one_run_of_their_positions(tmp_path: Path) -> None:
    whole = make_run(tmp_path)

    def step(position: int) -> object:
        return replace(
            whole,
            started=f"2026-11-23T11:2{position}:00+00:00",
            seconds=1.5,
            kernels=tuple(k for k in whole.kernels if k.position == position),
            cells=tuple(c for c in whole.cells if c.cell.position == position),
        )

    record = joined([step(4), step(0), step(2)], "bisect: found")  # type: ignore[list-item]

    assert [k.position for k in record.kernels] == [0, 0, 2, 2, 4, 4]
    assert [c.cell.position for c in record.cells] == sorted(c.cell.position for c in record.cells)
    assert len(record.cells) == 3 * len(whole.cells) // 5
    assert record.plan.positions == (0, 2, 4)
    assert (record.started, record.seconds) == ("2026-11-23T11:24:00+00:00", 4.5)
    assert record.about == "bisect: found"

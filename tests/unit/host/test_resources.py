# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.host import resources


def test_describe_is_one_line() -> None:
    assert resources.cores() >= 1
    assert resources.memory_mib() > 0
    assert f"{resources.cores()} cores" in resources.describe()
    assert "\n" not in resources.describe()


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this process' cgroup, which has a parent."""
    folder = tmp_path / "above" / "own"
    folder.mkdir(parents=True)
    monkeypatch.setattr(resources, "_cgroups", lambda: (folder, folder.parent))
    return folder


def test_cores_under_a_quota_of_a_cgroup_are_no_more_than_that(
    group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert resources.cores() == 8
    (group / "cpu.max").write_text("max 100000\n")
    assert resources.cores() == 8
    (group.parent / "cpu.max").write_text("350000 100000\n")
    assert resources.cores() == 3
    (group / "cpu.max").write_text("50000 100000\n")
    assert resources.cores() == 1


def test_memory_under_a_limit_of_a_cgroup_is_what_is_left_of_it(group: Path) -> None:
    free = resources.memory_mib()
    assert free > 0
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text(str(48 << 20))
    (group.parent / "memory.current").write_text(str(32 << 20))
    assert resources.memory_mib() == 16

# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from harness.cache import lease
from harness.cache.lease import LEASES, end_all, in_use, taking_away, use


def test_lease_lasts_until_the_end_of_its_process(tmp_path: Path) -> None:
    assert in_use(tmp_path) == frozenset()
    use(tmp_path, "kind/one")
    use(tmp_path, "kind/two")
    use(tmp_path, "kind/one")
    assert in_use(tmp_path) == {"kind/one", "kind/two"}
    end_all()
    assert in_use(tmp_path) == frozenset()
    use(tmp_path, "kind/two")
    assert in_use(tmp_path) == {"kind/two"}


def test_lease_in_one_section_says_nothing_of_another(tmp_path: Path) -> None:
    use(tmp_path / "a", "name")
    assert in_use(tmp_path / "b") == frozenset()


def test_lease_of_a_dead_process_counts_for_nothing_and_goes_with_the_next_removal(
    tmp_path: Path,
) -> None:
    use(tmp_path, "one")
    left = tmp_path / LEASES / "1-dead.lease"
    left.write_text("two\n")
    assert in_use(tmp_path) == {"one"}
    with taking_away(tmp_path) as used:
        assert used == {"one"}
    assert not left.exists()


def test_lease_read_between_its_creation_and_its_lock_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    read: list[frozenset[str]] = []

    def read_before_the_lock(fd: int, how: int) -> None:
        # The guard is locked as well, but shared: whoever asks what is in use gets by.
        if how == fcntl.LOCK_EX and not read:
            read.append(in_use(tmp_path))
        real(fd, how)

    with monkeypatch.context() as patch:
        patch.setattr("harness.cache.lease.fcntl.flock", read_before_the_lock)
        use(tmp_path, "one")
    assert read == [frozenset()]
    with taking_away(tmp_path) as used:
        assert used == {"one"}


def test_lease_whose_process_ends_while_it_is_read_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(tmp_path, "one")
    real = fcntl.flock

    def held_and_then_gone(fd: int, how: int) -> None:
        try:
            real(fd, how)
        except BlockingIOError:
            for file in (tmp_path / LEASES).glob("*.lease"):
                file.unlink()  # as the end of its process does
            raise

    monkeypatch.setattr("harness.cache.lease.fcntl.flock", held_and_then_gone)
    assert in_use(tmp_path) == {"one"}


def test_use_of_a_leased_name_takes_no_lock(tmp_path: Path) -> None:
    use(tmp_path, "one")
    with taking_away(tmp_path) as used:
        assert used == {"one"}
        use(tmp_path, "one")  # would wait for ever


def test_use_during_a_removal_waits_and_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "entry").touch()
    seen: list[bool] = []

    def newcomer() -> None:
        use(tmp_path, "entry")
        seen.append((tmp_path / "entry").exists())

    with taking_away(tmp_path) as used:
        assert used == frozenset()
        thread = threading.Thread(target=newcomer)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        (tmp_path / "entry").rename(tmp_path / "aside")
    thread.join(10)
    assert seen == [False]


def test_use_from_several_threads_makes_one_lease_of_all_names(tmp_path: Path) -> None:
    names = [f"entry{number}" for number in range(200)]
    threads = [
        threading.Thread(target=lambda part=part: [use(tmp_path, name) for name in names[part::4]])
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert in_use(tmp_path) == set(names)
    assert len(list((tmp_path / LEASES).glob("*.lease"))) == 1


def test_forked_child_has_leases_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(tmp_path, "parent")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 4194305)
        use(tmp_path, "child")
        assert len(list((tmp_path / LEASES).glob("*.lease"))) == 2
        lease.end_all()
    assert in_use(tmp_path) == {"parent"}

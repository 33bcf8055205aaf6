# SPDX-License-Identifier: GPL-2.0-only
"""What is made once for the whole process."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.guest.qemu.process import Once


def test_once_called_by_threads_gives_all_the_same() -> None:
    """Two event loops, or two threads that start emulators, were one too many."""
    made: list[object] = []
    ready = threading.Barrier(4)

    @Once
    def thing() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    def ask(_: int) -> object:
        ready.wait(20)
        return thing()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) == set(made)
    assert len(made) == 1


# Python 3.12 and later warn of every fork of a process with threads, which is what this is about.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_once_in_forked_child_is_made_anew() -> None:
    made: list[int] = []

    @Once
    def thing() -> int:
        made.append(os.getpid())
        return made[-1]

    assert thing() == os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(0 if thing() == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(made) == 1

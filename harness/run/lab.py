# SPDX-License-Identifier: GPL-2.0-only
"""Threads that run guests, and the way out of them: no guest outlives what started it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from harness.guest.capacity import Capacity
from harness.guest.qemu.process import kill_all
from harness.guest.template import Templates


@contextmanager
def guest_pool(name: str, capacity: Capacity, templates: Templates) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of as many threads as *capacity* has room for guests.

    On the way out everything that was submitted is waited for. On the way out by an exception
    what waits is dropped, no guest of *templates* is started any more, and those that run end.
    """
    pool = ThreadPoolExecutor(capacity.workers, name)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        templates.stop()
        kill_all()
        raise
    finally:
        pool.shutdown(wait=True)

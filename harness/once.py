# SPDX-License-Identifier: GPL-2.0-only
"""Things of the whole process that have threads of their own, made when they are first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Decorator for a function without arguments: it is called once, whoever asks how often.

    functools.cache calls it twice for two threads that ask at the same moment, and keeps what
    came last. A forked child calls it anew: it has what its parent made, but not the threads.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()  # in a child, another thread may have held the one there was
        self._made: T | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

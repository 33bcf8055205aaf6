# SPDX-License-Identifier: GPL-2.0-only
"""Edits as they are saved: which files matter, and an edit that interrupts an outdated run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from watchfiles import Change, DefaultFilter, watch

from harness.host.paths import expanded

# An editor writes a file in several steps; changes within this time are one edit.
DEBOUNCE_MS = 40
STEP_MS = 15
TICK_MS = 200
START_S = 10.0  # to put watches on all folders of a kernel tree
# Build products, and files with which editors probe a folder, beside those that watchfiles ignores
# itself (repositories, swap and backup files, caches).
IGNORED_FOLDERS = (*DefaultFilter.ignore_dirs, "runs")
IGNORED_NAMES = (
    *DefaultFilter.ignore_entity_patterns,
    r"\.(o|ko|a|cmd|d|mod|order|tmp)$",
    r"^\.new\.",
    r"^4913$",  # vim
)


class Watcher:
    """Collects the edits below some paths; a context manager.

    While :meth:`interruptible` is entered, an edit interrupts the main thread as Ctrl-C would.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(path for path in paths if path.exists())
        self._edited: set[Path] = set()
        self._changed = threading.Condition()
        self._interruptible = False
        self.interrupted = False  # by an edit, not by the user
        self._stop = threading.Event()
        self._listening = threading.Event()
        self._filter = DefaultFilter(
            ignore_dirs=IGNORED_FOLDERS, ignore_entity_patterns=IGNORED_NAMES
        )
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def wait(self, seconds: float | None = None) -> tuple[Path, ...]:
        """Wait for an edit and return the files edited since the last call, sorted.

        Returns nothing where there is none within *seconds*.
        """
        with self._changed:
            self._changed.wait_for(lambda: bool(self._edited), seconds)
            return self._take()

    def take(self) -> tuple[Path, ...]:
        """Return the files edited since the last call, without waiting."""
        with self._changed:
            return self._take()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let an edit interrupt the main thread inside: its result is outdated."""
        with self._changed:
            self.interrupted = False
            self._interruptible = True
        try:
            yield
        finally:
            with self._changed:
                self._interruptible = False

    def _take(self) -> tuple[Path, ...]:
        edited, self._edited = tuple(sorted(self._edited)), set()
        return edited

    def _run(self) -> None:
        # At a timeout it yields an empty set; the first one shows that it listens.
        for changes in watch(
            *self._paths,
            watch_filter=self._filter,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=self._stop,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            self._listening.set()
            if changes:
                self._note(changes)

    def _note(self, changes: Collection[tuple[Change, str]]) -> None:
        with self._changed:
            self._edited.update(Path(path) for _, path in changes)
            self._changed.notify_all()
            if self._interruptible and not self.interrupted:
                self.interrupted = True
                # A real signal also ends a wait for a lock, as for the verdict of the last cell.
                main = threading.main_thread().ident
                assert main is not None
                signal.pthread_kill(main, signal.SIGINT)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait(START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def watched_paths(folders: Iterable[Path], series: str, base: str) -> tuple[Path, ...]:
    """Return the paths that a run depends on: *folders*, and those in *series* and *base*."""
    named = (word.partition(":")[2].partition("#")[0] for word in (series, base))
    paths = (expanded(name) for name in (*named, series) if name)
    found = [path.resolve() for path in (*folders, *paths) if path.exists()]
    return tuple(dict.fromkeys(found))

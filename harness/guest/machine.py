# SPDX-License-Identifier: GPL-2.0-only
"""A running emulator with its channels: console, agent, samples and QMP.

The command decides whether a kernel is booted or a template cloned; :mod:`harness.guest.guest`
asks for things in the guest.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.guest import samples
from harness.guest.qemu.argv import Channels, clone_words
from harness.guest.qemu.process import Qemu, death_of
from harness.guest.transport.agent import Agent
from harness.guest.transport.console import Console, complete_kmsg
from harness.guest.transport.reader import CappedLog, Reader, Vitals, Wait
from harness.guest.transport.sampler import Sampling
from harness.host.deadline import Deadline
from harness.model.errors import GuestError

if TYPE_CHECKING:
    from harness.guest.qemu.qmp import Monitor

QEMU_LOG_LIMIT = 2**20  # bytes of qemu.log
STDERR_TAIL = 16 * 1024  # bytes kept for messages
SEND_S = 10.0  # a channel that takes nothing for so long belongs to a guest that hangs
END_S = 5.0  # from the close of QEMU's channels to its exit


class Machine:
    """A guest's emulator, console, agent and monitor; a context manager, all gone after it.

    Writes console.log, kmsg.log, qemu.log and argv.txt into its ``folder``, and samples.jsonl
    once a test begins.
    """

    def __init__(
        self,
        command: Callable[[Channels], tuple[str, ...]],
        folder: Path,
        *,
        state: Path | None = None,
    ) -> None:
        """Start what *command* returns for its channels; *folder* must exist.

        With *state*, a file that :meth:`Monitor.save_state` wrote, a clone: *command* is then
        one that waits for it.

        Raises:
            InfraError: the emulator cannot be started.
        """
        self.folder = folder
        self.vitals = Vitals()
        self._stderr = _Stderr(folder / "qemu.log")
        with contextlib.ExitStack() as stack:
            inherit: tuple[int, ...] = ()
            words = b""
            if state is not None:
                fd = stack.enter_context(state.open("rb")).fileno()
                inherit = (fd,)
                words = b"".join(json.dumps(said).encode() for said in clone_words(fd))
            self._qemu = stack.enter_context(Qemu(command, inherit, words))
            (folder / "argv.txt").write_text(shlex.join(self._qemu.argv) + "\n")
            for channel in (self._qemu.console, self._qemu.agent, self._qemu.samples):
                channel.settimeout(SEND_S)
            self.console = Console(self._qemu.console, folder / "console.log", self.vitals)
            self.agent = Agent(self._qemu.agent, folder / "kmsg.log", self.vitals)
            self.sampling = Sampling(self._qemu.samples, folder / samples.NAME, self.vitals)
            reader = Reader(
                {
                    self._qemu.console: self.console,
                    self._qemu.agent: self.agent,
                    self._qemu.samples: self.sampling,
                    self._qemu.stderr: self._stderr,
                },
                self._finished,
                paced=self._qemu.console,
            )
            self._negotiated = state is not None
            self._monitor: Monitor | None = None
            # Last in, first out: the process ends, its channels are read to the end, and then our
            # ends are closed.
            stack.callback(self._close_monitor)
            stack.callback(self._complete_log)
            reader.start()
            stack.callback(reader.join)
            stack.callback(self._qemu.stop)
            self._stack = stack.pop_all()

    @property
    def monitor(self) -> Monitor:
        """QMP; most guests come and go without anybody asking for it."""
        if self._monitor is None:
            # Imported at first use: asyncio and the client take longer than a clone's start.
            from harness.guest.qemu.qmp import Monitor

            self._monitor = Monitor(self._qemu.monitor, negotiated=self._negotiated)
        return self._monitor

    def _complete_log(self) -> None:
        """Once all was read of a guest that died, add its last words to kmsg.log."""
        if self.vitals.panic or not self._qemu.stopped:
            complete_kmsg(self.folder / "kmsg.log", self.console.lines, self.agent.last_record)

    def _close_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.close()

    @property
    def argv(self) -> tuple[str, ...]:
        return self._qemu.argv

    @property
    def pid(self) -> int:
        """The emulator's process id."""
        return self._qemu.pid

    def private_kib(self) -> int:
        """Return the memory that only this emulator has, in KiB; 0 once it is gone.

        Of a clone's RAM that is what it has written to.
        """
        try:
            about = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        found = re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", about, re.M)
        return sum(map(int, found))

    @property
    def stderr(self) -> str:
        """The end of what QEMU wrote on stderr."""
        return self._stderr.text

    def failure(self) -> GuestError | None:
        """Return the error where QEMU ended for a reason that is not the guest's, else None.

        A guest that resets or powers off makes QEMU end with 0, and so does a polite signal,
        but not without a word.
        """
        code = self.vitals.exit_code
        if code is None:
            return None
        if self._qemu.stopped:
            return GuestError("the guest was stopped from outside")
        if code == 0 and "terminating on signal" not in self.stderr:
            return None
        return death_of(self._qemu, code, self.stderr)

    def settle(self) -> None:
        """After a guest that is as good as gone: give QEMU the moment it takes to be really so."""
        if self.vitals.gone or self.vitals.panic:
            self.vitals.wait(lambda: self.vitals.exit_code is not None, Deadline(END_S))

    def wait_end(self, deadline: Deadline) -> Wait:
        """Wait until the guest has ended."""
        return self.vitals.wait(lambda: self.vitals.exit_code is not None, deadline)

    def stop(self) -> None:
        """End the emulator and read what it still had to say; may be repeated."""
        self._stack.close()

    def _finished(self) -> None:
        code = self._qemu.wait(Deadline.never())
        assert code is not None
        self.vitals.ended(code)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Stderr:
    """QEMU's stderr: kept in qemu.log, and its end for messages."""

    def __init__(self, log: Path) -> None:
        self._log = CappedLog(log, QEMU_LOG_LIMIT)
        self._tail = b""
        self._lock = threading.Lock()

    def feed(self, chunk: bytes) -> None:
        self._log.write(chunk)
        with self._lock:
            self._tail = (self._tail + chunk)[-STDERR_TAIL:]

    def close(self) -> None:
        self._log.close()

    @property
    def text(self) -> str:
        with self._lock:
            return self._tail.decode("utf-8", "backslashreplace")

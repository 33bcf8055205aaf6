# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process: its channels are connected from the start, and no exit leaves it behind.

Each channel is a socket pair whose far end QEMU inherits. It is connected before QEMU runs, so
not one byte of the console is missed; QEMU's death closes it, so nobody waits for the dead; and
there is no socket file to name, to clash, or to be left behind.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Generic, Self, TypeVar

from harness.guest.qemu.argv import Channels
from harness.host import process
from harness.host.deadline import Deadline
from harness.model.errors import GuestError, InfraError
from harness.model.values import Arch

# The shell checks that our process is still the parent once the death signal is armed: had we
# died just before, nobody would ever send it.
_WITH_PARENT = '[ "$PPID" = "$0" ] && exec "$@"'
# QEMU's own heap in huge pages where the host has them: half the page faults of a start, and a
# clone that answers 5 to 8 % sooner (TCG, 7.2).
_ENVIRON = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_alive: set[Qemu] = set()
_alive_lock = threading.Lock()


class Qemu:
    """A running emulator, with our ends of its channels: ``console``, ``agent``, ``samples``,
    ``monitor``.

    A context manager: :meth:`stop` runs on exit. ``stderr`` is a binary pipe that somebody must
    read to its end; the end comes exactly when the process is gone.
    """

    def __init__(
        self,
        command: Callable[[Channels], tuple[str, ...]],
        inherit: tuple[int, ...] = (),
        first_words: bytes = b"",
    ) -> None:
        """Start what *command* returns for the channels it is given.

        It inherits the files *inherit* under their numbers, and finds *first_words* on its
        monitor: a reply to them costs no wait for QEMU to come up.

        Raises:
            InfraError: the emulator is not installed, or the host cannot start a process.
        """
        ours, theirs = zip(*(socket.socketpair() for _ in range(4)), strict=True)
        self.console, self.agent, self.samples, self.monitor = ours
        self._lock = threading.Lock()
        self.stopped = False  # we ended it: how it ended says nothing about the guest
        try:
            fds = tuple(end.fileno() for end in theirs)
            self.monitor.sendall(first_words)
            self.argv = command(Channels.of_fds(*fds))
            self._process = _start(self.argv, (*fds, *inherit))
        except BaseException:
            for end in ours:
                end.close()
            raise
        finally:
            for end in theirs:
                end.close()
        assert self._process.stderr is not None
        self.stderr: IO[bytes] = self._process.stderr
        with _alive_lock:
            _alive.add(self)
        if process.stopping():  # it began beside a kill_all, which may have missed it
            self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how the process ended: None while it runs, -N when signal N ended it."""
        return self._process.poll()

    def wait(self, deadline: Deadline) -> int | None:
        """Wait for the process to end; return its exit code, None where the deadline passed."""
        seconds = deadline.remaining()
        try:
            return self._process.wait(None if seconds == float("inf") else seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End the process if it still runs. May be repeated.

        By SIGKILL: whoever stops a guest wants nothing more of it, what it said is in our
        channels already, and QEMU has nothing to save. Ending in its own way takes it longer.
        """
        with self._lock:
            if self._process.poll() is None:
                self.stopped = True
                self._process.kill()
                self._process.wait()
        with _alive_lock:
            _alive.discard(self)

    def kill(self) -> None:
        """End the process at once, from any thread; its owner still has to :meth:`stop` it."""
        self.stopped = True
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for end in (self.console, self.agent, self.samples, self.monitor, self.stderr):
            end.close()


def kill_all() -> None:
    """End every emulator of this process at once: the waits on them then end as well."""
    with _alive_lock:
        running = tuple(_alive)
    for qemu in running:
        qemu.kill()


@functools.cache
def qemu_version(arch: Arch) -> str:
    """Return what *arch*'s emulator says of itself: "QEMU emulator version 7.2.22 (Debian ...)".

    Raises:
        InfraError: it is not installed, or does not run.
    """
    find_emulator(arch.qemu, arch.qemu_package)
    argv = (arch.qemu, "--version")
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        raise InfraError(
            f"{arch.qemu} does not run (exit {done.returncode})",
            hint=f"reinstall the package {arch.qemu_package}",
            detail=done.stderr,
        )
    return lines[0]


def find_emulator(program: str, package: str) -> None:
    """Check that *program* is installed.

    Raises:
        InfraError: it is not; the hint names *package*.
    """
    if shutil.which(program) is None:
        raise InfraError(f"{program} is not installed", hint=f"apt-get install {package}")


def ending(code: int) -> str:
    """Return an exit code in words: "exit 1", "SIGABRT"."""
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def death_of(qemu: Qemu, code: int, stderr: str) -> GuestError:
    """Return the error that tells how an emulator died which should not have."""
    said = stderr.strip().splitlines()
    what = f"QEMU ended with {ending(code)}" + (f": {said[-1]}" if said else "")
    hint = "see qemu.log and argv.txt beside the console log"
    if "cannot set up guest memory" in stderr or "Cannot allocate memory" in stderr:
        hint = "the host lacks memory: run fewer guests at a time (--jobs) or smaller ones (--ram)"
    elif code == -signal.SIGKILL:
        hint = "something on the host killed it; when memory is short the kernel does"
    return GuestError(what, hint=hint, detail=f"{shlex.join(qemu.argv)}\n{stderr}".strip())


def _start(argv: tuple[str, ...], fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
    if shutil.which("setpriv") is None:
        raise InfraError("setpriv is not installed", hint="apt-get install util-linux")
    armed = ("setpriv", "--pdeathsig", "KILL", "--")
    whole = (*armed, "sh", "-c", _WITH_PARENT, str(os.getpid()), *argv)
    starting = _launcher().submit(_popen, whole, fds)
    try:
        return starting.result()
    except OSError as error:
        raise InfraError(f"cannot start {argv[0]}: {error.strerror}") from error
    except BaseException:  # Ctrl-C, with the process perhaps just started
        starting.add_done_callback(_drop)
        raise


def _drop(started: Future[subprocess.Popen[bytes]]) -> None:
    if started.exception() is None:
        emulator = started.result()
        emulator.kill()
        emulator.communicate()


def _popen(argv: tuple[str, ...], fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=fds,
        env={**os.environ, **_ENVIRON},
        # Ctrl-C goes to our process group; we then end the guests in our own order.
        start_new_session=True,
    )


T = TypeVar("T")


class Once(Generic[T]):
    """Decorator that calls a function without arguments once, however many threads ask.

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


@Once
def _launcher() -> ThreadPoolExecutor:
    """Return the one thread that starts emulators.

    The kernel sends the death signal when the *thread* that forked ends, so a worker's thread
    would take with it a guest that another one still uses.
    """
    return ThreadPoolExecutor(1, "qemu-launcher")

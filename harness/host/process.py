# SPDX-License-Identifier: GPL-2.0-only
"""Commands of the host: each with a deadline, a log, and a process group of its own.

An error, a deadline or Ctrl-C ends the whole group, so make's compilers do not outlive the
harness. No other module starts commands that run for long.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.host import packages
from harness.model.errors import InfraError, Interrupted

# Seconds that a group has to end by itself: gcc and make remove half-written files meanwhile.
GRACE_S = 5.0
TICK_S = 0.25
# Settings of other builds, as make, kbuild and gcc take them from the environment: none may change
# the result.
# fmt: off
_BUILD = frozenset(
    (
        "ARCH", "SUBARCH", "SRCARCH", "CROSS_COMPILE", "CROSS_COMPILE_COMPAT", "CROSS32_COMPILE",
        "LLVM", "LLVM_IAS", "CC", "CXX", "CPP", "LD", "AR", "AS", "NM", "OBJCOPY", "OBJDUMP",
        "READELF", "STRIP", "PAHOLE", "RUSTC", "BINDGEN", "LEX", "YACC", "DTC_FLAGS",
        "HOSTCC", "HOSTCXX", "HOSTLD", "HOSTAR", "HOSTRUSTC", "HOSTPKG_CONFIG", "HOSTCFLAGS",
        "HOSTCXXFLAGS", "HOSTLDFLAGS", "HOSTLDLIBS", "HOSTRUSTFLAGS", "USERCFLAGS", "USERLDFLAGS",
        "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "KCFLAGS", "KAFLAGS", "KCPPFLAGS",
        "KRUSTFLAGS", "CFLAGS_KERNEL", "AFLAGS_KERNEL", "CFLAGS_MODULE", "AFLAGS_MODULE",
        "LDFLAGS_MODULE", "EXTRA_CFLAGS", "EXTRA_AFLAGS", "EXTRA_LDFLAGS", "LOCALVERSION",
        "KERNELRELEASE", "EXTRAVERSION", "INSTALL_PATH", "INSTALL_MOD_PATH", "INSTALL_HDR_PATH",
        "INSTALL_DTBS_PATH", "INSTALL_MOD_STRIP", "INSTALLKERNEL", "MODLIB", "DEPMOD",
        "O", "M", "V", "W", "C", "CF", "CHECK", "GCC_EXEC_PREFIX", "COMPILER_PATH", "CPATH",
        "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "SOURCE_DATE_EPOCH",
        "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "GNUMAKEFLAGS", "MAKEFILES",
    )
)
# A symbol of Kconfig's that a .config leaves out would be taken from the environment.
_BUILD_PREFIXES = ("KBUILD_", "KCONFIG_", "CONFIG_")
# Set by a make around the harness, as by `make run`; by a person only where there is none.
_MAKE = frozenset(
    ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR")
)
_FOREIGN = _BUILD | _MAKE | frozenset(
    (
        "LANG", "LANGUAGE", "CDPATH", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_CONFIG_PARAMETERS", "GREP_OPTIONS",
        "TAR_OPTIONS", "XZ_OPT", "XZ_DEFAULTS",
    )
)
# fmt: on

_stopping = threading.Event()


@dataclass(frozen=True)
class Finished:
    """A command that ended by itself."""

    argv: tuple[str, ...]
    status: int  # exit status; -N: ended by signal N
    stdout: str  # with stderr in it, where the caller asked for a log or for lines
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.status == 0


def environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a command: the user's without settings of other builds."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _FOREIGN and not name.startswith(("LC_", *_BUILD_PREFIXES))
    }
    return {**kept, "LC_ALL": "C", **(extra or {})}


def ignored_build_settings() -> tuple[str, ...]:
    """Return what the user's environment sets for builds, and none of ours heeds: "CC=clang"."""
    theirs = _BUILD if "MAKELEVEL" in os.environ else _BUILD | {"MAKEFLAGS", "MFLAGS"}
    return tuple(
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if value.strip() and (name in theirs or name.startswith(_BUILD_PREFIXES))
    )


def require_tool(tool: str) -> str:
    """Return the path of *tool*.

    Raises:
        InfraError: it is not installed; the hint names the Debian package.
    """
    found = shutil.which(tool)
    if found is None:
        raise _missing(tool)
    return found


def _missing(tool: str) -> InfraError:
    package = next((p for r in packages.GENERAL if r.what == tool for p in r.packages[:1]), "")
    what = f"'{tool}' is not installed"
    if package:
        return InfraError(what, hint=f"run: harness doctor --install (Debian package {package})")
    return InfraError(what, hint="run: harness doctor --install")


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[], None] | None = None,
    deadline_s: float | None = None,
    marker: Path | None = None,
) -> Finished:
    """Run *argv* to its end and return what it printed; its exit status is the caller's to judge.

    With *log* or *on_line*, stdout and stderr are one stream: appended to *log* as it comes, and
    given to *on_line* line by line. *on_tick* is called a few times a second. *env* is added to
    :func:`environ`. *marker* is a file that exists while the command runs; it stays if
    the command (or the harness) was killed before it could clean up.

    Raises:
        InfraError: no such program, or it did not end within *deadline_s* seconds.
        Interrupted: :func:`stop_all` ended it, or did not let it start.
    """
    raise_if_stopping()
    words = tuple(os.fspath(word) for word in argv)
    begun = time.monotonic()
    process: subprocess.Popen[bytes] | None = None
    orderly = True
    if marker is not None:
        marker.touch()
    try:
        process = _start(words, cwd, env, stdin, merged=log is not None or on_line is not None)
        out, err = _read_all(process, log, on_line, on_tick, deadline_s)
        status = process.wait()
    except BaseException as error:
        orderly = process is None or _end(process)
        if isinstance(error, _Late):
            raise InfraError(
                f"'{words[0]}' did not end within {deadline_s:g} s",
                hint="is the machine overloaded? try again",
            ) from None
        raise
    finally:
        if marker is not None and orderly:
            marker.unlink(missing_ok=True)
        for stream in (process.stdout, process.stderr) if process is not None else ():
            if stream is not None:
                stream.close()
    return Finished(words, status, out, err, time.monotonic() - begun)


def _start(
    words: tuple[str, ...],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: str,
    *,
    merged: bool,
) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() as given:
        given.write(stdin.encode(errors="surrogateescape"))
        given.seek(0)
        try:
            return subprocess.Popen(
                words,
                cwd=cwd,
                env=environ(env),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                process_group=0,
            )
        except FileNotFoundError as error:
            if cwd is not None and not cwd.is_dir():
                raise InfraError(f"no such folder: {cwd}") from error
            raise _missing(words[0]) from error
        except PermissionError as error:
            raise InfraError(f"'{words[0]}' may not be executed") from error


@contextmanager
def stop_all() -> Iterator[None]:
    """End the commands of every thread, and let none start while inside.

    Their :func:`run` raises Interrupted, once the whole process group of the command is gone.
    """
    _stopping.set()
    try:
        yield
    finally:
        _stopping.clear()


def stopping() -> bool:
    """Whether everything is to end: a thread is inside :func:`stop_all`."""
    return _stopping.is_set()


def raise_if_stopping() -> None:
    """Raise Interrupted where everything is to end."""
    if stopping():
        raise Interrupted("interrupted")


def _end(process: subprocess.Popen[bytes]) -> bool:
    """End the whole group by SIGTERM, then SIGKILL. True if SIGTERM was enough."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
        if not _group_alive(process.pid, GRACE_S):
            return True
    except subprocess.TimeoutExpired:
        pass
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return False


def _group_alive(group: int, patience_s: float) -> bool:
    """Wait until *group* is empty; True if it is not after *patience_s* seconds."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.02)
    return True


class _Late(Exception):
    """The deadline has passed."""


class _Stream:
    """One output of a command: kept whole, copied to a log, cut into lines."""

    def __init__(self, log: IO[bytes] | None, on_line: Callable[[str], None] | None) -> None:
        self.parts: list[bytes] = []
        self._log = log
        self._on_line = on_line
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next *chunk*; an empty one is the end."""
        self.parts.append(chunk)
        if self._log is not None:
            self._log.write(chunk)
            self._log.flush()
        if self._on_line is None:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._on_line(_text(line))

    @property
    def text(self) -> str:
        return _text(b"".join(self.parts))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _read_all(
    process: subprocess.Popen[bytes],
    log: Path | None,
    on_line: Callable[[str], None] | None,
    on_tick: Callable[[], None] | None,
    deadline_s: float | None,
) -> tuple[str, str]:
    """Read until both outputs are closed, or the command is gone and has nothing more to say."""
    until = None if deadline_s is None else time.monotonic() + deadline_s
    opened = nullcontext() if log is None else log.open("ab")
    with selectors.DefaultSelector() as selector, opened as log_file:
        streams = [_Stream(log_file, on_line), _Stream(None, None)]
        for pipe, stream in zip((process.stdout, process.stderr), streams, strict=True):
            if pipe is not None:
                selector.register(pipe.fileno(), selectors.EVENT_READ, stream)
        while selector.get_map():
            ready = selector.select(TICK_S)
            if not ready and process.poll() is not None:
                break  # a child of it still holds the pipe
            for entry, _ in ready:
                chunk = os.read(entry.fd, 1 << 16)
                entry.data.feed(chunk)
                if not chunk:
                    selector.unregister(entry.fd)
            raise_if_stopping()
            if on_tick is not None:
                on_tick()
            if until is not None and time.monotonic() > until:
                raise _Late
    return streams[0].text, streams[1].text

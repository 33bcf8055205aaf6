# SPDX-License-Identifier: GPL-2.0-only
"""Counters of executed lines: read out of a guest, and turned into lines by the compiler's gcov.

The kernel's own gcov keeps a counter per branch of the instrumented objects and shows them below
debugfs as the files that gcov reads. That was chosen over kcov, whose buffer holds the places that
one task went through: work done on its behalf elsewhere is not in it, the buffer overflows in
a test of seconds, and a place is the address of optimised code instead of a line.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.analysis.coverage.diff_lines import added_up, read_gcov
from harness.build.kernel import GCOV
from harness.guest.guest import Guest
from harness.host import process
from harness.model.errors import GuestError, InfraError
from harness.model.values import Arch, Kernel

_DEBUGFS = "/sys/kernel/debug/gcov"
_READ_S = 60.0  # for one file of some ten kilobytes, under emulation


def counted_sources(kernel: Kernel, sources: Sequence[str]) -> tuple[str, ...]:
    """Return those of *sources* whose lines *kernel* counts: what it was compiled from."""
    return tuple(s for s in sources if _notes(kernel, s).is_file())


def _notes(kernel: Kernel, source: str) -> Path:
    return kernel.path / GCOV / Path(source).with_suffix(".gcno")


def reset_counters(guest: Guest) -> None:
    """Set every counter of *guest* to zero.

    Raises:
        GuestError: it does not answer, or its kernel has no counters.
    """
    guest.write(f"{_DEBUGFS}/reset", "1")


def read_counters(guest: Guest, sources: Sequence[str]) -> dict[str, bytes]:
    """Return the counters of *sources* as the guest has them now.

    Raises:
        GuestError: it does not answer, or shows none.
    """
    there = guest.exec(("/bin/find", _DEBUGFS, "-name", "*.gcda"), _READ_S)
    found = {}
    for source in sources:
        end = "/" + Path(source).with_suffix(".gcda").as_posix()
        paths = [path for path in there.lines if path.endswith(end)]
        if not paths:
            raise GuestError(f"the guest shows no counters of {source}")
        # Named after the folder of the build, which is deep: the shortest is the kernel's own.
        path = min(paths, key=len)
        shown = guest.exec(("/bin/hexdump", "-v", "-e", r'64/1 "%02x" "\n"', path), _READ_S)
        try:
            found[source] = bytes.fromhex("".join(shown.lines))
        except ValueError:
            shown_text = "".join(shown.lines)[:80]
            raise GuestError(f"the guest cannot show {path}: {shown_text!r}") from None
    return found


def count_lines(
    kernel: Kernel, arch: Arch, counters: Mapping[str, bytes]
) -> dict[str, dict[int, int]]:
    """Return the executions by file and line that *counters* of *kernel* say.

    Raises:
        InfraError: there is no gcov for *arch*, or it cannot read them.
    """
    tool = f"{arch.triplet}-gcov"
    if shutil.which(tool) is None:
        raise InfraError(
            f"no gcov for {arch.name}: '{tool}' is not installed",
            hint="it comes with the compiler: harness doctor --install",
        )
    counts = []
    for source, raw in counters.items():
        with tempfile.TemporaryDirectory(prefix="harness-gcov-") as folder:
            file = Path(folder, Path(source).name).with_suffix(".gcda")
            file.write_bytes(raw)
            shutil.copyfile(_notes(kernel, source), file.with_suffix(".gcno"))
            done = process.run((tool, "--json-format", "--stdout", file.name), cwd=Path(folder))
            try:
                # gcov complains about counters of other notes, and takes them for zero.
                if f"{file.name}:" in done.stderr:
                    raise ValueError(done.stderr.strip().partition("\n")[0][:200])
                counts.append(read_gcov(done.stdout, source))
            except ValueError as error:
                raise InfraError(
                    f"{tool} cannot read the counters of {source}: {error}",
                    detail=done.stderr.strip()[-2000:],
                ) from None
    return added_up(counts)

# SPDX-License-Identifier: GPL-2.0-only
"""Exceptions of the harness: every one means our fault or the user's, never the kernel's.

::

    HarnessError
    ├── UserError        the request cannot be met as asked (exit 2): bad plan, unknown series
    │   └── PatchError   a patch does not apply to the tree it was asked for
    ├── InfraError       the machine let us down (exit 3): no tool, no space, no network
    │   ├── BuildError   the compiler or make failed, for a module or a guest program
    │   │   └── KernelBuildError  for a kernel; whether the series is to blame is not said yet
    │   └── GuestError   QEMU or the link to the guest broke, and the kernel is not to blame
    └── Interrupted      the user pressed Ctrl-C (exit 130)

Faults of the kernel under test are a ``Verdict``, never an exception.
"""

from __future__ import annotations


class HarnessError(Exception):
    """An error in clear lines: what, where, what to do next.

    ``str(error)`` is ``what``; ``hint`` is the next step for the person who reads it;
    ``detail`` may hold many lines (a compiler's message) and is shown below.
    """

    exit_code = 3

    def __init__(self, what: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.detail = detail

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it, as a terminal shows it."""
        detail = (f"    {line}" for line in self.detail.splitlines())
        hint = (f"harness: next: {self.hint}",) if self.hint else ()
        return (f"harness: {self.what}", *detail, *hint)


class UserError(HarnessError):
    """The request itself is wrong: nothing was started that needs cleaning up."""

    exit_code = 2


class PatchError(UserError):
    """A patch does not apply; names patch, file, hunk and the tree's version.

    ``number`` is the patch's in its series; 0: not known.
    """

    number = 0


class InfraError(HarnessError):
    """The host, the network or a tool failed; trying again may help."""

    exit_code = 3


class BuildError(InfraError):
    """The kernel, a module or a guest program did not build; ``detail`` is the compiler's error."""


class KernelBuildError(BuildError):
    """A kernel does not build.

    ``error`` is the compiler's first error as one line, ``place`` the "file:line" that it names;
    "" where it names none.
    """

    def __init__(
        self, what: str, *, error: str = "", place: str = "", hint: str = "", detail: str = ""
    ) -> None:
        super().__init__(what, hint=hint, detail=detail)
        self.error = error
        self.place = place


class GuestError(InfraError):
    """The guest could not be driven, for a reason that is not the kernel's."""


class Interrupted(HarnessError):
    """Ctrl-C: everything was stopped; what is finished is kept."""

    exit_code = 130

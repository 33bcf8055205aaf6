# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's own word on arguments of the user's, before a guest depends on it."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Callable
from functools import partial

from harness.guest.qemu.argv import Channels, trial_argv
from harness.guest.qemu.process import Qemu, ending
from harness.host.deadline import Deadline, host_speed
from harness.model.errors import UserError
from harness.model.values import GuestSpec

TRIAL_S = 15.0  # QEMU sets a machine up in a tenth of a second
_DONE = "tried"
# The monitor answers once the machine and all its devices are there.
_WORDS = (
    {"execute": "qmp_capabilities"},
    {"execute": "quit", "id": _DONE},
)


def require_accepted(spec: GuestSpec) -> None:
    """Check that QEMU takes the arguments of *spec*; nothing of a guest runs.

    Raises:
        UserError: it does not; says what QEMU says.
        InfraError: QEMU is not installed, or cannot be started.
    """
    if not spec.qemu_args:
        return
    why = _refusal(partial(trial_argv, spec))
    if why:
        raise UserError(
            f"{spec.arch.qemu} does not take '{shlex.join(spec.qemu_args)}': {why}",
            hint="correct or leave out --qemu-arg",
        )


def _refusal(command: Callable[[Channels], tuple[str, ...]]) -> str:
    """Return why QEMU does not run *command*, "" where it does."""
    words = b"".join(json.dumps(word).encode() for word in _WORDS)
    deadline = Deadline(host_speed().scale(TRIAL_S))
    with Qemu(command, first_words=words) as qemu:
        code = qemu.wait(deadline)
        qemu.stop()
        said = qemu.stderr.read().decode("utf-8", "backslashreplace").strip().splitlines()
        qemu.monitor.settimeout(1.0)
        answered = _DONE in _all_of(qemu)
    if code == 0 and answered:
        return ""
    if code is None:
        return f"it is not ready within {deadline.seconds:.0f} s"
    # Its own name in front of a message says nothing.
    return (
        re.sub(r"^\S*qemu-system-\S+: ", "", said[-1]) if said else f"it ends with {ending(code)}"
    )


def _all_of(qemu: Qemu) -> str:
    parts = []
    # One that has ended without a look at what it was told resets the connection.
    with contextlib.suppress(OSError):
        while part := qemu.monitor.recv(1 << 16):
            parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")

# SPDX-License-Identifier: GPL-2.0-only
"""QEMU is asked whether it takes an argument of the user's before anything depends on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import load_arch
from harness.guest.qemu import trial
from harness.guest.qemu.trial import require_accepted
from harness.model.errors import UserError
from harness.model.values import GuestSpec


def spec_with(folder: Path, body: str, *words: str) -> GuestSpec:
    """Return a guest with an emulator that does *body*: Python, with its ``monitor``."""
    emulator = folder / "qemu-system-toy"
    emulator.write_text(
        "#!/usr/bin/python3\n"
        "import socket, sys, time\n"
        "fd = [w for w in sys.argv if w.startswith('socket,id=monitor')][0].split('fd=')[1]\n"
        "monitor = socket.socket(fileno=int(fd))\n"
        f"{body}\n"
    )
    emulator.chmod(0o755)
    arch = replace(load_arch("arm64"), qemu=str(emulator))
    return GuestSpec(arch, Path("none"), Path("none"), 64, qemu_args=words)


TAKES = 'monitor.recv(4096); monitor.send(b\'{"return": {}, "id": "tried"}\')'


def test_argument_that_qemu_takes_is_accepted(tmp_path: Path) -> None:
    require_accepted(spec_with(tmp_path, TAKES, "-device", "x"))


def test_nothing_is_asked_without_arguments(tmp_path: Path) -> None:
    require_accepted(spec_with(tmp_path, "sys.exit(1)"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit('qemu-system-toy: -device x: no such device')", "-device x: no such device"),
        ("sys.exit(7)", "it ends with exit 7"),
        ("pass", "it ends with exit 0"),  # it printed a help text
        ("time.sleep(60)", "it is not ready within"),
    ],
)
def test_argument_that_qemu_refuses_is_the_users_fault(
    tmp_path: Path, body: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "TRIAL_S", 1.0)
    with pytest.raises(UserError, match=f"does not take '-device x': {why}") as caught:
        require_accepted(spec_with(tmp_path, body, "-device", "x"))
    assert "--qemu-arg" in caught.value.hint

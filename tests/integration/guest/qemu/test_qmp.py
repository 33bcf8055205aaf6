# SPDX-License-Identifier: GPL-2.0-only
"""QMP with an emulator that goes away: a guest's end, never an error of ours."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import pytest

from harness.guest.qemu.qmp import Monitor
from harness.host.deadline import Deadline
from harness.model.errors import GuestError

GREETING = {
    "QMP": {
        "version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""},
        "capabilities": [],
    }
}


@pytest.mark.parametrize("negotiated", [False, True])
@pytest.mark.parametrize("said", [b"", json.dumps(GREETING).encode() + b"\n", b"{"])
def test_monitor_of_dead_emulator_is_an_error(said: bytes, negotiated: bool) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(said)
    theirs.close()
    with closing(Monitor(ours, negotiated=negotiated)) as monitor, pytest.raises(GuestError):
        monitor.execute("query-status", deadline=Deadline(20))

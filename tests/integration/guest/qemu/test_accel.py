# SPDX-License-Identifier: GPL-2.0-only
"""Choosing an accelerator: only one that ran a probe guest is believed."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import all_archs, load_arch
from harness.guest.qemu import accel
from harness.guest.qemu.accel import choose_accel, probe
from harness.model.errors import InfraError, UserError
from harness.model.values import Arch


@pytest.fixture(autouse=True)
def _kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that can be opened, on an idle host."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accel, "KVM", device)
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))


def arch_with(folder: Path, body: str) -> Arch:
    """Return this host's architecture with an emulator that does *body*, a shell script."""
    emulator = folder / "qemu"
    emulator.write_text(f"#!/bin/sh\n{body}\n")
    emulator.chmod(0o755)
    return replace(load_arch("x86_64"), qemu=str(emulator), uname=platform.machine(), probe_exit=41)


def test_probe_that_ran_is_ok(tmp_path: Path) -> None:
    arch = arch_with(tmp_path, "exit 41")
    result = probe(arch, "kvm")
    assert (result.ok, result.reason) == (True, "")
    assert choose_accel("auto", arch) == ("kvm", "")
    assert choose_accel("kvm", arch) == ("kvm", "")


def test_the_probe_is_loaded_under_the_accelerator_in_question(tmp_path: Path) -> None:
    body = f"""
    echo "$@" > {tmp_path}/argv
    while [ "$1" != -bios ]; do shift; done
    cp "$2" {tmp_path}/loaded
    exit 41"""
    arch = arch_with(tmp_path, body)
    assert probe(arch, "kvm").ok
    assert "accel=kvm" in (tmp_path / "argv").read_text()
    assert f"-cpu {dict(arch.cpu)['kvm']} " in (tmp_path / "argv").read_text()
    assert (tmp_path / "loaded").read_bytes() == arch.probe


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("exit 0", "ended with exit 0"),
        ("echo 'failed to set MSR' >&2; kill -ABRT $$", "ended with SIGABRT: failed to set MSR"),
        ("exec sleep 600", "never finished"),
    ],
)
def test_probe_that_did_not_run_is_not_ok(
    tmp_path: Path, body: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "PROBE_S", 0.3)
    arch = arch_with(tmp_path, body)
    result = probe(arch, "kvm")
    assert not result.ok
    assert why in result.reason
    assert choose_accel("auto", arch) == ("tcg", result.reason)
    with pytest.raises(UserError, match="KVM does not work here"):
        choose_accel("kvm", arch)


def test_another_architecture_is_not_even_tried(tmp_path: Path) -> None:
    arch = replace(arch_with(tmp_path, f"touch {tmp_path}/tried; exit 41"), uname="pdp11")
    chosen, why = choose_accel("auto", arch)
    assert chosen == "tcg"
    assert "runs only its own kind" in why
    assert not (tmp_path / "tried").exists()


def test_no_device_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "kvm").unlink()
    chosen, why = choose_accel("auto", arch_with(tmp_path, "exit 41"))
    assert (chosen, why) == ("tcg", f"there is no {tmp_path / 'kvm'}")


def test_a_device_without_permission_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: path != accel.KVM and access(path, mode))
    _, why = choose_accel("auto", arch_with(tmp_path, "exit 41"))
    assert "no permission" in why


def test_tcg_is_taken_without_a_probe(tmp_path: Path) -> None:
    arch = arch_with(tmp_path, f"touch {tmp_path}/tried; exit 41")
    assert choose_accel("tcg", arch) == ("tcg", "")
    assert not (tmp_path / "tried").exists()


def test_a_missing_emulator_is_no_verdict_on_kvm(tmp_path: Path) -> None:
    arch = replace(arch_with(tmp_path, ""), qemu="no-such-qemu")
    with pytest.raises(InfraError, match="no-such-qemu is not installed"):
        choose_accel("auto", arch)


@pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)
def test_every_architecture_brings_a_probe(arch: Arch) -> None:
    assert arch.probe
    assert sum("{probe}" in word for word in arch.probe_argv) == 1

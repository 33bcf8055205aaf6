# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.arch import all_archs, load_arch
from harness.host import packages
from harness.host.packages import Requirement
from harness.model.errors import InfraError


def test_requirement_of_a_program_in_path_is_found() -> None:
    assert Path(Requirement("sh", ("dash",), "").where).name == "sh"


def test_requirement_of_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    there = tmp_path / "libfoo.a"
    assert Requirement(str(there), ("foo",), "").where == ""
    there.touch()
    assert Requirement(str(there), ("foo",), "").where == str(there)


def test_missing_packages_come_once_and_in_order() -> None:
    wanted = (
        Requirement("sh", ("dash",), ""),
        Requirement("no-such-program-b", ("beta", "shared"), ""),
        Requirement("no-such-program-a", ("alpha", "shared"), ""),
    )
    assert packages.missing_packages(wanted) == ("beta", "shared", "alpha")


def test_requirements_of_an_arch_have_compiler_libc_and_emulator() -> None:
    for arch in all_archs():
        extra = set(packages.requirements((arch,))) - set(packages.requirements(()))
        whats = {r.what for r in extra}
        assert {f"{arch.triplet}-gcc", arch.qemu} <= whats
        assert any(what.endswith("libc.a") for what in whats)


def test_requirements_of_the_hosts_arch_have_no_cross_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arch = load_arch("arm64")
    monkeypatch.setattr(packages.platform, "machine", lambda: "aarch64")
    names = {p for r in packages.requirements((arch,)) for p in r.packages}
    assert not names & set(arch.cross_packages)
    monkeypatch.setattr(packages.platform, "machine", lambda: "x86_64")
    names = {p for r in packages.requirements((arch,)) for p in r.packages}
    assert set(arch.cross_packages) <= names


def test_require_names_what_is_missing_and_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InfraError, match="make, gcc") as caught:
        packages.require(())
    assert "apt-get install" in caught.value.hint
    assert " make " in caught.value.hint


def test_install_without_rights_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "may_install", lambda: False)
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    with pytest.raises(InfraError, match="flex") as caught:
        packages.install(("flex", "bison"))
    expected = "sudo apt-get install -y --no-install-recommends flex bison"
    assert caught.value.hint == f"run: {expected}"


def test_install_that_fails_shows_the_words_of_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []

    def run(argv: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(argv)
        failed = "install" in argv
        return subprocess.CompletedProcess(argv, int(failed), "", "E: Unable to locate package x")

    monkeypatch.setattr(packages, "may_install", lambda: True)
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages.subprocess, "run", run)
    with pytest.raises(InfraError, match="apt could not install x") as caught:
        packages.install(("x",))
    assert "Unable to locate" in caught.value.detail
    assert [argv[:2] for argv in ran] == [("apt-get", "update"), ("apt-get", "install")]


def test_install_of_nothing_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "may_install", lambda: pytest.fail("asked"))
    packages.install(())


# ---------------------------------------------------------------- there, and of no use


def program(folder: Path, body: str, name: str = "tool") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("exit 0", ""),
        ("echo tool 4.3", ""),
        ("echo tool 10.0", ""),
        ("echo tool 3.82", "it is version 3.82, and 4.0 or newer is needed"),
        ("echo no such option >&2; exit 1", "it refuses --x y: no such option"),
        ("exit 127", "it refuses --x y"),
        ("kill -9 $$", "it refuses --x y"),
    ],
)
def test_program_that_does_not_do_says_why(tmp_path: Path, body: str, why: str) -> None:
    tool = program(tmp_path, body)
    assert Requirement(str(tool), ("p",), "", trial=("--x", "y"), oldest=(4, 0)).unfit == why


def test_program_for_another_machine_cannot_be_run(tmp_path: Path) -> None:
    tool = program(tmp_path, "")
    tool.write_bytes(b"\x7fELF")
    assert "cannot be run" in Requirement(str(tool), ("p",), "", trial=("--x",)).unfit


def test_missing_program_is_missing_and_not_unfit() -> None:
    assert Requirement("no-such-program", ("p",), "", trial=("--x",)).unfit == ""


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("setpriv", "echo 'unrecognized option: pdeathsig' >&2; exit 1", "pdeathsig"),
        ("qemu-system-aarch64", "echo 'QEMU emulator version 6.2.0'", r"6\.2, and 7\.2 or newer"),
        (
            "qemu-system-aarch64",
            '[ "$1" != -sandbox ] || { echo "-sandbox support is not enabled" >&2; exit 1; }',
            "-sandbox support is not enabled",
        ),
    ],
)
def test_require_names_the_program_that_does_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str, says: str
) -> None:
    arch = load_arch("arm64")
    needed = [r for r in packages.requirements((arch,)) if r.what in ("setpriv", arch.qemu)]
    monkeypatch.setattr(packages, "requirements", lambda _: tuple(needed))
    for there in ("setpriv", "qemu-system-aarch64"):
        program(tmp_path / "bin", "exit 0", there)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    packages.require((arch,))
    program(tmp_path / "odd", body, name)
    monkeypatch.setenv("PATH", f"{tmp_path / 'odd'}:{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(InfraError, match=says) as caught:
        packages.require((arch,))
    assert str(tmp_path / "odd" / name) in caught.value.what
    assert "first in PATH" in caught.value.hint

# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import load_arch
from harness.build.toolchain import Toolchain, build_env, find_toolchain
from harness.host.paths import Cache
from harness.model.errors import InfraError


def programs(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        file = folder / name
        file.write_text(f'#!/bin/sh\necho "{name} 1.0"\necho more\n')
        file.chmod(0o755)
    return folder


GENERAL = ("make", "gcc", "flex", "bison", "bc", "perl")


def test_find_toolchain_of_an_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ld")
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin', *GENERAL, *own)}:/bin")
    monkeypatch.setattr("harness.build.toolchain.shutil.which", only_below(tmp_path))
    tools = find_toolchain(load_arch("arm64"))
    assert tools.version == "aarch64-linux-gnu-gcc 1.0"
    assert tools.linker == "aarch64-linux-gnu-ld 1.0"
    assert not tools.ccache
    assert tools.make_variables == (
        "ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-", "CC=aarch64-linux-gnu-gcc", "HOSTCC=gcc",
    )  # fmt: skip
    assert "CC=ccache aarch64-linux-gnu-gcc" in replace(tools, ccache=True).make_variables


def only_below(folder: Path):  # type: ignore[no-untyped-def]
    def which(name: str) -> str | None:
        file = folder / "bin" / name
        return str(file) if file.exists() else None

    return which


def test_find_toolchain_without_a_cross_compiler_names_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs(tmp_path / "bin", *GENERAL)))
    with pytest.raises(
        InfraError, match="no compiler for arm64: 'aarch64-linux-gnu-gcc'"
    ) as caught:
        find_toolchain(load_arch("arm64"))
    assert "gcc-aarch64-linux-gnu" in caught.value.hint


def test_find_toolchain_without_bison_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs(tmp_path / "bin", "make", "gcc", "flex")))
    with pytest.raises(InfraError, match="'bison' is not installed") as caught:
        find_toolchain(load_arch("arm64"))
    assert "Debian package bison" in caught.value.hint


def test_build_env_fixes_day_user_and_host(tmp_path: Path) -> None:
    env = build_env(Cache(tmp_path))
    assert env["KBUILD_BUILD_TIMESTAMP"].endswith("1970")
    assert env["KBUILD_BUILD_HOST"] == env["KBUILD_BUILD_USER"] == "harness"
    assert env["CCACHE_BASEDIR"] == str(tmp_path)


def test_identity_differs_by_compiler_and_by_linker() -> None:
    arch = load_arch("arm64")
    one = Toolchain(arch, "gcc 12", "ld 2.40", ccache=False)
    assert one.identity == replace(one, ccache=True).identity
    assert one.identity != replace(one, version="gcc 13").identity
    assert one.identity != replace(one, linker="ld 2.41").identity

# SPDX-License-Identifier: GPL-2.0-only
"""A patch that does not apply or build, and a host that stops make, are told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.errors import InfraError, KernelBuildError
from harness.model.results import KernelFault, Stop
from harness.model.values import Series
from harness.run.kernel_failed import KernelFailed
from harness.run.lab import Lab
from tests.integration.run.test_lab import toy_lab
from tests.integration.toy import HEADER, VMALLOC, PatchWriter


def lab_of(folder: Path, monkeypatch: pytest.MonkeyPatch, series: Series) -> Lab:
    lab = toy_lab(folder, monkeypatch)
    return lab.with_plan(replace(lab.ready, series=series, positions=series.positions))


def broken(folder: Path) -> Series:
    """A harmless patch, one that breaks the build, another harmless one, one that mends it."""
    writer = PatchWriter(folder / "broken")
    writer.add("one", HEADER, "TOY_LIMIT 16", "TOY_LIMIT 32")
    writer.add("breaks", VMALLOC, "\treturn size;", "\treturn sise;")
    writer.add("three", VMALLOC, "/* First", "/* A line more. */\n/* First")
    writer.add("mends", VMALLOC, "\treturn sise;", "\treturn size + 2;")
    return writer.series()


def fault_at(lab: Lab, position: int) -> KernelFault:
    (arch,) = lab.ready.archs
    with pytest.raises(KernelFailed) as caught:
        lab.kernel(arch, position)
    return caught.value.fault


def test_patch_that_breaks_the_build_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_of(tmp_path, monkeypatch, broken(tmp_path))
    (arch,) = lab.ready.archs
    assert not lab.kernel(arch, 1).reused
    for position, line in ((2, 9), (3, 10)):
        fault = fault_at(lab, position)
        assert (fault.stage, fault.patch, fault.place) == (Stop.BUILD, 2, f"{VMALLOC}:{line}")
        assert fault.what.startswith(f"does not build: {VMALLOC}:{line}: error: 'sise' undeclared")
        assert "return sise;" in fault.detail
    assert not lab.kernel(arch, 4).reused


def test_lone_position_that_does_not_build_is_held_against_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_of(tmp_path, monkeypatch, broken(tmp_path))
    assert fault_at(lab, 3).patch == 2
    (arch,) = lab.ready.archs
    assert lab.kernel(arch, 0).reused, "it was built to compare with"


def test_position_is_not_to_blame_where_the_base_does_not_build_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = broken(tmp_path)
    base = replace(series.patches[1], number=0)
    lab = lab_of(
        tmp_path, monkeypatch, replace(series, prepare=(base,), patches=series.patches[:1])
    )
    (arch,) = lab.ready.archs
    for position in (0, 1):
        with pytest.raises(KernelBuildError):
            lab.kernel(arch, position)


@pytest.mark.parametrize("end", ["kill -9 $PPID", "kill -9 $$", "exit 137"])
def test_make_that_the_host_stops_says_nothing_of_a_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    lab = lab_of(tmp_path, monkeypatch, broken(tmp_path))
    (arch,) = lab.ready.archs
    lab.kernel(arch, 0)
    compiler = tmp_path / "bin" / f"{arch.triplet}-gcc"
    compiler.parent.mkdir()
    compiler.write_text(
        f'#!/bin/sh\ncase "$*" in *vmalloc.c*) {end};; esac\n'
        f'exec /usr/bin/{arch.triplet}-gcc "$@"\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(compiler.parent), prepend=":")
    with pytest.raises(InfraError) as caught:
        lab.kernel(arch, 2)
    assert not isinstance(caught.value, KernelBuildError)


def test_patch_that_does_not_apply_is_found_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = broken(tmp_path)
    odd = series.patches[2].file
    odd.write_text(odd.read_text().replace(" /* First", " /* Fast"))
    lab = lab_of(tmp_path, monkeypatch, series)
    for position in (3, 4):
        fault = fault_at(lab, position)
        assert (fault.stage, fault.patch) == (Stop.APPLY, 3)
        assert "does not apply" in fault.what
        assert VMALLOC in fault.what
    assert list(lab.workspace.cache.store.glob("kernel/*")) == []
    (arch,) = lab.ready.archs
    assert lab.kernel(arch, 1).position == 1


def test_lab_for_another_series_looks_at_its_own_patches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = lab_of(tmp_path, monkeypatch, broken(tmp_path))
    assert sound.unapplied is None
    odd = broken(tmp_path / "odd")
    odd.patches[2].file.write_text(odd.patches[2].file.read_text().replace(" /* First", " /* Fast"))
    other = sound.with_plan(replace(sound.ready, series=odd))
    assert other.unapplied is not None
    assert sound.unapplied is None

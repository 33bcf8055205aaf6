# SPDX-License-Identifier: GPL-2.0-only
"""A run as it could have been: its record and its folder, for tests of the reports.

Five positions × two architectures × four tests × two loads. One cell is a MISS, one FAILs
where it should pass, and one guest printed everything that could break a report.
``python sample_run.py FOLDER`` makes it, to be looked at.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.model.results import CaseResult, CellResult, KernelRecord, RunRecord, Splat
from harness.model.values import Cell, Plan, SplatKind, Verdict

ARCHS = ("x86_64", "arm64")
POSITIONS = (0, 1, 2, 3, 4)
LOADS = ("none", "anon")
TITLES = (
    "mm/vmalloc: alloc GFP_NO{FS,IO} for vmalloc",
    "mm/vmalloc: add support for __GFP_NOFAIL",
    "mm/vmalloc: be more explicit about supported gfp flags",
    "mm: allow !GFP_KERNEL allocations for kvmalloc",
)

# Everything a guest may print that a report must neither obey nor lose.
HOSTILE = (
    b"\x1b[2J\x1b[31mred\x1b[0m \x07bell \x00nul \x9b31m "
    b"</pre></script><script>document.title='owned'</script><img src=x onerror=alert(1)> "
    b"]]> &amp; {{ 7*7 }} \xff\xfe broken utf-8 \xe2\x80\xae turned round \xef\xbf\xbe\r\n"
)
HOSTILE_TEXT = HOSTILE.decode("utf-8", "replace")


@dataclass(frozen=True)
class Suite:
    """A guest test of the sample: its cases, and from where on the first ones pass."""

    name: str
    patch: int  # the cases of `proves` fail before it
    proves: tuple[str, ...]
    always: tuple[str, ...]
    complaint: str  # what a failing case says


SUITES = (
    Suite(
        "vmalloc-scope",
        1,
        ("nofs_page_tables", "noio_page_tables"),
        ("gfp_kernel_unrestricted", "scope_is_restored"),
        "page table allocated with __GFP_FS set inside a GFP_NOFS call",
    ),
    Suite(
        "vmalloc-nofail-sweep",
        2,
        ("sweep_4k", "sweep_64k", "sweep_1m", "sweep_8m"),
        ("control_without_nofail",),
        "__vmalloc(GFP_KERNEL | __GFP_NOFAIL) returned NULL at n = 1",
    ),
    Suite(
        "kvmalloc-flags",
        4,
        ("nofs_falls_back", "noio_falls_back", "nofail_falls_back"),
        ("atomic_stays_refused", "small_stays_in_slab"),
        "kvmalloc(8 MiB, GFP_NOFS) returned NULL without trying vmalloc",
    ),
    Suite(
        "vmalloc-hygiene",
        0,
        (),
        ("zeroed", "pages_are_distinct", "no_leak"),
        "12 vmalloc pages more than before the test",
    ),
)


def make_run(folder: Path, *, differences: bool = True) -> RunRecord:
    """Make a run's folder, ``run.json`` and reports excepted, and return its record.

    Without ``differences`` every cell is as expected.
    """
    kernels = tuple(_kernel(folder, arch, position) for position in POSITIONS for arch in ARCHS)
    cells = tuple(
        _cell(folder, suite, Cell(arch, "debian:5.10", position, (), 128, suite.name, load))
        for position in POSITIONS
        for arch in ARCHS
        for load in LOADS
        for suite in SUITES
    )
    if differences:
        cells = tuple(_spoil(folder, result) for result in cells)
    return RunRecord(
        id="20261123-112355-vmalloc-nofail",
        started="2026-11-23T11:23:55+00:00",
        seconds=734.2,
        harness_version="0.1.0",
        plan=Plan(base="debian:5.10", positions=()),
        series_title="extend vmalloc support for constrained allocations",
        patch_titles=TITLES,
        tree_version="5.10.262",
        tree_origin="linux-source-5.10 5.10.262-1",
        tree_digest=hashlib.sha256(b"tree").hexdigest(),
        host="Linux 6.1.0-41-amd64, 2 cores, 24 GiB",
        kernels=kernels,
        cells=cells,
    )


def find(record: RunRecord, test: str, arch: str, position: int, load: str = "none") -> CellResult:
    """Return one cell of *record*."""
    for result in record.cells:
        cell = result.cell
        if (cell.test, cell.arch, cell.position, cell.load) == (test, arch, position, load):
            return result
    raise LookupError(f"no {test} {arch} {position} {load}")


def _kernel(folder: Path, arch: str, position: int) -> KernelRecord:
    name = f"kernels/{arch}-p{position}"
    (folder / name).mkdir(parents=True)
    (folder / name / "config").write_text(
        "CONFIG_64BIT=y\nCONFIG_XFS_FS=y\n# CONFIG_NUMA is not set\n"
    )
    (folder / name / "build.log").write_text(
        "".join(f"  CC      mm/file{n}.o\n" for n in range(900))
    )
    compiler = {
        "x86_64": "gcc (Debian 12.2.0-14+deb12u1) 12.2.0",
        "arm64": "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0",
    }[arch]
    warning = "mm/vmalloc.c:2841:9: warning: unused variable 'flags' [-Wunused-variable]"
    return KernelRecord(
        arch=arch,
        position=position,
        patch_title=TITLES[position - 1] if position else "base",
        key=hashlib.sha256(name.encode()).hexdigest(),
        version="5.10.262",
        config_sha256=hashlib.sha256(arch.encode()).hexdigest(),
        compiler=compiler,
        patchset_hash=hashlib.sha256(str(position).encode()).hexdigest() if position else "",
        warnings=(warning,) if (arch, position) == ("arm64", 2) else (),
        seconds=221.4 if position == 0 else 14.7 + position,
        reused=arch == "arm64" and position < 2,
        config=f"{name}/config",
        build_log=f"{name}/build.log",
    )


def _cell(folder: Path, suite: Suite, cell: Cell) -> CellResult:
    before = cell.position < suite.patch
    proving = Verdict.FAIL if before else Verdict.PASS
    failing = CaseResult("", proving, proving, diagnostics=_diagnostics(suite) if before else ())
    cases = tuple(replace(failing, name=n) for n in suite.proves) + tuple(
        CaseResult(n, Verdict.PASS) for n in suite.always
    )
    splats = (_oom(),) if cell.load == "anon" and suite.name == "vmalloc-nofail-sweep" else ()
    count = len(suite.proves)
    reason = f"{count} of {len(cases)} cases failed, as they must before patch {suite.patch}"
    result = CellResult(
        cell=cell,
        verdict=proving if suite.proves else Verdict.PASS,
        expected=proving if suite.proves else Verdict.PASS,
        reason=reason if before else f"{len(cases)} cases passed",
        cases=cases,
        splats=splats,
        seconds=2.1 + cell.position / 10 + (3.4 if cell.load != "none" else 0),
        argv=_argv(cell),
        qemu_version="QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)",
    )
    return _keep(folder, result, suite)


def _diagnostics(suite: Suite) -> tuple[str, ...]:
    return (
        f"# EXPECTATION FAILED at {suite.name}.c:118",
        f"    {suite.complaint}",
        "    want: a pointer, have: NULL",
    )


def _oom() -> Splat:
    lines = ["anon invoked oom-killer: gfp_mask=0x100cca, order=0"]
    lines += [f"  zone DMA32 line {n}: free:1{n}kB min:{n}00kB" for n in range(14)]
    lines += ["Out of memory: Killed process 61 (anon) total-vm:131072kB"]
    return Splat(SplatKind.OOM_KILL, "OOM kill of anon", "\n".join(lines), 41)


def _argv(cell: Cell) -> tuple[str, ...]:
    program = {"x86_64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}[cell.arch]
    machine = {"x86_64": "q35", "arm64": "virt"}[cell.arch]
    console = {"x86_64": "ttyS0", "arm64": "ttyAMA0"}[cell.arch]
    return (
        program, "-machine", machine, "-accel", "tcg", "-cpu", "max", "-m", f"{cell.ram_mib}M",
        "-smp", "1", "-no-reboot", "-nodefaults", "-display", "none",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-kernel", "kernel", "-initrd", "initramfs.cpio",
        "-append", f"console={console} panic=-1 oops=panic softlockup_panic=1 loglevel=7",
        "-chardev", "socket,id=console,path=console.sock", "-serial", "chardev:console",
    )  # fmt: skip


def _keep(folder: Path, result: CellResult, suite: Suite) -> CellResult:
    """Write the files of a cell and enter them as its evidence."""
    name = f"cells/{result.cell.id}"
    cell = folder / name
    (cell / "artifacts").mkdir(parents=True)
    ktap = ["KTAP version 1", "1..1", "  KTAP version 1", f"  # Subtest: {suite.name}"]
    ktap += [f"  1..{len(result.cases)}"]
    for number, case in enumerate(result.cases, 1):
        ktap += [f"  {line}" for line in case.diagnostics]
        ktap += [f"  {'ok' if case.verdict is Verdict.PASS else 'not ok'} {number} {case.name}"]
    ktap += [f"{'ok' if result.verdict is Verdict.PASS else 'not ok'} 1 {suite.name}"]
    boot = [f"[    0.{n:06}] boot message number {n}" for n in range(0, 400, 3)]
    (cell / "console.log").write_bytes("\r\n".join([*boot, *ktap, ""]).encode())
    (cell / "kmsg.log").write_text("".join(f"6,{n},{n * 1000};{t}\n" for n, t in enumerate(ktap)))
    (cell / "test.log").write_text("\n".join(ktap) + "\n")
    (cell / "argv.txt").write_text("\n".join(result.argv) + "\n")
    (cell / "artifacts" / "proc_vmallocinfo").write_text("0xffff-0xffff 8192 probe\n" * 20)
    files = ("console.log", "kmsg.log", "test.log", "argv.txt")
    evidence = tuple((Path(f).stem, f"{name}/{f}") for f in files)
    artifact = ("artifact proc_vmallocinfo", f"{name}/artifacts/proc_vmallocinfo")
    if result.cell.load == "none":
        return replace(result, evidence=(*evidence, artifact))
    (cell / "samples.jsonl").write_text("".join(_samples(result)))
    return replace(result, evidence=(*evidence, artifact, ("samples", f"{name}/samples.jsonl")))


def _samples(result: CellResult) -> Iterator[str]:
    """Memory that a load eats up, until the OOM killer ends it and all begins anew."""
    free, kills, stall = 90_000, 0, 0
    for tick in range(60):
        free -= 2_900
        stall += max(0, 20_000 - free) * 5
        if free < 3_000:
            free, kills = 88_000, kills + 1
            mark = {"t": tick / 10, "mark": "oom-kill", "text": "OOM kill of anon, asked by anon"}
            yield json.dumps(mark) + "\n"
        anon = 95_000 - free
        sample = {
            "t": tick / 10,
            "free_kib": free,
            "available_kib": free + 2_500,
            "anon_kib": anon,
            "slab_kib": 5_100 + tick * 3,
            "vmalloc_kib": 900 + 8_192 * (tick % 7 == 3),
            "psi_some_us": stall,
            "psi_full_us": stall // 3,
            "pgscan_direct": stall // 40,
            "pgsteal": stall // 60,
            "oom_kill": kills,
            "done": tick * 40,
            "latency_us": [tick, tick * 20, tick * 9, tick * 4, tick, 0, tick // 9, tick // 20],
        }
        yield json.dumps(sample) + "\n"
    length = 6 / len(result.cases)
    for number, case in enumerate(result.cases):
        word = "ok" if case.verdict is Verdict.PASS else "not ok"
        for at, mark, said in (
            (number, "case-begin", case.name),
            (number + 0.99, "case-end", f"{word} {case.name}"),
        ):
            yield json.dumps({"t": round(at * length, 3), "mark": mark, "text": said}) + "\n"


def _spoil(folder: Path, result: CellResult) -> CellResult:
    """Make the few cells that are not as they should be, and the hostile one."""
    cell = result.cell
    where = (cell.arch, cell.position, cell.test, cell.load)
    if where == ("arm64", 1, "kvmalloc-flags", "anon"):
        return _miss(folder, result)
    if where == ("x86_64", 3, "vmalloc-hygiene", "anon"):
        return _fail(result)
    if where == ("x86_64", 2, "vmalloc-nofail-sweep", "none"):
        return _hostile(folder, result)
    return result


def _miss(folder: Path, result: CellResult) -> CellResult:
    for name in ("kmsg.log", "test.log"):
        (folder / "cells" / result.cell.id / name).unlink()
    return replace(
        result,
        verdict=Verdict.MISS,
        reason="QEMU ended with status 1 before the guest was ready",
        cases=(),
        evidence=tuple(e for e in result.evidence if e[0] in ("console", "argv")),
    )


def _fail(result: CellResult) -> CellResult:
    diagnostics = _diagnostics(SUITES[3])
    text = "\n".join(
        [
            "WARNING: CPU: 0 PID: 58 at mm/vmalloc.c:2247 vunmap_range+0x1c/0x40",
            "CPU: 0 PID: 58 Comm: insmod Not tainted 5.10.262 #1",
            "Call trace:",
            *(f" frame_{n}+0x{n:x}/0x80" for n in range(12)),
        ]
    )
    return replace(
        result,
        verdict=Verdict.FAIL,
        reason="case no_leak failed: 12 vmalloc pages more than before the test",
        cases=(
            *result.cases[:-1],
            CaseResult("no_leak", Verdict.FAIL, diagnostics=diagnostics),
        ),
        anomalies=("WARNING at mm/vmalloc.c:2247 vunmap_range",),
        splats=(Splat(SplatKind.WARNING, "WARNING at mm/vmalloc.c:2247 vunmap_range", text, 87),),
    )


def _hostile(folder: Path, result: CellResult) -> CellResult:
    cell = folder / "cells" / result.cell.id
    filler = b"".join(b"[%8d] a line of a very long console log\r\n" % n for n in range(6000))
    (cell / "console.log").write_bytes(HOSTILE + filler + b"last line\r\n")
    (cell / "kmsg.log").write_bytes(HOSTILE)
    (cell / "artifacts" / "trace.dat").write_bytes(bytes(range(256)) * 16)
    (cell / "artifacts" / "50% of #1?").write_text("a name that needs quoting in a link\n")
    case = replace(result.cases[0], diagnostics=(HOSTILE_TEXT,))
    splat = Splat(SplatKind.ALLOC_FAILURE, HOSTILE_TEXT, HOSTILE_TEXT * 3, 3)
    artifacts = tuple(
        (f"artifact {name}", f"cells/{result.cell.id}/artifacts/{name}")
        for name in ("50% of #1?", "trace.dat")
    )
    return replace(
        result,
        reason=HOSTILE_TEXT,
        cases=(case, *result.cases[1:]),
        splats=(splat,),
        evidence=(*result.evidence, *artifacts),
    )


if __name__ == "__main__":
    from harness.report import write_html, write_json, write_junit

    target = Path(sys.argv[1])
    sample = make_run(target, differences="good" not in sys.argv[2:])
    write_json(sample, target)
    write_junit(sample, target)
    write_html(sample, target)

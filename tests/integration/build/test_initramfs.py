# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs: what is in it, where that comes from, and what is not asked for twice."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.arch import load_arch
from harness.build import initramfs
from harness.build.elf import closure, in_root, read_elf
from harness.build.initramfs import APPLETS, assemble, base_image, extra_image
from harness.host.paths import Cache, Checkout
from harness.model.errors import InfraError
from harness.model.values import Arch
from harness.source.apt import Apt
from tests.unit.build.test_cpio import unpack

ARCH = load_arch("arm64")
LIB = f"lib/{ARCH.triplet}"
LOADER = "lib/ld-linux-aarch64.so.1"
E_MACHINE = {"EM_AARCH64": 183, "EM_X86_64": 62}


def elf(needed: tuple[str, ...] = (), interpreter: str = "", machine: str = "EM_AARCH64") -> bytes:
    """Return the smallest ELF file with these dependencies: headers, strings, dynamic section."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    interp = interpreter.encode() + b"\0" if interpreter else b""
    count = 3 if interpreter else 2
    at_strings = 64 + 56 * count
    at_interp = at_strings + len(strings)
    at_dynamic = (at_interp + len(interp) + 7) // 8 * 8
    offset, tags = 1, []
    for name in needed:
        tags.append((1, offset))  # DT_NEEDED
        offset += len(name) + 1
    tags += [(5, at_strings), (10, len(strings)), (0, 0)]  # DT_STRTAB, DT_STRSZ, DT_NULL
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    size = at_dynamic + len(dynamic)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 3, E_MACHINE[machine], 1, 0, 64, 0, 0, 64, 56, count, 64, 0, 0
    )

    def segment(kind: int, start: int, length: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, 4, start, start, start, length, length, 8)

    segments = segment(1, 0, size) + segment(2, at_dynamic, len(dynamic))
    if interpreter:
        segments += segment(3, at_interp, len(interp))
    return (header + segments + strings + interp).ljust(at_dynamic, b"\0") + dynamic


PACKAGES = {
    "busybox-static": {"bin/busybox": elf()},
    "dropbear-bin": {
        "usr/sbin/dropbear": elf(("libtomcrypt.so.1", "libc.so.6"), f"/{LOADER}"),
        "usr/bin/dropbearkey": elf(("libc.so.6",), f"/{LOADER}"),
        "usr/share/doc/dropbear-bin/README": b"not for the guest",
    },
    "libc6": {
        f"{LIB}/libc.so.6": elf(("ld-linux-aarch64.so.1",)),
        f"{LIB}/ld-linux-aarch64.so.1": elf() + b"loader",
        LOADER: f"{ARCH.triplet}/ld-linux-aarch64.so.1",
    },
    "libtomcrypt1": {
        f"usr/{LIB}/libtomcrypt.so.1.0.1": elf(("libgmp.so.10",)),
        f"usr/{LIB}/libtomcrypt.so.1": "libtomcrypt.so.1.0.1",
    },
    "libgmp10": {f"usr/{LIB}/libgmp.so.10": elf()},
}


def write_tree(folder: Path, files: dict[str, bytes | str]) -> None:
    """Write *files*; a string is a symlink's target."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


@dataclass
class Archive:
    """A Debian archive of toy packages, as real .deb files."""

    folder: Path
    packages: dict[str, dict[str, bytes | str]]
    asked: list[str] = field(default_factory=list)

    def download(self, package: str, *, suite: str | None, arch: str) -> Path:
        assert (suite, arch) == ("bookworm", "arm64")
        self.asked.append(package)
        root = self.folder / package
        write_tree(root, self.packages.get(package, {}))
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN" / "control").write_text(
            f"Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: toy\n"
        )
        deb = self.folder / f"{package}.deb"
        argv = ("dpkg-deb", "--root-owner-group", "-Znone", "-b", str(root), str(deb))
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        return deb


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive(tmp_path / "archive", dict(PACKAGES))
    monkeypatch.setattr(Apt, "download", made.download)
    init = tmp_path / "program-init"
    init.write_bytes(b"our PID 1")

    def build(arch: Arch, folder: Path, *_: object) -> Path:
        assert (arch, folder.name) == (ARCH, "init")
        return init

    monkeypatch.setattr(initramfs, "build_program", build)
    return made


def base(tmp_path: Path) -> Path:
    return base_image(
        ARCH, Checkout(tmp_path), Cache(tmp_path / "cache"), "", lambda _: None
    )  # fmt: skip


@pytest.mark.usefixtures("archive")
def test_base_image_has_pid_1_and_busybox_and_nothing_else(tmp_path: Path) -> None:
    found = unpack(base(tmp_path).read_bytes())
    assert found["init"] == (0o100755, b"our PID 1", (0, 0))
    assert found["bin/busybox"][1] == PACKAGES["busybox-static"]["bin/busybox"]
    assert found["bin/sh"][:2] == (0o120777, b"busybox")
    assert found["dev/console"] == (0o020600, b"", (5, 1))
    assert found["root"][0] == 0o040700
    # PID 1 is what people's shells begin as.
    assert found["etc/passwd"][1] == b"root:x:0:0:root:/root:/bin/session\n"
    assert b"/bin/session" in found["etc/shells"][1].split(b"\n")
    assert found["bin/session"][:2] == (0o120777, b"../init")
    assert {"proc", "sys", "run", "tmp", "harness/modules", "harness/loads"} <= set(found)
    assert {f"bin/{applet}" for applet in APPLETS} <= set(found)
    assert not any(".so" in name or "dropbear" in name for name in found)


@pytest.mark.usefixtures("archive")
def test_ssh_server_beside_the_base_image_has_all_it_needs(tmp_path: Path) -> None:
    image_file = base(tmp_path)
    server = image_file.parent / initramfs.SSH
    files = {str(f.relative_to(server)): f for f in server.rglob("*") if f.is_file()}
    assert set(files) == {
        *initramfs.PROGRAMS,
        LOADER,
        f"{LIB}/libc.so.6",
        f"{LIB}/libgmp.so.10",
        f"{LIB}/libtomcrypt.so.1",
    }
    # Links of the packages are followed: the guest gets the file itself.
    assert files[LOADER].read_bytes().endswith(b"loader")
    assert not any(file.is_symlink() for file in files.values())
    assert all(file.stat().st_mode & 0o111 for file in files.values())
    # The folders they go to are there: the guest makes none for them.
    found = unpack(image_file.read_bytes())
    assert {str(Path(name).parent) for name in files} <= set(found)


def test_base_image_in_the_store_runs_no_apt(tmp_path: Path, archive: Archive) -> None:
    first = base(tmp_path)
    assert sorted(archive.asked) == sorted(initramfs.PACKAGES)
    archive.asked.clear()
    assert base(tmp_path) == first
    assert archive.asked == []


def test_base_image_with_another_pid_1_differs(tmp_path: Path, archive: Archive) -> None:
    first = base(tmp_path)
    (tmp_path / "program-init").write_bytes(b"our newer PID 1")
    archive.folder = tmp_path / "archive-again"
    second = base(tmp_path)
    assert second != first
    assert unpack(second.read_bytes())["init"][1] == b"our newer PID 1"


@pytest.mark.parametrize(
    ("package", "files", "why"),
    [
        ("libgmp10", {}, "libtomcrypt.so.1 needs libgmp.so.10"),
        ("libc6", {}, "none of the packages brings /lib/ld-linux"),
        ("busybox-static", {}, "no /bin/busybox any more"),
        ("busybox-static", {"bin/busybox": elf(machine="EM_X86_64")}, "is for EM_X86_64"),
        ("busybox-static", {"bin/busybox": b"#!/bin/sh"}, "is no ELF file"),
    ],
)
def test_base_image_with_a_missing_file_names_it(
    tmp_path: Path, archive: Archive, package: str, files: dict[str, bytes | str], why: str
) -> None:
    archive.packages[package] = files
    with pytest.raises(InfraError, match=why):
        base(tmp_path)


def test_extra_image_holds_modules_and_loads(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    module, load = tmp_path / "a.ko", tmp_path / "load"
    module.write_bytes(b"module")
    load.write_bytes(b"load")
    load.chmod(0o755)
    files = {"harness/modules/a.ko": module, "harness/loads/anon": load}
    extra = extra_image(files, cache)
    found = unpack(extra.read_bytes())
    assert found["harness/modules/a.ko"][:2] == (0o100644, b"module")
    assert found["harness/loads/anon"][:2] == (0o100755, b"load")
    assert extra_image(files, cache) == extra
    whole = assemble((extra, extra), cache)
    assert whole.read_bytes() == extra.read_bytes() * 2
    module.write_bytes(b"another")
    assert extra_image(files, cache) != extra


def test_in_root_follows_links_inside_the_root_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_tree(
        root,
        {
            "usr/lib/real.so": b"x",
            "lib": "usr/lib",
            "absolute": "/usr/lib/real.so",
            "up": "../../../../usr/lib/real.so",
            "outside": str(tmp_path / "secret"),
            "loop": "loop",
        },
    )
    (tmp_path / "secret").write_text("not for guests")
    for name in ("lib/real.so", "/lib/real.so", "absolute", "up", "usr/../lib/real.so"):
        assert in_root(root, name) == root / "usr/lib/real.so", name
    for name in ("outside", "loop", "missing", "usr", "lib/real.so/x"):
        assert in_root(root, name) is None, name


def test_closure_is_read_without_running_the_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(elf(("liba.so.1", "libc.so.6"), "/lib/ld.so"))
    found = read_elf(program)
    assert found.machine == "EM_AARCH64"
    assert found.interpreter == "/lib/ld.so"
    assert found.needed == ("liba.so.1", "libc.so.6")
    program.write_bytes(elf())
    assert closure(tmp_path, ["program"], "EM_AARCH64", ARCH.triplet) == {}

# SPDX-License-Identifier: GPL-2.0-only
"""The guest's initramfs: PID 1 and busybox.

All of it stays in the guest's RAM, and unpacking it is a good part of a boot. So the SSH server,
modules and loads are copied into the running guest on demand; only an interactive guest gets an
image that has modules and loads.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from harness.build.cpio import Entry, character_device, directory, regular, symlink, write_cpio
from harness.build.modules import build_program
from harness.cache.store import Store
from harness.host.files import digest_files, key_of
from harness.host.paths import Cache, Checkout
from harness.model.errors import InfraError
from harness.model.events import Report, Stage
from harness.model.values import Arch
from harness.source.apt import Apt, unpack_deb

KIND = "image"
FILE = "initramfs.cpio"
SSH = "ssh"  # beside it: the SSH server and all it needs, by their paths in the guest
CACHE_VERSION = "2"  # raise it when the same inputs make another image
SUITE = "bookworm"
PACKAGES = (
    "busybox-static",
    "dropbear-bin",
    # What dropbear is linked with.
    "libc6",
    "libcrypt1",
    "libgmp10",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
)
BUSYBOX = "bin/busybox"
PROGRAMS = ("usr/sbin/dropbear", "usr/bin/dropbearkey")
# For people and the setup commands of loads; busybox has many more under its own name.
_APPLETS = (
    "ash awk basename cat chmod clear cmp cp cut date dd df dirname dmesg du echo env expr false "
    "find free grep gunzip gzip head hexdump hostname id insmod kill killall less ln ls lsmod "
    "mkdir mkfifo mknod mkswap mktemp mount mv od pidof poweroff printf ps "
    "pwd readlink realpath reboot renice reset rm rmdir rmmod sed seq setsid sh sleep sort stat "
    "stty swapoff swapon sync sysctl tail tar tee test time timeout top touch tr true truncate tty "
    "umount uname uniq uptime usleep vi wc which whoami xargs yes"
)
APPLETS = tuple(_APPLETS.split())
FOLDERS = ("dev", "harness/loads", "harness/modules", "proc", "run", "sys", "tmp")
# PID 1 as a user's shell: guest-tests/init/sshd.c.
SESSION = "bin/session"
TEXTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/{SESSION}\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": f"/bin/sh\n/{SESSION}\n",
}


def base_image(arch: Arch, checkout: Checkout, cache: Cache, mirror: str, report: Report) -> Path:
    """Return the archive of PID 1 and busybox for *arch*; the SSH server lies beside it.

    Debian's packages are fetched once: an image in the store is used without a look for newer
    ones.

    Raises:
        BuildError: PID 1 does not compile.
        UserError, InfraError: the packages cannot be had, or are not what they were.
    """
    init = build_program(arch, checkout.init, cache, report)
    key = key_of(
        CACHE_VERSION, arch.name, SUITE, *PACKAGES, *APPLETS, repr(TEXTS), digest_files(init)
    )
    store = Store(cache.store)
    kept = store.get(KIND, key)
    if kept is None:
        with store.lock(f"image-{arch.name}"):
            kept = store.get(KIND, key) or store.put(
                KIND, key, lambda into: _make_base(arch, init, cache, mirror, report, into)
            )
    return kept / FILE


def extra_image(files: Mapping[str, Path], cache: Cache) -> Path:
    """Return an archive of *files*, path in the guest → file of the host, modes kept."""
    names = sorted(files)
    key = key_of(CACHE_VERSION, "extra", *names, *(digest_files(files[name]) for name in names))

    def fill(into: Path) -> None:
        entries = [_copied(name, files[name]) for name in names]
        with (into / FILE).open("wb") as out:
            write_cpio(entries, out)

    return _kept(cache, key, fill)


def assemble(parts: Sequence[Path], cache: Cache) -> Path:
    """Return the initramfs that is *parts*, one after the other."""
    key = key_of(CACHE_VERSION, "whole", *(digest_files(part) for part in parts))

    def fill(into: Path) -> None:
        with (into / FILE).open("wb") as out:
            for part in parts:
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, out)

    return _kept(cache, key, fill)


def _kept(cache: Cache, key: str, fill: Callable[[Path], None]) -> Path:
    store = Store(cache.store)
    return (store.get(KIND, key) or store.put(KIND, key, fill)) / FILE


def _make_base(
    arch: Arch, init: Path, cache: Cache, mirror: str, report: Report, into: Path
) -> None:
    stage = f"image {arch.name}"
    apt = Apt(cache, mirror, report)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=into.parent) as folder:
        # One level down: dpkg sets the time of the folder it unpacks into to the package's, so
        # another run would take it for a leftover.
        root = Path(folder, "root")
        for done, package in enumerate(PACKAGES):
            report(Stage(stage, f"{arch.name} guest: {package}", done, len(PACKAGES)))
            unpack_deb(apt.download(package, suite=SUITE, arch=arch.debian_arch), root)
        server = _ssh_server(arch, root)
        for name, file in server.items():
            copy = into / SSH / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copy.chmod(0o755)
        entries = _base_entries(init, root, server)
        with (into / FILE).open("wb") as out:
            write_cpio(entries, out)
    count = len(PACKAGES)
    report(Stage(stage, f"{arch.name} guest image", count, count, finished=True))


def _ssh_server(arch: Arch, root: Path) -> dict[str, Path]:
    """Return dropbear, the libraries it needs and their loader: path in the guest → file."""
    from harness.build.elf import closure

    # busybox needs nothing, but has to be there and be a program for this architecture too.
    files = {name: _from_root(root, name) for name in (BUSYBOX, *PROGRAMS)}
    files |= closure(root, files, arch.elf_machine, arch.triplet)
    del files[BUSYBOX]
    return files


def _base_entries(init: Path, root: Path, later: Iterable[str]) -> list[Entry]:
    """Return all of the base: *root* holds the unpacked packages; *later* are files to come."""
    parents = {str(parent) for name in later for parent in PurePosixPath(name).parents}
    busybox = _from_root(root, BUSYBOX)
    return [
        *(directory(name) for name in (*FOLDERS, *sorted(parents - {"."}))),
        directory("root", 0o700),  # sshd refuses keys in a home that others may write to
        # The kernel opens it for PID 1 before anything is mounted.
        character_device("dev/console", 5, 1),
        Entry("init", stat.S_IFREG | 0o755, init.read_bytes()),
        Entry(BUSYBOX, stat.S_IFREG | 0o755, busybox.read_bytes()),
        *(symlink(f"bin/{applet}", "busybox") for applet in APPLETS),
        symlink(SESSION, "../init"),
        *(regular(name, text.encode()) for name, text in TEXTS.items()),
    ]


def _from_root(root: Path, name: str) -> Path:
    from harness.build.elf import in_root

    file = in_root(root, name)
    if file is None:
        raise InfraError(
            f"Debian's packages for the guest have no /{name} any more",
            hint=f"harness/build/initramfs.py names the packages of {SUITE}; find where it went",
        )
    return file


def _copied(name: str, file: Path) -> Entry:
    executable = file.stat().st_mode & stat.S_IXUSR
    return regular(name, file.read_bytes(), 0o755 if executable else 0o644)

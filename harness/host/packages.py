# SPDX-License-Identifier: GPL-2.0-only
"""Programs and files that the host must have, and the Debian packages that bring them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import InfraError
from harness.model.values import Arch

MACHINE_OF_DEBIAN = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Requirement:
    """A program or file that some stage needs, and the Debian packages that bring it."""

    what: str  # a program's name, or an absolute path
    packages: tuple[str, ...]
    why: str
    optional: bool = False

    @property
    def where(self) -> str:
        """Return where it was found, "" where it is missing."""
        if self.what.startswith("/"):
            return self.what if Path(self.what).exists() else ""
        return shutil.which(self.what) or ""


GENERAL = (
    Requirement("make", ("make",), "kbuild"),
    Requirement("gcc", ("gcc", "libc6-dev"), "kbuild's own tools, programs for the guest"),
    Requirement("flex", ("flex",), "kconfig"),
    Requirement("bison", ("bison",), "kconfig"),
    Requirement("bc", ("bc",), "kbuild's time constants"),
    Requirement("perl", ("perl",), "kbuild's scripts"),
    Requirement("/usr/include/libelf.h", ("libelf-dev",), "objtool, where a config asks for it"),
    Requirement("xz", ("xz-utils",), "Debian's source archives"),
    Requirement("git", ("git",), "applying patches"),
    Requirement("setpriv", ("util-linux",), "no emulator outlives the harness"),
    Requirement("apt-get", ("apt",), "Debian's kernel sources and guest programs"),
    Requirement("dpkg-deb", ("dpkg",), "unpacking Debian packages"),
    Requirement(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        ("debian-archive-keyring",),
        "apt verifies what it fetches",
    ),
    # Outside of what a user's PATH names.
    Requirement("/usr/sbin/mkfs.xfs", ("xfsprogs",), "loads on XFS", optional=True),
    Requirement("/usr/sbin/mkfs.ext4", ("e2fsprogs",), "loads on ext4", optional=True),
    Requirement("ccache", ("ccache",), "compiles once what many positions share", optional=True),
)
# For the project's own tests of its report alone: no run needs them.
BROWSER = (
    Requirement("chromium", ("chromium",), "tests of the HTML report"),
    Requirement("chromedriver", ("chromium-driver",), "tests of the HTML report"),
)


def requirements(archs: Iterable[Arch]) -> tuple[Requirement, ...]:
    """Return everything that building for and emulating *archs* takes on this host."""
    found = list(GENERAL)
    for arch in archs:
        native = MACHINE_OF_DEBIAN.get(arch.debian_arch) == platform.machine()
        compilers = ("gcc", "libc6-dev") if native else arch.cross_packages
        libc = Path("/usr/lib", arch.triplet) if native else Path("/usr", arch.triplet, "lib")
        found += [
            Requirement(f"{arch.triplet}-gcc", compilers, f"compiles for {arch.name}"),
            Requirement(str(libc / "libc.a"), compilers, f"static programs for {arch.name}"),
            Requirement(arch.qemu, (arch.qemu_package,), f"emulates {arch.name}"),
        ]
    return tuple(found)


def missing_packages(wanted: Iterable[Requirement]) -> tuple[str, ...]:
    """Return the packages that bring what is missing, each once, in order."""
    packages = [p for r in wanted if not r.where for p in r.packages]
    return tuple(dict.fromkeys(packages))


def install_command(packages: Iterable[str]) -> str:
    """Return the one command that a person runs to install *packages*."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def may_install() -> bool:
    """Say whether apt may install without asking: as root, or with a sudo that asks nothing."""
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        return True
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(("sudo", "-n", "true"), capture_output=True, check=False).returncode == 0


def install(packages: tuple[str, ...]) -> None:
    """Install *packages* through the host's apt.

    Raises:
        InfraError: apt may not or could not; the hint is the command for a person to run.
    """
    if not packages:
        return
    command = install_command(packages)
    if not may_install():
        raise InfraError(f"missing on this host: {', '.join(packages)}", hint=f"run: {command}")
    prefix = () if os.geteuid() == 0 else ("sudo", "-n")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    # The lists may be old or absent (a fresh container); a failing update still leaves what
    # is there, so only the install decides.
    subprocess.run((*prefix, "apt-get", "update", "-qq"), env=environ, check=False)
    argv = (*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)
    done = subprocess.run(argv, env=environ, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise InfraError(
            f"apt could not install {', '.join(packages)}",
            hint=f"run it by hand and read its messages: {command}",
            detail=(done.stderr or done.stdout)[-2000:],
        )


def require(archs: Iterable[Arch]) -> None:
    """Check that nothing is missing before long work starts.

    Raises:
        InfraError: something is; the hint is the one command that brings it all.
    """
    wanted = [r for r in requirements(archs) if not r.optional and not r.where]
    if wanted:
        raise InfraError(
            f"missing on this host: {', '.join(r.what for r in wanted)}",
            hint=f"run: harness doctor --install, or: {install_command(missing_packages(wanted))}",
        )

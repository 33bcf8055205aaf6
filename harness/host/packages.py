# SPDX-License-Identifier: GPL-2.0-only
"""Programs and files that the host must have, and the Debian packages that bring them."""

from __future__ import annotations

import functools
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import InfraError
from harness.model.text import one_line
from harness.model.values import Arch

# The oldest that all of this is tried with: Debian 12's.
OLDEST_QEMU = (7, 2)
TRIAL_S = 30.0  # for a program to say its version
MACHINE_OF_DEBIAN = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Requirement:
    """A program or file that some stage needs, and the Debian packages that bring it."""

    what: str  # a program's name, or an absolute path
    packages: tuple[str, ...]
    why: str
    optional: bool = False
    trial: tuple[str, ...] = ()  # arguments with which the program must end well; none: not tried
    oldest: tuple[int, ...] = ()  # the version that it must have, as the trial prints it

    @property
    def where(self) -> str:
        """Return where it was found, "" where it is missing."""
        if self.what.startswith("/"):
            return self.what if Path(self.what).exists() else ""
        return shutil.which(self.what) or ""

    @property
    def unfit(self) -> str:
        """Return why what was found does not do, "" where it does, or is missing."""
        where = self.where
        return _unfit(where, self.trial, self.oldest) if where and self.trial else ""


@functools.cache
def _unfit(program: str, trial: tuple[str, ...], oldest: tuple[int, ...]) -> str:
    try:
        done = subprocess.run(
            (program, *trial),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRIAL_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        return f"it cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"it does not end: {shlex.join(trial)}"
    if done.returncode != 0:
        said = one_line(next(iter(done.stderr.decode(errors="replace").splitlines()), ""))
        return f"it refuses {shlex.join(trial)}" + (f": {said}" if said else "")
    found = re.search(r"(\d+)\.(\d+)", done.stdout.decode(errors="replace"))
    if oldest and found and tuple(map(int, found.groups())) < oldest:
        needed = ".".join(map(str, oldest))
        return f"it is version {found[0]}, and {needed} or newer is needed"
    return ""


GENERAL = (
    Requirement("make", ("make",), "kbuild", trial=("--version",), oldest=(4, 0)),
    Requirement(
        "gcc",
        ("gcc", "libc6-dev"),
        "kbuild's own tools, programs for the guest",
        trial=("--version",),
    ),
    Requirement("flex", ("flex",), "kconfig", trial=("--version",)),
    Requirement("bison", ("bison",), "kconfig", trial=("--version",)),
    Requirement("bc", ("bc",), "kbuild's time constants"),
    Requirement("perl", ("perl",), "kbuild's scripts", trial=("--version",)),
    Requirement("/usr/include/libelf.h", ("libelf-dev",), "objtool, where a config asks for it"),
    Requirement("xz", ("xz-utils",), "Debian's source archives"),
    Requirement("git", ("git",), "applying patches", trial=("--version",)),
    # An old one, and busybox's, have no --pdeathsig.
    Requirement(
        "setpriv",
        ("util-linux",),
        "no emulator outlives the harness",
        trial=("--pdeathsig", "KILL", "--", "true"),
    ),
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
            Requirement(
                f"{arch.triplet}-gcc",
                compilers,
                f"compiles for {arch.name}",
                trial=("--version",),
            ),
            Requirement(str(libc / "libc.a"), compilers, f"static programs for {arch.name}"),
            # In this order: one that was built without seccomp refuses the first.
            Requirement(
                arch.qemu,
                (arch.qemu_package,),
                f"emulates {arch.name}",
                trial=("-sandbox", "on", "-version"),
                oldest=OLDEST_QEMU,
            ),
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
    """Check that nothing is missing or unfit before long work starts.

    Raises:
        InfraError: something is, and the hint is the one command that brings it all; or a program
            is there that does not do what is needed of it.
    """
    needed = [r for r in requirements(archs) if not r.optional]
    wanted = [r for r in needed if not r.where]
    if wanted:
        raise InfraError(
            f"missing on this host: {', '.join(r.what for r in wanted)}",
            hint=f"run: harness doctor --install, or: {install_command(missing_packages(wanted))}",
        )
    for requirement in needed:
        if requirement.unfit:
            raise InfraError(
                f"{requirement.where} does not do: {requirement.unfit}", hint=better(requirement)
            )


def better(requirement: Requirement) -> str:
    """Return what to do about a program that is there and does not do."""
    packages = " ".join(requirement.packages)
    return f"put the one of Debian 12 (package {packages}), or a newer one, first in PATH"

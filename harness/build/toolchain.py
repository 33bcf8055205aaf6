# SPDX-License-Identifier: GPL-2.0-only
"""The compiler for an architecture, and the environment of every build."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from harness.cache import ccache
from harness.host import process
from harness.host.paths import Cache
from harness.model.errors import InfraError
from harness.model.values import Arch

# Programs that kbuild runs; it reports a missing one late and unclearly.
_TOOLS = ("make", "gcc", "flex", "bison", "bc", "perl")
# Part of every image: the same code gives the same image on any machine and day.
_FIXED = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "harness",
    "KBUILD_BUILD_HOST": "harness",
    "KBUILD_BUILD_VERSION": "1",
}


@dataclass(frozen=True)
class Toolchain:
    """gcc and binutils for one architecture."""

    arch: Arch
    version: str  # first line of `gcc --version`
    linker: str  # first line of `ld --version`
    ccache: bool

    @property
    def prefix(self) -> str:
        """kbuild's CROSS_COMPILE."""
        return f"{self.arch.triplet}-"

    @property
    def cc(self) -> str:
        """The compiler, as one program."""
        return f"{self.prefix}gcc"

    @property
    def identity(self) -> str:
        """Versions that decide about the output, for content keys."""
        return f"{self.version}\n{self.linker}"

    @property
    def make_variables(self) -> tuple[str, ...]:
        """Variables that name the tools to make."""
        through = "ccache " if self.ccache else ""
        return (
            f"ARCH={self.arch.kernel_arch}",
            f"CROSS_COMPILE={self.prefix}",
            f"CC={through}{self.cc}",
            f"HOSTCC={through}gcc",
        )


def find_toolchain(arch: Arch) -> Toolchain:
    """Return the tools that build for *arch* on this host.

    Raises:
        InfraError: one is missing; the hint names its Debian package.
    """
    for tool in _TOOLS:
        process.require_tool(tool)
    return Toolchain(
        arch=arch,
        version=_version(arch, "gcc"),
        linker=_version(arch, "ld"),
        ccache=shutil.which("ccache") is not None,
    )


def _version(arch: Arch, tool: str) -> str:
    name = f"{arch.triplet}-{tool}"
    if shutil.which(name) is None:
        raise InfraError(
            f"no compiler for {arch.name}: '{name}' is not installed",
            hint="run: harness doctor --install "
            f"(Debian packages gcc here, or {' '.join(arch.cross_packages)} to cross-compile)",
        )
    return process.run((name, "--version")).stdout.partition("\n")[0]


def build_env(cache: Cache) -> dict[str, str]:
    """Return the variables that every build has beyond the user's environment."""
    return {
        **_FIXED,
        **ccache.environ(cache),
        # Paths below it count relative to the build folder: another work tree hits as well.
        "CCACHE_BASEDIR": str(cache.root),
        # Moving to a position gives headers a time of just now, which ccache by default takes
        # for one that may still be changing. The work tree is locked: it is not.
        "CCACHE_SLOPPINESS": "include_file_mtime,include_file_ctime",
    }

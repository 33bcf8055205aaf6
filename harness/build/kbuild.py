# SPDX-License-Identifier: GPL-2.0-only
"""kbuild, run out of tree: one source, one build folder, one toolchain."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.toolchain import Toolchain, build_env
from harness.host import process
from harness.host.paths import Cache

# In the build folder while make runs: what make had no time to clean up may be half-written.
MARKER = ".harness-building"


@dataclass(frozen=True)
class Kbuild:
    """``make -C source O=out`` for one architecture."""

    source: Path
    out: Path
    tools: Toolchain
    cache: Cache

    @property
    def srcarch(self) -> str:
        """The folder below ``arch/``: of x86_64 it is x86, of arm64 arm64 (and not arm)."""
        wanted = self.tools.arch.kernel_arch
        there = (folder.name for folder in (self.source / "arch").iterdir())
        return max((name for name in there if wanted.startswith(name)), key=len, default=wanted)

    @property
    def half_done(self) -> bool:
        """Whether an earlier make was killed in this build folder."""
        return (self.out / MARKER).exists()

    def make(
        self,
        goals: Sequence[str],
        log: Path,
        *,
        jobs: int = 1,
        variables: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> process.Finished:
        """Run make for *goals*; its output is appended to *log*.

        Raises:
            InfraError: make is missing.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        argv = (
            "make",
            f"-j{jobs}",
            "--no-print-directory",
            # What one compiler says stays together, whatever runs beside it.
            "--output-sync=target",
            "-C",
            str(self.source),
            f"O={self.out}",
            *self.tools.make_variables,
            "LOCALVERSION=",
            *self._file_names(),
            *variables,
            *goals,
        )
        with log.open("a") as file:
            file.write(f"$ {' '.join(argv)}\n")
        return process.run(
            argv, env=build_env(self.cache), log=log, on_line=on_line, marker=self.out / MARKER
        )

    def _file_names(self) -> tuple[str, str]:
        """Return the flags that keep the source's place out of the kernel's messages.

        kbuild does that itself, but only for absolute paths: ccache hands the compiler relative
        ones, and a kernel must not tell whether ccache was there.
        """
        flag = f"-fmacro-prefix-map={os.path.relpath(self.source, self.out)}/="
        return f"KCFLAGS={flag}", f"KAFLAGS={flag}"

    def kconfig_env(self, kernel_version: str) -> dict[str, str]:
        """Return what kbuild exports to Kconfig, for reading its files without make."""
        prefix = self.tools.prefix
        binutils = {name.upper(): prefix + name for name in ("ld", "ar", "nm", "objcopy", "strip")}
        return {
            **binutils,
            "srctree": str(self.source),
            "objtree": str(self.out),
            "ARCH": self.tools.arch.kernel_arch,
            "SRCARCH": self.srcarch,
            "KERNELVERSION": kernel_version,
            "CC": self.tools.cc,
            "CC_VERSION_TEXT": self.tools.version,
            "HOSTCC": "gcc",
            "HOSTCXX": "g++",
            "CLANG_FLAGS": "",
            "CONFIG_SHELL": "/bin/sh",
            "PYTHON3": "python3",
            "RUSTC": "rustc",
            "BINDGEN": "bindgen",
            "PAHOLE": "pahole",
        }

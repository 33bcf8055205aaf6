# SPDX-License-Identifier: GPL-2.0-only
"""The end of work on a position whose kernel cannot be had, or does not boot, by its own doing."""

from __future__ import annotations

from harness.model.results import KernelFault


class KernelFailed(Exception):
    """A position has no kernel, by its own fault and not the harness's: so no HarnessError."""

    def __init__(self, arch: str, position: int, fault: KernelFault) -> None:
        super().__init__(f"{arch} position {position}: {fault.what}")
        self.fault = fault

    @property
    def text(self) -> str:
        """All of it, for a terminal."""
        fault = self.fault
        words = (str(self), fault.leads_to, *fault.detail.splitlines())
        return "\n    ".join(filter(None, words))

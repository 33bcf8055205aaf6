# SPDX-License-Identifier: GPL-2.0-only
"""virtme-ng from PyPI, in a virtual environment of its own."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.guests import WHOLE, command
from bench.model import Contender, Once, Sample
from bench.testbed import Testbed, bzimage
from harness.cache.store import hold
from harness.host import process, resources
from harness.model.errors import InfraError

VERSION = "1.42"
_DONE = ".installed"  # in the environment once all of it is there
# What it boots its kernel with: TCG, as the harness; the host's root over 9p.
_OPTIONS = ("--disable-kvm", "--force-9p", "-m", "512M", "--cpus", "2")
_COMMAND = ("--", "true")
# The guest's init says so on the console. Where the host's root has no udevd, the guest has no
# names for its virtio ports, and vng ends with 255 whatever the command did.
_RAN = "script exited with code 0"
_STATUSES = (0, 255)


def installed(testbed: Testbed) -> Path:
    """Return the folder of its programs, installed if need be.

    Raises:
        InfraError: pip could not install it.
    """
    folder = testbed.keep / f"virtme-ng-{VERSION}"
    with hold(testbed.workspace.cache.locks, f"bench-virtme-ng-{VERSION}"):
        if not (folder / _DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            pip = (folder / "bin" / "pip", "install", "--quiet", f"virtme-ng=={VERSION}")
            for argv in ((sys.executable, "-m", "venv", folder), pip):
                done = process.run(argv)
                if not done.ok:
                    raise InfraError(
                        f"cannot install virtme-ng {VERSION}",
                        hint="is PyPI within reach? pip's own words are above",
                        detail=done.stderr.strip()[-2000:],
                    )
            (folder / _DONE).touch()
    return folder / "bin"


class Vng:
    """One kernel, booted by virtme-ng."""

    def __init__(self, testbed: Testbed) -> None:
        """Install it, build its kernel, and see that a command really runs in its guest.

        Raises:
            InfraError: it cannot be installed, or its guest does not run the command.
        """
        folder = installed(testbed)
        self._cwd = testbed.folder
        self._env = {"PATH": f"{folder}:{os.environ['PATH']}"}  # it calls its other programs
        self._argv = (str(folder / "vng"), "-r", str(bzimage(testbed).image), *_OPTIONS)
        seen = process.run((*self._argv, "-v", *_COMMAND), cwd=self._cwd, env=self._env)
        if _RAN not in seen.stdout + seen.stderr:
            raise InfraError(
                "the guest of virtme-ng does not run its command",
                detail=(seen.stdout + seen.stderr)[-3000:],
            )

    def once(self) -> Sample:
        """Run the command in a guest, from nothing to the end."""
        argv = (*self._argv, *_COMMAND)
        return command(argv, cwd=self._cwd, env=self._env, accepted=_STATUSES)


@contextmanager
def _open_one(testbed: Testbed) -> Iterator[Once]:
    yield Vng(testbed).once


@contextmanager
def _open_many(testbed: Testbed) -> Iterator[Once]:
    vng = Vng(testbed)

    def once() -> Sample:
        begun = time.perf_counter()
        with ThreadPoolExecutor(resources.cores()) as pool:
            for run in [pool.submit(vng.once) for _ in range(testbed.cells)]:
                run.result()
        return {WHOLE: time.perf_counter() - begun}

    yield once


_SAID = f"vng -r bzImage {' '.join((*_OPTIONS, *_COMMAND))}"
ONE = Contender("vng", f"{_SAID} (virtme-ng {VERSION})", _open_one)
MANY = Contender("vng, many", f"{_SAID}, as often, and one per core at a time", _open_many)

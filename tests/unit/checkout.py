# SPDX-License-Identifier: GPL-2.0-only
"""A small checkout, and the one line of an error: for tests of what people write in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.host.paths import Checkout
from harness.model.errors import UserError

TEST_TOML = """\
summary = "a sweep"
module = "sweep"
suite = "sweep-suite"
timeout_s = 60
tolerated_splats = ["oom-kill"]

[knobs]
"/proc/number" = 5
"/proc/flag" = false
"/proc/text" = "on"

[[proves]]
series = "vmalloc-nofail"
patch = 2
cases = "nofail_*"
"""
LOAD_TOML = """\
summary = "fills memory"
args = ["90%"]
setup = [["swapon", "/dev/zram0"]]
tolerated_splats = ["oom-kill", "alloc-failure"]
"""


def make_checkout(root: Path) -> Checkout:
    """Make a checkout in *root* with a series, two tests, a load and two config topics."""
    there = Checkout(root)
    files = {
        there.patches / "vmalloc-nofail/series.toml": "",
        there.tests / "sweep/test.toml": TEST_TOML,
        there.tests / "scope/test.toml": 'summary = "s"\nmodule = "scope"\nsuite = "scope"\n',
        there.loads / "anon/load.toml": LOAD_TOML,
        there.kconfigs / "base.config": "",
        there.kconfigs / "kasan.config": "",
    }
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return there


def error_of(call: Any, *args: Any, **more: Any) -> str:
    """Return what *call* says is wrong, which is one line."""
    with pytest.raises(UserError) as caught:
        call(*args, **more)
    assert "\n" not in caught.value.what
    return caught.value.what

# SPDX-License-Identifier: GPL-2.0-only
"""tinyconfig and allnoconfig of the toy kernel, through kconfiglib; runs in the build folder."""

import os
import sys

import kconfiglib

from harness.build.kconfig_explain import load

tree = load(kconfiglib)
for symbol in tree.unique_defined_syms:
    symbol.set_value(2 if symbol.choice else 0)
if sys.argv[1] == "allnoconfig":
    tree.load_config(os.environ["KCONFIG_ALLCONFIG"], replace=False)
tree.write_config(".config")

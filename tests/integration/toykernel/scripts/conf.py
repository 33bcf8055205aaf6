# SPDX-License-Identifier: GPL-2.0-only
"""tinyconfig and olddefconfig of the toy kernel, through kconfiglib; runs in the build folder."""

import sys

import kconfiglib

from harness.kconfig_explain import load

tree = load(kconfiglib)
if sys.argv[1] == "tinyconfig":
    for symbol in tree.unique_defined_syms:
        symbol.set_value(2 if symbol.choice else 0)
else:
    tree.load_config(".config")
tree.write_config(".config")

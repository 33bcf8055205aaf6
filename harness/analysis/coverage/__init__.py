# SPDX-License-Identifier: GPL-2.0-only
"""Coverage: the changed lines of a series that its tests execute.

``gcov`` counts, ``diff_lines`` follows a patch's lines to a position, ``run`` does it for each
test, and ``record`` is what comes of it.
"""

# SPDX-License-Identifier: GPL-2.0-only
"""Questions that take many runs: bisection, coverage, mutants, RAM thresholds."""

# SPDX-License-Identifier: GPL-2.0-only
"""Analyses over many runs: coverage, mutation testing, the RAM threshold, bisection."""

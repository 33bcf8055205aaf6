# SPDX-License-Identifier: GPL-2.0-only
"""What many runs tell together: coverage, mutation, the RAM threshold, a bisection."""

# SPDX-License-Identifier: GPL-2.0-only
"""Templates of `harness new`."""

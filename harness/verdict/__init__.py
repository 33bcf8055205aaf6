# SPDX-License-Identifier: GPL-2.0-only
"""From what a guest printed to what it means: kernel log, KTAP, splats, verdicts. Pure."""

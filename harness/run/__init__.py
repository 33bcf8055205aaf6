# SPDX-License-Identifier: GPL-2.0-only
"""Cells from plan to verdict: what they need, how they run, what is looked at when one hangs."""

# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache folder: results by content key, who uses them, what is pruned."""

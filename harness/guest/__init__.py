# SPDX-License-Identifier: GPL-2.0-only
"""A running guest: the emulator, templates and clones, and what can be asked of it."""

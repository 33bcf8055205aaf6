# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: its command line (``argv``), process, control channel (``qmp``) and accelerators."""

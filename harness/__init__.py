# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU-based test harness for Linux kernel patch series."""

__version__ = "0.1.0"

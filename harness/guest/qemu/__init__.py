# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: its command line, its process, its monitor, and which accelerator really works."""

# SPDX-License-Identifier: GPL-2.0-only
"""Builds, each kept in the store by its content.

``kernel`` makes the kernel of a position, ``modules`` test modules and programs for it; both run
make by ``kbuild`` with a ``toolchain``, and ``make_log`` reads its output. ``kconfig`` merges
fragments, ``configure`` makes a .config, ``kconfig_explain`` says why a symbol was dropped.
``kernel_devel`` keeps what modules are built against, ``debug_object`` compiles an object again
with debug info. ``initramfs`` is what a guest boots, written by ``cpio``; ``elf`` finds libraries.
"""

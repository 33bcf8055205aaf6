# SPDX-License-Identifier: GPL-2.0-only
"""One guest, from QEMU's start to its end.

``guest`` is what others ask; ``machine`` is the emulator with its channels; ``template`` gives
clones and ``capacity`` the room for them. ``boot_watch`` tells a guest that is dead from one that
is slow, ``processor`` looks into it, ``boot_death`` has the words for it, and ``boot_examination``
boots it once more. ``phase_log`` says what the kernel did around a test, ``samples`` and
``kmemleak`` what else is measured. QEMU itself is in ``qemu/``, what is said over its channels in
``transport/``.
"""

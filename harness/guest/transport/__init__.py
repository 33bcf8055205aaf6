# SPDX-License-Identifier: GPL-2.0-only
"""How guest and host talk.

``reader`` takes in what every channel brings. ``agent`` asks PID 1 in the words of ``protocol``;
``lost_records`` finds what its kernel log misses; ``sampler`` takes in samples. ``console`` keeps
the serial console, ``console_expect`` is for who types there. ``ssh`` is for commands and files.
"""

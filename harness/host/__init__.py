# SPDX-License-Identifier: GPL-2.0-only
"""This machine.

``process`` runs commands, ``files`` writes and digests files, ``paths`` knows every folder,
``deadline`` bounds waits. ``disk_space``, ``resources`` and ``packages`` tell what the host has:
room, cores and memory, programs.
"""

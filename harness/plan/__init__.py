# SPDX-License-Identifier: GPL-2.0-only
"""The request of a run.

``options`` is the table of plan options for command line, pytest and TOML; ``plan`` parses their
values and checks their names. ``descriptions`` reads test.toml and load.toml, ``loads`` the
combinations of loads with their intensity, seed and time.
"""

# SPDX-License-Identifier: GPL-2.0-only
"""Values that travel through a run. No effects.

``values`` has what goes into a run and ``results`` what comes out of it; ``events`` is progress,
``errors`` the tree of exceptions. ``jsonio`` reads and writes values as JSON and TOML, ``text``
makes foreign text fit to show.
"""

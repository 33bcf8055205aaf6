# SPDX-License-Identifier: GPL-2.0-only
"""From a plan to verdicts.

``prepare`` resolves a plan, ``artifacts`` builds what its guests are made of, and ``lab`` has both
with the guests themselves. ``matrix`` runs all cells, ``cell`` one of them: ``guest_test`` under
``cell_loads`` (``load``, ``load_counters``, ``scratch_fs``). ``stall`` finds a test that is stuck,
``diagnose`` where, ``symbolize`` in which line. ``folder`` is where all of it is written.
"""

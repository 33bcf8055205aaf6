# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark: how fast the harness is, as ratios to its peers on the same machine.

``make bench`` measures every row of :mod:`bench.rows` and writes ``bench/README.md``. A row says
what is compared; a contender is what is timed. Contenders of one group take turns, so whatever
the machine does meanwhile, it does to all of them.
"""

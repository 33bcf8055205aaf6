# SPDX-License-Identifier: GPL-2.0-only
"""Values that travel through a run: plans, cells, results, events, errors. No effects."""

# SPDX-License-Identifier: GPL-2.0-only
"""Terminal output: view shows events (progress) and outcomes, table the matrix, others figures."""

# SPDX-License-Identifier: GPL-2.0-only
"""Which changed lines the tests execute."""

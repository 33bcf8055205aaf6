# SPDX-License-Identifier: GPL-2.0-only
"""How little RAM a test passes with: ``search`` is the search and its record, ``run`` the tries."""

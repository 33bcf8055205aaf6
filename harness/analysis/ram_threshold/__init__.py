# SPDX-License-Identifier: GPL-2.0-only
"""The smallest RAM a test passes with: ``search`` picks sizes, ``run`` tries them."""

# SPDX-License-Identifier: GPL-2.0-only
"""The smallest RAM with which each test passes."""

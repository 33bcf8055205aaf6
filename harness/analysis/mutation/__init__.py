# SPDX-License-Identifier: GPL-2.0-only
"""Wrong variants of a series: do the tests tell them apart?"""

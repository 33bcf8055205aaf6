# SPDX-License-Identifier: GPL-2.0-only
"""Mutation testing: the wrong variants of a series that the tests find out.

``mutate`` makes them, ``run`` builds and tests them, and ``record`` is what comes of it.
"""

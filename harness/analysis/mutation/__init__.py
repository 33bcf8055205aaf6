# SPDX-License-Identifier: GPL-2.0-only
"""Which wrong variants of a series the tests find out.

``mutate`` makes them, ``run`` builds and tests them, and ``record`` is what comes of it.
"""

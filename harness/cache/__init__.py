# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache folder.

``store`` keeps results by content key and ``lease`` protects those in use; ``inventory`` lists
all entries, ``prune`` removes the least recently used, ``verify`` reads them for damage.
``ccache`` is the compiler's part.
"""

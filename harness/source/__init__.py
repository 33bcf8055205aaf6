# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees and patch series.

``fetch`` resolves a source by one of the ``schemes``; ``trees`` keeps pristine trees, and ``apt``
(with ``apt_sources``) downloads Debian packages. ``series`` reads a series from ``patch_files`` or
has it cut by ``git_series``; ``git_repository`` serves all that read git. ``apply`` computes the
files of a position, ``worktree`` moves a writable tree there.
"""

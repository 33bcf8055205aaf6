# SPDX-License-Identifier: GPL-2.0-only
"""The command line; each command is one module of ``commands``."""

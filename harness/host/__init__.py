# SPDX-License-Identifier: GPL-2.0-only
"""This machine: processes, files, folders, deadlines, what is installed."""

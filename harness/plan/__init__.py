# SPDX-License-Identifier: GPL-2.0-only
"""What a run is asked to do: options, plan files, and the descriptions of tests and loads."""

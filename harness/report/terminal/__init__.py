# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees in a terminal: live progress, tables, figures."""

# SPDX-License-Identifier: GPL-2.0-only
"""The self-contained HTML report: templates, styles and what fills them."""

# SPDX-License-Identifier: GPL-2.0-only
"""Reports of coverage, mutants and RAM thresholds: terminal tables, Markdown, SVG."""

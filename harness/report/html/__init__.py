# SPDX-License-Identifier: GPL-2.0-only
"""The self-contained HTML pages: render fills templates with the view models of the others.

page and cell_panel are the report of a run, plots and timeline its plots, coverage the diffs with
counts; page.html, page.js and the CSS files lie beside them.
"""

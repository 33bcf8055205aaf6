# SPDX-License-Identifier: GPL-2.0-only
"""The command line: main parses and reports errors, each module of commands/ is one command.

scaffold/ holds the templates of ``harness new``.
"""

# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts from what a guest printed; pure: no files, processes or clocks.

klog cuts a kernel log into lines; ktap, splat (with its rules) and oom read them; log_facts does
all that in one pass and attributes splats to cases. judge makes a cell's verdict of it, with
phases for the time around the test. marks, symbols, task_dump and boot_profile serve timelines,
stacks and boots; changes and flaky compare verdicts of a run.
"""

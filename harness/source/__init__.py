# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees and series: fetched, verified, cut into patches, applied."""

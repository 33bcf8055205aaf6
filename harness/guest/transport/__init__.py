# SPDX-License-Identifier: GPL-2.0-only
"""The ways to and from a guest: console, agent, SSH."""

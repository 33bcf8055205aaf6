# SPDX-License-Identifier: GPL-2.0-only
"""One module for each way to name a kernel tree; a new file here is a new scheme."""

/* SPDX-License-Identifier: GPL-2.0-only */
#define TOY_PAGE 4096

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Figures of a case, for people and for a comparison of positions: they judge nothing. A line
 * "# <case>: measure: <name> <value> <unit>" in the case's diagnostics, which the run record keeps
 * and reports show. Names have no space in them.
 */
#ifndef HARNESS_MEASURE_H
#define HARNESS_MEASURE_H

#include <harness/compat.h>

#define measure(test, name, value, unit)						\
	kunit_info(test, "measure: %s %llu %s\n", name, (unsigned long long)(value), unit)

#endif

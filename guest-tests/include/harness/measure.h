/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Figures of a case, for people and for a comparison of positions: they judge nothing. A line
 * "# <case>: measure: <name> <value> <unit>" in the case's diagnostics, which the run record keeps
 * and reports show.
 */
#ifndef HARNESS_MEASURE_H
#define HARNESS_MEASURE_H

#include <harness/compat.h>

/**
 * measure() - print a figure of a case
 * @test: the case
 * @name: of the figure, without spaces
 * @value: the figure, not negative
 * @unit: of the figure
 */
#define measure(test, name, value, unit)						\
	kunit_info(test, "measure: %s %llu %s\n", name, (unsigned long long)(value), unit)

#endif

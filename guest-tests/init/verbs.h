/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host may ask for. */
#ifndef INIT_VERBS_H
#define INIT_VERBS_H

/**
 * verb_line() - do what a line asks for
 * @line: a verb, the id of the request, arguments; overwritten
 */
void verb_line(char *line);

#endif

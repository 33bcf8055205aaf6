/* SPDX-License-Identifier: GPL-2.0-only */
/* Percent encoding of one word of a protocol line. */
#ifndef INIT_ENCODE_H
#define INIT_ENCODE_H

#include <stddef.h>

/**
 * encode_word() - encode bytes as one word
 * @to: the word, NUL-ended
 * @room: bytes at @to, the NUL included
 * @from: bytes to encode
 * @len: how many
 * @used: set to how many of @from are in the word; may be NULL
 *
 * Stops before a byte that does not fit.
 *
 * Return: length of the word.
 */
size_t encode_word(char *to, size_t room, const char *from, size_t len, size_t *used);

/**
 * decode_word() - decode a word in place
 * @word: the word; a "%" without two hex digits stays as it is
 */
void decode_word(char *word);

#endif

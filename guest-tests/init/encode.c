// SPDX-License-Identifier: GPL-2.0-only
/* Percent encoding: words of the protocol hold no space, no control byte, nothing above ASCII. */
#include <stdbool.h>

#include "encode.h"

static bool plain(unsigned char byte)
{
	return byte > ' ' && byte < 0x7f && byte != '%';
}

size_t encode_word(char *to, size_t room, const char *from, size_t len, size_t *used)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t out = 0, i;

	for (i = 0; i < len; i++) {
		unsigned char byte = from[i];
		size_t need = plain(byte) ? 1 : 3;

		if (out + need + 1 > room)
			break;
		if (need == 1) {
			to[out++] = byte;
			continue;
		}
		to[out++] = '%';
		to[out++] = hex[byte >> 4];
		to[out++] = hex[byte & 15];
	}
	to[out] = '\0';
	if (used)
		*used = i;
	return out;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

void decode_word(char *word)
{
	char *to = word;

	while (*word) {
		int high = *word == '%' ? digit(word[1]) : -1;
		int low = high >= 0 ? digit(word[2]) : -1;

		if (low >= 0) {
			*to++ = high << 4 | low;
			word += 3;
		} else {
			*to++ = *word++;
		}
	}
	*to = '\0';
}

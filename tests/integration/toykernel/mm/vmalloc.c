// SPDX-License-Identifier: GPL-2.0-only

/* First function: patches change it. */
int toy_alloc(int size)
{
	if (size < 0)
		return -1;

	return size;
}

/* In between: lines that keep the two apart. */
int toy_between(int size)
{
	int sum = 0;

	while (size > 0)
		sum += size--;

	return sum;
}

/* Last function: patches change it too. */
int toy_free(int size)
{
	return size - 1;
}

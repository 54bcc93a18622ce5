// The loops that bench/languages measures.
#include <stdint.h>
#include <stdlib.h>

#define EXPORT(name) __attribute__((export_name(#name)))

EXPORT(primes) int32_t primes(int32_t n) {
	uint8_t *composite = calloc((size_t)n + 1, 1);
	if (composite == NULL)
		abort();
	int32_t count = 0;
	for (int32_t i = 2; i <= n; i++) {
		if (composite[i])
			continue;
		count++;
		for (int64_t j = (int64_t)i * i; j <= n; j += i)
			composite[j] = 1;
	}
	free(composite);
	return count;
}

EXPORT(series) double series(int32_t n) {
	double sum = 0;
	for (int32_t i = 1; i <= n; i++)
		sum += 1 / ((double)i * i);
	return sum;
}

EXPORT(mix) int64_t mix(int32_t n) {
	uint64_t x = 1;
	for (int32_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return (int64_t)x;
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Multiply-adds per second that one core can do at most: independent chains in registers, nothing else.
 * Compiled by race.py for the CPU it runs on.
 */
#include <stdint.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float floats __attribute__((vector_size(BYTES)));
typedef double doubles __attribute__((vector_size(BYTES)));

#define CHAINS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define DEFINE(NAME, VECTOR, TYPE) \
    double NAME(int64_t rounds, double x)       /* returns how many multiply-adds were done, for x = 0 */ \
    { \
        VECTOR b = {0}, c = {0}, s = {0}; \
        VECTOR a0 = b, a1 = b + 1, a2 = b + 2, a3 = b + 3, a4 = b + 4, a5 = b + 5; \
        VECTOR a6 = b + 6, a7 = b + 7, a8 = b + 8, a9 = b + 9, a10 = b + 10, a11 = b + 11; \
        b += (TYPE)x; \
        c += (TYPE)x; \
        for (int64_t i = 0; i < rounds; i++) { CHAINS(MULTIPLY) } \
        CHAINS(SUM) \
        return 0 * (double)s[0] + 12.0 * (double)rounds * (double)(BYTES / sizeof(TYPE)); \
    }
#define MULTIPLY(i) a##i = a##i * b + c;
#define SUM(i) s += a##i;

DEFINE(peak_float32, floats, float)
DEFINE(peak_float64, doubles, double)

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the core: arithmetic of sizes.
 */
#ifndef CCONV_SIZES_H
#define CCONV_SIZES_H

#include "impl.h"

#define LARGEST ((int64_t)1 << 61)      /* of a size with its borders: sums of three do not overflow */
#define MEMORY ((int64_t)1 << 56)       /* values of an array or a workspace */

CCONV_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
CCONV_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
CCONV_INLINE int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
CCONV_INLINE int64_t parts(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* At least n values, an odd number of lines of a cache (of double, twice that): what is read together of rows or planes that far apart
 * falls on different sets. */
CCONV_INLINE int64_t odd_lines(int64_t n) { return up(n, 32) + 16; }

/* n values, and a line more where that many, a multiple of a power of 2, lie from one to the next on few sets. */
CCONV_INLINE int64_t off_power(int64_t n) { return n % 256 == 0 ? n + 16 : n; }

CCONV_INLINE int64_t gcd(int64_t a, int64_t b)
{
    while (b) { int64_t r = a % b; a = b; b = r; }
    return a;
}

/* a * b, or LARGEST + 1 where that is exceeded; a and b are at most LARGEST + 1. */
CCONV_INLINE int64_t times(int64_t a, int64_t b) { return b != 0 && a > LARGEST / b ? LARGEST + 1 : a * b; }

/* Tasks for several workers, if there is so much to multiply. */
CCONV_INLINE int64_t shares_of(int64_t work) { return most(SHARES, least(MOST_SHARES, work / SHARED_WORK)); }

#endif

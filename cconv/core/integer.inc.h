/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel of integer.c, for vectors of BYTES bytes.
 *
 * Before it is included, the instruction set defines NAME, BYTES, BYTES_AT(p) and STORE_BYTES(p, v), a vector W of half as many 16-bit
 * words without sign with WORDS(x), PLUS(a, b), AND(a, b), RIGHT(v, n), LESS(a, b) (0 where b is more), LARGER(a, b), SMALLER(a, b),
 * and three that agree on the order of words:
 *     TWO_TAPS(a, b, w, low, high)    a pair's products are added to the words of either half
 *     NARROWED(low, high)             the bytes, of words below 256
 *     STORE_WORDS(p, low, high)       the words in order
 * TAPS_OF(p) makes w, a vector TAPS, of a pair of weights, which lie there twice.
 */

CCONV_INLINE W NAME(rounded)(W v, const cconv_rounding *r)
{
    if (r->shift) {                 /* half to even: a bit less than a half, and one where the quotient is odd */
        const W odd = AND(RIGHT(v, r->shift), WORDS(1));
        v = RIGHT(PLUS(v, PLUS(odd, WORDS((1 << (r->shift - 1)) - 1))), r->shift);
    }
    return SMALLER(LARGER(LESS(v, WORDS(r->start >> r->shift)), WORDS(r->low)), WORDS(r->high));
}

static void NAME(integer)(const uint8_t *x, const ptrdiff_t *offset, const int8_t *w, int64_t pairs, int64_t n, void *y,
                          const cconv_rounding *r)
{
    uint8_t last[4 * BYTES];
    int64_t j, t;
    for (j = 0; j < n; j += 2 * BYTES) {
        const int64_t left = n - j < 2 * BYTES ? n - j : 2 * BYTES;
        W a = WORDS(r->start), b = a, c = a, d = a;
        for (t = 0; t < pairs; t++) {
            const uint8_t *first = x + offset[2 * t] + j, *second = x + offset[2 * t + 1] + j;
            const TAPS both = TAPS_OF(w + 4 * t);
            TWO_TAPS(BYTES_AT(first), BYTES_AT(second), both, a, b);
            TWO_TAPS(BYTES_AT(first + BYTES), BYTES_AT(second + BYTES), both, c, d);
        }
        if (r->words) {
            uint16_t *to = left == 2 * BYTES ? (uint16_t *)y + j : (uint16_t *)(void *)last;
            STORE_WORDS(to, a, b);
            STORE_WORDS(to + BYTES, c, d);
            if (left < 2 * BYTES) memcpy((uint16_t *)y + j, last, (size_t)left * sizeof *to);
        } else {
            uint8_t *to = left == 2 * BYTES ? (uint8_t *)y + j : last;
            STORE_BYTES(to, NARROWED(NAME(rounded)(a, r), NAME(rounded)(b, r)));
            STORE_BYTES(to + BYTES, NARROWED(NAME(rounded)(c, r), NAME(rounded)(d, r)));
            if (left < 2 * BYTES) memcpy((uint8_t *)y + j, last, (size_t)left);
        }
    }
}

#undef NAME
#undef BYTES
#undef W
#undef TAPS
#undef BYTES_AT
#undef STORE_BYTES
#undef WORDS
#undef PLUS
#undef AND
#undef RIGHT
#undef LESS
#undef LARGER
#undef SMALLER
#undef TWO_TAPS
#undef NARROWED
#undef STORE_WORDS
#undef TAPS_OF

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels of fft.c: transforms along columns, a vector of columns at a time, and what happens between them.
 * Part of kernels.inc.h.
 *
 * Radix 4, in place, without reordering: the forward transform leaves frequencies in the order of their digits (fft.c),
 * from which the inverse sets out.  `roots` holds for each stage and k the real and imaginary parts of w^k, w^2k, w^3k.
 */

#define SUB(a, b) FMA(minus, b, a)

/* Butterflies of one k of a stage, in `blocks` blocks of `length` rows: rows k, k + quarter, ... */
CCONV_INLINE void NAME(forward_stage)(const int turned, T *re, T *im, ptrdiff_t pitch, int64_t length, int64_t blocks, const T *w)
{
    const ptrdiff_t quarter = (ptrdiff_t)(length / 4) * pitch, next = (ptrdiff_t)length * pitch;
    const V minus = SET1(-1);
    for (; blocks > 0; blocks--, re += next, im += next) {
        const V x0 = LOAD(re), x1 = LOAD(re + quarter), x2 = LOAD(re + 2 * quarter), x3 = LOAD(re + 3 * quarter);
        const V y0 = LOAD(im), y1 = LOAD(im + quarter), y2 = LOAD(im + 2 * quarter), y3 = LOAD(im + 3 * quarter);
        const V even = ADD(x0, x2), odd = ADD(x1, x3), a = SUB(x0, x2), b = SUB(x1, x3);
        const V even_i = ADD(y0, y2), odd_i = ADD(y1, y3), a_i = SUB(y0, y2), b_i = SUB(y1, y3);
        const V p = ADD(a, b_i), p_i = SUB(a_i, b), q = SUB(even, odd), q_i = SUB(even_i, odd_i), r = SUB(a, b_i), r_i = ADD(a_i, b);
        STORE(re, ADD(even, odd));
        STORE(im, ADD(even_i, odd_i));
        if (turned) {
            const V nothing = ZERO();
            STORE(re + quarter, FMA(SET1(-w[1]), p_i, FMA(SET1(w[0]), p, nothing)));
            STORE(im + quarter, FMA(SET1(w[1]), p, FMA(SET1(w[0]), p_i, nothing)));
            STORE(re + 2 * quarter, FMA(SET1(-w[3]), q_i, FMA(SET1(w[2]), q, nothing)));
            STORE(im + 2 * quarter, FMA(SET1(w[3]), q, FMA(SET1(w[2]), q_i, nothing)));
            STORE(re + 3 * quarter, FMA(SET1(-w[5]), r_i, FMA(SET1(w[4]), r, nothing)));
            STORE(im + 3 * quarter, FMA(SET1(w[5]), r, FMA(SET1(w[4]), r_i, nothing)));
        } else {
            STORE(re + quarter, p);
            STORE(im + quarter, p_i);
            STORE(re + 2 * quarter, q);
            STORE(im + 2 * quarter, q_i);
            STORE(re + 3 * quarter, r);
            STORE(im + 3 * quarter, r_i);
        }
    }
}

CCONV_INLINE void NAME(inverse_stage)(const int turned, T *re, T *im, ptrdiff_t pitch, int64_t length, int64_t blocks, const T *w)
{
    const ptrdiff_t quarter = (ptrdiff_t)(length / 4) * pitch, next = (ptrdiff_t)length * pitch;
    const V minus = SET1(-1), nothing = ZERO();
    for (; blocks > 0; blocks--, re += next, im += next) {
        const V x1 = LOAD(re + quarter), x2 = LOAD(re + 2 * quarter), x3 = LOAD(re + 3 * quarter), t0 = LOAD(re), t0_i = LOAD(im);
        const V y1 = LOAD(im + quarter), y2 = LOAD(im + 2 * quarter), y3 = LOAD(im + 3 * quarter);
        const V t1 = turned ? FMA(SET1(w[1]), y1, FMA(SET1(w[0]), x1, nothing)) : x1;
        const V t1_i = turned ? FMA(SET1(-w[1]), x1, FMA(SET1(w[0]), y1, nothing)) : y1;
        const V t2 = turned ? FMA(SET1(w[3]), y2, FMA(SET1(w[2]), x2, nothing)) : x2;
        const V t2_i = turned ? FMA(SET1(-w[3]), x2, FMA(SET1(w[2]), y2, nothing)) : y2;
        const V t3 = turned ? FMA(SET1(w[5]), y3, FMA(SET1(w[4]), x3, nothing)) : x3;
        const V t3_i = turned ? FMA(SET1(-w[5]), x3, FMA(SET1(w[4]), y3, nothing)) : y3;
        const V even = ADD(t0, t2), even_i = ADD(t0_i, t2_i), a = SUB(t0, t2), a_i = SUB(t0_i, t2_i);
        const V odd = ADD(t1, t3), odd_i = ADD(t1_i, t3_i), b = SUB(t1, t3), b_i = SUB(t1_i, t3_i);
        STORE(re, ADD(even, odd));
        STORE(im, ADD(even_i, odd_i));
        STORE(re + quarter, SUB(a, b_i));
        STORE(im + quarter, ADD(a_i, b));
        STORE(re + 2 * quarter, SUB(even, odd));
        STORE(im + 2 * quarter, SUB(even_i, odd_i));
        STORE(re + 3 * quarter, ADD(a, b_i));
        STORE(im + 3 * quarter, SUB(a_i, b));
    }
}

/* The last stage of the forward transform, and the first of the inverse, where the length is no power of 4. */
CCONV_INLINE void NAME(pairs)(T *x, ptrdiff_t pitch, int64_t length)
{
    const V minus = SET1(-1);
    for (; length > 0; length -= 2, x += 2 * pitch) {
        const V a = LOAD(x), b = LOAD(x + pitch);
        STORE(x, ADD(a, b));
        STORE(x + pitch, SUB(a, b));
    }
}

#undef SUB

/* `length` rows of n values each, rounded up to whole vectors. */
static void NAME(to_frequencies)(void *re_, void *im_, ptrdiff_t pitch, int64_t length, int64_t n, const void *roots)
{
    T *re = (T *)re_, *im = (T *)im_;
    int64_t j, l, k;
    for (j = 0; j < n; j += LANES, re += LANES, im += LANES) {
        const T *w = (const T *)roots;
        for (l = length; l > 2; l /= 4)
            for (k = 0; k < l / 4; k++, w += 6) {
                if (k) NAME(forward_stage)(1, re + k * pitch, im + k * pitch, pitch, l, length / l, w);
                else NAME(forward_stage)(0, re, im, pitch, l, length / l, w);
            }
        if (l == 2) {
            NAME(pairs)(re, pitch, length);
            NAME(pairs)(im, pitch, length);
        }
    }
}

static void NAME(from_frequencies)(void *re_, void *im_, ptrdiff_t pitch, int64_t length, int64_t n, const void *roots)
{
    T *re = (T *)re_, *im = (T *)im_;
    int64_t j, l, k, first = length, used = 0;
    for (l = length; l > 2; first = l, l /= 4) used += 6 * (l / 4);
    for (j = 0; j < n; j += LANES, re += LANES, im += LANES) {
        const T *w = (const T *)roots + used;
        if (l == 2) {
            NAME(pairs)(re, pitch, length);
            NAME(pairs)(im, pitch, length);
        }
        for (k = first; k <= length; k *= 4) {
            int64_t i;
            w -= 6 * (k / 4);
            NAME(inverse_stage)(0, re, im, pitch, k, length / k, w);
            for (i = 1; i < k / 4; i++) NAME(inverse_stage)(1, re + i * pitch, im + i * pitch, pitch, k, length / k, w + 6 * i);
        }
    }
}

/* NV vectors of one frequency: y[j] = sum over taps t of w[t] * x[j + t * step], complex; w: real, imaginary, - imaginary. */
CCONV_INLINE void NAME(frequency)(const int NV, T *re, T *im, int64_t taps, ptrdiff_t step, const T *w)
{
    V a[4], b[4];
    const T *x = re, *y = im;
    int64_t t;
#define EACH_V(DO) DO(0) DO(1) DO(2) DO(3)
#define START(v) a[v] = b[v] = ZERO();
    EACH_V(START)
#undef START
    for (t = 0; t < taps; t++, x += step, y += step, w += 3) {
        const V real = SET1(w[0]), imaginary = SET1(w[1]), minus = SET1(w[2]);
#define MULTIPLY(v) \
        if (v < NV) { \
            const V u = LOAD(x + v * LANES), i = LOAD(y + v * LANES); \
            a[v] = FMA(minus, i, FMA(real, u, a[v])); \
            b[v] = FMA(real, i, FMA(imaginary, u, b[v])); \
        }
        EACH_V(MULTIPLY)
#undef MULTIPLY
    }
#define FINISH(v) if (v < NV) { STORE(re + v * LANES, a[v]); STORE(im + v * LANES, b[v]); }
    EACH_V(FINISH)
#undef FINISH
#undef EACH_V
}

/* n values of a row of each of `length` frequencies, in place; w: of `taps` taps for each. */
static void NAME(multiply_frequencies)(void *re_, void *im_, ptrdiff_t pitch, int64_t length, int64_t n, int64_t taps, ptrdiff_t step,
                                       const void *w_)
{
    T *re = (T *)re_, *im = (T *)im_;
    const T *w = (const T *)w_;
    int64_t j;
    for (; length > 0; length--, re += pitch, im += pitch, w += 3 * taps) {
        for (j = 0; j + 2 * LANES < n; j += 4 * LANES) NAME(frequency)(4, re + j, im + j, taps, step, w);
        for (; j < n; j += LANES) NAME(frequency)(1, re + j, im + j, taps, step, w);
    }
}

/* n values, each with a factor of its own: the real parts of all, then the imaginary ones. */
static void NAME(multiply_each)(void *re_, void *im_, int64_t n, const void *w_)
{
    T *re = (T *)re_, *im = (T *)im_;
    const T *w = (const T *)w_, *w_i = w + n;
    const V minus = SET1(-1), nothing = ZERO();
    int64_t j;
    for (j = 0; j < n; j += LANES) {
        const V x = LOAD(re + j), y = LOAD(im + j), u = LOAD(w + j), v = LOAD(w_i + j);
        STORE(re + j, FMA(FMA(minus, v, nothing), y, FMA(u, x, nothing)));
        STORE(im + j, FMA(v, x, FMA(u, y, nothing)));
    }
}

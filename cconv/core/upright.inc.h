/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels of upright.c besides its multiplications.  Part of kernels.inc.h, after winograd.inc.h.
 */

/* The transform of six rows of n values to six of products, y_step apart.  `spoilt` is as for `deal`; the first rows, `seen`, were looked at
 * before. */
static void NAME(lift)(const void *const *rows, void *y_, ptrdiff_t y_step, int64_t n, int64_t seen, double scale, void *spoilt_)
{
    const T *x[6];
    T *y = (T *)y_, *spoilt = (T *)spoilt_;
    const V factor = SET1((T)scale), nothing = ZERO();
    V sum = ZERO();
    int64_t i, r;
    for (r = 0; r < 6; r++) x[r] = (const T *)rows[r];
    for (i = 0; i < n; i += LANES, y += LANES) {
        for (r = seen; r < 6; r++) sum = FMA(FMA(LOAD(x[r] + i), factor, nothing), nothing, sum);
        NAME(forward_axis_4)(x[0] + i, x[1] + i, x[2] + i, x[3] + i, x[4] + i, x[5] + i, y, y_step);
    }
    STORE(spoilt, ADD(LOAD(spoilt), sum));
}

/* The transform back of lines of n sums, s_line values apart, six of each value, s_step apart, to M rows, of which the first `rows` are
 * wanted.  The bias is one of a line, or one of a value. */
CCONV_INLINE void NAME(settle_lines)(const int M, const int CLIPS, const void *s_, ptrdiff_t s_step, ptrdiff_t s_line, const void *bias_, int bias_of_line, const void *clip_,
                                     void *y_, ptrdiff_t y_row, ptrdiff_t y_line, int64_t rows, int64_t lines, int64_t n, int stream)
{
    const T *bias = (const T *)bias_;
    const NAME(bounds) clip = NAME(bounds_of)(clip_);
    const V minus = SET1(-1), quarter = SET1((T)0.25), half = SET1((T)0.5), two = SET1(2), four = SET1(4), eight = SET1(8);
    const V near = SET1((T)SQRT_HALF), half_near = SET1((T)(SQRT_HALF / 2));
    int64_t l, i;
    for (l = 0; l < lines; l++) {
        const T *s = (const T *)s_ + l * s_line;
        T *y = (T *)y_ + l * y_line;
        const int64_t past = stream && WHOLE_LINES(LINE_VALUES / LANES, y, y_row) ? n / LINE_VALUES * LINE_VALUES : 0;
        for (i = 0; i < n; i += LANES, s += LANES, y += LANES) {
            const int64_t last = n - i < LANES ? n - i : LANES;
            const V start = bias_of_line ? SET1(bias[l]) : LOAD(bias + i);
            const V m0 = LOAD(s), m1 = LOAD(s + s_step), m2 = LOAD(s + 2 * s_step);
            const V m3 = LOAD(s + 3 * s_step), m4 = LOAD(s + 4 * s_step), end = ADD(LOAD(s + 5 * s_step), start);
            const V even = ADD(m1, m2), odd = FMA(minus, m2, m1), more_even = ADD(m3, m4), more_odd = FMA(minus, m4, m3);
#define ROW(k, value) \
            if (k < M && k < rows) { \
                V v = value; \
                if (CLIPS) { CLIP(clip, RAISE(v), LOWER(v)) } \
                if (i < past) STREAM(y + k * y_row, v); \
                else STORE_UP_TO(y + k * y_row, last, v); \
            }
            ROW(0, ADD(ADD(m0, ADD(even, more_even)), start))
            ROW(1, FMA(near, FMA(two, more_odd, odd), M == 2 ? end : start))
            ROW(2, FMA(two, more_even, FMA(half, even, M == 3 ? end : start)))
            ROW(3, FMA(half_near, FMA(eight, more_odd, odd), M == 4 ? end : start))
            ROW(4, FMA(four, more_even, FMA(quarter, even, end)))
#undef ROW
        }
        CLIP_AFTER((T *)y_ + l * y_line, y_row, rows, n, clip_)
    }
}

/* With bounds, for any M: their branches would slow those down that have none. */
CCONV_ALONE void NAME(settle_within)(int M, const void *s, ptrdiff_t s_step, ptrdiff_t s_line, const void *bias, int bias_of_line, const void *clip, void *y,
                                     ptrdiff_t y_row, ptrdiff_t y_line, int64_t rows, int64_t lines, int64_t n, int stream)
{
    NAME(settle_lines)(M, 1, s, s_step, s_line, bias, bias_of_line, clip, y, y_row, y_line, rows, lines, n, stream);
}

#define DEFINE_SETTLE(M) \
    static void NAME(settle_##M)(const void *s, ptrdiff_t s_step, ptrdiff_t s_line, const void *bias, int bias_of_line, const void *clip, void *y, \
                                 ptrdiff_t y_row, ptrdiff_t y_line, int64_t rows, int64_t lines, int64_t n, int stream) \
    { \
        if (CLIP_AT_ONCE(clip)) NAME(settle_within)(M, s, s_step, s_line, bias, bias_of_line, clip, y, y_row, y_line, rows, lines, n, stream); \
        else NAME(settle_lines)(M, 0, s, s_step, s_line, bias, bias_of_line, clip, y, y_row, y_line, rows, lines, n, stream); \
    }
DEFINE_SETTLE(2) DEFINE_SETTLE(3) DEFINE_SETTLE(4) DEFINE_SETTLE(5)
#undef DEFINE_SETTLE

/* The transform of five weights below each other, n times, in double, then rounded; f: 0 for those that there are not, else 1. */
CCONV_INLINE void NAME(raise_rows)(const T *CCONV_RESTRICT a, const T *CCONV_RESTRICT b, const T *CCONV_RESTRICT c, const T *CCONV_RESTRICT d,
                                   const T *CCONV_RESTRICT e, const double f[5], T *CCONV_RESTRICT u1, T *CCONV_RESTRICT u2, T *CCONV_RESTRICT u3,
                                   T *CCONV_RESTRICT u4, int64_t n)
{
    const double fa = f[0], fb = f[1] * SQRT_HALF, fc = f[2] * 0.5, fd = f[3] * SQRT_HALF * 0.5, fe = f[4] * 0.25;
    int64_t i;
    for (i = 0; i < n; i++) {
        const double even = (fa * (double)a[i] + fc * (double)c[i] + fe * (double)e[i]) * (-2 / 3.0);
        const double odd = (fb * (double)b[i] + fd * (double)d[i]) * (-2 / 3.0);
        const double more_even = (fa * (double)a[i] + 4 * fc * (double)c[i] + 16 * fe * (double)e[i]) * (1 / 6.0);
        const double more_odd = (fb * (double)b[i] + 4 * fd * (double)d[i]) * (1 / 3.0);
        u1[i] = (T)(even + odd);
        u2[i] = (T)(even - odd);
        u3[i] = (T)(more_even + more_odd);
        u4[i] = (T)(more_even - more_odd);
    }
}

/* Rows of n weights, of each phase of the stride `blocks` of `taps`, to six rows of n, u_step apart. */
static void NAME(raise)(const void *w_, int64_t rows, int64_t stride, int64_t taps, int64_t blocks, int64_t n, void *u_, ptrdiff_t u_step)
{
    const T *w = (const T *)w_;
    T *u = (T *)u_;
    int64_t q, b, i;
    for (q = 0; q < stride && q < rows; q++)
        for (b = 0; b < blocks; b++, u += n) {
            const T *k[5];
            double f[5];
            for (i = 0; i < 5; i++) {
                const int64_t row = q + (b * taps + i) * stride;
                f[i] = i < taps && row < rows;
                k[i] = f[i] != 0 ? w + row * n : w;
            }
            NAME(raise_rows)(k[0], k[1], k[2], k[3], k[4], f, u + u_step, u + 2 * u_step, u + 3 * u_step, u + 4 * u_step, n);
            if (f[0] != 0) memcpy(u, k[0], (size_t)n * sizeof(T));
            else memset(u, 0, (size_t)n * sizeof(T));
            if (f[taps - 1] != 0) memcpy(u + 5 * u_step, k[taps - 1], (size_t)n * sizeof(T));
            else memset(u + 5 * u_step, 0, (size_t)n * sizeof(T));
        }
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels of upright.c besides its multiplications.  Part of kernels.inc.h, after winograd.inc.h.
 */

/* The transform of six rows of n values, x_row values apart, to six of products, y_step apart.  `spoilt` is as for `deal`; rows before
 * `unseen` were looked at before. */
static void NAME(lift)(const void *x_, ptrdiff_t x_row, void *y_, ptrdiff_t y_step, int64_t n, int64_t unseen, double scale, void *spoilt_)
{
    const T *x = (const T *)x_;
    T *y = (T *)y_, *spoilt = (T *)spoilt_;
    const V factor = SET1((T)scale), nothing = ZERO();
    V sum = LOAD(spoilt);
    int64_t i, r;
    for (i = 0; i < n; i += LANES, x += LANES, y += LANES) {
        for (r = unseen; r < 6; r++) sum = FMA(FMA(LOAD(x + r * x_row), factor, nothing), nothing, sum);
        NAME(forward_axis_4)(x, x + x_row, x + 2 * x_row, x + 3 * x_row, x + 4 * x_row, x + 5 * x_row, y, y_step);
    }
    STORE(spoilt, sum);
}

/* The transform back of lines of n sums, s_line values apart, six of each value, s_step apart, to M rows, of which the first `rows` are
 * wanted.  The bias is one of a line, or one of a value. */
CCONV_INLINE void NAME(settle)(const int M, const void *s_, ptrdiff_t s_step, ptrdiff_t s_line, const void *bias_, int bias_of_line, void *y_,
                               ptrdiff_t y_row, ptrdiff_t y_line, int64_t rows, int64_t lines, int64_t n, int stream)
{
    const T *bias = (const T *)bias_;
    const V minus = SET1(-1), quarter = SET1((T)0.25), half = SET1((T)0.5), two = SET1(2), four = SET1(4), eight = SET1(8);
    const V near = SET1((T)SQRT_HALF), half_near = SET1((T)(SQRT_HALF / 2));
    int64_t l, i;
    for (l = 0; l < lines; l++) {
        const T *s = (const T *)s_ + l * s_line;
        T *y = (T *)y_ + l * y_line;
        const int past = stream && WHOLE_LINES(1, y, y_row);
        for (i = 0; i < n; i += LANES, s += LANES, y += LANES) {
            const int64_t last = n - i < LANES ? n - i : LANES;
            const V start = bias_of_line ? SET1(bias[l]) : LOAD(bias + i);
            const V m0 = LOAD(s), m1 = LOAD(s + s_step), m2 = LOAD(s + 2 * s_step);
            const V m3 = LOAD(s + 3 * s_step), m4 = LOAD(s + 4 * s_step), end = ADD(LOAD(s + 5 * s_step), start);
            const V even = ADD(m1, m2), odd = FMA(minus, m2, m1), more_even = ADD(m3, m4), more_odd = FMA(minus, m4, m3);
#define ROW(k, value) \
            if (k < M && k < rows) { \
                const V v = value; \
                if (past && last == LANES) STREAM(y + k * y_row, v); \
                else if (last == LANES) STORE(y + k * y_row, v); \
                else STORE_PART(y + k * y_row, last, v); \
            }
            ROW(0, ADD(ADD(m0, ADD(even, more_even)), start))
            ROW(1, FMA(near, FMA(two, more_odd, odd), M == 2 ? end : start))
            ROW(2, FMA(two, more_even, FMA(half, even, M == 3 ? end : start)))
            ROW(3, FMA(half_near, FMA(eight, more_odd, odd), M == 4 ? end : start))
            ROW(4, FMA(four, more_even, FMA(quarter, even, end)))
#undef ROW
        }
    }
}

#define DEFINE_SETTLE(M) \
    static void NAME(settle_##M)(const void *s, ptrdiff_t s_step, ptrdiff_t s_line, const void *bias, int bias_of_line, void *y, \
                                 ptrdiff_t y_row, ptrdiff_t y_line, int64_t rows, int64_t lines, int64_t n, int stream) \
    { NAME(settle)(M, s, s_step, s_line, bias, bias_of_line, y, y_row, y_line, rows, lines, n, stream); }
DEFINE_SETTLE(2) DEFINE_SETTLE(3) DEFINE_SETTLE(4) DEFINE_SETTLE(5)
#undef DEFINE_SETTLE

/* The transform of a kernel of rows x columns weights for n outputs, in double, then rounded: of each column the weights of each phase of
 * the stride, of which there are up to `taps`, to six, u_step apart; in the order of (phase, column). */
static void NAME(raise)(const void *w_, int64_t rows, int64_t columns, int64_t stride, int64_t taps, int64_t n, void *u_, ptrdiff_t u_step)
{
    static const T none[2 * MAX_VECTOR] = {0};
    const int64_t step = stride * columns * n;
    T *u = (T *)u_;
    int64_t q, x, o, i;
    for (q = 0; q < stride && q < rows; q++)
        for (x = 0; x < columns; x++, u += n) {
            const T *w = (const T *)w_ + (q * columns + x) * n, *k[5];
            for (i = 0; i < 5; i++) k[i] = q + i * stride < rows ? w + i * step : none;
            for (o = 0; o < n; o++) {
                const double a = (double)k[0][o], b = (double)k[1][o], c = (double)k[2][o], d = (double)k[3][o], e = (double)k[4][o];
                const double even = (a + 0.5 * c + 0.25 * e) * (-2 / 3.0), odd = (b + 0.5 * d) * (-2 / 3.0 * SQRT_HALF);
                const double more_even = (a + 2 * c + 4 * e) * (1 / 6.0), more_odd = (b + 2 * d) * (SQRT_2 / 6);
                u[o] = (T)a;
                u[o + u_step] = (T)(even + odd);
                u[o + 2 * u_step] = (T)(even - odd);
                u[o + 3 * u_step] = (T)(more_even + more_odd);
                u[o + 4 * u_step] = (T)(more_even - more_odd);
                u[o + 5 * u_step] = k[taps - 1][o];
            }
        }
}

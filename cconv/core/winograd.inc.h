/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels of winograd.c besides its multiplications, for tiles of 4x4 outputs, of 2x2, and of 2x2 with a stride of 2.
 * Part of kernels.inc.h.
 */

/* Every fourth value of a row, from each of its first six: y[j * y_step + i] = x[4 * i + j], i < n.  `spoilt` is added
 * a NaN for values that are not finite, or are not when multiplied by `scale`. */
static void NAME(deal_4)(const void *x_, void *y_, ptrdiff_t y_step, int64_t n, double scale, void *spoilt_)
{
    const T *x = (const T *)x_;
    T *y = (T *)y_, *spoilt = (T *)spoilt_;
    const V factor = SET1((T)scale), nothing = ZERO();
    V sum = ZERO();
    int64_t i;
    for (i = 0; i < n; i += LANES, x += 4 * LANES, y += LANES) {
        const V a = LOAD(x), b = LOAD(x + LANES), e = LOAD(x + 4), f = LOAD(x + LANES + 4), even = EVENS(a, b), odd = ODDS(a, b);
        V c = b, d = b, g = f, h = f, more_even = even, more_odd = odd;
        sum = FMA(FMA(a, factor, nothing), nothing, sum);
        sum = FMA(FMA(b, factor, nothing), nothing, sum);
        if (LANES < 4 || n - i > LANES / 2) {       /* else the first two hold all, with the end of f */
            c = LOAD(x + 2 * LANES), d = LOAD(x + 3 * LANES), g = LOAD(x + 2 * LANES + 4), h = LOAD(x + 3 * LANES + 4);
            more_even = EVENS(c, d), more_odd = ODDS(c, d);
            sum = FMA(FMA(c, factor, nothing), nothing, sum);
            sum = FMA(FMA(d, factor, nothing), nothing, sum);
        }
        sum = FMA(FMA(h, factor, nothing), nothing, sum);   /* the last 4 values; of short vectors more */
        if (LANES < 4) sum = FMA(FMA(g, factor, nothing), nothing, sum);
        if (LANES < 2) sum = FMA(FMA(f, factor, nothing), nothing, FMA(FMA(e, factor, nothing), nothing, sum));
        STORE(y, EVENS(even, more_even));
        STORE(y + y_step, EVENS(odd, more_odd));
        STORE(y + 2 * y_step, ODDS(even, more_even));
        STORE(y + 3 * y_step, ODDS(odd, more_odd));
        STORE(y + 4 * y_step, EVENS(EVENS(e, f), EVENS(g, h)));
        STORE(y + 5 * y_step, EVENS(ODDS(e, f), ODDS(g, h)));
    }
    STORE(spoilt, ADD(LOAD(spoilt), sum));
}

/* The input's transform along an axis: six values in, six out. */
CCONV_INLINE void NAME(forward_axis_4)(const T *x0, const T *x1, const T *x2, const T *x3, const T *x4, const T *x5, T *y, ptrdiff_t step)
{
    const V half = SET1((T)-0.5), two = SET1((T)-2), sum = SET1((T)-2.5);
    const V near = SET1((T)SQRT_HALF), minus_near = SET1((T)-SQRT_HALF), far = SET1((T)SQRT_2), minus_far = SET1((T)-SQRT_2);
    const V d0 = LOAD(x0), d1 = LOAD(x1), d2 = LOAD(x2), d3 = LOAD(x3), d4 = LOAD(x4), d5 = LOAD(x5);
    const V even = FMA(two, d2, d4), odd = FMA(two, d1, d3), more_even = FMA(half, d2, d4), more_odd = FMA(half, d1, d3);
    STORE(y, ADD(d4, FMA(sum, d2, d0)));
    STORE(y + step, FMA(near, odd, even));
    STORE(y + 2 * step, FMA(minus_near, odd, even));
    STORE(y + 3 * step, FMA(far, more_odd, more_even));
    STORE(y + 4 * step, FMA(minus_far, more_odd, more_even));
    STORE(y + 5 * step, ADD(d5, FMA(sum, d3, d1)));
}

/* Where a forward transform writes LANES tiles from the t-th of n on, each value y_step from the one before: to y; or, where there are fewer, to
 * `work` first, from which as many as there are are copied.  The last of more begin before the ones before end. */
#define FORWARD(VALUES, TRANSFORM) \
    const ptrdiff_t step = n < LANES ? (ptrdiff_t)LANES : y_step; \
    T *const to = n < LANES ? work + VALUES * LANES : (T *)y_; \
    int64_t t; \
    int i; \
    for (t = 0; t < n; t = NAME(side_after)(t, LANES, n)) { \
        const T *x = (const T *)x_ + t; \
        T *y = to + t; \
        TRANSFORM \
    } \
    for (i = 0; i < VALUES && n < LANES; i++) STORE_PART((T *)y_ + i * y_step, n, LOAD(to + i * LANES));

/* Along both, for n tiles: x as `deal` leaves four rows of six, x_step apart, of which the rows four below begin `below`
 * values later; to 36 values, y_step apart.  `work` holds twice as many vectors. */
static void NAME(forward_4)(const void *x_, ptrdiff_t x_step, ptrdiff_t below, void *work_, void *y_, ptrdiff_t y_step, int64_t n)
{
    T *work = (T *)work_;
    FORWARD(36,
        for (i = 0; i < 6; i++) {
            const T *p = x + i * x_step;
            NAME(forward_axis_4)(p, p + 6 * x_step, p + 12 * x_step, p + 18 * x_step, p + below, p + 6 * x_step + below,
                               work + i * LANES, 6 * LANES);
        }
        for (i = 0; i < 6; i++) {
            const T *p = work + 6 * i * LANES;
            NAME(forward_axis_4)(p, p + LANES, p + 2 * LANES, p + 3 * LANES, p + 4 * LANES, p + 5 * LANES, y + 6 * i * step, step);
        })
}

/* Along both, for n output channels of a tile: SEEN x SEEN values x_step apart to EDGE x EDGE, y_row and y_step apart. */
#define DEFINE_INVERSE(EDGE, SEEN) \
static void NAME(inverse_##EDGE)(const void *x_, ptrdiff_t x_step, const void *bias_, const void *clip_, void *work_, void *y_, \
                                 ptrdiff_t y_row, ptrdiff_t y_step, int64_t n) \
{ \
    const T *x = (const T *)x_, *bias = (const T *)bias_; \
    const NAME(bounds) clip = NAME(bounds_of)(clip_), none = NAME(bounds_of)(NULL); \
    T *y = (T *)y_, *work = (T *)work_; \
    int64_t o; \
    int i; \
    for (o = 0; o < n; o += LANES, x += LANES, y += LANES) { \
        const V start = LOAD(bias + o); \
        for (i = 0; i < SEEN; i++) NAME(inverse_axis_##EDGE)(x + i * x_step, SEEN * x_step, ZERO(), none, work + i * LANES, SEEN * LANES); \
        for (i = 0; i < EDGE; i++) NAME(inverse_axis_##EDGE)(work + SEEN * i * LANES, LANES, start, clip, y + i * y_row, y_step); \
    } \
}

/* The output's along an axis: six in, four out. */
CCONV_INLINE void NAME(inverse_axis_4)(const T *x, ptrdiff_t x_step, V bias, NAME(bounds) clip, T *y, ptrdiff_t y_step)
{
    const V minus = SET1(-1), half = SET1((T)0.5), two = SET1(2), eight = SET1(8);
    const V near = SET1((T)SQRT_HALF), half_near = SET1((T)(SQRT_HALF / 2));
    const V m0 = LOAD(x), m1 = LOAD(x + x_step), m2 = LOAD(x + 2 * x_step);
    const V m3 = LOAD(x + 3 * x_step), m4 = LOAD(x + 4 * x_step), m5 = LOAD(x + 5 * x_step);
    const V even = ADD(m1, m2), odd = FMA(minus, m2, m1), more_even = ADD(m3, m4), more_odd = FMA(minus, m4, m3);
    STORE(y, NAME(clipped)(ADD(ADD(m0, ADD(even, more_even)), bias), clip));
    STORE(y + y_step, NAME(clipped)(FMA(near, FMA(two, more_odd, odd), bias), clip));
    STORE(y + 2 * y_step, NAME(clipped)(ADD(FMA(two, more_even, FMA(half, even, ZERO())), bias), clip));
    STORE(y + 3 * y_step, NAME(clipped)(ADD(FMA(half_near, FMA(eight, more_odd, odd), m5), bias), clip));
}

DEFINE_INVERSE(4, 6)

/* The weights' transform for n output channels, whole vectors, in double, then rounded: a row of six products.  p, q, r: that row
 * of the transform along the other axis.  The bound tells the compiler that there is no rest, for which it would write as much code again. */
CCONV_INLINE void NAME(filter_row_4)(double p, double q, double r, const T *CCONV_RESTRICT w, T *CCONV_RESTRICT u0, T *CCONV_RESTRICT u1,
                                   T *CCONV_RESTRICT u2, T *CCONV_RESTRICT u3, T *CCONV_RESTRICT u4, T *CCONV_RESTRICT u5, int64_t n)
{
    int64_t o;
    for (o = 0; o < (n & -(int64_t)LANES); o++) {
        const double a = FUSED(p, (double)w[o], FUSED(q, (double)w[3 * n + o], r * (double)w[6 * n + o]));
        const double b = FUSED(p, (double)w[n + o], FUSED(q, (double)w[4 * n + o], r * (double)w[7 * n + o]));
        const double c = FUSED(p, (double)w[2 * n + o], FUSED(q, (double)w[5 * n + o], r * (double)w[8 * n + o]));
        const double even = FUSED(c, -1 / 3.0, a * (-2 / 3.0)), more_even = FUSED(c, 1 / 3.0, a * (1 / 6.0));
        u0[o] = (T)a;
        u1[o] = (T)FUSED(b, -2 / 3.0 * SQRT_HALF, even);
        u2[o] = (T)FUSED(b, 2 / 3.0 * SQRT_HALF, even);
        u3[o] = (T)FUSED(b, SQRT_2 / 6, more_even);
        u4[o] = (T)FUSED(b, -SQRT_2 / 6, more_even);
        u5[o] = (T)c;
    }
}

/* [channel][9][n] to [channel][n] for each of 36 products, u_step apart; six of them at a time, since memory takes few
 * streams better than many. */
static void NAME(filter_4)(const void *w_, int64_t channels, int64_t n, void *u_, ptrdiff_t u_step)
{
    static const double rows[6][3] = {{1, 0, 0}, {-2 / 3.0, -2 / 3.0 * SQRT_HALF, -1 / 3.0}, {-2 / 3.0, 2 / 3.0 * SQRT_HALF, -1 / 3.0},
                                      {1 / 6.0, SQRT_2 / 6, 1 / 3.0}, {1 / 6.0, -SQRT_2 / 6, 1 / 3.0}, {0, 0, 1}};
    int64_t c;
    int i;
    for (i = 0; i < 6; i++)
        for (c = 0; c < channels; c++) {
            T *u = (T *)u_ + 6 * i * u_step + c * n;
            NAME(filter_row_4)(rows[i][0], rows[i][1], rows[i][2], (const T *)w_ + 9 * c * n, u, u + u_step, u + 2 * u_step, u + 3 * u_step,
                             u + 4 * u_step, u + 5 * u_step, n);
        }
}

/* The same for tiles of 2x2 outputs. */

static void NAME(deal_2)(const void *x_, void *y_, ptrdiff_t y_step, int64_t n, double scale, void *spoilt_)
{
    const T *x = (const T *)x_;
    T *y = (T *)y_, *spoilt = (T *)spoilt_;
    const V factor = SET1((T)scale), nothing = ZERO();
    V sum = ZERO();
    int64_t i;
    for (i = 0; i < n; i += LANES, x += 2 * LANES, y += LANES) {
        const V a = LOAD(x), b = LOAD(x + LANES), c = LOAD(x + 2), d = LOAD(x + LANES + 2);
        sum = FMA(FMA(a, factor, nothing), nothing, sum);
        sum = FMA(FMA(b, factor, nothing), nothing, sum);
        sum = FMA(FMA(d, factor, nothing), nothing, sum);   /* the last 2 values; of short vectors more */
        if (LANES < 2) sum = FMA(FMA(c, factor, nothing), nothing, sum);
        STORE(y, EVENS(a, b));
        STORE(y + y_step, ODDS(a, b));
        STORE(y + 2 * y_step, EVENS(c, d));
        STORE(y + 3 * y_step, ODDS(c, d));
    }
    STORE(spoilt, ADD(LOAD(spoilt), sum));
}

CCONV_INLINE void NAME(forward_axis_2)(const T *x0, const T *x1, const T *x2, const T *x3, T *y, ptrdiff_t step)
{
    const V minus = SET1(-1), d0 = LOAD(x0), d1 = LOAD(x1), d2 = LOAD(x2), d3 = LOAD(x3);
    STORE(y, FMA(minus, d2, d0));
    STORE(y + step, ADD(d1, d2));
    STORE(y + 2 * step, FMA(minus, d1, d2));
    STORE(y + 3 * step, FMA(minus, d3, d1));
}

static void NAME(forward_2)(const void *x_, ptrdiff_t x_step, ptrdiff_t below, void *work_, void *y_, ptrdiff_t y_step, int64_t n)
{
    T *work = (T *)work_;
    FORWARD(16,
        for (i = 0; i < 4; i++) {
            const T *p = x + i * x_step;
            NAME(forward_axis_2)(p, p + 4 * x_step, p + below, p + 4 * x_step + below, work + i * LANES, 4 * LANES);
        }
        for (i = 0; i < 4; i++) {
            const T *p = work + 4 * i * LANES;
            NAME(forward_axis_2)(p, p + LANES, p + 2 * LANES, p + 3 * LANES, y + 4 * i * step, step);
        })
}

CCONV_INLINE void NAME(inverse_axis_2)(const T *x, ptrdiff_t x_step, V bias, NAME(bounds) clip, T *y, ptrdiff_t y_step)
{
    const V minus = SET1(-1), m0 = LOAD(x), m1 = LOAD(x + x_step), m2 = LOAD(x + 2 * x_step), m3 = LOAD(x + 3 * x_step);
    STORE(y, NAME(clipped)(ADD(ADD(m0, ADD(m1, m2)), bias), clip));
    STORE(y + y_step, NAME(clipped)(ADD(FMA(minus, m3, FMA(minus, m2, m1)), bias), clip));
}

DEFINE_INVERSE(2, 4)

/* a to c: as above; f: two rows of the transform. */
CCONV_INLINE void NAME(filter_row_2)(const double f[2][3], double p, double q, double r, const T *CCONV_RESTRICT w, T *CCONV_RESTRICT u0,
                                     T *CCONV_RESTRICT u1, T *CCONV_RESTRICT u2, T *CCONV_RESTRICT u3, int64_t n)
{
    const double f0 = f[0][0], f1 = f[0][1], f2 = f[0][2], g0 = f[1][0], g1 = f[1][1], g2 = f[1][2];
    int64_t o;
    for (o = 0; o < (n & -(int64_t)LANES); o++) {
        const double a = FUSED(p, (double)w[o], FUSED(q, (double)w[3 * n + o], r * (double)w[6 * n + o]));
        const double b = FUSED(p, (double)w[n + o], FUSED(q, (double)w[4 * n + o], r * (double)w[7 * n + o]));
        const double c = FUSED(p, (double)w[2 * n + o], FUSED(q, (double)w[5 * n + o], r * (double)w[8 * n + o]));
        u0[o] = (T)a;
        u1[o] = (T)FUSED(f1, b, FUSED(f0, a, f2 * c));
        u2[o] = (T)FUSED(g1, b, FUSED(g0, a, g2 * c));
        u3[o] = (T)c;
    }
}

CCONV_ALONE void NAME(filter_by)(const double rows[4][3], const T *w, int64_t channels, int64_t n, T *u, ptrdiff_t u_step)
{
    int64_t c;
    int i;
    for (i = 0; i < 4; i++, u += 4 * u_step)
        for (c = 0; c < channels; c++)
            NAME(filter_row_2)(rows + 1, rows[i][0], rows[i][1], rows[i][2], w + 9 * c * n, u + c * n, u + u_step + c * n, u + 2 * u_step + c * n,
                               u + 3 * u_step + c * n, n);
}

static void NAME(filter_2)(const void *w, int64_t channels, int64_t n, void *u, ptrdiff_t u_step)
{
    static const double rows[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
    NAME(filter_by)(rows, (const T *)w, channels, n, (T *)u, u_step);
}

static void NAME(filter_strided)(const void *w, int64_t channels, int64_t n, void *u, ptrdiff_t u_step)
{
    static const double rows[4][3] = {{1, 0, 0}, {0, 1, 0}, {1, 0, 1}, {0, 0, 1}};
    NAME(filter_by)(rows, (const T *)w, channels, n, (T *)u, u_step);
}

/* With a stride of 2 an output sees the first and last tap in the even inputs, whose two outputs are three products (F(2, 2)), and the
 * middle one in the odd inputs, whose are two.  `deal_4` deals out, with a sixth value that none sees. */

CCONV_INLINE void NAME(forward_axis_strided)(const T *x0, const T *x1, const T *x2, const T *x3, const T *x4, T *y, ptrdiff_t step)
{
    const V minus = SET1(-1), d0 = LOAD(x0), d1 = LOAD(x1), d2 = LOAD(x2), d3 = LOAD(x3), d4 = LOAD(x4);
    STORE(y, FMA(minus, d2, d0));
    STORE(y + step, d1);
    STORE(y + 2 * step, d2);
    STORE(y + 3 * step, FMA(minus, d2, d4));
    STORE(y + 4 * step, d3);
}

static void NAME(forward_strided)(const void *x_, ptrdiff_t x_step, ptrdiff_t below, void *work_, void *y_, ptrdiff_t y_step, int64_t n)
{
    T *work = (T *)work_;
    FORWARD(25,
        for (i = 0; i < 5; i++) {
            const T *p = x + i * x_step;
            NAME(forward_axis_strided)(p, p + 6 * x_step, p + 12 * x_step, p + 18 * x_step, p + below, work + i * LANES, 5 * LANES);
        }
        for (i = 0; i < 5; i++) {
            const T *p = work + 5 * i * LANES;
            NAME(forward_axis_strided)(p, p + LANES, p + 2 * LANES, p + 3 * LANES, p + 4 * LANES, y + 5 * i * step, step);
        })
}

#undef FORWARD
#undef DEFINE_INVERSE

/* Of nine sums. */
static void NAME(inverse_strided)(const void *x_, ptrdiff_t x_step, const void *bias_, const void *clip_, void *work, void *y_, ptrdiff_t y_row,
                                  ptrdiff_t y_step, int64_t n)
{
    const T *x = (const T *)x_, *bias = (const T *)bias_;
    const NAME(bounds) clip = NAME(bounds_of)(clip_);
    T *y = (T *)y_;
    int64_t o;
    (void)work;
    for (o = 0; o < n; o += LANES, x += LANES, y += LANES) {
        const V start = LOAD(bias + o);
        V m[2][3];
        int i;
        for (i = 0; i < 3; i++) {
            const V middle = LOAD(x + (i + 3) * x_step);
            m[0][i] = ADD(LOAD(x + i * x_step), middle);
            m[1][i] = ADD(LOAD(x + (i + 6) * x_step), middle);
        }
        for (i = 0; i < 2; i++) {
            STORE(y + i * y_row, NAME(clipped)(ADD(ADD(m[i][0], m[i][1]), start), clip));
            STORE(y + i * y_row + y_step, NAME(clipped)(ADD(ADD(m[i][2], m[i][1]), start), clip));
        }
    }
}

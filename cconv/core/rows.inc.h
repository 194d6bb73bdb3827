/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels of rows.c.  Part of kernels.inc.h.
 */

/* rows: R output rows x NV vectors.  A vector loaded for one input row serves up to C outputs. */

/* The taps of a column; what those that meet row i of the input, vectors v0 and v1, add to the sums. */
#define SPREAD_TAP(k) if (k < C) u[k] = SET1(w[k]);
#define SPREAD_COLUMN SPREAD_TAP(0) SPREAD_TAP(1) SPREAD_TAP(2) SPREAD_TAP(3) SPREAD_TAP(4) SPREAD_TAP(5) SPREAD_TAP(6)
#define USE_TAP(i, k) \
    if (k < C && i >= k && i - k < R) { \
        a[(i - k) & 7][0] = FMA(u[k], v0, a[(i - k) & 7][0]); \
        if (NV > 1) a[(i - k) & 7][1] = FMA(u[k], v1, a[(i - k) & 7][1]); \
    }
#define USE_ROW(i) USE_TAP(i, 0) USE_TAP(i, 1) USE_TAP(i, 2) USE_TAP(i, 3) USE_TAP(i, 4) USE_TAP(i, 5) USE_TAP(i, 6)

/* What is done to the sums of row r. */
#define EACH_OF_ROW(DO, r) if (r < R) { DO(a[(r) & 7][0]) if (NV > 1) { DO(a[(r) & 7][1]) } }
#define ADD_BIAS(sum) sum = ADD(start, sum);
#define FROM_BIAS(r) EACH_OF_ROW(ADD_BIAS, r)
#define RAISE_ROW(r) EACH_OF_ROW(RAISE, r)
#define LOWER_ROW(r) EACH_OF_ROW(LOWER, r)

CCONV_INLINE void NAME(column)(const int R, const int NV, const int C, V a[8][4], const T *p, ptrdiff_t x_step, const T *w)
{
    V u[MAX_CLASS];
    SPREAD_COLUMN
#define STEP(i) \
    if (i < R + C - 1) { \
        V v0 = LOAD(p), v1 = v0; \
        if (NV > 1) v1 = LOAD(p + LANES); \
        USE_ROW(i) \
        p += x_step; \
    }
    EACH_STEP(STEP)
#undef STEP
}

CCONV_INLINE void NAME(columns)(const int R, const int NV, const int C, V a[8][4], const T *x, ptrdiff_t x_step,
                                const ptrdiff_t *offset, int64_t count, const T *w)
{
    int64_t i;
    for (i = 0; i < count; i++, w += C) NAME(column)(R, NV, C, a, x + offset[i], x_step, w);
}

CCONV_INLINE void NAME(block)(const int R, const int NV, const void *x_, ptrdiff_t x_step, const ptrdiff_t *offset,
                              const int64_t *count, const void *w_, const void *bias_, void *y_, ptrdiff_t y_step,
                              int64_t last, const void *clip)
{
    const T *x = (const T *)x_, *w = (const T *)w_, *bias = (const T *)bias_;
    T *y = (T *)y_;
    V a[8][4];
#define START(r) if (r < R) { a[(r) & 7][0] = a[(r) & 7][1] = a[(r) & 7][2] = a[(r) & 7][3] = ZERO(); }
    EACH_M(START)
#undef START
#define CLASS(C) \
    if (count[C]) { \
        NAME(columns)(R, NV, C, a, x, x_step, offset, count[C], w); \
        offset += count[C]; \
        w += C * count[C]; \
    }
    CLASS(1) CLASS(2) CLASS(3) CLASS(4) CLASS(5) CLASS(6) CLASS(7)
#undef CLASS
#define FROM_BEFORE(r) \
    if (r < R) { \
        if (NV > 1) a[(r) & 7][0] = ADD(LOAD(before), a[(r) & 7][0]); \
        a[(r) & 7][NV - 1] = ADD(LOAD_UP_TO(before + (NV - 1) * LANES, last), a[(r) & 7][NV - 1]); \
        MOVE(before, y_step) \
    }
#define PUT(r) \
    if (r < R) { \
        if (NV > 1) STORE(y, a[(r) & 7][0]); \
        STORE_UP_TO(y + (NV - 1) * LANES, last, a[(r) & 7][NV - 1]); \
        MOVE(y, y_step) \
    }
    if (bias) {
        const V start = SET1(bias[0]);
        EACH_M(FROM_BIAS)
    } else {
        const T *before = y;
        EACH_M(FROM_BEFORE)
    }
    if (clip) {
        const NAME(bounds) bounds = NAME(bounds_of)(clip);
        CLIP(bounds, EACH_M(RAISE_ROW), EACH_M(LOWER_ROW))
    }
    EACH_M(PUT)
#undef FROM_BEFORE
#undef PUT
}

#define DEFINE_ROWS(R, NV) \
    static void NAME(rows_##R##_##NV)(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, const int64_t *count, \
                                      const void *w, const void *bias, void *y, ptrdiff_t y_step, int64_t last, const void *clip) \
    { \
        NAME(block)(R, NV, x, x_step, offset, count, w, bias, y, y_step, last, CLIP_AT_ONCE(clip)); \
        CLIP_AFTER(y, y_step, R, (NV - 1) * LANES + last, clip) \
    }

DEFINE_ROWS(1, 1) DEFINE_ROWS(1, 2) DEFINE_ROWS(4, 1) DEFINE_ROWS(4, 2)
#ifndef SMALL
DEFINE_ROWS(2, 1) DEFINE_ROWS(2, 2)
#define TWO_ROWS {NAME(rows_2_1), NAME(rows_2_2)}
#else
#define TWO_ROWS {NULL, NULL}
#endif
#if ACCUMULATORS >= 24
DEFINE_ROWS(8, 1) DEFINE_ROWS(8, 2)
#endif

/* down: N short columns, side by side or not, for strips of NV vectors of any number of output rows.  Each input
 * row is loaded once and serves the C outputs that are under way; where the columns are `close`, the
 * vectors of the second and third are cut out of those of the first, but for the last, beyond which nothing is read.  What is
 * `usual` takes few branches: a strip is short enough that the CPU foresees its end. */
CCONV_INLINE void NAME(strip)(const int N, const int C, const int NV, const int close, const T *x, ptrdiff_t x_step,
                              const ptrdiff_t *offset, int64_t rows, const char *w, const ptrdiff_t *w_at, const T *bias, T *y,
                              ptrdiff_t y_step, int64_t last, int stream, const void *clip_)
{
    const T *first = x + offset[0], *second = x + offset[N > 1 ? 1 : 0], *third = x + offset[N > 2 ? 2 : 0];
    const NAME(bounds) clip = NAME(bounds_of)(clip_);
    V u[3][3], a[3][4], start = SET1(bias ? bias[0] : 0);
    const int past = stream && bias && last == LANES && WHOLE_LINES(NV, y, y_step), usual = bias && last == LANES && !past && !clip.low;
    int64_t i;
#define EACH_TAP(DO) DO(0, 0) DO(0, 1) DO(0, 2) DO(1, 0) DO(1, 1) DO(1, 2) DO(2, 0) DO(2, 1) DO(2, 2)
#define SPREAD(n, k) if (n < N && k < C) u[n][k] = SET1(*(const T *)(const void *)(w + w_at[n * C + k]));
    EACH_TAP(SPREAD)
#undef SPREAD
    a[0][0] = a[0][1] = a[1][0] = a[1][1] = ZERO();
    for (i = 1 - C; i < rows; i++, first += x_step, second += x_step, third += x_step) {
        V v[3][2];
        v[0][0] = LOAD(first);
        if (NV > 1) v[0][1] = LOAD(first + LANES);
#define CUT(n, from) \
        if (n < N && close) { \
            v[n][0] = NV > 1 ? SHIFTED(first, v[0][0], v[0][1], n) : LOAD(first + n); \
            if (NV > 1) v[n][1] = LOAD(first + LANES + n); \
        } else if (n < N) { \
            v[n][0] = LOAD(from); \
            if (NV > 1) v[n][1] = LOAD(from + LANES); \
        }
        CUT(1, second) CUT(2, third)
#undef CUT
        a[C - 1][0] = a[C - 1][1] = ZERO();
#define USE(n, k) \
        if (n < N && k < C) { \
            a[(C - 1 - k) % 3][0] = FMA(u[n][k], v[n][0], a[(C - 1 - k) % 3][0]); \
            if (NV > 1) a[(C - 1 - k) % 3][1] = FMA(u[n][k], v[n][1], a[(C - 1 - k) % 3][1]); \
        }
        EACH_TAP(USE)
#undef USE
        if (i >= 0) {
            if (usual) {
                STORE(y, ADD(start, a[0][0]));
                if (NV > 1) STORE(y + LANES, ADD(start, a[0][1]));
            } else {
                V b[2];
                b[0] = b[1] = start;
                if (!bias) {
                    b[0] = NV > 1 ? LOAD(y) : LOAD_UP_TO(y, last);
                    if (NV > 1) b[1] = LOAD_UP_TO(y + LANES, last);
                }
                b[0] = ADD(b[0], a[0][0]);
                if (NV > 1) b[1] = ADD(b[1], a[0][1]);
                CLIP(clip, RAISE(b[0]) if (NV > 1) { RAISE(b[1]) }, LOWER(b[0]) if (NV > 1) { LOWER(b[1]) })
                if (past) {
                    STREAM(y, b[0]);
                    if (NV > 1) STREAM(y + LANES, b[1]);
                } else {
                    if (NV > 1) STORE(y, b[0]);
                    STORE_UP_TO(y + (NV - 1) * LANES, last, b[NV - 1]);
                }
            }
            y += y_step;
        }
        a[0][0] = a[1][0];
        a[0][1] = a[1][1];
        if (C > 2) { a[1][0] = a[2][0]; a[1][1] = a[2][1]; }
    }
#undef EACH_TAP
}

/* Whether SHIFTED cuts vectors out of registers.  Where it loads them, one strip does for columns that are close and for others; so it does for columns of
 * one tap, whose vectors are used once and are loaded as fast. */
#define CUTS (sizeof(V) == 64)
#define STRIP(N, C, NV, close) \
    NAME(strip)(N, C, NV, close, (const T *)x + from, x_step, offset, rows, (const char *)w, w_at, (const T *)bias, (T *)y + from, y_step, last, \
                stream, CLIP_AT_ONCE(clip))
#define DEFINE_DOWN(N, C) \
    static void NAME(down_##N##_##C)(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, int64_t rows, int64_t n, const void *w, \
                                     const ptrdiff_t *w_at, const void *bias, void *y, ptrdiff_t y_step, int ends, int stream, const void *clip) \
    { \
        const int close = CUTS && N > 1 && C > 1 && offset[1] == offset[0] + 1 && (N == 2 || offset[N - 1] == offset[0] + 2); \
        const int64_t two = ends == WITHIN && n < 2 * LANES ? n : LANES;      /* more positions than this take two vectors */ \
        int64_t left, from = 0, last = LANES, most; \
        for (left = n; left > 0; left -= most, from += most) { \
            most = left > two ? 2 * LANES : LANES; \
            if (left < most && ends == WITHIN) from -= most - left; \
            if (left < most && ends == PARTLY) last = left - (most - LANES); \
            if (most > LANES && close) STRIP(N, C, 2, 1); \
            else if (most > LANES) STRIP(N, C, 2, 0); \
            else STRIP(N, C, 1, 0); \
        } \
        CLIP_AFTER(y, y_step, rows, n, clip) \
    }
#define DEFINE_DOWNS(C) DEFINE_DOWN(1, C) DEFINE_DOWN(2, C) DEFINE_DOWN(3, C)
#define DOWNS(C) {NAME(down_1_##C), NAME(down_2_##C), NAME(down_3_##C)}
DEFINE_DOWNS(1) DEFINE_DOWNS(2) DEFINE_DOWNS(3)

/* line: taps side by side in one row, for n positions of any number of rows.  The vectors of all taps but every
 * LANES-th are cut out of those of the first, of which a block loads one more than it writes. */
CCONV_INLINE void NAME(line_block)(const int NV, const T *x, int64_t taps, const T *w, const T *bias, T *y, int64_t last, NAME(bounds) clip)
{
    V a[4];
    int64_t t;
    a[0] = a[1] = a[2] = a[3] = ZERO();
    for (t = 0; t < taps; t += LANES, x += LANES) {
        const V v0 = LOAD(x), v1 = LOAD(x + LANES), v2 = NV > 1 ? LOAD(x + 2 * LANES) : v1;
        const V v3 = NV > 2 ? LOAD(x + 3 * LANES) : v2, v4 = NV > 2 ? LOAD(x + 4 * LANES) : v2;
        (void)v0, (void)v1, (void)v2, (void)v3, (void)v4;       /* where SHIFTED loads */
#define CUT(n, p, u, v) (n == 0 ? u : n % 2 ? LOAD((p) + n) : SHIFTED(p, u, v, n))
#define TAP(n) \
        if (n < LANES) { \
            V b; \
            if (t + n >= taps) break; \
            b = SET1(w[t + n]); \
            a[0] = FMA(b, CUT(n, x, v0, v1), a[0]); \
            if (NV > 1) a[1] = FMA(b, CUT(n, x + LANES, v1, v2), a[1]); \
            if (NV > 2) { \
                a[2] = FMA(b, CUT(n, x + 2 * LANES, v2, v3), a[2]); \
                a[3] = FMA(b, CUT(n, x + 3 * LANES, v3, v4), a[3]); \
            } \
        }
        TAP(0) TAP(1) TAP(2) TAP(3) TAP(4) TAP(5) TAP(6) TAP(7) TAP(8) TAP(9) TAP(10) TAP(11) TAP(12) TAP(13) TAP(14) TAP(15)
#undef TAP
#undef CUT
    }
#define EACH_SUM(DO) DO(0) if (NV > 1) { DO(1) } if (NV > 2) { DO(2) DO(3) }
#define COMPLETE(i) a[i] = ADD(bias ? SET1(bias[0]) : LOAD_UP_TO(y + i * LANES, i < NV - 1 ? LANES : last), a[i]);
#define RAISE_ONE(i) RAISE(a[i])
#define LOWER_ONE(i) LOWER(a[i])
#define PUT(i) \
    STORE_UP_TO(y + i * LANES, i < NV - 1 ? LANES : last, a[i]);
    EACH_SUM(COMPLETE)
    CLIP(clip, EACH_SUM(RAISE_ONE), EACH_SUM(LOWER_ONE))
    EACH_SUM(PUT)
#undef EACH_SUM
#undef COMPLETE
#undef RAISE_ONE
#undef LOWER_ONE
#undef PUT
}

static void NAME(line)(const void *x_, ptrdiff_t x_step, int64_t taps, const void *w_, const void *bias_, void *y_, ptrdiff_t y_step,
                       int64_t rows, int64_t n, int whole, const void *clip_)
{
    const NAME(bounds) clip = NAME(bounds_of)(CLIP_AT_ONCE(clip_));
    const T *x = (const T *)x_, *w = (const T *)w_, *bias = (const T *)bias_;
    T *y = (T *)y_;
    int64_t j;
    for (; rows > 0; rows--, x += x_step, y += y_step) {
        for (j = 0; j < n;) {
            const int64_t left = n - j, vectors = left > 3 * LANES ? 4 : left > LANES ? 2 : 1;
            const int64_t valid = left < vectors * LANES ? left : vectors * LANES, last = whole ? LANES : valid - (vectors - 1) * LANES;
            if (vectors == 4) NAME(line_block)(4, x + j, taps, w, bias, y + j, last, clip);
            else if (vectors == 2) NAME(line_block)(2, x + j, taps, w, bias, y + j, last, clip);
            else NAME(line_block)(1, x + j, taps, w, bias, y + j, last, clip);
            j += valid;
        }
        CLIP_AFTER(y, y_step, 1, n, clip_)
    }
}

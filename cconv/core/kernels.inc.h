/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The microkernels, once, for the type T with vectors V of LANES values.  Included by isa_*.c, which
 * define before it: T V LANES NAME(what) LOAD(p) STORE(p, v) SET1(x) ZERO() FMA(a, b, c) ADD(a, b),
 * LOAD_PART(p, n) and STORE_PART(p, n, v), which touch n < LANES values, SHIFTED(p, u, v, n), which is
 * LOAD(p + n) where u and v are what lies at p and behind that, EVENS(u, v) and ODDS(u, v), every other value
 * of both, TILE, the scalars of the best register tile, ACCUMULATORS, how many vectors may be live, and TURN(p, pitch, q, q_pitch), which
 * writes SIDE rows of SIDE values as columns, and OTHER, the floating type that T is not.
 *
 * The functions that take R, M, NV or C are inlined with these as constants: every index below is a
 * literal, so that the arrays of accumulators become registers.  Each output has one accumulator and
 * its taps are added in the order in which they are given.
 */

#define EACH_M(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13)
#define EACH_STEP(DO) EACH_M(DO)

/* The sums a[m] of NV vectors on top of b0 to b3, written to q; of the last vector only `last` values. */
#define WRITE(m, to) \
        { \
            T *q = (to); \
            b0 = ADD(b0, a[m][0]); \
            if (NV > 1) { STORE(q, b0); q += LANES; b0 = ADD(b1, a[m][1]); } \
            if (NV > 2) { \
                STORE(q, b0); \
                STORE(q + LANES, ADD(b2, a[m][2])); \
                q += 2 * LANES; \
                b0 = ADD(b3, a[m][3]); \
            } \
            if (last == LANES) STORE(q, b0); \
            else STORE_PART(q, last, b0); \
        }

/* taps: M scalars x NV vectors. */

CCONV_INLINE void NAME(tile)(const int M, const int NV, const void *vectors_, const ptrdiff_t *vector_at,
                             const void *scalars_, const ptrdiff_t *scalar_at, int64_t taps, const void *bias_,
                             const void *before_, ptrdiff_t before_pitch, void *y_, ptrdiff_t y_pitch, int64_t last,
                             const void *next_, ptrdiff_t next_step)
{
    const T *vectors = (const T *)vectors_, *scalars = (const T *)scalars_, *next = (const T *)next_;
    const T *bias = (const T *)bias_, *before = (const T *)before_;
    T *y = (T *)y_;
    V a[MAX_TILE][4];
    int64_t t;
#define START(m) if (m < M) { a[m][0] = a[m][1] = a[m][2] = a[m][3] = ZERO(); }
    EACH_M(START)
#undef START
    for (t = 0; t < taps; t++) {
        const T *p = vectors + vector_at[t], *q = scalars + scalar_at[t];
        V v0 = LOAD(p), v1 = v0, v2 = v0, v3 = v0;
        PREFETCH_FAR(next);
        if (NV > 1) PREFETCH_FAR(next + LANES);
        next += next_step;
        if (NV > 1) v1 = LOAD(p + LANES);
        if (NV > 2) { v2 = LOAD(p + 2 * LANES); v3 = LOAD(p + 3 * LANES); }
#define MULTIPLY(m) \
        if (m < M) { \
            V b = SET1(q[m]); \
            a[m][0] = FMA(b, v0, a[m][0]); \
            if (NV > 1) a[m][1] = FMA(b, v1, a[m][1]); \
            if (NV > 2) { a[m][2] = FMA(b, v2, a[m][2]); a[m][3] = FMA(b, v3, a[m][3]); } \
        }
        EACH_M(MULTIPLY)
#undef MULTIPLY
    }
#define FINISH(m) \
    if (m < M) { \
        const T *from = before + m * before_pitch; \
        V b0, b1, b2, b3; \
        if (bias) { \
            b0 = b1 = b2 = b3 = SET1(bias[m]); \
        } else { \
            b0 = b1 = b2 = b3 = LOAD(from); \
            if (NV > 1) b1 = LOAD(from + LANES); \
            if (NV > 2) { b2 = LOAD(from + 2 * LANES); b3 = LOAD(from + 3 * LANES); } \
        } \
        WRITE(m, y + m * y_pitch) \
    }
    EACH_M(FINISH)
#undef FINISH
}

#define DEFINE_TILE(M, NV) \
    static void NAME(taps_##M##_##NV)(const void *vectors, const ptrdiff_t *vector_at, const void *scalars, \
                                      const ptrdiff_t *scalar_at, int64_t taps, const void *bias, const void *before, \
                                      ptrdiff_t before_pitch, void *y, ptrdiff_t y_pitch, int64_t last, \
                                      const void *next, ptrdiff_t next_step) \
    { \
        NAME(tile)(M, NV, vectors, vector_at, scalars, scalar_at, taps, bias, before, before_pitch, y, y_pitch, last, next, next_step); \
    }
#define DEFINE_TILES(M) DEFINE_TILE(M, 1) DEFINE_TILE(M, 2) DEFINE_TILE(M, 4)
#define TILES(M) {NAME(taps_##M##_1), NAME(taps_##M##_2), NAME(taps_##M##_4)}
#define NARROW_TILES(M) {NAME(taps_##M##_1), NAME(taps_##M##_2), NULL}

DEFINE_TILES(1) DEFINE_TILES(2)
#if ACCUMULATORS >= 24
DEFINE_TILES(3) DEFINE_TILES(4) DEFINE_TILES(5) DEFINE_TILES(6)
DEFINE_TILE(7, 1) DEFINE_TILE(7, 2) DEFINE_TILE(8, 1) DEFINE_TILE(8, 2) DEFINE_TILE(9, 1) DEFINE_TILE(9, 2)
DEFINE_TILE(10, 1) DEFINE_TILE(10, 2) DEFINE_TILE(11, 1) DEFINE_TILE(11, 2) DEFINE_TILE(12, 1) DEFINE_TILE(12, 2)
DEFINE_TILE(13, 1) DEFINE_TILE(13, 2) DEFINE_TILE(14, 1) DEFINE_TILE(14, 2)
#else
DEFINE_TILE(3, 1) DEFINE_TILE(3, 2) DEFINE_TILE(4, 1) DEFINE_TILE(4, 2)
DEFINE_TILE(5, 1) DEFINE_TILE(5, 2) DEFINE_TILE(6, 1) DEFINE_TILE(6, 2)
#endif

/* rows: R output rows x NV vectors.  A vector loaded for one input row serves up to C outputs. */

CCONV_INLINE void NAME(column)(const int R, const int NV, const int C, V a[8][4], const T *p, ptrdiff_t x_step, const T *w)
{
    V u[MAX_CLASS];
    u[0] = SET1(w[0]);
    if (C > 1) u[1] = SET1(w[1]);
    if (C > 2) u[2] = SET1(w[2]);
    if (C > 3) u[3] = SET1(w[3]);
    if (C > 4) u[4] = SET1(w[4]);
    if (C > 5) u[5] = SET1(w[5]);
    if (C > 6) u[6] = SET1(w[6]);
#define USE(i, k) \
    if (k < C && i >= k && i - k < R) { \
        a[(i - k) & 7][0] = FMA(u[k], v0, a[(i - k) & 7][0]); \
        if (NV > 1) a[(i - k) & 7][1] = FMA(u[k], v1, a[(i - k) & 7][1]); \
    }
#define STEP(i) \
    if (i < R + C - 1) { \
        V v0 = LOAD(p), v1 = v0; \
        if (NV > 1) v1 = LOAD(p + LANES); \
        USE(i, 0) USE(i, 1) USE(i, 2) USE(i, 3) USE(i, 4) USE(i, 5) USE(i, 6) \
        p += x_step; \
    }
    EACH_STEP(STEP)
#undef STEP
#undef USE
}

CCONV_INLINE void NAME(columns)(const int R, const int NV, const int C, V a[8][4], const T *x, ptrdiff_t x_step,
                                const ptrdiff_t *offset, int64_t count, const T *w)
{
    int64_t i;
    for (i = 0; i < count; i++, w += C) NAME(column)(R, NV, C, a, x + offset[i], x_step, w);
}

CCONV_INLINE void NAME(block)(const int R, const int NV, const void *x_, ptrdiff_t x_step, const ptrdiff_t *offset,
                              const int64_t *count, const void *w_, const void *bias_, void *y_, ptrdiff_t y_step,
                              int64_t last)
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
#define FINISH(r) \
    if (r < R) { \
        const T *from = y + r * y_step; \
        V b0, b1, b2, b3; \
        if (bias) { \
            b0 = b1 = b2 = b3 = SET1(bias[0]); \
        } else { \
            b0 = b2 = b3 = ZERO(); \
            if (NV > 1) { b0 = LOAD(from); from += LANES; } \
            b1 = last == LANES ? LOAD(from) : LOAD_PART(from, last); \
            if (NV == 1) b0 = b1; \
        } \
        WRITE((r) & 7, y + r * y_step) \
    }
    EACH_M(FINISH)
#undef FINISH
}

#define DEFINE_ROWS(R, NV) \
    static void NAME(rows_##R##_##NV)(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, const int64_t *count, \
                                      const void *w, const void *bias, void *y, ptrdiff_t y_step, int64_t last) \
    { NAME(block)(R, NV, x, x_step, offset, count, w, bias, y, y_step, last); }

DEFINE_ROWS(1, 1) DEFINE_ROWS(1, 2) DEFINE_ROWS(2, 1) DEFINE_ROWS(2, 2) DEFINE_ROWS(4, 1) DEFINE_ROWS(4, 2)
#if ACCUMULATORS >= 24
DEFINE_ROWS(8, 1) DEFINE_ROWS(8, 2)
#endif

/* down: N short columns, side by side or not, for NV vectors of any number of output rows.  Each input
 * row is loaded once and serves the C outputs that are under way; where the columns are `close`, the
 * vectors of the second and third are cut out of those of the first. */
CCONV_INLINE void NAME(strip)(const int N, const int C, const int NV, const int close, const T *x, ptrdiff_t x_step,
                              const ptrdiff_t *offset, int64_t rows, const T *w, const T *bias, T *y, ptrdiff_t y_step,
                              int64_t last)
{
    const T *first = x + offset[0], *second = x + offset[N > 1 ? 1 : 0], *third = x + offset[N > 2 ? 2 : 0];
    V u[3][3], a[3][4], start = SET1(bias ? bias[0] : 0);
    int64_t i;
#define EACH_TAP(DO) DO(0, 0) DO(0, 1) DO(0, 2) DO(1, 0) DO(1, 1) DO(1, 2) DO(2, 0) DO(2, 1) DO(2, 2)
#define SPREAD(n, k) if (n < N && k < C) u[n][k] = SET1(w[n * C + k]);
    EACH_TAP(SPREAD)
#undef SPREAD
    a[0][0] = a[0][1] = a[1][0] = a[1][1] = ZERO();
    for (i = 1 - C; i < rows; i++, first += x_step, second += x_step, third += x_step) {
        V v[3][2], b0, b1, b2, b3;
        v[0][0] = LOAD(first);
        if (NV > 1) v[0][1] = LOAD(first + LANES);
#define CUT(n, from) \
        if (n < N && close) { \
            v[n][0] = SHIFTED(first, v[0][0], NV > 1 ? v[0][1] : LOAD(first + LANES), n); \
            if (NV > 1) v[n][1] = SHIFTED(first + LANES, v[0][1], LOAD(first + 2 * LANES), n); \
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
            b0 = b1 = b2 = b3 = start;
            if (!bias) {
                b0 = NV > 1 ? LOAD(y) : last == LANES ? LOAD(y) : LOAD_PART(y, last);
                if (NV > 1) b1 = last == LANES ? LOAD(y + LANES) : LOAD_PART(y + LANES, last);
            }
            WRITE(0, y)
            y += y_step;
        }
        a[0][0] = a[1][0];
        a[0][1] = a[1][1];
        if (C > 2) { a[1][0] = a[2][0]; a[1][1] = a[2][1]; }
    }
#undef EACH_TAP
}

#define DEFINE_DOWN(N, C, NV) \
    static void NAME(down_##N##_##C##_##NV)(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, int64_t rows, \
                                            const void *w, const void *bias, void *y, ptrdiff_t y_step, int64_t last) \
    { \
        if (N > 1 && offset[1] == offset[0] + 1 && (N == 2 || offset[N - 1] == offset[0] + 2)) \
            NAME(strip)(N, C, NV, 1, (const T *)x, x_step, offset, rows, (const T *)w, (const T *)bias, (T *)y, y_step, last); \
        else \
            NAME(strip)(N, C, NV, 0, (const T *)x, x_step, offset, rows, (const T *)w, (const T *)bias, (T *)y, y_step, last); \
    }
#define DEFINE_DOWNS(C) \
    DEFINE_DOWN(1, C, 1) DEFINE_DOWN(1, C, 2) DEFINE_DOWN(2, C, 1) DEFINE_DOWN(2, C, 2) DEFINE_DOWN(3, C, 1) DEFINE_DOWN(3, C, 2)
#define DOWNS(C) \
    {{NAME(down_1_##C##_1), NAME(down_1_##C##_2)}, {NAME(down_2_##C##_1), NAME(down_2_##C##_2)}, \
     {NAME(down_3_##C##_1), NAME(down_3_##C##_2)}}
DEFINE_DOWNS(1) DEFINE_DOWNS(2) DEFINE_DOWNS(3)

/* line: taps side by side in one row, for n positions of any number of rows.  The vectors of all taps but every
 * LANES-th are cut out of those of the first, of which a block loads one more than it writes. */
CCONV_INLINE void NAME(line_block)(const int NV, const T *x, int64_t taps, const T *w, const T *bias, T *y, int64_t last)
{
    V a[1][4], b0, b1, b2, b3;
    int64_t t;
    a[0][0] = a[0][1] = a[0][2] = a[0][3] = ZERO();
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
            a[0][0] = FMA(b, CUT(n, x, v0, v1), a[0][0]); \
            if (NV > 1) a[0][1] = FMA(b, CUT(n, x + LANES, v1, v2), a[0][1]); \
            if (NV > 2) { \
                a[0][2] = FMA(b, CUT(n, x + 2 * LANES, v2, v3), a[0][2]); \
                a[0][3] = FMA(b, CUT(n, x + 3 * LANES, v3, v4), a[0][3]); \
            } \
        }
        TAP(0) TAP(1) TAP(2) TAP(3) TAP(4) TAP(5) TAP(6) TAP(7) TAP(8) TAP(9) TAP(10) TAP(11) TAP(12) TAP(13) TAP(14) TAP(15)
#undef TAP
#undef CUT
    }
    b0 = b1 = b2 = b3 = SET1(bias ? bias[0] : 0);
    if (!bias) {
        const T *from = y + (NV - 1) * LANES;
        const V end = last == LANES ? LOAD(from) : LOAD_PART(from, last);
        b0 = NV > 1 ? LOAD(y) : end;
        if (NV > 1) b1 = NV > 2 ? LOAD(y + LANES) : end;
        if (NV > 2) { b2 = LOAD(y + 2 * LANES); b3 = end; }
    }
    WRITE(0, y)
}

static void NAME(line)(const void *x_, ptrdiff_t x_step, int64_t taps, const void *w_, const void *bias_, void *y_, ptrdiff_t y_step,
                       int64_t rows, int64_t n, int whole)
{
    const T *x = (const T *)x_, *w = (const T *)w_, *bias = (const T *)bias_;
    T *y = (T *)y_;
    int64_t j;
    for (; rows > 0; rows--, x += x_step, y += y_step)
        for (j = 0; j < n;) {
            const int64_t left = n - j, vectors = left > 3 * LANES ? 4 : left > LANES ? 2 : 1;
            const int64_t valid = left < vectors * LANES ? left : vectors * LANES, last = whole ? LANES : valid - (vectors - 1) * LANES;
            if (vectors == 4) NAME(line_block)(4, x + j, taps, w, bias, y + j, last);
            else if (vectors == 2) NAME(line_block)(2, x + j, taps, w, bias, y + j, last);
            else NAME(line_block)(1, x + j, taps, w, bias, y + j, last);
            j += valid;
        }
}

/* box: passes over lines of entries, each sum of two of the pass before, and one value more where k has that bit. */
static void NAME(box)(void *x_, ptrdiff_t x_pitch, void *s_, ptrdiff_t s_pitch, int64_t each, int64_t step, int64_t n, int64_t k,
                      const void *scale, const void *start)
{
    T *x = (T *)x_, *s = (T *)s_, *from = x;
    const V factor = SET1(*(const T *)scale), offset = SET1(*(const T *)start);
    ptrdiff_t pitch = x_pitch;
    int64_t length = 1, bit = 1, i;
    while (2 * bit <= k) bit *= 2;
    for (bit /= 2; bit > 0; bit /= 2) {
        const int64_t twice = 2 * length, next = twice + ((k & bit) != 0), count = n + (k - next) * step;
        const ptrdiff_t half = (ptrdiff_t)(length * step) * pitch, beyond = (ptrdiff_t)(twice * step) * x_pitch;
        T *to = bit > 1 ? s : x;
        const ptrdiff_t to_pitch = bit > 1 ? s_pitch : x_pitch;
        for (i = 0; i < count; i += each) {
            const T *p = from + i * pitch;
            V sum = ADD(LOAD(p), LOAD(p + half));
            if (next > twice) sum = ADD(sum, LOAD(x + i * x_pitch + beyond));
            STORE(to + i * to_pitch, bit > 1 ? sum : FMA(sum, factor, offset));
        }
        from = s;
        pitch = s_pitch;
        length = next;
    }
}

#include "ends.inc.h"
#include "winograd.inc.h"
#include "fft.inc.h"

static const cconv_type_kernels NAME(kernels) = {
    LANES,
    TILE,
    {
        {NULL, NULL, NULL}, TILES(1), TILES(2),
#if ACCUMULATORS >= 24
        TILES(3), TILES(4), TILES(5), TILES(6),
        NARROW_TILES(7), NARROW_TILES(8), NARROW_TILES(9), NARROW_TILES(10),
        NARROW_TILES(11), NARROW_TILES(12), NARROW_TILES(13), NARROW_TILES(14)
#else
        NARROW_TILES(3), NARROW_TILES(4), NARROW_TILES(5), NARROW_TILES(6)
#endif
    },
    {
        {NAME(rows_1_1), NAME(rows_1_2)}, {NAME(rows_2_1), NAME(rows_2_2)}, {NAME(rows_4_1), NAME(rows_4_2)},
#if ACCUMULATORS >= 24
        {NAME(rows_8_1), NAME(rows_8_2)}
#else
        {NULL, NULL}
#endif
    },
    {DOWNS(1), DOWNS(2), DOWNS(3)},
    NAME(line),
    NAME(box),
    NAME(panel),
    NAME(turn),
    NAME(within),
    {{NAME(deal_2), NAME(forward_2), NAME(inverse_2), NAME(filter_2)},
     {NAME(deal_4), NAME(forward_4), NAME(inverse_4), NAME(filter_4)}},
    NAME(to_frequencies),
    NAME(from_frequencies),
    NAME(multiply_frequencies),
    NAME(multiply_each),
    {NAME(load_u8), NAME(load_i8), NAME(load_u16), NAME(load_i16), NAME(load_u32), NAME(load_i32), NAME(load_u64),
     NAME(load_i64), NAME(load_f16), sizeof(T) == 4 ? NAME(load_same) : NAME(load_other),
     sizeof(T) == 8 ? NAME(load_same) : NAME(load_other)},
    {NAME(store_u8), NAME(store_i8), NAME(store_u16), NAME(store_i16), NULL, NULL, NULL, NULL, NULL,
     sizeof(T) == 4 ? NAME(store_same) : NULL, sizeof(T) == 8 ? NAME(store_same) : NULL}
};

#undef EACH_M
#undef EACH_STEP
#undef WRITE
#undef DEFINE_TILE
#undef DEFINE_TILES
#undef TILES
#undef NARROW_TILES
#undef DEFINE_ROWS
#undef DEFINE_DOWN
#undef DEFINE_DOWNS
#undef DOWNS
#undef T
#undef V
#undef LANES
#undef NAME
#undef LOAD
#undef STORE
#undef SET1
#undef ZERO
#undef FMA
#undef ADD
#undef TILE
#undef SHIFTED
#undef EVENS
#undef ODDS
#undef LOAD_PART
#undef STORE_PART
#undef SIDE
#undef TURN
#undef OTHER
#undef ROUNDER

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The microkernels, once, for the type T with vectors V of LANES values.  Included by isa_*.c, which
 * define before it: T V LANES NAME(what) LOAD(p) STORE(p, v) SET1(x) ZERO() FMA(a, b, c) ADD(a, b),
 * LOAD_PART(p, n) and STORE_PART(p, n, v), which touch n < LANES values, LOAD_UNDER(p, mask), which loads values from <= i < to
 * under a MASK that is MASK_OF(from, to) and makes the others 0, NEXT(u, v), values 1 to LANES of both, HALF, the kernels of vectors half as
 * long (these or not), SHIFTED(p, u, v, n), which is LOAD(p + n) where u and v are what lies at p and behind that, EVENS(u, v) and
 * ODDS(u, v), every other value of both, ZIP(u, v, half), the values of both in turn, the first or second half of them (SMALL: not), TILE, the
 * scalars of the best register tile, ACCUMULATORS, how many vectors may be live, and TURN(p, pitch, q, q_pitch), which writes SIDE rows of SIDE
 * values as columns, and OTHER, the floating type that T is not.  SMALL: without what is there for speed only.
 *
 * The functions that take R, M, NV or C are inlined with these as constants: every index below is a
 * literal, so that the arrays of accumulators become registers.  Each output has one accumulator and
 * its taps are added in the order in which they are given.
 */

#define LINE_VALUES (LINE / (int)sizeof(T))
#define EACH_M(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13)
#define EACH_STEP(DO) EACH_M(DO)

/* A pointer goes on to the next row, and not before its turn: gcc would work out the addresses of all rows first, for all ends that a kernel
 * has, and keep in memory what it has no registers for. */
#ifdef __GNUC__
#define MOVE(p, step) p += step; __asm__("" : "+r"(p));
#else
#define MOVE(p, step) p += step;
#endif

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

/* Whether rows of NV vectors from y on are whole lines of the cache, and so may go past it. */
#ifdef STREAM
#define WHOLE_LINES(NV, y, y_step) \
    ((NV) * LANES * (int)sizeof(T) % LINE == 0 && (((uintptr_t)(y) | (uintptr_t)((y_step) * (ptrdiff_t)sizeof(T))) & (LINE - 1)) == 0)
#else
#define WHOLE_LINES(NV, y, y_step) 0
#define STREAM(p, v) STORE(p, v)
#endif
#define WRITE_PAST(m, to) \
        { \
            STREAM(to, ADD(b0, a[m][0])); \
            if (NV > 1) STREAM((to) + LANES, ADD(b1, a[m][1])); \
        }
#define WRITE_ROW(m, to, past) if (past) WRITE_PAST(m, to) else WRITE(m, to)

/* Where the loop over the taps has code of its own for scalars side by side, and for nothing that is to be fetched: few registers, or one
 * vector, leave no time between the multiplications for what that saves.  Else one loop does for all. */
#define SCALARS_JOIN(NV) (NV == 1 || ACCUMULATORS < 24)
#define NOTHING_NEXT (ACCUMULATORS < 24)

/* Where the last tap is multiplied row by row as rows are written: vectors of 64 bytes take two cycles to be stored, and what waits for that
 * keeps the multiplications that follow out of the queue.  Those of the tap stay in registers, as they may lie across lines. */
#define LATE_TAP(NV) (NV == 2 && sizeof(V) == 64)

/* taps: M scalars x NV vectors.  (One pointer walks over the scalars: with their addresses written out clang loads them all first, and
 * spills.) */
CCONV_INLINE void NAME(add_taps)(const int M, const int NV, V a[MAX_TILE][4], const T *vectors, const ptrdiff_t *vector_at, const T *scalars,
                                 const ptrdiff_t *scalar_at, ptrdiff_t pitch, int64_t taps, const int FETCH, const T *next, ptrdiff_t next_step,
                                 const int EDGES, const int64_t *ends)
{
    const int64_t from = EDGES ? ends[0] : 0, to = EDGES ? ends[1] : taps;
    int64_t t;
    for (t = 0; t < taps; t++) {
        const T *p = vectors + vector_at[t], *q = scalars + scalar_at[t];
        V v0 = LOAD(p), v1 = v0, v2 = v0, v3 = v0;
        if (FETCH) {
            PREFETCH_FAR(next);
            if (NV * LANES > LINE_VALUES) PREFETCH_FAR(next + LINE_VALUES);
            if (NV * LANES > 2 * LINE_VALUES) { PREFETCH_FAR(next + 2 * LINE_VALUES); PREFETCH_FAR(next + 3 * LINE_VALUES); }
            next += next_step;
        }
        if (NV > 1) v1 = LOAD(p + LANES);
        if (NV > 2) { v2 = LOAD(p + 2 * LANES); v3 = LOAD(p + 3 * LANES); }
#define BY(m, scalar) \
        { \
            V b = SET1(scalar); \
            a[m][0] = FMA(b, v0, a[m][0]); \
            if (NV > 1) a[m][1] = FMA(b, v1, a[m][1]); \
            if (NV > 2) { a[m][2] = FMA(b, v2, a[m][2]); a[m][3] = FMA(b, v3, a[m][3]); } \
        }
#define MULTIPLY(m) \
        if (m < M) { \
            if (!EDGES || (m > 0 && m < M - 1)) BY(m, *q) \
            q += pitch; \
        }
        if (EDGES) {        /* before the others: clang would spill */
            if (t >= from) BY(0, *q)
            if (t < to) BY(M - 1, q[(M - 1) * pitch])
        }
        EACH_M(MULTIPLY)
#undef BY
#undef MULTIPLY
    }
}

CCONV_INLINE void NAME(tile)(const int M, const int NV, const void *vectors_, const ptrdiff_t *vector_at,
                             const void *scalars_, const ptrdiff_t *scalar_at, ptrdiff_t pitch, int64_t taps, const void *before_,
                             ptrdiff_t before_pitch, ptrdiff_t before_step, void *y_, ptrdiff_t y_pitch, int64_t last, int stream,
                             const void *next_, ptrdiff_t next_step, const int EDGES, const int64_t *ends)
{
    const T *vectors = (const T *)vectors_, *scalars = (const T *)scalars_, *next = (const T *)next_, *before = (const T *)before_;
    T *y = (T *)y_;
    const int past = NV < 3 && stream && WHOLE_LINES(NV, y, y_pitch);
    const int late = LATE_TAP(NV) && taps > 0 && last == LANES && !past;
    V a[MAX_TILE][4];
#define START(m) if (m < M) { a[m][0] = a[m][1] = a[m][2] = a[m][3] = ZERO(); }
    EACH_M(START)
#undef START
    if (SCALARS_JOIN(NV) && pitch == 1) {
        if (NOTHING_NEXT && next_step == 0) NAME(add_taps)(M, NV, a, vectors, vector_at, scalars, scalar_at, 1, taps - late, 0, next, 0, EDGES, ends);
        else NAME(add_taps)(M, NV, a, vectors, vector_at, scalars, scalar_at, 1, taps - late, 1, next, next_step, EDGES, ends);
    } else {
        NAME(add_taps)(M, NV, a, vectors, vector_at, scalars, scalar_at, pitch, taps - late, 1, next, next_step, EDGES, ends);
    }
    /* Ends without a branch for each row: these took longer than all else that is done once a call. */
#define SUM(m, v) ADD(LOAD(before + (v) * before_step), a[m][v])
#define FINISH(m, PUT, PUT_LAST) \
    if (m < M) { \
        if (NV > 1) PUT(y, SUM(m, 0)); \
        if (NV > 2) { PUT(y + LANES, SUM(m, 1)); PUT(y + 2 * LANES, SUM(m, 2)); } \
        PUT_LAST(y + (NV - 1) * LANES, SUM(m, NV - 1)); \
        MOVE(before, before_pitch) \
        MOVE(y, y_pitch) \
    }
#define PART(p, v) STORE_PART(p, last, v)
#define FINISH_WHOLE(m) FINISH(m, STORE, STORE)
#define FINISH_PART(m) FINISH(m, STORE, PART)
#define FINISH_PAST(m) FINISH(m, STREAM, STREAM)
#define FINISH_LATE(m) \
    if (m < M && (!EDGES || ((m > 0 || ends[0] < taps) && (m < M - 1 || ends[1] >= taps)))) { \
        const V b = SET1(q[m * pitch]); \
        a[m][0] = FMA(b, v0, a[m][0]); \
        if (NV > 1) a[m][1] = FMA(b, v1, a[m][1]); \
    } \
    FINISH_WHOLE(m)
    if (late) {
        const T *p = vectors + vector_at[taps - 1], *q = scalars + scalar_at[taps - 1];
        const V v0 = LOAD(p), v1 = NV > 1 ? LOAD(p + LANES) : v0;
        PREFETCH_FAR(next + (taps - 1) * next_step);
        if (NV * LANES > LINE_VALUES) PREFETCH_FAR(next + (taps - 1) * next_step + LINE_VALUES);
        EACH_M(FINISH_LATE)
    } else if (last != LANES) { EACH_M(FINISH_PART) }
    else if (past) { EACH_M(FINISH_PAST) }
    else { EACH_M(FINISH_WHOLE) }
#undef FINISH_LATE
#undef SUM
#undef FINISH
#undef PART
#undef FINISH_WHOLE
#undef FINISH_PART
#undef FINISH_PAST
}

#define DEFINE_TILE(M, NV) \
    static void NAME(taps_##M##_##NV)(const void *vectors, const ptrdiff_t *vector_at, const void *scalars, \
                                      const ptrdiff_t *scalar_at, ptrdiff_t pitch, int64_t taps, const void *before, \
                                      ptrdiff_t before_pitch, ptrdiff_t before_step, void *y, ptrdiff_t y_pitch, int64_t last, int stream, \
                                      const void *next, ptrdiff_t next_step) \
    { \
        NAME(tile)(M, NV, vectors, vector_at, scalars, scalar_at, pitch, taps, before, before_pitch, before_step, y, y_pitch, last, stream, next, \
                   next_step, 0, NULL); \
    }
#define DEFINE_EDGE(M) \
    static void NAME(edge_##M)(const void *vectors, const ptrdiff_t *vector_at, const void *scalars, const ptrdiff_t *scalar_at, \
                               ptrdiff_t pitch, int64_t taps, const void *before, ptrdiff_t before_pitch, void *y, ptrdiff_t y_pitch, \
                               int64_t last, const void *next, ptrdiff_t next_step, const int64_t *ends) \
    { \
        NAME(tile)(M, 2, vectors, vector_at, scalars, scalar_at, pitch, taps, before, before_pitch, LANES, y, y_pitch, last, 0, next, \
                   next_step, 1, ends); \
    }
#define EDGE(M) (sizeof(T) == 4 ? NAME(edge_##M) : NULL)       /* of double they would not be worth their size */
#define DEFINE_TILES(M) DEFINE_TILE(M, 1) DEFINE_TILE(M, 2) DEFINE_TILE(M, 4)
#define TILES(M) {NAME(taps_##M##_1), NAME(taps_##M##_2), NAME(taps_##M##_4)}
#define NARROW_TILES(M) {NAME(taps_##M##_1), NAME(taps_##M##_2), NULL}

DEFINE_TILES(1) DEFINE_TILES(2)
#if ACCUMULATORS >= 24
DEFINE_TILES(3) DEFINE_TILES(4) DEFINE_TILES(5) DEFINE_TILES(6)
DEFINE_TILE(7, 1) DEFINE_TILE(7, 2) DEFINE_TILE(8, 1) DEFINE_TILE(8, 2) DEFINE_TILE(9, 1) DEFINE_TILE(9, 2)
DEFINE_TILE(10, 1) DEFINE_TILE(10, 2) DEFINE_TILE(11, 1) DEFINE_TILE(11, 2) DEFINE_TILE(12, 1) DEFINE_TILE(12, 2)
DEFINE_TILE(13, 1) DEFINE_TILE(13, 2) DEFINE_TILE(14, 1) DEFINE_TILE(14, 2)
#ifndef SMALL
DEFINE_EDGE(4) DEFINE_EDGE(5) DEFINE_EDGE(6) DEFINE_EDGE(7) DEFINE_EDGE(8) DEFINE_EDGE(9) DEFINE_EDGE(10) DEFINE_EDGE(11) DEFINE_EDGE(12)
DEFINE_EDGE(13) DEFINE_EDGE(14)
#endif
#else
DEFINE_TILE(3, 1) DEFINE_TILE(3, 2) DEFINE_TILE(4, 1) DEFINE_TILE(4, 2)
DEFINE_TILE(5, 1) DEFINE_TILE(5, 2) DEFINE_TILE(6, 1) DEFINE_TILE(6, 2)
#ifndef SMALL
DEFINE_EDGE(4) DEFINE_EDGE(5) DEFINE_EDGE(6)
#endif
#endif

#include "rows.inc.h"
#include "deep.inc.h"
#ifndef SMALL
#include "near.inc.h"
#endif

/* box: passes over lines of entries, each sum of two of the pass before, and one value more where k has that bit. */
static void NAME(box)(void *x_, ptrdiff_t x_pitch, void *s_, ptrdiff_t s_pitch, int64_t each, int64_t step, int64_t n, int64_t k,
                      const void *scale, const void *start)
{
    T *x = (T *)x_, *s = (T *)s_, *from = x;
    const V factor = SET1(scale ? *(const T *)scale : 1), offset = SET1(start ? *(const T *)start : 0);
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
#include "upright.inc.h"
#include "fft.inc.h"
#include "gradient.inc.h"

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
#ifdef SMALL
    {NULL},
#else
    {
        NULL, NULL, NULL, NULL, EDGE(4), EDGE(5), EDGE(6),
#if ACCUMULATORS >= 24
        EDGE(7), EDGE(8), EDGE(9), EDGE(10), EDGE(11), EDGE(12), EDGE(13), EDGE(14)
#endif
    },
#endif
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
#ifdef SMALL
    NULL, NULL, 0, {NULL, NULL}, NULL,
#else
    NAME(near), NEAR_TALL, NEAR_MOST, {NAME(near_sums_1), NAME(near_sums_2)}, NAME(near_spread),
#endif
    NAME(deep),
#ifdef SMALL
    {NULL, NULL},
#else
    {NAME(deep_pair_1), NAME(deep_pair_2)},
#endif
    NAME(box),
    NAME(panel),
    NAME(turn),
    NAME(within),
    {{NAME(deal_2), NAME(forward_2), NAME(inverse_2), NAME(filter_2)},
     {NAME(deal_4), NAME(forward_4), NAME(inverse_4), NAME(filter_4)},
     {NAME(deal_4), NAME(forward_strided), NAME(inverse_strided), NAME(filter_strided)}},
    {NAME(lift), {NAME(settle_2), NAME(settle_3), NAME(settle_4), NAME(settle_5)}, NAME(raise)},
    NAME(to_frequencies),
    NAME(from_frequencies),
    NAME(multiply_frequencies),
    NAME(multiply_each),
    {
        {OVERS(1), NAME(over_1_7), NAME(over_1_8), NAME(over_1_9), NAME(over_1_10)},
        {OVERS(2), NULL, NULL, NULL, NULL},
#if ACCUMULATORS >= 24
        {OVERS(4), NULL, NULL, NULL, NULL}
#else
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}
#endif
    },
    NAME(fold),
    {
        {NULL, NULL}, OUTER(1), OUTER(2), OUTER(3), OUTER(4), OUTER(5), OUTER(6),
#if ACCUMULATORS >= 24
        OUTER(7), OUTER(8), OUTER(9), OUTER(10), OUTER(11), OUTER(12), OUTER(13), OUTER(14)
#endif
    },
    {NAME(load_u8), NAME(load_i8), NAME(load_u16), NAME(load_i16), NAME(load_u32), NAME(load_i32), NAME(load_u64),
     NAME(load_i64), NAME(load_f16), sizeof(T) == 4 ? NAME(load_same) : NAME(load_other),
     sizeof(T) == 8 ? NAME(load_same) : NAME(load_other)},
    {NAME(store_u8), NAME(store_i8), NAME(store_u16), NAME(store_i16), NULL, NULL, NULL, NULL, NULL,
     sizeof(T) == 4 ? NAME(store_same) : NULL, sizeof(T) == 8 ? NAME(store_same) : NULL}
};

#undef EACH_M
#undef EACH_STEP
#undef WRITE
#undef MOVE
#undef LINE_VALUES
#undef SCALARS_JOIN
#undef LATE_TAP
#undef NOTHING_NEXT
#undef EACH_T
#undef DEFINE_OVER
#undef DEFINE_OVERS
#undef OVERS
#undef DEFINE_OUTER_OF
#undef DEFINE_OUTER
#undef OUTER
#undef DEFINE_TILE
#undef DEFINE_TILES
#undef DEFINE_EDGE
#undef EDGE
#undef TILES
#undef NARROW_TILES
#undef NEAR_TALL
#undef NEAR_MOST
#undef DEFINE_ROWS
#undef SPREAD_TAP
#undef SPREAD_COLUMN
#undef USE_TAP
#undef USE_ROW
#undef STRIP
#undef DEFINE_DOWN
#undef DEFINE_DOWNS
#undef DOWNS
#undef T
#undef V
#undef LANES
#undef NAME
#undef LOAD
#undef STORE
#undef STREAM
#undef WHOLE_LINES
#undef WRITE_ROW
#undef WRITE_PAST
#undef SET1
#undef ZERO
#undef FMA
#undef ADD
#undef TILE
#undef SHIFTED
#undef EVENS
#undef ODDS
#undef ZIP
#undef LOAD_PART
#undef STORE_PART
#undef SIDE
#undef TURN
#undef TURN_MORE
#undef OTHER
#undef ROUNDER

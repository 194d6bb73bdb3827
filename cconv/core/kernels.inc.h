/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The microkernels, once, for the type T with vectors V of LANES values.  Included by isa_*.c, which
 * define before it: T V LANES NAME(what) LOAD(p) STORE(p, v) SET1(x) ZERO() FMA(a, b, c) ADD(a, b), RAISED(v, low) and
 * LOWERED(v, high), which are v where it is neither below `low` nor above `high`, a NaN for one,
 * LOAD_PART(p, n) and STORE_PART(p, n, v), which touch n < LANES values (vectors of 64 bytes: or LANES), LOAD_UNDER(p, mask), which loads values from <= i < to
 * under a MASK that is MASK_OF(from, to) and makes the others 0, NEXT(u, v), values 1 to LANES of both, HALF, the kernels of vectors half as
 * long (these or not), SHIFTED(p, u, v, n), which is LOAD(p + n) where u and v are what lies at p and behind that, EVENS(u, v) and
 * ODDS(u, v), every other value of both, ZIP(u, v, half), the values of both in turn, the first or second half of them (SMALL: not), TILE, the
 * scalars of the best register tile, ACCUMULATORS, how many vectors may be live, FUSED(a, b, c), FMA of one double each, and TURN(p, pitch, q, q_pitch), which writes SIDE rows of SIDE
 * values as columns, COLUMNS(p, pitch, v), SIDE columns of LANES rows as vectors (or not), and OTHER, the
 * floating type that T is not.  SMALL: without what is there for speed only.  STORES_OF_HALF: integers are stored by HALF.
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

/* Whether rows of NV vectors from y on are whole lines of the cache, and so may go past it. */
#ifdef STREAM
#define WHOLE_LINES(NV, y, y_step) \
    ((NV) * LANES * (int)sizeof(T) % LINE == 0 && (((uintptr_t)(y) | (uintptr_t)((y_step) * (ptrdiff_t)sizeof(T))) & (LINE - 1)) == 0)
#else
#define WHOLE_LINES(NV, y, y_step) 0
#define STREAM(p, v) STORE(p, v)
#endif

/* What results are clipped to, from below and from above, where these are not NULL; of two values, or none. */
typedef struct NAME(bounds) {
    const T *low, *high;
} NAME(bounds);

CCONV_INLINE NAME(bounds) NAME(bounds_of)(const void *clip)
{
    NAME(bounds) bounds;
    bounds.low = (const T *)clip;
    bounds.high = clip && bounds.low[1] < INFINITY ? bounds.low + 1 : NULL;
    return bounds;
}

/* A NaN passes. */
CCONV_INLINE V NAME(clipped)(V v, NAME(bounds) clip)
{
    if (!clip.low) return v;
    v = RAISED(v, SET1(*clip.low));
    return clip.high ? LOWERED(v, SET1(*clip.high)) : v;
}

/* Many sums at once, by one test for all. */
#define CLIP(clip, raise, lower) \
    if (clip.low) { \
        V bound = SET1(*clip.low); \
        raise \
        if (clip.high) { bound = SET1(*clip.high); lower } \
    }
#define RAISE(sum) sum = RAISED(sum, bound);
#define LOWER(sum) sum = LOWERED(sum, bound);

/* Where many kernels would clip their results, SMALL does so after they were written. */
#ifdef SMALL
#define CLIP_AT_ONCE(clip) ((const void *)NULL)
#define CLIP_AFTER(y, y_row, rows, n, clip) if (clip) NAME(clip_rows)(y, y_row, rows, n, clip);
static void NAME(clip_rows)(void *y_, ptrdiff_t y_row, int64_t rows, int64_t n, const void *clip_)
{
    const NAME(bounds) clip = NAME(bounds_of)(clip_);
    T *y = (T *)y_;
    int64_t i;
    for (; rows > 0; rows--, y += y_row) {
        for (i = n < LANES ? n : 0; i < n; i += LANES) {      /* the last vector ends with the last value */
            T *at = y + (i < n - LANES ? i : n - LANES);
            STORE(at, NAME(clipped)(LOAD(at), clip));
        }
        if (n < LANES) STORE_PART(y, n, NAME(clipped)(LOAD_PART(y, n), clip));
    }
}
#else
#define CLIP_AT_ONCE(clip) (clip)
#define CLIP_AFTER(y, y_row, rows, n, clip)
#endif

/* A whole vector, or a part of one: stores under a mask take longer. */
#define LOAD_UP_TO(p, n) ((n) == LANES ? LOAD(p) : LOAD_PART(p, n))
#define STORE_UP_TO(p, n, v) \
    do { \
        if ((n) == LANES) STORE(p, v); \
        else STORE_PART(p, n, v); \
    } while (0)

#include "taps.inc.h"
#include "turning.inc.h"
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
    TURNINGS,
    {
        {NAME(rows_1_1), NAME(rows_1_2)}, TWO_ROWS, {NAME(rows_4_1), NAME(rows_4_2)},
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
#undef MOVE
#undef CLIP
#undef CLIP_AT_ONCE
#undef CLIP_AFTER
#undef RAISE
#undef LOWER
#undef TURNINGS
#undef TWO_ROWS
#undef COLUMNS
#undef HALF
#undef LINE_VALUES
#undef SCALARS_JOIN
#undef LATE_TAP
#undef LOAD_UP_TO
#undef STORE_UP_TO
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
#undef EACH_OF_ROW
#undef ADD_BIAS
#undef FROM_BIAS
#undef RAISE_ROW
#undef LOWER_ROW
#undef SPREAD_COLUMN
#undef USE_TAP
#undef USE_ROW
#undef CUTS
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
#undef SET1
#undef ZERO
#undef FMA
#undef ADD
#undef RAISED
#undef LOWERED
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

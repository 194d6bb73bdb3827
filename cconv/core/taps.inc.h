/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The register tile of taps.c, winograd.c and upright.c.  Part of kernels.inc.h.
 */

/* Where the loop over the taps has code of its own for scalars side by side, and for nothing that is to be fetched: few registers, or one
 * vector, leave no time between the multiplications for what that saves.  Else one loop does for all. */
#define SCALARS_JOIN(NV) (NV == 1 || ACCUMULATORS < 24)
#define NOTHING_NEXT (ACCUMULATORS < 24)

/* Where the last tap is multiplied row by row as rows are written: vectors of 64 bytes take two cycles to be stored, and what waits for that
 * keeps the multiplications that follow out of the queue.  Those of the tap stay in registers, as they may lie across lines.  Whole rows that are not
 * written so, as results are clipped, go under a mask as parts do: less code. */
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
                             const void *clip, const void *next_, ptrdiff_t next_step, const int EDGES, const int64_t *ends)
{
    const T *vectors = (const T *)vectors_, *scalars = (const T *)scalars_, *next = (const T *)next_, *before = (const T *)before_;
    T *y = (T *)y_;
    const int past = NV < 3 && stream && WHOLE_LINES(NV, y, y_pitch);
    const int late = LATE_TAP(NV) && taps > 0 && last == LANES && !past && !clip;
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
    /* Ends for each sort of rows, without a branch for each row. */
#define COMPLETE(m) \
    if (m < M) { \
        a[m][0] = ADD(LOAD(before), a[m][0]); \
        if (NV > 1) a[m][1] = ADD(LOAD(before + before_step), a[m][1]); \
        if (NV > 2) { a[m][2] = ADD(LOAD(before + 2 * before_step), a[m][2]); a[m][3] = ADD(LOAD(before + 3 * before_step), a[m][3]); } \
        MOVE(before, before_pitch) \
    }
#define EACH_SUM(DO, m) if (m < M) { DO(a[m][0]) if (NV > 1) { DO(a[m][1]) } if (NV > 2) { DO(a[m][2]) DO(a[m][3]) } }
#define RAISE_ONE(m) EACH_SUM(RAISE, m)
#define LOWER_ONE(m) EACH_SUM(LOWER, m)
#define FINISH(m, PUT, PUT_LAST) \
    if (m < M) { \
        if (NV > 1) PUT(y, a[m][0]); \
        if (NV > 2) { PUT(y + LANES, a[m][1]); PUT(y + 2 * LANES, a[m][2]); } \
        PUT_LAST(y + (NV - 1) * LANES, a[m][NV - 1]); \
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
    COMPLETE(m) \
    FINISH_WHOLE(m)
    if (late) {
        const T *p = vectors + vector_at[taps - 1], *q = scalars + scalar_at[taps - 1];
        const V v0 = LOAD(p), v1 = NV > 1 ? LOAD(p + LANES) : v0;
        PREFETCH_FAR(next + (taps - 1) * next_step);
        if (NV * LANES > LINE_VALUES) PREFETCH_FAR(next + (taps - 1) * next_step + LINE_VALUES);
        EACH_M(FINISH_LATE)
        return;
    }
    EACH_M(COMPLETE)
    if (CLIP_AT_ONCE(clip)) {
        const NAME(bounds) bounds = NAME(bounds_of)(clip);
        CLIP(bounds, EACH_M(RAISE_ONE), EACH_M(LOWER_ONE))
    }
    if (past) { EACH_M(FINISH_PAST) }
    else if (LATE_TAP(NV) || last != LANES) { EACH_M(FINISH_PART) }
    else { EACH_M(FINISH_WHOLE) }
    CLIP_AFTER(y_, y_pitch, M, (NV - 1) * LANES + last, clip)
#undef FINISH_LATE
#undef COMPLETE
#undef EACH_SUM
#undef RAISE_ONE
#undef LOWER_ONE
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
                                      const void *clip, const void *next, ptrdiff_t next_step) \
    { \
        NAME(tile)(M, NV, vectors, vector_at, scalars, scalar_at, pitch, taps, before, before_pitch, before_step, y, y_pitch, last, stream, clip, \
                   next, next_step, 0, NULL); \
    }
#define DEFINE_EDGE(M) \
    static void NAME(edge_##M)(const void *vectors, const ptrdiff_t *vector_at, const void *scalars, const ptrdiff_t *scalar_at, \
                               ptrdiff_t pitch, int64_t taps, const void *before, ptrdiff_t before_pitch, void *y, ptrdiff_t y_pitch, \
                               int64_t last, const void *clip, const void *next, ptrdiff_t next_step, const int64_t *ends) \
    { \
        NAME(tile)(M, 2, vectors, vector_at, scalars, scalar_at, pitch, taps, before, before_pitch, LANES, y, y_pitch, last, 0, clip, next, \
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

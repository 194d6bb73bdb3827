/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sums over positions of products of two arrays, for gradient.c: M scalars' worth of one by NT of the other.  Part of
 * kernels.inc.h.
 *
 * A sum is kept as a line of the cache full of sums, whatever the vectors' size, so that its bits are the same everywhere:
 * vectors shorter than a line pass over the positions once for each part of it.
 */

#define EACH_T(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9)

CCONV_INLINE void NAME(over)(const int M, const int NT, const void *g_, ptrdiff_t g_pitch, ptrdiff_t g_step, const void *x_,
                             const ptrdiff_t *x_at, ptrdiff_t x_step, int64_t samples, int64_t lines, void *sums)
{
    int part;
    for (part = 0; part < LINE_VALUES / LANES; part++) {
        const T *g = (const T *)g_ + part * LANES, *x = (const T *)x_ + part * LANES;
        T *to = (T *)sums + part * LANES;
        V a[MAX_OVER][4];
        int64_t s, i;
#define START(t) if (t < NT) a[t][0] = a[t][1] = a[t][2] = a[t][3] = ZERO();
        EACH_T(START)
#undef START
        for (s = 0; s < samples; s++, g += g_step, x += x_step) {
            const T *u = g, *p[MAX_OVER];
#define START(t) if (t < NT) p[t] = x + x_at[t];
            EACH_T(START)
#undef START
            for (i = 0; i < lines * LINE_VALUES; i += LINE_VALUES) {
                const V u0 = LOAD(u + i);
                V u1 = u0, u2 = u0, u3 = u0;
                if (M > 1) u1 = LOAD(u + g_pitch + i);
                if (M > 2) { u2 = LOAD(u + 2 * g_pitch + i); u3 = LOAD(u + 3 * g_pitch + i); }
#define MULTIPLY(t) \
                if (t < NT) { \
                    const V v = LOAD(p[t] + i); \
                    a[t][0] = FMA(u0, v, a[t][0]); \
                    if (M > 1) a[t][1] = FMA(u1, v, a[t][1]); \
                    if (M > 2) { a[t][2] = FMA(u2, v, a[t][2]); a[t][3] = FMA(u3, v, a[t][3]); } \
                }
                EACH_T(MULTIPLY)
#undef MULTIPLY
            }
        }
#define FINISH(t) \
        if (t < NT) { \
            STORE(to + t * LINE_VALUES, a[t][0]); \
            if (M > 1) STORE(to + (NT + t) * LINE_VALUES, a[t][1]); \
            if (M > 2) { STORE(to + (2 * NT + t) * LINE_VALUES, a[t][2]); STORE(to + (3 * NT + t) * LINE_VALUES, a[t][3]); } \
        }
        EACH_T(FINISH)
#undef FINISH
    }
}

/* Fourteen pointers are loaded each time: there are not registers enough, and gcc would use those of vectors.  Six are not. */
#if ACCUMULATORS >= 24
#define FROM_MEMORY volatile
#else
#define FROM_MEMORY
#endif

/* For gradient_outer.c: outer products of M values of one array and NV vectors of the other, which lie one after the other, summed over
 * positions: y[m][j] = before[m][j] + sum over p of x[x_to[m] + x_at[p]] * g[p * NV * LANES + j]. */
CCONV_INLINE void NAME(outer)(const int M, const int NV, const void *g_, const void *x_, const ptrdiff_t *x_to, const ptrdiff_t *x_at,
                              int64_t positions, const void *before_, ptrdiff_t before_pitch, void *y_, ptrdiff_t y_pitch)
{
    const T *g = (const T *)g_, *before = (const T *)before_, *FROM_MEMORY x[MAX_TILE];
    T *y = (T *)y_;
    V a[MAX_TILE][2];
    int64_t p;
#define START(m) if (m < M) { x[m] = (const T *)x_ + x_to[m]; a[m][0] = a[m][1] = ZERO(); }
    EACH_M(START)
#undef START
    for (p = 0; p < positions; p++, g += NV * LANES) {
        const ptrdiff_t at = x_at[p];
        const V v0 = LOAD(g);
        V v1 = v0;
        if (NV > 1) v1 = LOAD(g + LANES);
#define MULTIPLY(m) \
        if (m < M) { \
            const V b = SET1(x[m][at]); \
            a[m][0] = FMA(b, v0, a[m][0]); \
            if (NV > 1) a[m][1] = FMA(b, v1, a[m][1]); \
        }
        EACH_M(MULTIPLY)
#undef MULTIPLY
    }
#define FINISH(m) \
    if (m < M) { \
        STORE(y + m * y_pitch, ADD(LOAD(before + m * before_pitch), a[m][0])); \
        if (NV > 1) STORE(y + m * y_pitch + LANES, ADD(LOAD(before + m * before_pitch + LANES), a[m][1])); \
    }
    EACH_M(FINISH)
#undef FINISH
}

#undef FROM_MEMORY

#define DEFINE_OUTER_OF(M, NV) \
    static void NAME(outer_##M##_##NV)(const void *g, const void *x, const ptrdiff_t *x_to, const ptrdiff_t *x_at, int64_t positions, \
                                       const void *before, ptrdiff_t before_pitch, void *y, ptrdiff_t y_pitch) \
    { \
        NAME(outer)(M, NV, g, x, x_to, x_at, positions, before, before_pitch, y, y_pitch); \
    }
#define DEFINE_OUTER(M) DEFINE_OUTER_OF(M, 1) DEFINE_OUTER_OF(M, 2)
#define OUTER(M) {NAME(outer_##M##_1), NAME(outer_##M##_2)}

DEFINE_OUTER(1) DEFINE_OUTER(2) DEFINE_OUTER(3) DEFINE_OUTER(4) DEFINE_OUTER(5) DEFINE_OUTER(6)
#if ACCUMULATORS >= 24
DEFINE_OUTER(7) DEFINE_OUTER(8) DEFINE_OUTER(9) DEFINE_OUTER(10) DEFINE_OUTER(11) DEFINE_OUTER(12) DEFINE_OUTER(13) DEFINE_OUTER(14)
#endif

/* n lines of sums as n sums, in place: neighbours are added, again and again. */
static void NAME(fold)(void *sums, int64_t n)
{
    T *s = (T *)sums;
    int64_t length = n * LINE_VALUES, i;
    while (length > n) {
        length /= 2;
        for (i = 0; i < length; i += LANES) {
            const V u = LOAD(s + 2 * i), v = LOAD(s + 2 * i + LANES);
            STORE(s + i, ADD(EVENS(u, v), ODDS(u, v)));
        }
    }
}

#define DEFINE_OVER(M, NT) \
    static void NAME(over_##M##_##NT)(const void *g, ptrdiff_t g_pitch, ptrdiff_t g_step, const void *x, const ptrdiff_t *x_at, \
                                      ptrdiff_t x_step, int64_t samples, int64_t lines, void *sums) \
    { \
        NAME(over)(M, NT, g, g_pitch, g_step, x, x_at, x_step, samples, lines, sums); \
    }
#define DEFINE_OVERS(M) DEFINE_OVER(M, 1) DEFINE_OVER(M, 2) DEFINE_OVER(M, 3) DEFINE_OVER(M, 4) DEFINE_OVER(M, 5) DEFINE_OVER(M, 6)
#define OVERS(M) NULL, NAME(over_##M##_1), NAME(over_##M##_2), NAME(over_##M##_3), NAME(over_##M##_4), NAME(over_##M##_5), NAME(over_##M##_6)

DEFINE_OVERS(1) DEFINE_OVER(1, 7) DEFINE_OVER(1, 8) DEFINE_OVER(1, 9) DEFINE_OVER(1, 10)
DEFINE_OVERS(2)
#if ACCUMULATORS >= 24
DEFINE_OVERS(4)
#endif

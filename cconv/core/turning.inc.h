/* SPDX-License-Identifier: BSD-3-Clause
 *
 * turning: few outputs that see one tap of pixels, whose channels lie side by side.  Vectors along positions, as in `taps`, whose order of the sums it
 * keeps; they are turned on their way into the registers.  Part of kernels.inc.h.
 */

#if defined(COLUMNS) && !defined(SMALL)
/* NV vectors of positions, of which the first begins at x. */
CCONV_INLINE void NAME(turning_block)(const int M, const int NV, const T *x, ptrdiff_t pixel, const T *w, ptrdiff_t w_step, int64_t taps,
                                      V a[FEWEST_OUTPUTS][2])
{
    const T *const second = x + LANES * pixel, *next = x + 4 * LANES * pixel;
    int64_t c, i, due = 0;
    int m;
    for (m = 0; m < M; m++) a[m][0] = a[m][1] = ZERO();
#define USE(m, g, u) if (m < M) a[m][g] = FMA(SET1(w[m]), u, a[m][g]);
#define USE_ALL(g, u) USE(0, g, u) USE(1, g, u) USE(2, g, u) USE(3, g, u)
#define TAP(k) if (k < SIDE) { USE_ALL(0, u[k]) if (NV > 1) { USE_ALL(1, v[k]) } w += w_step; }
    for (c = 0; c + SIDE <= taps; c += SIDE) {
        V u[4], v[4];
        for (due += NV * LANES * SIDE; due >= taps; due -= taps, next += pixel)
            for (i = 0; i < taps; i += LINE_VALUES) PREFETCH_FAR(next + i);
        COLUMNS(x + c, pixel, u);
        if (NV > 1) COLUMNS(second + c, pixel, v);
        TAP(0) TAP(1) TAP(2) TAP(3)
    }
    for (; c < taps; c++, w += w_step) {
        T values[2 * LANES];
        for (i = 0; i < NV * LANES; i++) values[i] = x[i * pixel + c];
        USE_ALL(0, LOAD(values))
        if (NV > 1) { USE_ALL(1, LOAD(values + LANES)) }
    }
#undef TAP
#undef USE
#undef USE_ALL
}

CCONV_INLINE void NAME(turning)(const int M, const T *x, ptrdiff_t pixel, int64_t n, const T *w, ptrdiff_t w_step, int64_t taps, const T *before,
                                ptrdiff_t before_pitch, ptrdiff_t before_step, T *y, ptrdiff_t y_pitch)
{
    V a[FEWEST_OUTPUTS][2];
    int64_t j;
    int m;
    for (j = 0; j + 2 * LANES <= n; j += 2 * LANES, x += 2 * LANES * pixel, before += 2 * before_step) {
        NAME(turning_block)(M, 2, x, pixel, w, w_step, taps, a);
        for (m = 0; m < M; m++) {
            STORE(y + m * y_pitch + j, ADD(LOAD(before + m * before_pitch), a[m][0]));
            STORE(y + m * y_pitch + j + LANES, ADD(LOAD(before + m * before_pitch + before_step), a[m][1]));
        }
    }
    for (; j < n; j += LANES, x += LANES * pixel, before += before_step) {
        T rows[LANES * BLOCK_TAPS];     /* of pixels, as many as there are */
        int64_t i;
        for (i = 0; i < n - j && n - j < LANES; i++) memcpy(rows + i * taps, x + i * pixel, (size_t)taps * sizeof(T));
        for (; i < LANES && n - j < LANES; i++) memset(rows + i * taps, 0, (size_t)taps * sizeof(T));
        NAME(turning_block)(M, 1, n - j < LANES ? rows : x, n - j < LANES ? (ptrdiff_t)taps : pixel, w, w_step, taps, a);
        for (m = 0; m < M; m++) {
            const V sum = ADD(LOAD(before + m * before_pitch), a[m][0]);
            if (n - j < LANES) STORE_PART(y + m * y_pitch + j, n - j, sum);
            else STORE(y + m * y_pitch + j, sum);
        }
    }
}

#define DEFINE_TURNING(M) \
    static void NAME(turning_##M)(const void *x, ptrdiff_t pixel, int64_t n, const void *w, ptrdiff_t w_step, int64_t taps, const void *before, \
                                  ptrdiff_t before_pitch, ptrdiff_t before_step, void *y, ptrdiff_t y_pitch) \
    { \
        NAME(turning)(M, (const T *)x, pixel, n, (const T *)w, w_step, taps, (const T *)before, before_pitch, before_step, (T *)y, y_pitch); \
    }
DEFINE_TURNING(1) DEFINE_TURNING(2) DEFINE_TURNING(3) DEFINE_TURNING(4)
#undef DEFINE_TURNING
#define TURNINGS {NAME(turning_1), NAME(turning_2), NAME(turning_3), NAME(turning_4)}
#else
#define TURNINGS {NULL, NULL, NULL, NULL}
#endif

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * turning: few outputs that see one tap of pixels, whose channels lie side by side.  Vectors along positions, as in `taps`, whose order of the sums it
 * keeps; they are turned on their way into the registers.  Part of kernels.inc.h.
 */

#define TURNING_ARGUMENTS \
    const void *x_, ptrdiff_t pixel, int64_t n, const void *w, ptrdiff_t w_step, int64_t taps, int64_t outputs, const void *before_, \
    ptrdiff_t before_pitch, ptrdiff_t before_step, void *y_, ptrdiff_t y_pitch, const void *clip

#if defined(HALF)           /* vectors that are half as long are turned faster */
#define DEFINE_TURNING(M) \
    static void NAME(turning_##M)(TURNING_ARGUMENTS) \
    { \
        HALF->turning[M - 1](x_, pixel, n, w, w_step, taps, outputs, before_, before_pitch, before_step, y_, y_pitch, clip); \
    }

#elif defined(COLUMNS)
/* The sums of two vectors of positions, of which the first begins at x.  SIDE channels are turned at a time: of the last ones, if they are fewer, with
 * what lies behind them. */
CCONV_INLINE void NAME(turning_block)(const int M, const T *x, ptrdiff_t pixel, const T *w, ptrdiff_t w_step, int64_t taps, V a[TURNING_OUTPUTS][2])
{
    const T *next = x + 4 * LANES * pixel;
    int64_t c, i, due = 0;
#define START(m) if (m < M) a[m][0] = a[m][1] = ZERO();
#define USE(m, k) if (m < M) { const V b = SET1(w[m]); a[m][0] = FMA(b, u[k], a[m][0]); a[m][1] = FMA(b, v[k], a[m][1]); }
#define TAP(k) if (k < SIDE && c + k < taps) { USE(0, k) USE(1, k) USE(2, k) USE(3, k) w += w_step; }
    START(0) START(1) START(2) START(3)
    for (c = 0; c < taps; c += SIDE) {
        V u[4], v[4];
        for (due += 2 * LANES * SIDE; due >= taps; due -= taps, next += pixel)
            for (i = 0; i < taps; i += LINE_VALUES) PREFETCH_FAR(next + i);
        COLUMNS(x + c, pixel, u);
        COLUMNS(x + LANES * pixel + c, pixel, v);
        TAP(0) TAP(1) TAP(2) TAP(3)
    }
#undef START
#undef USE
#undef TAP
}

/* The last block is copied, if it is not whole, or behind its last pixel nothing may be read. */
CCONV_INLINE void NAME(turning)(const int M, TURNING_ARGUMENTS)
{
    const T *x = (const T *)x_, *before = (const T *)before_;
    const ptrdiff_t step = before_step ? LANES : 0;
    const NAME(bounds) bounds = NAME(bounds_of)(clip);
    T rows[2 * LANES * BLOCK_TAPS + SIDE], *y = (T *)y_;
    V a[TURNING_OUTPUTS][2];
    int64_t i;
    for (; n > 0; n -= 2 * LANES, x += 2 * LANES * pixel, y += 2 * LANES, before += 2 * step) {
        if (n < 2 * LANES || (n == 2 * LANES && taps % SIDE)) {
            for (i = 0; i < 2 * LANES; i++) memcpy(rows + i * taps, x + (i < n ? i : 0) * pixel, (size_t)taps * sizeof(T));
            memset(rows + 2 * LANES * taps, 0, SIDE * sizeof(T));
            x = rows;
            pixel = (ptrdiff_t)taps;
        }
        NAME(turning_block)(M, x, pixel, (const T *)w, w_step, taps, a);
#define PUT(m) \
        if (m < M && m < outputs) { \
            const V low = NAME(clipped)(ADD(LOAD(before + m * before_pitch), a[m][0]), bounds); \
            const V high = NAME(clipped)(ADD(LOAD(before + m * before_pitch + step), a[m][1]), bounds); \
            T *q = y + m * y_pitch; \
            if (n < LANES) STORE_PART(q, n, low); \
            else STORE(q, low); \
            if (n >= 2 * LANES) STORE(q + LANES, high); \
            else if (n > LANES) STORE_PART(q + LANES, n - LANES, high); \
        }
        PUT(0) PUT(1) PUT(2) PUT(3)
#undef PUT
    }
}

#define DEFINE_TURNING(M) \
    static void NAME(turning_##M)(TURNING_ARGUMENTS) \
    { NAME(turning)(M, x_, pixel, n, w, w_step, taps, outputs, before_, before_pitch, before_step, y_, y_pitch, clip); }
#endif

#ifdef DEFINE_TURNING
DEFINE_TURNING(1) DEFINE_TURNING(2) DEFINE_TURNING(4)
#define TURNINGS {NAME(turning_1), NAME(turning_2), NAME(turning_4), NAME(turning_4)}      /* three by four: one is left over */
#undef DEFINE_TURNING
#else
#define TURNINGS {NULL, NULL, NULL, NULL}
#endif
#undef TURNING_ARGUMENTS

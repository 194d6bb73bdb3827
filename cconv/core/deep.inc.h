/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel of deep.c: vectors across channels, for P outputs in a row or a column at a time.  Part of kernels.inc.h.
 */

#define EACH_OUTPUT(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* P outputs from the `first` on.  `sliding`: an output's tap sees what the next tap (2: the next but one) of the output before sees, so that one
 * vector is loaded for each tap; `within`: no output sees what is
 * outside; `whole`: there are LANES channels, and the last vector begins early, where not so many are left. */
CCONV_INLINE void NAME(deep_block)(const int P, const int sliding, const int within, const int whole, const cconv_deep_sums *sums,
                                   int64_t first, T *to, int64_t outputs, int64_t channels)
{
    const uint64_t limit = (uint64_t)sums->limit;
    const int64_t apart = sums->apart, stride = sums->stride;
    const ptrdiff_t w_pitch = sums->w_pitch, y_step = sums->y_step;
    int64_t c;
    for (c = 0; c < channels; c += LANES) {
        const cconv_deep_line *line = sums->lines;
        const int64_t *run = sums->run;
        const T *bias, *w, *zeros;
        T *y;
        if (whole && c > channels - LANES) c = channels - LANES;
        bias = (const T *)sums->bias;
        w = (const T *)sums->w + c;
        zeros = (const T *)sums->zeros;
        y = to + c;
        for (; *run > 0; run++) {
            const cconv_deep_line *end = line + *run;
            V a[8], x[8], z[8], top;
#define START(n) a[n] = x[n] = z[n] = ZERO();
            EACH_OUTPUT(START)
#undef START
            for (; line < end; line++) {
                const ptrdiff_t step = line->tap_step, out_step = line->out_step;
                const T *at = (const T *)line->x + first * out_step + c;
                int64_t i = line->index + first * stride, t = line->taps;
#define SEEN(i, p) (within || (uint64_t)(i) < limit ? (p) : zeros)
#define SEE(i, p) (whole ? LOAD(SEEN(i, p)) : LOAD_PART(SEEN(i, p), channels))
#define LOAD_NEXT(to) { to = SEE(i, at); at += step; i += apart; }
#define USE(n, k, x) if (n < P) a[n] = FMA(u, x[((n) + (k)) % P], a[n]);
#define MULTIPLY(k, x) \
                        if (k < P) { \
                            const V u = LOAD(w); \
                            LOAD_NEXT(x[(P - 1 + k) % P]) \
                            USE(0, k, x) USE(1, k, x) USE(2, k, x) USE(3, k, x) USE(4, k, x) USE(5, k, x) USE(6, k, x) USE(7, k, x) \
                            w += w_pitch; \
                            if (--t == 0) break; \
                        }
                if (sliding) {
#define AHEAD(n) if (n < P - 1) { LOAD_NEXT(x[n]) if (sliding == 2) LOAD_NEXT(z[n]) }
                    EACH_OUTPUT(AHEAD)
#undef AHEAD
                    for (;;) {
#define TAP(k) MULTIPLY(k, x) if (sliding == 2) MULTIPLY(k, z)
                        EACH_OUTPUT(TAP)
#undef TAP
                    }
#undef USE
#undef MULTIPLY
#undef LOAD_NEXT
                } else {
                    for (; t > 0; t--, at += step, i += apart, w += w_pitch) {
                        const V u = LOAD(w);
#define USE(n) if (n < P) a[n] = FMA(u, SEE(i + n * stride, at + n * out_step), a[n]);
                        EACH_OUTPUT(USE)
#undef USE
                    }
                }
#undef SEE
#undef SEEN
            }
            const NAME(bounds) clip = NAME(bounds_of)(CLIP_AT_ONCE(run[1] > 0 ? NULL : sums->clip));
            top = !bias ? ZERO() : whole ? LOAD(bias + c) : LOAD_PART(bias + c, channels);
#define COMPLETE(n) \
            if (n < P && n < outputs) { \
                if (run > sums->run) top = whole ? LOAD(y + n * y_step) : LOAD_PART(y + n * y_step, channels); \
                a[n] = ADD(a[n], top); \
            }
#define RAISE_ONE(n) if (n < P) RAISE(a[n])
#define LOWER_ONE(n) if (n < P) LOWER(a[n])
#define PUT(n) \
            if (n < P && n < outputs) { \
                if (whole) STORE(y + n * y_step, a[n]); \
                else STORE_PART(y + n * y_step, channels, a[n]); \
            }
            EACH_OUTPUT(COMPLETE)
            CLIP(clip, EACH_OUTPUT(RAISE_ONE), EACH_OUTPUT(LOWER_ONE))
            EACH_OUTPUT(PUT)
#undef COMPLETE
#undef RAISE_ONE
#undef LOWER_ONE
#undef PUT
        }
    }
}

/* For few channels; for others, any kernel; sliding by one, the same within, for 4 outputs; by two, and within.  What is rare, or no faster, shares
 * a kernel that serves it. */
#define DEFINE_DEEP(P, SLIDING, WITHIN, WHOLE) \
    CCONV_ALONE void NAME(deep_##P##_##SLIDING##_##WITHIN##_##WHOLE)(const cconv_deep_sums *sums, int64_t first, T *y, int64_t outputs, \
                                                                     int64_t channels) \
    { NAME(deep_block)(P, SLIDING, WITHIN, WHOLE, sums, first, y, outputs, channels); }
#if ACCUMULATORS >= 24
#define OUTPUTS 8
DEFINE_DEEP(8, 0, 0, 0) DEFINE_DEEP(8, 0, 0, 1) DEFINE_DEEP(8, 1, 0, 1) DEFINE_DEEP(8, 1, 1, 1) DEFINE_DEEP(4, 1, 0, 1)
DEFINE_DEEP(8, 2, 0, 1) DEFINE_DEEP(8, 2, 1, 1)
#define DEEPS {NAME(deep_8_0_0_0), NAME(deep_8_0_0_1), NAME(deep_8_1_0_1), NAME(deep_8_1_1_1), NAME(deep_4_1_0_1), NAME(deep_8_2_0_1), NAME(deep_8_2_1_1)}
#elif defined(SMALL)
#define OUTPUTS 4
DEFINE_DEEP(4, 0, 0, 0) DEFINE_DEEP(4, 0, 0, 1) DEFINE_DEEP(4, 1, 0, 1)
#define DEEPS {NAME(deep_4_0_0_0), NAME(deep_4_0_0_1), NAME(deep_4_1_0_1), NAME(deep_4_1_0_1), NAME(deep_4_1_0_1), NAME(deep_4_0_0_1), NAME(deep_4_0_0_1)}
#else
#define OUTPUTS 4
DEFINE_DEEP(4, 0, 0, 0) DEFINE_DEEP(4, 0, 0, 1) DEFINE_DEEP(4, 1, 0, 1) DEFINE_DEEP(4, 1, 1, 1) DEFINE_DEEP(4, 2, 1, 1)
#define DEEPS {NAME(deep_4_0_0_0), NAME(deep_4_0_0_1), NAME(deep_4_1_0_1), NAME(deep_4_1_1_1), NAME(deep_4_1_0_1), NAME(deep_4_0_0_1), NAME(deep_4_2_1_1)}
#endif

static void NAME(deep)(const cconv_deep_sums *sums, void *y_, int64_t outputs, int64_t channels)
{
    static void (*const deeps[7])(const cconv_deep_sums *, int64_t, T *, int64_t, int64_t) = DEEPS;
    const int sliding = channels < LANES ? 0 : sums->apart == sums->stride ? 1 : 2 * sums->apart == sums->stride ? 2 : 0;
    int64_t p, count;
#ifdef HALF                 /* vectors that are half as long, and so less empty */
    if (2 * channels <= LANES) {
        HALF->deep(sums, y_, outputs, channels);
        return;
    }
#endif
    for (p = 0; p < outputs; p += count) {
        const int within = sums->lowest + p * sums->stride >= 0 && sums->highest + (p + OUTPUTS - 1) * sums->stride < sums->limit;
        const int few = sliding == 1 && outputs - p <= 4;
        int which = channels >= LANES;
        if (sliding == 1) which = few ? 4 : 2 + within;
        if (sliding == 2) which = 5 + within;
        count = few ? 4 : OUTPUTS;
        deeps[which](sums, p, (T *)y_ + p * sums->y_step, outputs - p, channels);
    }
    CLIP_AFTER(y_, sums->y_step, outputs, channels, sums->clip)
}
#undef DEFINE_DEEP
#undef DEEPS

#ifndef SMALL
/* deep_pair: P outputs in each of two rows, whose nine weights stay in registers; a vector that is loaded serves up to six sums.  With a
 * stride S of 2, `rows` adds the middle row by itself first.  At least LANES channels. */
CCONV_INLINE void NAME(pair_block)(const int S, const int P, const cconv_deep_sums *sums, int64_t first, T *to,
                                   ptrdiff_t y_row, int64_t outputs, int64_t channels)
{
    const cconv_deep_line *lines = sums->lines;
    const uint64_t limit = (uint64_t)sums->limit;
    const int64_t index = lines->index + first * S;
    int64_t c;
    for (c = 0; c < channels; c += LANES) {
        const T *w, *bias = (const T *)sums->bias, *zeros = (const T *)sums->zeros;
        const NAME(bounds) clip = NAME(bounds_of)(sums->clip);
        V u[3][3], a[2][8], m[2][8], v, top;
        T *y;
        if (c > channels - LANES) c = channels - LANES;
        w = (const T *)sums->w + c;
#define EACH_TAP(DO) DO(0, 0) DO(0, 1) DO(0, 2) DO(1, 0) DO(1, 1) DO(1, 2) DO(2, 0) DO(2, 1) DO(2, 2)
#define TAKE(k, n) u[k][n] = LOAD(w + ((S == 1 || k == 2 ? k : 1 - k) * 3 + n) * sums->w_pitch);
        EACH_TAP(TAKE)
#undef TAKE
#define START(n) a[0][n] = a[1][n] = m[0][n] = m[1][n] = ZERO();
        EACH_OUTPUT(START)
#undef START
#define USE(i, q, k, n) \
        if (q >= n && (q - n) % S == 0 && (q - n) / S < P && i >= k && (i - k) % S == 0 && (i - k) / S < 2) { \
            if (S == 2 && k == 1) m[(i - k) / S & 1][(q - n) / S & 7] = FMA(u[k][n], v, m[(i - k) / S & 1][(q - n) / S & 7]); \
            else a[(i - k) / S & 1][(q - n) / S & 7] = FMA(u[k][n], v, a[(i - k) / S & 1][(q - n) / S & 7]); \
        }
#define SEE(i, q) \
        if (q < (P - 1) * S + 3) { \
            const T *at = (uint64_t)(index + q) < limit ? x : zeros + c; \
            v = LOAD(at); \
            USE(i, q, 0, 0) USE(i, q, 1, 0) USE(i, q, 2, 0) USE(i, q, 0, 1) USE(i, q, 1, 1) USE(i, q, 2, 1) \
            USE(i, q, 0, 2) USE(i, q, 1, 2) USE(i, q, 2, 2) \
            x += step; \
        }
#define LINE_OF(i) \
        if (i < S + 3) { \
            const ptrdiff_t step = lines[i].tap_step; \
            const T *x = (const T *)lines[i].x + first * S * step + c; \
            SEE(i, 0) SEE(i, 1) SEE(i, 2) SEE(i, 3) SEE(i, 4) SEE(i, 5) SEE(i, 6) SEE(i, 7) SEE(i, 8) \
        }
        LINE_OF(0) LINE_OF(1) LINE_OF(2) LINE_OF(3) LINE_OF(4)
#undef LINE_OF
#undef SEE
#undef USE
#undef EACH_TAP
        top = bias ? LOAD(bias + c) : ZERO();
        y = to + c;
#define COMPLETE(n) \
        if (n < P) { \
            a[0][n] = ADD(a[0][n], S == 2 ? ADD(m[0][n], top) : top); \
            a[1][n] = ADD(a[1][n], S == 2 ? ADD(m[1][n], top) : top); \
        }
#define RAISE_ONE(n) if (n < P) { RAISE(a[0][n]) RAISE(a[1][n]) }
#define LOWER_ONE(n) if (n < P) { LOWER(a[0][n]) LOWER(a[1][n]) }
#define PUT(n) \
        if (n < P && n < outputs) { \
            STORE(y, a[0][n]); \
            STORE(y + y_row, a[1][n]); \
            y += sums->y_step; \
        }
        EACH_OUTPUT(COMPLETE)
        CLIP(clip, EACH_OUTPUT(RAISE_ONE), EACH_OUTPUT(LOWER_ONE))
        EACH_OUTPUT(PUT)
#undef COMPLETE
#undef RAISE_ONE
#undef LOWER_ONE
#undef PUT
    }
}

#define DEFINE_PAIR(S, P) \
    CCONV_ALONE void NAME(pair_##S##_##P)(const cconv_deep_sums *sums, int64_t first, T *y, ptrdiff_t y_row, int64_t outputs, int64_t channels) \
    { NAME(pair_block)(S, P, sums, first, y, y_row, outputs, channels); }
#define DEFINE_DEEP_PAIR(S, MOST, LESS) \
    static void NAME(deep_pair_##S)(const cconv_deep_sums *sums, void *y_, ptrdiff_t y_row, int64_t outputs, int64_t channels) \
    { \
        int64_t p, count; \
        for (p = 0; p < outputs; p += count) { \
            T *y = (T *)y_ + p * sums->y_step; \
            count = outputs - p > LESS ? MOST : LESS; \
            if (count == MOST) NAME(pair_##S##_##MOST)(sums, p, y, y_row, outputs - p, channels); \
            else NAME(pair_##S##_##LESS)(sums, p, y, y_row, outputs - p, channels); \
        } \
    }
#if ACCUMULATORS >= 24
DEFINE_PAIR(1, 7) DEFINE_PAIR(1, 4) DEFINE_PAIR(2, 4) DEFINE_PAIR(2, 2)
DEFINE_DEEP_PAIR(1, 7, 4) DEFINE_DEEP_PAIR(2, 4, 2)
#else
DEFINE_PAIR(1, 2) DEFINE_PAIR(2, 1)
DEFINE_DEEP_PAIR(1, 2, 2) DEFINE_DEEP_PAIR(2, 1, 1)
#endif
#undef DEFINE_PAIR
#undef DEFINE_DEEP_PAIR
#endif
#undef EACH_OUTPUT
#undef OUTPUTS

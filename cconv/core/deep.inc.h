/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel of deep.c: vectors across channels, for P outputs in a row or a column at a time.  Part of kernels.inc.h.
 */

#if ACCUMULATORS >= 24
#define OUTPUTS 8
#else
#define OUTPUTS 6
#endif
#define EACH_OUTPUT(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* P outputs from the `first` on.  `sliding`: an output's tap sees what the next tap of the output before sees, so that one vector is
 * loaded for each tap; `within`: no output sees what is outside; `whole`: there are LANES channels, and the last vector begins early,
 * where not so many are left. */
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
            V a[8], x[8], top;
#define START(n) a[n] = x[n] = ZERO();
            EACH_OUTPUT(START)
#undef START
            for (; line < end; line++) {
                const ptrdiff_t step = line->tap_step, out_step = line->out_step;
                const T *at = (const T *)line->x + first * out_step + c;
                int64_t i = line->index + first * stride, t = line->taps;
#define SEEN(i, p) (within || (uint64_t)(i) < limit ? (p) : zeros)
#define SEE(i, p) (whole ? LOAD(SEEN(i, p)) : LOAD_PART(SEEN(i, p), channels))
                if (sliding) {
#define AHEAD(n) if (n < P - 1) { x[n] = SEE(i, at); at += step; i += apart; }
                    EACH_OUTPUT(AHEAD)
#undef AHEAD
                    for (;;) {
#define USE(n, k) if (n < P) a[n] = FMA(u, x[((n) + (k)) % P], a[n]);
#define TAP(k) \
                        if (k < P) { \
                            const V u = LOAD(w); \
                            x[(P - 1 + k) % P] = SEE(i, at); \
                            USE(0, k) USE(1, k) USE(2, k) USE(3, k) USE(4, k) USE(5, k) USE(6, k) USE(7, k) \
                            w += w_pitch; \
                            at += step; \
                            i += apart; \
                            if (--t == 0) break; \
                        }
                        EACH_OUTPUT(TAP)
#undef TAP
#undef USE
                    }
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
            top = !bias ? ZERO() : whole ? LOAD(bias + c) : LOAD_PART(bias + c, channels);
#define PUT(n) \
            if (n < P && n < outputs) { \
                T *q = y + n * y_step; \
                if (run > sums->run) top = whole ? LOAD(q) : LOAD_PART(q, channels); \
                if (whole) STORE(q, ADD(a[n], top)); \
                else STORE_PART(q, channels, ADD(a[n], top)); \
            }
            EACH_OUTPUT(PUT)
#undef PUT
        }
    }
}

#define DEFINE_DEEP(P, SLIDING, WITHIN, WHOLE) \
    CCONV_ALONE void NAME(deep_##P##_##SLIDING##_##WITHIN##_##WHOLE)(const cconv_deep_sums *sums, int64_t first, T *y, int64_t outputs, \
                                                                     int64_t channels) \
    { NAME(deep_block)(P, SLIDING, WITHIN, WHOLE, sums, first, y, outputs, channels); }
#define DEFINE_DEEPS(P, SLIDING) DEFINE_DEEP(P, SLIDING, 0, 0) DEFINE_DEEP(P, SLIDING, 0, 1) DEFINE_DEEP(P, SLIDING, 1, 1)
#if OUTPUTS == 8
DEFINE_DEEPS(4, 0) DEFINE_DEEPS(4, 1) DEFINE_DEEPS(8, 0) DEFINE_DEEPS(8, 1)
#else
DEFINE_DEEPS(3, 0) DEFINE_DEEPS(3, 1) DEFINE_DEEPS(6, 0) DEFINE_DEEPS(6, 1)
#endif

static void NAME(deep)(const cconv_deep_sums *sums, void *y_, int64_t outputs, int64_t channels)
{
#define DEEPS(P, SLIDING) {NAME(deep_##P##_##SLIDING##_0_0), NAME(deep_##P##_##SLIDING##_0_1), NAME(deep_##P##_##SLIDING##_1_1)}
    static void (*const deeps[2][2][3])(const cconv_deep_sums *, int64_t, T *, int64_t, int64_t) = {
#if OUTPUTS == 8
        {DEEPS(4, 0), DEEPS(4, 1)}, {DEEPS(8, 0), DEEPS(8, 1)}
#else
        {DEEPS(3, 0), DEEPS(3, 1)}, {DEEPS(6, 0), DEEPS(6, 1)}
#endif
    };
#undef DEEPS
    const int sliding = sums->apart == sums->stride;
    int64_t p, count;
    for (p = 0; p < outputs; p += count) {
        const int many = outputs - p > OUTPUTS / 2;
        count = many ? OUTPUTS : OUTPUTS / 2;
        deeps[many][sliding][channels < LANES ? 0 : sums->lowest + p * sums->stride >= 0 && sums->highest + (p + count - 1) * sums->stride < sums->limit ? 2 : 1](
            sums, p, (T *)y_ + p * sums->y_step, outputs - p, channels);
    }
}

/* deep_pair: P outputs in each of two rows, whose nine weights stay in registers; a vector that is loaded serves up to six sums.  With a
 * stride S of 2, `rows` adds the middle row by itself first. */
#if ACCUMULATORS >= 24
#define MOST_1 7
#define LESS_1 4
#define MOST_2 4
#define LESS_2 2
#else
#define MOST_1 2
#define LESS_1 1
#define MOST_2 1
#define LESS_2 1
#endif
CCONV_INLINE void NAME(pair_block)(const int S, const int P, const int within, const int whole, const cconv_deep_sums *sums, int64_t first,
                                   T *to, ptrdiff_t y_row, int64_t outputs, int64_t channels)
{
    const cconv_deep_line *lines = sums->lines;
    const uint64_t limit = (uint64_t)sums->limit;
    const int64_t index = lines->index + first * S;
    int64_t c;
    for (c = 0; c < channels; c += LANES) {
        const T *w, *bias = (const T *)sums->bias, *zeros = (const T *)sums->zeros;
        V u[3][3], a[2][8], m[2][8], v, top;
        T *y;
        if (whole && c > channels - LANES) c = channels - LANES;
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
            const T *at = within || (uint64_t)(index + q) < limit ? x : zeros + c; \
            v = whole ? LOAD(at) : LOAD_PART(at, channels); \
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
        top = !bias ? ZERO() : whole ? LOAD(bias + c) : LOAD_PART(bias + c, channels);
        y = to + c;
#define PUT_AT(q, r, n) \
        { \
            const V b = ADD(a[r][n], S == 2 ? ADD(m[r][n], top) : top); \
            if (whole) STORE(q, b); \
            else STORE_PART(q, channels, b); \
        }
#define PUT(n) \
        if (n < P && n < outputs) { \
            PUT_AT(y, 0, n) \
            PUT_AT(y + y_row, 1, n) \
            y += sums->y_step; \
        }
        EACH_OUTPUT(PUT)
#undef PUT
#undef PUT_AT
    }
}

#define DEFINE_PAIR(S, MANY, P, WITHIN, WHOLE) \
    CCONV_ALONE void NAME(pair_##S##_##MANY##_##WITHIN##_##WHOLE)(const cconv_deep_sums *sums, int64_t first, T *y, ptrdiff_t y_row, \
                                                                  int64_t outputs, int64_t channels) \
    { NAME(pair_block)(S, P, WITHIN, WHOLE, sums, first, y, y_row, outputs, channels); }
#define DEFINE_PAIRS(S, MANY, P) DEFINE_PAIR(S, MANY, P, 0, 0) DEFINE_PAIR(S, MANY, P, 0, 1) DEFINE_PAIR(S, MANY, P, 1, 1)
#define PAIRS(S, MANY) {NAME(pair_##S##_##MANY##_0_0), NAME(pair_##S##_##MANY##_0_1), NAME(pair_##S##_##MANY##_1_1)}
#define DEFINE_DEEP_PAIR(S) \
    DEFINE_PAIRS(S, 0, LESS_##S) DEFINE_PAIRS(S, 1, MOST_##S) \
    static void NAME(deep_pair_##S)(const cconv_deep_sums *sums, void *y_, ptrdiff_t y_row, int64_t outputs, int64_t channels) \
    { \
        static void (*const pairs[2][3])(const cconv_deep_sums *, int64_t, T *, ptrdiff_t, int64_t, int64_t) = {PAIRS(S, 0), PAIRS(S, 1)}; \
        int64_t p, count; \
        for (p = 0; p < outputs; p += count) { \
            const int many = outputs - p > LESS_##S; \
            count = many ? MOST_##S : LESS_##S; \
            pairs[many][channels < LANES ? 0 : sums->lowest + p * S >= 0 && sums->highest + (p + count - 1) * S < sums->limit ? 2 : 1]( \
                sums, p, (T *)y_ + p * sums->y_step, y_row, outputs - p, channels); \
        } \
    }
DEFINE_DEEP_PAIR(1) DEFINE_DEEP_PAIR(2)
#undef DEFINE_PAIR
#undef DEFINE_PAIRS
#undef PAIRS
#undef DEFINE_DEEP_PAIR
#undef MOST_1
#undef LESS_1
#undef MOST_2
#undef LESS_2
#undef DEFINE_DEEP
#undef DEFINE_DEEPS
#undef EACH_OUTPUT
#undef OUTPUTS

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * near: a kernel over one channel where it lies, what is outside of it being 0.  For rows.c, whose order of the taps it keeps.
 * Part of kernels.inc.h.
 *
 * 3x3: strips of NV vectors go down the rows.  Of a row that is outside, zeros are read; at the `edge` of the picture only those values of a
 * vector that exist.
 */

#ifdef MASK                 /* values from <= i < to, the others 0 */
#define LOAD_SOME(p, from, to) LOAD_UNDER(p, MASK_OF(from, to))
#else
CCONV_INLINE V NAME(load_some)(const T *p, int64_t from, int64_t to)
{
    T values[LANES];
    int64_t i;
    if (from == 0 && to == LANES) return LOAD(p);
    for (i = 0; i < LANES; i++) values[i] = i >= from && i < to ? p[i] : 0;
    return LOAD(values);
}
#define LOAD_SOME(p, from, to) NAME(load_some)(p, from, to)
#endif

#ifdef KEEP                 /* in a register: some compilers would load what is used twice twice */
#define KEPT(v) KEEP(v)
#else
#define KEPT(v) ((void)(v))
#endif

/* Of a vector whose first value has coordinate c, the values from FROM on that lie in a row, up to TO. */
#define TO(c, width) ((width) - (c) < 0 ? 0 : (width) - (c) < LANES ? (width) - (c) : LANES)
#define FROM(c, to) ((c) >= 0 ? 0 : -(c) < (to) ? -(c) : (to))

CCONV_INLINE V NAME(see)(const int edge, const T *p, int64_t c, int64_t width)
{
    const int64_t to = TO(c, width);
    return edge ? LOAD_SOME(p, FROM(c, to), to) : LOAD(p);
}

#define WEIGHT(i) SET1(*(const T *)(const void *)((const char *)at->w + at->order[i]))
#define EACH_TAP(DO) DO(0, 0) DO(0, 1) DO(0, 2) DO(1, 0) DO(1, 1) DO(1, 2) DO(2, 0) DO(2, 1) DO(2, 2)
#define ROW_AT(h) ((uint64_t)(h) < (uint64_t)at->height ? (const T *)at->x + (h) * at->x_row + c : zeros)
/* Returns what is to be fetched next. */
CCONV_INLINE const T *NAME(near_strip)(const int NV, const int edge, const cconv_near *at, int64_t column, const T *next, T *y,
                                       ptrdiff_t y_row, int64_t rows, int64_t last)
{
    const T *const x = (const T *)at->x, *const zeros = (const T *)at->zeros;
    const NAME(bounds) clip = NAME(bounds_of)(at->clip);
    const V start = SET1(*(const T *)at->bias);
    const int64_t c = at->column + column, width = at->width, height = at->height;
    const ptrdiff_t x_row = at->x_row;
    int64_t h = at->row, from = h * x_row + c;
    V u[3][3], a[3][2];
    int64_t i;
#define SPREAD(n, k) u[n][k] = WEIGHT(n * 3 + k);
    EACH_TAP(SPREAD)
#undef SPREAD
    a[0][0] = a[0][1] = a[1][0] = a[1][1] = ZERO();
    for (i = -2; i < rows; i++, h++, from += x_row) {
        const T *p = (uint64_t)h < (uint64_t)height ? x + from : zeros;
        V v[3][2];
        v[0][0] = NAME(see)(edge, p, c, width);
        if (NV > 1) v[0][1] = NAME(see)(edge, p + LANES, c + LANES, width);
#define CUT(n) \
        if (edge) { \
            v[n][0] = NAME(see)(1, p + n, c + n, width); \
            if (NV > 1) v[n][1] = NAME(see)(1, p + LANES + n, c + LANES + n, width); \
        } else { \
            v[n][0] = SHIFTED(p, v[0][0], NV > 1 ? v[0][1] : LOAD(p + LANES), n); \
            if (NV > 1) v[n][1] = SHIFTED(p + LANES, v[0][1], LOAD(p + 2 * LANES), n); \
        }
        CUT(1) CUT(2)
#undef CUT
        PREFETCH_FAR(next);
        if (NV > 1) PREFETCH_FAR(next + LANES);
        next += NV * LANES;
        a[2][0] = a[2][1] = ZERO();
#define USE(n, k) \
        a[2 - k][0] = FMA(u[n][k], v[n][0], a[2 - k][0]); \
        if (NV > 1) a[2 - k][1] = FMA(u[n][k], v[n][1], a[2 - k][1]);
        EACH_TAP(USE)
#undef USE
        if (i >= 0) {
            V b = NAME(clipped)(ADD(start, a[0][0]), clip);
            if (NV > 1) { STORE(y, b); b = NAME(clipped)(ADD(start, a[0][1]), clip); }
            STORE_UP_TO(y + (NV - 1) * LANES, last, b);
            y += y_row;
        }
        a[0][0] = a[1][0];
        a[0][1] = a[1][1];
        a[1][0] = a[2][0];
        a[1][1] = a[2][1];
    }
    return next;
}

/* Every other position: the middle row of the kernel is added by itself first. */
CCONV_INLINE const T *NAME(near_strip_2)(const int NV, const int edge, const cconv_near *at, int64_t column, const T *next, T *y,
                                         ptrdiff_t y_row, int64_t rows, int64_t last)
{
    const T *zeros = (const T *)at->zeros;
    const NAME(bounds) clip = NAME(bounds_of)(at->clip);
    const V start = SET1(*(const T *)at->bias);
    const int64_t c = at->column + 2 * column, width = at->width;
    V u[3][3], a[2], m[2], above[2];
    int64_t i;
#define SPREAD(n, k) u[n][k] = WEIGHT(k == 1 ? n : 3 + 2 * n + k / 2);
    EACH_TAP(SPREAD)
#undef SPREAD
    above[0] = above[1] = ZERO();
#ifdef NEXT
#define THIRD(g, q) NEXT(v[0][g], q)
#else
#define THIRD(g, q) EVENS(NAME(see)(edge, p + 2 * g * LANES + 2, c + 2 * g * LANES + 2, width), \
                          NAME(see)(edge, p + 2 * g * LANES + LANES + 2, c + 2 * g * LANES + LANES + 2, width))
#endif
#define SEE_ROW(NV, edge, h) \
        { \
            const T *p = ROW_AT(h); \
            V q0 = NAME(see)(edge, p, c, width), q1 = NAME(see)(edge, p + LANES, c + LANES, width); \
            V q2 = NAME(see)(edge, p + 2 * LANES, c + 2 * LANES, width), q3 = q2, q4 = q2; \
            PREFETCH_FAR(next); \
            PREFETCH_FAR(next + LANES); \
            next += 2 * NV * LANES; \
            KEPT(q0); \
            KEPT(q1); \
            v[0][0] = EVENS(q0, q1); \
            v[1][0] = ODDS(q0, q1); \
            if (NV > 1) { \
                q3 = NAME(see)(edge, p + 3 * LANES, c + 3 * LANES, width); \
                q4 = NAME(see)(edge, p + 4 * LANES, c + 4 * LANES, width); \
                PREFETCH_FAR(next - 2 * LANES); \
                PREFETCH_FAR(next - LANES); \
                KEPT(q2); \
                KEPT(q3); \
                v[0][1] = EVENS(q2, q3); \
                v[1][1] = ODDS(q2, q3); \
                v[2][1] = THIRD(1, q4); \
            } \
            v[2][0] = THIRD(0, NV > 1 ? v[0][1] : q2); \
            (void)q3, (void)q4; \
        }
#define ADD_ROW(sum, k) \
        sum[0] = FMA(u[2][k], v[2][0], FMA(u[1][k], v[1][0], FMA(u[0][k], v[0][0], sum[0]))); \
        if (NV > 1) sum[1] = FMA(u[2][k], v[2][1], FMA(u[1][k], v[1][1], FMA(u[0][k], v[0][1], sum[1])));
    {
        V v[3][2];
        SEE_ROW(NV, edge, at->row)
        ADD_ROW(above, 0)
    }
    for (i = 0; i < rows; i++, y += y_row) {
        V v[3][2], b;
        m[0] = m[1] = ZERO();
        SEE_ROW(NV, edge, at->row + 2 * i + 1)
        ADD_ROW(m, 1)
        a[0] = above[0];
        a[1] = above[1];
        above[0] = above[1] = ZERO();
        SEE_ROW(NV, edge, at->row + 2 * i + 2)
        ADD_ROW(a, 2)
        ADD_ROW(above, 0)
        b = NAME(clipped)(ADD(a[0], ADD(m[0], start)), clip);
        if (NV > 1) { STORE(y, b); b = NAME(clipped)(ADD(a[1], ADD(m[1], start)), clip); }
        STORE_UP_TO(y + (NV - 1) * LANES, last, b);
    }
#undef ADD_ROW
    return next;
}

/* The gradient of the weights: row i of what the taps see meets row i - k of the gradient, k being the tap's.  Whatever the vectors are, a lane of a line
 * adds up those of its column, strip by strip. */
static void NAME(near_sums_1)(const cconv_near *at, const void *g_, const void *next_g_, ptrdiff_t g_row, int64_t rows, int64_t columns, void *sums_)
{
    const T *zeros = (const T *)at->zeros, *next = (const T *)at->next, *next_g = (const T *)next_g_;
    int64_t i, j;
    for (j = 0; j < columns; j += LANES) {
        const int64_t c = at->column + j, width = at->width, count = columns - j < LANES ? columns - j : LANES;
        const int edge = c < 0 || width - c < 2 * LANES;
        const T *g = (const T *)g_ + j;
        T *sums = (T *)sums_ + j % LINE_VALUES;
        V a[3][3], u[3];
#define START(n, k) a[n][k] = ZERO();
        EACH_TAP(START)
        u[1] = u[2] = ZERO();
        for (i = 0; i < rows + 2; i++, next += LANES, next_g += LANES) {
            const T *p = ROW_AT(at->row + i);
            V v[3];
            v[0] = NAME(see)(edge, p, c, width);
            if (edge) { v[1] = NAME(see)(1, p + 1, c + 1, width); v[2] = NAME(see)(1, p + 2, c + 2, width); }
            else { v[1] = SHIFTED(p, v[0], LOAD(p + LANES), 1); v[2] = SHIFTED(p, v[0], LOAD(p + LANES), 2); }
            PREFETCH_FAR(next);
            PREFETCH_FAR(next_g);
            u[0] = i < rows ? LOAD_SOME(g + i * g_row, 0, count) : ZERO();
#define USE(n, k) a[n][k] = FMA(u[k], v[n], a[n][k]);
            EACH_TAP(USE)
#undef USE
            u[2] = u[1];
            u[1] = u[0];
        }
#define FINISH(n, k) STORE(sums + (3 * k + n) * LINE_VALUES, ADD(LOAD(sums + (3 * k + n) * LINE_VALUES), a[n][k]));
        EACH_TAP(FINISH)
    }
}

/* Every other position. */
static void NAME(near_sums_2)(const cconv_near *at, const void *g_, const void *next_g_, ptrdiff_t g_row, int64_t rows, int64_t columns, void *sums_)
{
    const T *zeros = (const T *)at->zeros, *next = (const T *)at->next, *next_g = (const T *)next_g_;
    int64_t i, j;
    for (j = 0; j < columns; j += LANES) {
        const int64_t c = at->column + 2 * j, width = at->width, count = columns - j < LANES ? columns - j : LANES;
        const int edge = c < 0 || width - c < 3 * LANES;
        const T *g = (const T *)g_ + j;
        T *sums = (T *)sums_ + j % LINE_VALUES;
        V a[3][3], u = ZERO(), above;
        EACH_TAP(START)
#undef START
        for (i = 0; i <= 2 * rows; i++) {
            V v[3][2];
            SEE_ROW(1, edge, at->row + i)
#define USE(k, u) a[0][k] = FMA(u, v[0][0], a[0][k]); a[1][k] = FMA(u, v[1][0], a[1][k]); a[2][k] = FMA(u, v[2][0], a[2][k]);
            if (i & 1) {
                USE(1, u)
            } else {
                above = u;
                u = i < 2 * rows ? LOAD_SOME(g + i / 2 * g_row, 0, count) : ZERO();
                PREFETCH_FAR(next_g);
                next_g += LANES;
                USE(0, u)
                USE(2, above)
            }
#undef USE
        }
        EACH_TAP(FINISH)
#undef FINISH
    }
}

/* The gradient of the input under every other position.  Behind its border, row 2r sees rows r - 1 and r of the output's gradient, and row 2r + 1
 * sees row r; so do columns, the first of which is even or `odd`. */
static void NAME(near_spread)(const cconv_near *at, void *y_, ptrdiff_t y_row, int64_t rows, int64_t columns)
{
    const T *zeros = (const T *)at->zeros, *w = (const T *)at->w, *next = (const T *)at->next;
    const int64_t odd = at->column & 1, first = at->row & 1, width = at->width;
    const V start = ZERO();
    V u[3][3];
    int64_t i, j;
#define SPREAD(n, k) u[n][k] = SET1(w[k * 3 + n]);
    EACH_TAP(SPREAD)
#undef SPREAD
    for (j = 0; j < columns; j += 2 * LANES) {
        const int64_t c = (at->column + j - odd) / 2 - !odd, count = columns - j;
        const int edge = c < 0 || width - c < 2 * LANES;
        int64_t row = (at->row - first) / 2 - 1;
        T *y = (T *)y_ + j;
        V left = start, right = start;
        for (i = -first - 2; i < rows; i += 2, row++, next += LANES) {
            const T *p = ROW_AT(row);
            const V l = NAME(see)(edge, p, c, width), r = edge ? NAME(see)(1, p + 1, c + 1, width) : SHIFTED(p, l, LOAD(p + LANES), 1);
            PREFETCH_FAR(next);
#define PUT(even, other) \
            { \
                const V e = ADD(start, even), o = ADD(start, other), low = odd ? ZIP(o, e, 0) : ZIP(e, o, 0), high = odd ? ZIP(o, e, 1) : ZIP(e, o, 1); \
                if (count < LANES) STORE_PART(y, count, low); \
                else STORE(y, low); \
                if (count >= 2 * LANES) STORE(y + LANES, high); \
                else if (count > LANES) STORE_PART(y + LANES, count - LANES, high); \
                y += y_row; \
            }
            if (i >= 0)
                PUT(FMA(u[0][0], r, FMA(u[2][0], l, FMA(u[0][2], right, FMA(u[2][2], left, start)))),
                    FMA(u[1][0], odd ? l : r, FMA(u[1][2], odd ? left : right, start)))
            if (i >= -1 && i + 1 < rows)
                PUT(FMA(u[0][1], r, FMA(u[2][1], l, start)), FMA(u[1][1], odd ? l : r, start))
#undef PUT
            left = l;
            right = r;
        }
    }
}
#undef SEE_ROW
#undef THIRD
#undef EACH_TAP
#undef WEIGHT

#define DEFINE_NEAR(S, STRIP, NV, EDGE) \
    CCONV_ALONE const T *NAME(near_##S##_##NV##_##EDGE)(const cconv_near *at, int64_t column, const T *next, T *y, ptrdiff_t y_row, \
                                                        int64_t rows, int64_t last) \
    { return NAME(STRIP)(NV, EDGE, at, column, next, y, y_row, rows, last); }
DEFINE_NEAR(1, near_strip, 1, 0) DEFINE_NEAR(1, near_strip, 1, 1) DEFINE_NEAR(1, near_strip, 2, 0)
DEFINE_NEAR(2, near_strip_2, 1, 0) DEFINE_NEAR(2, near_strip_2, 1, 1) DEFINE_NEAR(2, near_strip_2, 2, 0)

static void NAME(near)(const cconv_near *at, int64_t stride, void *y_, ptrdiff_t y_row, int64_t rows, int64_t columns)
{
    const T *next = (const T *)at->next;
    T *y = (T *)y_;
    int64_t j, count;
    for (j = 0; j < columns; j += count) {
        const int64_t left = columns - j, c = at->column + j * stride, seen = at->width - c;        /* values, from the first on */
        const int s = stride == 2;
        if (left >= 2 * LANES && c >= 0 && (s ? 5 * LANES : 3 * LANES) <= seen) {
            count = 2 * LANES;
            next = (s ? NAME(near_2_2_0) : NAME(near_1_2_0))(at, j, next, y + j, y_row, rows, LANES);
        } else {
            count = left < LANES ? left : LANES;
            if (c >= 0 && (s ? 3 * LANES : 2 * LANES) <= seen)
                next = (s ? NAME(near_2_1_0) : NAME(near_1_1_0))(at, j, next, y + j, y_row, rows, count);
            else
                next = (s ? NAME(near_2_1_1) : NAME(near_1_1_1))(at, j, next, y + j, y_row, rows, count);
        }
    }
}

#include "tall.inc.h"
#undef DEFINE_NEAR
#undef LOAD_SOME
#undef MASK
#undef MASK_OF
#undef LOAD_UNDER
#undef TO
#undef FROM
#undef NEXT
#undef KEPT
#undef ROW_AT

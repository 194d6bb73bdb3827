/* SPDX-License-Identifier: BSD-3-Clause
 *
 * near_tall: kernels of 5 or 7 rows, and 5x5 with a stride of 2, over one channel where it lies, what is outside of it being 0; for rows.c, whose
 * order of the taps it keeps.
 * Part of near.inc.h.
 */

#if defined(MASK) && LANES >= 8
/* Blocks of R rows x NV vectors, of which `rows` are written, and of their last vectors `last` values.  For each
 * column of the kernel, and of two vectors, there is a mask; rows that are outside are zeros. */
CCONV_INLINE void NAME(tall_column)(const int R, const int NV, const int C, V a[8][4], const T *volatile *seen, int64_t k, const MASK *masks,
                                    const T *w)
{
    const MASK m0 = masks[0], m1 = masks[1];
    V u[MAX_CLASS];
    SPREAD_COLUMN
#define STEP(i) \
    if (i < R + C - 1) { \
        const T *p = seen[i] + k; \
        V v0 = LOAD_UNDER(p, m0), v1 = v0; \
        if (NV > 1) v1 = LOAD_UNDER(p + LANES, m1); \
        USE_ROW(i) \
    }
    EACH_STEP(STEP)
#undef STEP
}

CCONV_INLINE void NAME(tall_block)(const int R, const int NV, const cconv_near *at, int64_t row, int64_t c, T *y, ptrdiff_t y_row, int64_t rows,
                                   int64_t last)
{
    const int64_t taps = at->kernel[0], columns = at->kernel[1], count = R + taps - 1;
    const T *zeros = (const T *)at->zeros, *w = (const T *)at->w, *line = (const T *)at->x + row * at->x_row + c;
    const T *volatile seen[8 + MAX_CLASS];      /* to be loaded: there are not registers enough, and gcc would use those of vectors */
    const MASK *masks = (const MASK *)at->kept;
    const V start = SET1(*(const T *)at->bias);
    V a[8][4];
    int64_t i;
    for (i = 0; i < count && row + i < 0; i++, line += at->x_row) seen[i] = zeros;
    for (; i < count && row + i < at->height; i++, line += at->x_row) seen[i] = line;
    for (; i < count; i++) seen[i] = zeros;
#define START(r) if (r < R) { a[(r) & 7][0] = a[(r) & 7][1] = ZERO(); }
    EACH_M(START)
#undef START
#define CLASS(C) if (taps == C) for (i = 0; i < columns; i++, w += C) NAME(tall_column)(R, NV, C, a, seen, i, masks + 2 * i, w);
    CLASS(5) CLASS(7)
#undef CLASS
#define FINISH(r) \
    if (r < R && r < rows) { \
        T *q = y + (r) * y_row; \
        if (NV > 1) { STORE(q, a[(r) & 7][0]); q += LANES; } \
        STORE_UP_TO(q, last, a[(r) & 7][NV - 1]); \
    }
    EACH_M(FROM_BIAS)
    if (at->clip) {
        const NAME(bounds) clip = NAME(bounds_of)(at->clip);
        CLIP(clip, EACH_M(RAISE_ROW), EACH_M(LOWER_ROW))
    }
    EACH_M(FINISH)
#undef FINISH
}

#define DEFINE_TALL(R, NV) \
    CCONV_ALONE void NAME(tall_##R##_##NV)(const cconv_near *at, int64_t row, int64_t c, T *y, ptrdiff_t y_row, int64_t rows, int64_t last) \
    { NAME(tall_block)(R, NV, at, row, c, y, y_row, rows, last); }
DEFINE_TALL(4, 1) DEFINE_TALL(7, 1)
#if ACCUMULATORS >= 24
DEFINE_TALL(4, 2) DEFINE_TALL(7, 2)
#define TALL_COLUMNS (2 * LANES)
#define TALL(R, n) ((n) > LANES ? NAME(tall_##R##_2) : NAME(tall_##R##_1))
#define NEAR_MOST INT64_MAX
#else                       /* with these wide pictures are faster copied */
#define TALL_COLUMNS LANES
#define TALL(R, n) NAME(tall_##R##_1)
#define NEAR_MOST (2 * LANES)
#endif

CCONV_ALONE MASK NAME(mask)(int64_t c, int64_t width)
{
    const int64_t to = TO(c, width);
    return MASK_OF(FROM(c, to), to);
}

/* 5x5, every other position: strips of NV vectors go down the rows.  rows.c adds up, in this order, rows 1 and 3 of the kernel, three columns and then
 * two, and rows 0, 2 and 4: four sums of each output.  Weights are read where they are used, as there are too many to be kept. */
CCONV_INLINE const T *NAME(near_strip_5)(const int NV, const int edge, const cconv_near *at, int64_t column, const T *next, T *y,
                                         ptrdiff_t y_row, int64_t rows, int64_t last)
{
    const T *zeros = (const T *)at->zeros, *w = (const T *)at->w;
    const NAME(bounds) clip = NAME(bounds_of)(at->clip);
    const V start = SET1(*(const T *)at->bias);
    const int64_t c = at->column + 2 * column, width = at->width;
    V odd[2][2][2], even[3][2][2];      /* of the outputs under way: three columns, two columns */
    int64_t i;
#define CLEAR(a) a[0][0] = a[0][1] = a[1][0] = a[1][1] = ZERO();
#define PASS_ON(a, b) a[0][0] = b[0][0]; a[1][0] = b[1][0]; if (NV > 1) { a[0][1] = b[0][1]; a[1][1] = b[1][1]; }
#define SEE(n) NAME(see)(edge, p + (n), c + (n), width)
#define SEE_FIVE(g) \
    { \
        const int n = 2 * g * LANES; \
        V q0 = SEE(n), q1 = SEE(n + LANES); \
        PREFETCH_FAR(next); \
        PREFETCH_FAR(next + LANES); \
        next += 2 * LANES; \
        KEPT(q0); \
        KEPT(q1); \
        v[0][g] = EVENS(q0, q1); \
        v[1][g] = ODDS(q0, q1); \
        v[2][g] = NEXT(v[0][g], SEE(n + 2 * LANES)); \
        v[3][g] = NEXT(v[1][g], SEE(n + 2 * LANES + 1)); \
        v[4][g] = NEXT(v[2][g], SEE(n + 2 * LANES + 2)); \
    }
#define ROW_OF(a, g, at, step) \
    a[0][g] = FMA(SET1(w[at]), v[0][g], a[0][g]); \
    a[1][g] = FMA(SET1(w[at + 3 * step]), v[3][g], a[1][g]); \
    a[0][g] = FMA(SET1(w[at + step]), v[1][g], a[0][g]); \
    a[1][g] = FMA(SET1(w[at + 4 * step]), v[4][g], a[1][g]); \
    a[0][g] = FMA(SET1(w[at + 2 * step]), v[2][g], a[0][g]);
#define SUM_OF(g) ADD(ADD(ADD(ADD(start, odd[0][0][g]), odd[0][1][g]), even[0][0][g]), even[0][1][g])
    CLEAR(even[0])
    CLEAR(even[1])
    CLEAR(odd[0])
    for (i = -2; i < rows; i++) {
        V v[5][2];
        MOVE(w, 0)
        CLEAR(odd[1])
        CLEAR(even[2])
        if (i > -2) {
            const T *p = ROW_AT(at->row + 2 * i + 3);
            SEE_FIVE(0)
            if (NV > 1) SEE_FIVE(1)
            ROW_OF(odd[0], 0, 1, 2)
            ROW_OF(odd[1], 0, 0, 2)
            if (NV > 1) { ROW_OF(odd[0], 1, 1, 2) ROW_OF(odd[1], 1, 0, 2) }
        }
        {
            const T *p = ROW_AT(at->row + 2 * i + 4);
            SEE_FIVE(0)
            if (NV > 1) SEE_FIVE(1)
            ROW_OF(even[0], 0, 12, 3)
            ROW_OF(even[1], 0, 11, 3)
            ROW_OF(even[2], 0, 10, 3)
            if (NV > 1) { ROW_OF(even[0], 1, 12, 3) ROW_OF(even[1], 1, 11, 3) ROW_OF(even[2], 1, 10, 3) }
        }
        if (i >= 0) {
            V b = NAME(clipped)(SUM_OF(0), clip);
            if (NV > 1) { STORE(y, b); b = NAME(clipped)(SUM_OF(1), clip); }
            STORE_UP_TO(y + (NV - 1) * LANES, last, b);
            y += y_row;
        }
        PASS_ON(odd[0], odd[1])
        PASS_ON(even[0], even[1])
        PASS_ON(even[1], even[2])
    }
#undef CLEAR
#undef PASS_ON
#undef SEE
#undef SEE_FIVE
#undef ROW_OF
#undef SUM_OF
    return next;
}

DEFINE_NEAR(5, near_strip_5, 1, 1)
#if ACCUMULATORS >= 24
DEFINE_NEAR(5, near_strip_5, 2, 0)
#define STRIP_5 2
#define NEAR_5 NAME(near_5_2_0)
#else
DEFINE_NEAR(5, near_strip_5, 1, 0)
#define STRIP_5 1
#define NEAR_5 NAME(near_5_1_0)
#endif

static void NAME(near_five)(const cconv_near *at, void *y_, ptrdiff_t y_row, int64_t rows, int64_t columns)
{
    const T *next = (const T *)at->next;
    T *y = (T *)y_;
    int64_t j, count;
    for (j = 0; j < columns; j += count) {
        const int64_t left = columns - j, c = at->column + 2 * j, seen = at->width - c - 2;        /* values, from the first on */
        count = left < LANES ? left : LANES;
        if (left >= STRIP_5 * LANES && c >= 0 && (2 * STRIP_5 + 1) * LANES <= seen) {
            count = STRIP_5 * LANES;
            next = NEAR_5(at, j, next, y + j, y_row, rows, LANES);
        } else {
            next = NAME(near_5_1_1)(at, j, next, y + j, y_row, rows, count);
        }
    }
}

static void NAME(near_tall)(const cconv_near *at, int64_t stride, void *y_, ptrdiff_t y_row, int64_t rows, int64_t columns)
{
    T *y = (T *)y_;
    MASK *masks = (MASK *)at->kept;
    int64_t i, j, n, high;
#ifdef HALF                 /* vectors that are half as long, and so less empty */
    if (2 * columns <= LANES && HALF->near_tall) {
        HALF->near_tall(at, stride, y, y_row, rows, columns);
        return;
    }
#endif
    if (stride == 2) {
        NAME(near_five)(at, y, y_row, rows, columns);
        return;
    }
    for (j = 0; j < columns; j += n) {
        const int64_t c = at->column + j, left = columns - j, last = left < TALL_COLUMNS ? (left - 1) % LANES + 1 : LANES;
        n = left < TALL_COLUMNS ? left : TALL_COLUMNS;
        for (i = 0; i < 2 * at->kernel[1] && (at->fresh || n < columns); i++) masks[i] = NAME(mask)(c + i / 2 + i % 2 * LANES, at->width);
        for (i = 0; i < rows; i += high) {
            high = rows - i > 4 ? 7 : 4;
            (high > 4 ? TALL(7, n) : TALL(4, n))(at, at->row + i, c, y + i * y_row + j, y_row, rows - i, last);
        }
    }
}
#undef DEFINE_TALL
#undef STRIP_5
#undef NEAR_5
#undef TALL
#undef TALL_COLUMNS
#define NEAR_TALL NAME(near_tall)
#else
#define NEAR_TALL NULL
#define NEAR_MOST 0
#endif

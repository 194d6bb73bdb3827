/* SPDX-License-Identifier: BSD-3-Clause
 *
 * near_tall: kernels of 5 or 7 rows over one channel where it lies, what is outside of it being 0; for rows.c, whose order of the taps it keeps.
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
        V b = ADD(start, a[(r) & 7][0]); \
        if (NV > 1) { STORE(q, b); q += LANES; b = ADD(start, a[(r) & 7][1]); } \
        if (last == LANES) STORE(q, b); \
        else STORE_PART(q, last, b); \
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

static void NAME(near_tall)(const cconv_near *at, int64_t stride, void *y_, ptrdiff_t y_row, int64_t rows, int64_t columns)
{
    T *y = (T *)y_;
    MASK *masks = (MASK *)at->kept;
    int64_t i, j, n, high;
    (void)stride;
#ifdef HALF                 /* vectors that are half as long, and so less empty */
    if (2 * columns <= LANES) {
        HALF->near_tall(at, stride, y, y_row, rows, columns);
        return;
    }
#endif
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
#undef TALL
#undef TALL_COLUMNS
#define NEAR_TALL NAME(near_tall)
#else
#define NEAR_TALL NULL
#define NEAR_MOST 0
#endif

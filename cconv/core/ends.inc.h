/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels that do not multiply: planes, panels and weights on their way in, results on their way out.
 * Part of kernels.inc.h.
 */

/* Rows of `width` values, x_pitch apart, put y_pitch apart, for each of `taps` offsets; whole vectors
 * are copied, and what they write beyond a row's end is the next row's or slack. */
static void NAME(panel)(const void *x_, const ptrdiff_t *offset, int64_t taps, int64_t rows, int64_t width,
                        ptrdiff_t x_pitch, void *y_, ptrdiff_t y_pitch, ptrdiff_t y_plane)
{
    int64_t t, r, j;
    for (t = 0; t < taps; t++) {
        const T *x = (const T *)x_ + offset[t];
        T *y = (T *)y_ + t * y_plane;
        for (r = 0; r < rows; r++, x += x_pitch, y += y_pitch)
            for (j = 0; j < width; j += LANES) STORE(y + j, LOAD(x + j));
    }
}

/* The next of steps of `side` up to n: the last may begin before the one before ends, and do a part of it again. */
CCONV_INLINE int64_t NAME(side_after)(int64_t at, int64_t side, int64_t n)
{
    return at + side < n && at + side > n - side ? n - side : at + side;
}

/* Columns of `rows` rows of n values as rows: to[j * to_pitch + i] = from[i * pitch + j].  By squares, larger ones where there is room; row by
 * row, but down the columns of rows that are short and lie close together; value by value where there are too few. */
static void NAME(turn)(const void *from_, ptrdiff_t pitch, int64_t rows, int64_t n, void *to_, ptrdiff_t to_pitch)
{
    const T *from = (const T *)from_;
    T *to = (T *)to_;
    int64_t i, j;
#define BY_SQUARES(side, SQUARE) \
    if (n < rows && pitch > 0 && pitch < 2 * n) { \
        for (j = 0; j < n; j = NAME(side_after)(j, side, n)) \
            for (i = 0; i < rows; i = NAME(side_after)(i, side, rows)) SQUARE(from + i * pitch + j, pitch, to + j * to_pitch + i, to_pitch); \
    } else { \
        for (i = 0; i < rows; i = NAME(side_after)(i, side, rows)) \
            for (j = 0; j < n; j = NAME(side_after)(j, side, n)) SQUARE(from + i * pitch + j, pitch, to + j * to_pitch + i, to_pitch); \
    }
    if (rows < SIDE || n < SIDE) {
        for (i = 0; i < rows; i++)
            for (j = 0; j < n; j++) to[j * to_pitch + i] = from[i * pitch + j];
        return;
    }
#ifdef TURN_MORE
    if (rows >= 2 * SIDE && n >= 2 * SIDE) {
        BY_SQUARES(2 * SIDE, TURN_MORE)
        return;
    }
#endif
    BY_SQUARES(SIDE, TURN)
#undef BY_SQUARES
}

/* Whether the magnitudes of n values are below the limit, NaN's is not. */
static int NAME(within)(const void *x_, int64_t n, double limit_)
{
    const T *x = (const T *)x_;
    const T limit = (T)limit_;
    int64_t i;
    int bad = 0;
    for (i = 0; i < n; i++) bad |= !(x[i] < limit) | !(x[i] > -limit);
    return !bad;
}

/* Rows of n values, copied. */
static void NAME(load_same)(const char *x_, ptrdiff_t x_row, ptrdiff_t x_step, void *y_, ptrdiff_t y_row, int64_t rows,
                            int64_t n)
{
    T *y = (T *)y_;
    int64_t i;
    for (; rows > 0; rows--, x_ += x_row, y += y_row) {
        const T *x = (const T *)(const void *)x_;
        if (x_step == (ptrdiff_t)sizeof(T)) {
            for (i = 0; i + LANES <= n; i += LANES) STORE(y + i, LOAD(x + i));
            if (i < n) STORE_PART(y + i, n - i, LOAD_PART(x + i, n - i));
        } else if (x_step == 0 && n >= LANES) {     /* one value, the bias of vectors along positions; the last vector ends with the last value */
            const V v = SET1(*x);
            for (i = 0; i + LANES < n; i += LANES) STORE(y + i, v);
            STORE(y + n - LANES, v);
        } else if (x_step == 2 * (ptrdiff_t)sizeof(T)) {    /* phases of a stride of 2 */
            for (i = 0; i + LANES < n; i += LANES) STORE(y + i, EVENS(LOAD(x + 2 * i), LOAD(x + 2 * i + LANES)));
            if (i < n) {
                const int64_t left = 2 * (n - i) - 1, more = left - LANES;
                const V u = more >= 0 ? LOAD(x + 2 * i) : LOAD_PART(x + 2 * i, left);
                const V v = more > 0 ? LOAD_PART(x + 2 * i + LANES, more) : ZERO();
                if (n - i == LANES) STORE(y + i, EVENS(u, v));
                else STORE_PART(y + i, n - i, EVENS(u, v));
            }
        } else if (x_step == 4 * (ptrdiff_t)sizeof(T) && n > LANES) {       /* the last vector ends with the last value */
#define FOURTH(WHICH, p) WHICH(WHICH(LOAD(p), LOAD((p) + LANES)), WHICH(LOAD((p) + 2 * LANES), LOAD((p) + 3 * LANES)))
            for (i = 0; i + LANES < n; i += LANES) STORE(y + i, FOURTH(EVENS, x + 4 * i));
            STORE(y + n - LANES, FOURTH(ODDS, x + 4 * (n - LANES) - 3));
#undef FOURTH
        } else {
            for (i = 0; i < n; i++) y[i] = *(const T *)(const void *)(x_ + i * x_step);
        }
    }
}

/* load and store: plain loops, which the compiler vectorises for this instruction set. */

#define DEFINE_LOAD(TYPE, FROM, VALUE) \
    static void NAME(load_##TYPE)(const char *x, ptrdiff_t x_row, ptrdiff_t x_step, void *y_, ptrdiff_t y_row, \
                                  int64_t rows, int64_t n) \
    { \
        T *y = (T *)y_; \
        int64_t i; \
        for (; rows > 0; rows--, x += x_row, y += y_row) { \
            const FROM *p = (const FROM *)(const void *)x; \
            if (x_step == (ptrdiff_t)sizeof(FROM)) { \
                for (i = 0; i < n; i++) y[i] = (T)VALUE(p[i]); \
            } else if (x_step == 2 * (ptrdiff_t)sizeof(FROM)) { /* phases of a stride of 2: shuffled, not gathered */ \
                for (i = 0; i < n - 1; i++) y[i] = (T)VALUE(p[2 * i]); \
                if (n > 0) y[n - 1] = (T)VALUE(p[2 * (n - 1)]); \
            } else { \
                for (i = 0; i < n; i++) y[i] = (T)VALUE(*(const FROM *)(const void *)(x + i * x_step)); \
            } \
        } \
    }
#define SAME(v) (v)

DEFINE_LOAD(u8, uint8_t, SAME) DEFINE_LOAD(i8, int8_t, SAME) DEFINE_LOAD(u16, uint16_t, SAME)
DEFINE_LOAD(i16, int16_t, SAME) DEFINE_LOAD(u32, uint32_t, SAME) DEFINE_LOAD(i32, int32_t, SAME)
DEFINE_LOAD(u64, uint64_t, SAME) DEFINE_LOAD(i64, int64_t, SAME) DEFINE_LOAD(f16, uint16_t, cconv_half)
DEFINE_LOAD(other, OTHER, SAME)

/* W: the type in which the divisor divides; double for integers, so that no quotient of integers is
 * rounded to a half that it is not. */
#define DEFINE_STORE(TYPE, TO, W, ROUNDED, WIDE, LOW, HIGH) \
    static void NAME(store_##TYPE)(const void *x_, ptrdiff_t x_row, char *y, ptrdiff_t y_row, ptrdiff_t y_step, \
                                   int64_t rows, int64_t n, double divisor, double bias, double low_, double high_) \
    { \
        const T *x = (const T *)x_; \
        const T low = (T)CLIPPED(low_, LOW, HIGH), high = (T)CLIPPED(high_, LOW, HIGH); \
        int64_t i; \
        for (; rows > 0; rows--, x += x_row, y += y_row) { \
            if (divisor == 1 && y_step == (ptrdiff_t)sizeof(TO)) { \
                TO *q = (TO *)(void *)y; \
                for (i = 0; i < n; i++) { T v = x[i]; q[i] = (TO)ROUNDED(v, low, high); } \
            } else if (divisor == 1) { \
                for (i = 0; i < n; i++) { T v = x[i]; *(TO *)(void *)(y + i * y_step) = (TO)ROUNDED(v, low, high); } \
            } else { \
                for (i = 0; i < n; i++) { \
                    W v = (W)x[i] / (W)divisor + (W)bias; \
                    *(TO *)(void *)(y + i * y_step) = (TO)WIDE(v, (W)low, (W)high); \
                } \
            } \
        } \
    }

/* A NaN passes the clip of a float, and is 0 as an integer, which `low` is or lies above where there is no sign: comparisons
 * that let it become `low` are single instructions.  Adding ROUNDER rounds half to even, because nothing smaller than 1 fits
 * beside it, and leaves the integer in the lowest bits. */
#define CLIPPED(v, low, high) ((v) < (low) ? (low) : (v) > (high) ? (high) : (v))
#define ROUND_WIDE(v, low, high) \
    (int32_t)((CLIPPED((v) == (v) ? (v) : 0, low, high) + 6755399441055744.0) - 6755399441055744.0)

#define AT_LEAST(v, low) ((v) > (low) ? (v) : (low))
#define AT_MOST(v, high) ((v) < (high) ? (v) : (high))
#define ROUND_UNSIGNED(v, low, high) NAME(low_bits)(AT_MOST(AT_LEAST(v, low), high) + ROUNDER)
#define ROUND_SIGNED(v, low, high) ROUND_UNSIGNED((v) == (v) ? (v) : 0, low, high)

CCONV_INLINE uint32_t NAME(low_bits)(T value)
{
    union { T value; uint32_t bits[sizeof(T) / 4]; } u;
    const union { uint32_t word; unsigned char bytes[4]; } order = {1};
    u.value = value;
    return u.bits[order.bytes[0] ? 0 : sizeof(T) / 4 - 1];
}

#ifdef STORES_OF_HALF       /* vectors that are half as long do it as fast, and 11 KB of code need not be there twice */
#define STORE_BY_HALF(TYPE, OUTPUT) \
    static void NAME(store_##TYPE)(const void *x, ptrdiff_t x_row, char *y, ptrdiff_t y_row, ptrdiff_t y_step, \
                                   int64_t rows, int64_t n, double divisor, double bias, double low, double high) \
    { \
        HALF->store[OUTPUT](x, x_row, y, y_row, y_step, rows, n, divisor, bias, low, high); \
    }
STORE_BY_HALF(u8, CCONV_U8) STORE_BY_HALF(i8, CCONV_I8) STORE_BY_HALF(u16, CCONV_U16) STORE_BY_HALF(i16, CCONV_I16)
#undef STORE_BY_HALF
#undef STORES_OF_HALF
#else
DEFINE_STORE(u8, uint8_t, double, ROUND_UNSIGNED, ROUND_WIDE, 0.0, 255.0)
DEFINE_STORE(i8, int8_t, double, ROUND_SIGNED, ROUND_WIDE, -128.0, 127.0)
DEFINE_STORE(u16, uint16_t, double, ROUND_UNSIGNED, ROUND_WIDE, 0.0, 65535.0)
DEFINE_STORE(i16, int16_t, double, ROUND_SIGNED, ROUND_WIDE, -32768.0, 32767.0)
#endif
DEFINE_STORE(same, T, T, CLIPPED, CLIPPED, -INFINITY, INFINITY)

#undef DEFINE_LOAD
#undef SAME
#undef DEFINE_STORE
#undef CLIPPED
#undef ROUND_SIGNED
#undef ROUND_UNSIGNED
#undef AT_LEAST
#undef AT_MOST
#undef ROUND_WIDE

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the core: what the kernels of an instruction set do, and the table of them that it has (isa_*.c, by kernels.inc.h); with what
 * compilers call by different names.
 */
#ifndef CCONV_KERNELS_H
#define CCONV_KERNELS_H

#include "cconv.h"

#include <string.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define CCONV_INLINE static __forceinline
#else
#define CCONV_INLINE static inline __attribute__((always_inline))
#endif

/* A function of its own: together, several would share the registers of one. */
#if defined(_MSC_VER) && !defined(__clang__)
#define CCONV_ALONE static __declspec(noinline)
#else
#define CCONV_ALONE static __attribute__((noinline))
#endif

#if defined(__clang__) || defined(__GNUC__)
#define CCONV_HIDDEN __attribute__((visibility("hidden")))
#else
#define CCONV_HIDDEN
#endif

#if defined(_MSC_VER) || defined(__cplusplus)
#define CCONV_RESTRICT __restrict
#else
#define CCONV_RESTRICT restrict
#endif

#define SQRT_2 1.4142135623730951
#define SQRT_HALF 0.70710678118654757

/* A line of the cache that will be read; the address need not exist. */
#if defined(__clang__) || defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p)
#define PREFETCH_FAR(p) __builtin_prefetch(p, 0, 2)
#else
#define PREFETCH(p) ((void)(p))
#define PREFETCH_FAR(p) ((void)(p))
#endif

#if defined(__x86_64__) || defined(_M_X64) || defined(__i386__) || defined(_M_IX86)
#define CCONV_X86 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define CCONV_ARM64 1
#endif

enum {
    BLOCK_TAPS = 128,       /* taps summed in a register before the sum goes to memory */
    MAX_TILE = 14,          /* scalars of a register tile */
    MAX_VECTOR = 16,        /* values of a vector */
    MAX_CLASS = 7,          /* kernel rows that share the loads of one column */
    MAX_OVER = 10,          /* sums over positions that share what they are multiplied by */
    MAX_SHORT = 3,          /* no more rows than this, and a whole strip goes down at once */
    LINE = 64,              /* bytes of a cache */
    SHARES = 8,             /* tasks that a sample is cut into for several workers, at least, */
    MOST_SHARES = 32,       /* and up to so many where each has */
    SHARED_WORK = 1 << 21,  /* multiplications */
    BAND_COLUMNS = 4096,    /* of a band of `rows`, */
    TAPS_COLUMNS = 512,     /* and of `taps` */
    SMALL_TILE = 6,         /* scalars: what a tap reads from channels far apart is then waited for */
    TURNING_OUTPUTS = 4,    /* channels, no more, for which pixels are turned on their way into registers */
    FEW_OUTPUTS = 32,       /* channels: no more of them than do without a copy of the input in order */
    STREAMED = 1 << 22,     /* bytes of results that are written past the caches: they would not stay there */
    KEPT = 2048,            /* bytes of what the calls of `near_tall` keep for each other */
    SLACK = 128             /* values that a kernel may read or write beyond a row's end */
};

/* y[m][j] = before[m][j] + sum over t of scalars[scalar_at[t] + m * pitch] * vectors[vector_at[t] + j], m < the tile's scalars,
 * j < its width; from one vector of `before` to the next it is before_step values, none for a bias along positions.  Of the last vector `last` values are
 * written; `stream`, only where that is a whole one: past the caches, where whole lines are; `clip`: what results are clipped to, two values, or NULL.  With each tap the lines at `next`, of which the next lie next_step values further, may be fetched into the L2 cache. */
typedef void cconv_taps_kernel(const void *vectors, const ptrdiff_t *vector_at, const void *scalars,
                               const ptrdiff_t *scalar_at, ptrdiff_t pitch, int64_t taps, const void *before, ptrdiff_t before_pitch,
                               ptrdiff_t before_step, void *y, ptrdiff_t y_pitch, int64_t last, int stream, const void *clip,
                               const void *next, ptrdiff_t next_step);

/* The same with two vectors, those of `before` side by side, not past the caches, where the first scalar is not multiplied before tap ends[0], and the
 * last one not from ends[1] on. */
typedef void cconv_edge_kernel(const void *vectors, const ptrdiff_t *vector_at, const void *scalars,
                               const ptrdiff_t *scalar_at, ptrdiff_t pitch, int64_t taps, const void *before, ptrdiff_t before_pitch,
                               void *y, ptrdiff_t y_pitch, int64_t last, const void *clip, const void *next, ptrdiff_t next_step,
                               const int64_t ends[2]);

/* Up to TURNING_OUTPUTS outputs of n positions, which see `taps` channels side by side, `pixel` values from one to the next: the same, w_step values
 * from the weights of a channel to those of the next.  before_step: 0 for a bias.  Behind a channel of a position but the last some are read that do not count. */
typedef void cconv_turning_kernel(const void *x, ptrdiff_t pixel, int64_t n, const void *w, ptrdiff_t w_step, int64_t taps, int64_t outputs,
                                  const void *before, ptrdiff_t before_pitch, ptrdiff_t before_step, void *y, ptrdiff_t y_pitch, const void *clip);

/* Columns of 1 to MAX_CLASS kernel rows: y[r][j] (+)= sum over columns c, rows k of
 * w[c][k] * x[offset[c] + (r + k) * x_step + j].  count[k]: how many columns of k rows.  Of the last
 * vector `last` values are written. */
typedef void cconv_rows_kernel(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, const int64_t *count,
                               const void *w, const void *bias, void *y, ptrdiff_t y_step, int64_t last, const void *clip);

/* Up to MAX_SHORT columns of up to MAX_SHORT kernel rows, any number of output rows of n values: else the same.  The weights lie w_at bytes from w
 * on.  `ends`: how rows do.  `stream`: past the caches, where whole lines are. */
typedef void cconv_down_kernel(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, int64_t rows, int64_t n, const void *w,
                               const ptrdiff_t *w_at, const void *bias, void *y, ptrdiff_t y_step, int ends, int stream, const void *clip);

/* How the last vector of a row of results ends, which begins where the one before it ends: whole, beyond the row; or written in part; or
 * it begins further left, so that no value beyond the row is read or written, of at least a vector's, which begin with `bias`. */
enum { BEYOND, PARTLY, WITHIN };

/* One row of taps side by side: y[r][j] (+)= sum over taps t of w[t] * x[r * x_step + t + j], j < n; `whole`: beyond them up
 * to a vector's end may be written. */
typedef void cconv_line_kernel(const void *x, ptrdiff_t x_step, int64_t taps, const void *w, const void *bias, void *y, ptrdiff_t y_step,
                               int64_t rows, int64_t n, int whole, const void *clip);

/* A kernel of kernel[0] x kernel[1] taps over a channel of height x width values at x, whose first tap sees `row` and `column` for the first
 * output; beyond are zeros, of which there are SLACK at `zeros`.  With a stride of 2, or 3x3, what lies from `next` on is fetched for the next call. */
typedef struct cconv_near {
    const void *x, *zeros, *w, *bias, *clip, *next;
    const ptrdiff_t *order;     /* 3x3, not of gradients: where the taps' weights lie, in bytes from w on */
    ptrdiff_t x_row;
    int64_t height, width, row, column, kernel[2];
    void *kept;                 /* KEPT bytes for what the calls of a task have in common, */
    int fresh;                  /* which the first writes */
} cconv_near;

typedef void cconv_near_kernel(const cconv_near *at, int64_t stride, void *y, ptrdiff_t y_row, int64_t rows, int64_t columns);

/* The gradient of such a kernel's weights: a line of sums for each tap is added to, of the products of g and what the tap sees.  What lies from
 * `next_g` on is fetched, too. */
typedef void cconv_near_sums_kernel(const cconv_near *at, const void *g, const void *next_g, ptrdiff_t g_row, int64_t rows,
                                    int64_t columns, void *sums);

/* The gradient of its input, with a stride of 2: x is that of the output, `row` and `column` are those of the first result behind its border. */
typedef void cconv_near_spread_kernel(const cconv_near *at, void *y, ptrdiff_t y_row, int64_t rows, int64_t columns);

/* Taps side by side, or below each other: where the first tap of the first output sees its channels, at which coordinate, and
 * how far that of the next tap and of the next output lie. */
typedef struct cconv_deep_line {
    const void *x;
    int64_t index, taps;
    ptrdiff_t tap_step, out_step;
} cconv_deep_line;

/* For each channel the sums over runs of lines (run[0] lines, run[1] ..., until 0) of the products of `w`, that of each tap w_pitch
 * values further, and what an output sees: its taps are `apart` coordinates apart, and those of the next output `stride`.  Coordinates
 * outside 0 to limit - 1 see `zeros`.  Added up on top of bias, written y_step values apart. */
typedef struct cconv_deep_sums {
    const cconv_deep_line *lines;
    const int64_t *run;
    int64_t apart, stride, limit;
    int64_t lowest, highest;            /* the first output's first and last coordinate, of all its lines */
    const void *zeros, *w, *bias, *clip;
    ptrdiff_t w_pitch, y_step;
} cconv_deep_sums;

typedef void cconv_deep_kernel(const cconv_deep_sums *sums, void *y, int64_t outputs, int64_t channels);

/* The same for 3x3 neighbours and two rows of outputs, y_row values apart, that see the lines of four rows, or five with a stride of 2;
 * at least a vector of channels. */
typedef void cconv_deep_pair_kernel(const cconv_deep_sums *sums, void *y, ptrdiff_t y_row, int64_t outputs, int64_t channels);

/* Sums of k neighbours in place, times *scale, plus *start, where these are not NULL: `each` outputs at once, `step` values from one neighbour to the
 * next, or lines x_pitch apart, of which the sums in between lie s_pitch apart. */
typedef void cconv_box_kernel(void *x, ptrdiff_t x_pitch, void *s, ptrdiff_t s_pitch, int64_t each, int64_t step, int64_t n, int64_t k,
                              const void *scale, const void *start);

/* The positions of each tap without the gaps between rows: kernels.inc.h. */
typedef void cconv_panel_kernel(const void *x, const ptrdiff_t *offset, int64_t taps, int64_t rows, int64_t width,
                                ptrdiff_t x_pitch, void *y, ptrdiff_t y_pitch, ptrdiff_t y_plane);

/* Columns of `rows` rows of n values as rows: to[j * to_pitch + i] = from[i * pitch + j]. */
typedef void cconv_turn_kernel(const void *from, ptrdiff_t pitch, int64_t rows, int64_t n, void *to, ptrdiff_t to_pitch);

/* Whether the magnitudes of n values are all below a limit. */
typedef int cconv_within_kernel(const void *x, int64_t n, double limit);

/* winograd.inc.h says what these do. */
typedef void cconv_deal_kernel(const void *x, void *y, ptrdiff_t y_step, int64_t n, double scale, void *spoilt);
typedef void cconv_forward_kernel(const void *x, ptrdiff_t x_step, ptrdiff_t below, void *work, void *y, ptrdiff_t y_step, int64_t n);
typedef void cconv_inverse_kernel(const void *x, ptrdiff_t x_step, const void *bias, const void *clip, void *work, void *y, ptrdiff_t y_row,
                                  ptrdiff_t y_step, int64_t n);
typedef void cconv_filter_kernel(const void *w, int64_t channels, int64_t n, void *u, ptrdiff_t u_step);

/* Rows of n values of any type, x_row and x_step bytes apart, as values of the type of the sums, rows
 * y_row values apart. */
typedef void cconv_load_kernel(const char *x, ptrdiff_t x_row, ptrdiff_t x_step, void *y, ptrdiff_t y_row, int64_t rows,
                               int64_t n);

/* Rows of n sums, x_row values apart, divided, clipped, rounded if the output holds integers, written
 * y_row and y_step bytes apart. */
typedef void cconv_store_kernel(const void *x, ptrdiff_t x_row, char *y, ptrdiff_t y_row, ptrdiff_t y_step, int64_t rows,
                                int64_t n, double divisor, double bias, double low, double high);

typedef struct cconv_winograd_kernels {
    cconv_deal_kernel *deal;
    cconv_forward_kernel *forward;
    cconv_inverse_kernel *inverse;
    cconv_filter_kernel *filter;
} cconv_winograd_kernels;

/* upright.inc.h says what these do. */
typedef struct cconv_upright_kernels {
    void (*lift)(const void *const *rows, void *y, ptrdiff_t y_step, int64_t n, int64_t seen, double scale, void *spoilt);
    void (*settle[4])(const void *s, ptrdiff_t s_step, ptrdiff_t s_line, const void *bias, int bias_of_line, const void *clip, void *y,
                      ptrdiff_t y_row, ptrdiff_t y_line, int64_t rows, int64_t lines, int64_t n, int stream);        /* to 2, 3, 4, 5 rows */
    void (*raise)(const void *w, int64_t rows, int64_t stride, int64_t taps, int64_t blocks, int64_t n, void *u, ptrdiff_t u_step);
} cconv_upright_kernels;

/* fft.inc.h says what these do. */
typedef void cconv_transform_kernel(void *re, void *im, ptrdiff_t pitch, int64_t length, int64_t n, const void *roots);
typedef void cconv_frequencies_kernel(void *re, void *im, ptrdiff_t pitch, int64_t length, int64_t n, int64_t taps, ptrdiff_t step,
                                      const void *w);

typedef void cconv_each_kernel(void *re, void *im, int64_t n, const void *w);

/* Sums over positions, a line of the cache full of each: sums[m * NT + t] = sum over samples and lines of positions of
 * g[s * g_step + m * g_pitch + i] * x[s * x_step + x_at[t] + i].  Then n such lines as n sums, in place. */
typedef void cconv_over_kernel(const void *g, ptrdiff_t g_pitch, ptrdiff_t g_step, const void *x, const ptrdiff_t *x_at, ptrdiff_t x_step,
                               int64_t samples, int64_t lines, void *sums);
typedef void cconv_fold_kernel(void *sums, int64_t n);

/* gradient.inc.h says what this does. */
typedef void cconv_outer_kernel(const void *g, const void *x, const ptrdiff_t *x_to, const ptrdiff_t *x_at, int64_t positions,
                                const void *before, ptrdiff_t before_pitch, void *y, ptrdiff_t y_pitch);

/* From sums in 16 bits to results, or, where `words` is the type of the sums, to them. */
typedef struct cconv_rounding {
    int words, shift;                   /* the sums are divided by 2**shift */
    uint16_t start, low, high;          /* what sums begin at, so that none is negative; what results are clipped to */
} cconv_rounding;

/* integer.inc.h: n results of a row of bytes, of pairs of taps at their offsets from x. */
typedef void cconv_integer_kernel(const uint8_t *x, const ptrdiff_t *offset, const int8_t *w, int64_t pairs, int64_t n, void *y,
                                  const cconv_rounding *rounding);

enum { WIDTHS = 3, HEIGHTS = 4 };   /* 1, 2, 4 vectors (rows: 1, 2); 1, 2, 4, 8 rows */

typedef struct cconv_type_kernels {
    int lanes;                                              /* values of a vector */
    int tile;                                               /* scalars of the best tile */
    cconv_taps_kernel *taps[MAX_TILE + 1][WIDTHS];          /* by scalars and log2 of vectors, or NULL */
    cconv_edge_kernel *edge[MAX_TILE + 1];                  /* by scalars, or NULL */
    cconv_turning_kernel *turning[TURNING_OUTPUTS];          /* by outputs - 1, or NULL */
    cconv_rows_kernel *rows[HEIGHTS][2];                    /* by log2 of rows and of vectors, or NULL */
    cconv_down_kernel *down[MAX_SHORT][MAX_SHORT];          /* by rows and columns - 1 */
    cconv_line_kernel *line;
    cconv_near_kernel *near, *near_tall;                    /* or NULL; tall: 5 or 7 rows, 5x5 with a stride of 2 */
    int64_t near_most;                                      /* columns of results for which near_tall is faster than a copy */
    cconv_near_sums_kernel *near_sums[2];                   /* by strides - 1, or NULL */
    cconv_near_spread_kernel *near_spread;                  /* or NULL */
    cconv_deep_kernel *deep;
    cconv_deep_pair_kernel *deep_pair[2];                   /* by strides - 1, or NULL */
    cconv_box_kernel *box;
    cconv_panel_kernel *panel;
    cconv_turn_kernel *turn;
    cconv_within_kernel *within;
    cconv_winograd_kernels winograd[3];                     /* for tiles of 2x2 outputs, of 4x4, of 2x2 with a stride of 2 */
    cconv_upright_kernels upright;
    cconv_transform_kernel *to_frequencies, *from_frequencies;
    cconv_frequencies_kernel *multiply_frequencies;
    cconv_each_kernel *multiply_each;
    cconv_over_kernel *over[WIDTHS][MAX_OVER + 1];          /* by log2 of M and by NT, or NULL */
    cconv_fold_kernel *fold;
    cconv_outer_kernel *outer[MAX_TILE + 1][2];             /* by scalars, and log2 of vectors, or NULL */
    cconv_load_kernel *load[CCONV_TYPES];
    cconv_store_kernel *store[CCONV_TYPES];                 /* NULL where sums are not stored as that */
} cconv_type_kernels;

struct cconv_kernels {
    const char *name;
    const cconv_type_kernels *f32, *f64;
    cconv_integer_kernel *integer;      /* or NULL */
    void (*drain)(void);                /* to be called after `down`, `taps` or `send` has streamed; NULL where they do not */
    void (*send)(const char *x, char *y, int64_t bytes);        /* a copy, whole lines past the caches; NULL where `drain` is */
};

/* dispatch.c: the table of that name, or the best one for NULL; NULL if it is not to be had. */
CCONV_HIDDEN const struct cconv_kernels *cconv_choose_kernels(const char *isa);

/* One ISA's table each; those of other architectures are not compiled. */
extern CCONV_HIDDEN const struct cconv_kernels cconv_kernels__generic, cconv_kernels__avx2, cconv_kernels__avx512,
    cconv_kernels__neon;

CCONV_INLINE int32_t cconv_four_bytes(const int8_t *p)
{
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return bytes;
}

/* IEEE binary16 to binary32, exactly: the exponent is moved by a multiplication. */
CCONV_INLINE float cconv_half(uint16_t half)
{
    union { uint32_t bits; float value; } u, sign;
    u.bits = (uint32_t)(half & 0x7fff) << 13;
    u.value *= 5.192296858534828e33f;                       /* 2**112 */
    if ((half & 0x7fff) >= 0x7c00) u.bits |= 0x7f800000;    /* infinity and NaN */
    sign.value = u.value;
    sign.bits |= (uint32_t)(half & 0x8000) << 16;
    return sign.value;
}

#endif

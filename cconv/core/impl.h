/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the core: the table of kernels that an instruction set offers, and the macros by which
 * one source file is compiled for it whatever the compiler's flags.
 */
#ifndef CCONV_IMPL_H
#define CCONV_IMPL_H

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
    SHARES = 8,             /* tasks that a sample is cut into for several workers, at least */
    BAND_COLUMNS = 4096,    /* of a band of `rows`, */
    TAPS_COLUMNS = 512,     /* and of `taps` */
    SMALL_TILE = 6,         /* scalars: what a tap reads from channels far apart is then waited for */
    FEW_OUTPUTS = 32,       /* channels: no more of them than do without a copy of the input in order */
    STREAMED = 1 << 22,     /* bytes of results that are written past the caches: they would not stay there */
    KEPT = 2048,            /* bytes of what the calls of `near_tall` keep for each other */
    SLACK = 128             /* values that a kernel may read or write beyond a row's end */
};

/* y[m][j] = before[m][j] + sum over t of scalars[scalar_at[t] + m * pitch] * vectors[vector_at[t] + j], m < the tile's scalars,
 * j < its width; from one vector of `before` to the next it is before_step values, none for a bias.  Of the last vector `last` values are
 * written; `stream`: past the caches, where whole lines are.  With each tap the lines at `next`, of which the next lie next_step values further, may be fetched into the L2 cache. */
typedef void cconv_taps_kernel(const void *vectors, const ptrdiff_t *vector_at, const void *scalars,
                               const ptrdiff_t *scalar_at, ptrdiff_t pitch, int64_t taps, const void *before, ptrdiff_t before_pitch,
                               ptrdiff_t before_step, void *y, ptrdiff_t y_pitch, int64_t last, int stream, const void *next,
                               ptrdiff_t next_step);

/* The same with two vectors, those of `before` side by side, not past the caches, where the first scalar is not multiplied before tap ends[0], and the
 * last one not from ends[1] on. */
typedef void cconv_edge_kernel(const void *vectors, const ptrdiff_t *vector_at, const void *scalars,
                               const ptrdiff_t *scalar_at, ptrdiff_t pitch, int64_t taps, const void *before, ptrdiff_t before_pitch,
                               void *y, ptrdiff_t y_pitch, int64_t last, const void *next, ptrdiff_t next_step, const int64_t ends[2]);

/* Columns of 1 to MAX_CLASS kernel rows: y[r][j] (+)= sum over columns c, rows k of
 * w[c][k] * x[offset[c] + (r + k) * x_step + j].  count[k]: how many columns of k rows.  Of the last
 * vector `last` values are written. */
typedef void cconv_rows_kernel(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, const int64_t *count,
                               const void *w, const void *bias, void *y, ptrdiff_t y_step, int64_t last);

/* Up to MAX_SHORT columns of up to MAX_SHORT kernel rows, any number of output rows of n values: else the same.  The weights lie w_at bytes from w
 * on.  `ends`: how rows do.  `stream`: past the caches, where whole lines are. */
typedef void cconv_down_kernel(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, int64_t rows, int64_t n, const void *w,
                               const ptrdiff_t *w_at, const void *bias, void *y, ptrdiff_t y_step, int ends, int stream);

/* How the last vector of a row of results ends, which begins where the one before it ends: whole, beyond the row; or written in part; or
 * it begins further left, so that no value beyond the row is read or written, of at least a vector's, which begin with `bias`. */
enum { BEYOND, PARTLY, WITHIN };

/* One row of taps side by side: y[r][j] (+)= sum over taps t of w[t] * x[r * x_step + t + j], j < n; `whole`: beyond them up
 * to a vector's end may be written. */
typedef void cconv_line_kernel(const void *x, ptrdiff_t x_step, int64_t taps, const void *w, const void *bias, void *y, ptrdiff_t y_step,
                               int64_t rows, int64_t n, int whole);

/* A kernel of kernel[0] x kernel[1] taps over a channel of height x width values at x, whose first tap sees `row` and `column` for the first
 * output; beyond are zeros, of which there are SLACK at `zeros`.  3x3: what lies from `next` on is fetched for the next call. */
typedef struct cconv_near {
    const void *x, *zeros, *w, *bias, *next;
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
    const void *zeros, *w, *bias;
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
typedef void cconv_inverse_kernel(const void *x, ptrdiff_t x_step, const void *bias, void *work, void *y, ptrdiff_t y_row,
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
    void (*settle[4])(const void *s, ptrdiff_t s_step, ptrdiff_t s_line, const void *bias, int bias_of_line, void *y, ptrdiff_t y_row,
                      ptrdiff_t y_line, int64_t rows, int64_t lines, int64_t n, int stream);        /* to 2, 3, 4, 5 rows */
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
    cconv_rows_kernel *rows[HEIGHTS][2];                    /* by log2 of rows and of vectors, or NULL */
    cconv_down_kernel *down[MAX_SHORT][MAX_SHORT];          /* by rows and columns - 1 */
    cconv_line_kernel *line;
    cconv_near_kernel *near, *near_tall;                    /* or NULL; tall: 5 or 7 rows, a stride of 1 */
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
    void (*drain)(void);                /* to be called after `down` or `taps` has streamed; NULL where they do not */
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

CCONV_INLINE size_t cconv_type_size(cconv_type type)
{
    static const unsigned char sizes[CCONV_TYPES] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};
    return sizes[type];
}

/* Buffers begin wherever the caller's do; what is in them, at a line of the cache. */
CCONV_INLINE char *cconv_aligned(const void *buffer) { return (char *)(((uintptr_t)buffer + LINE - 1) & ~(uintptr_t)(LINE - 1)); }

/* Whether sums are of integers: exact ways only. */
CCONV_INLINE int cconv_exact(const cconv_desc *d) { return d->exact || (d->input_type < CCONV_F16 && d->weight_type < CCONV_F16); }

/* What values may be so that no sum of them overflows on the way through winograd or fft. */
CCONV_INLINE double cconv_limit(const cconv_plan *plan) { return plan->desc.compute == CCONV_F32 ? 0x1p60 : 0x1p500; }

/* What overflows where a value, multiplied by it, is beyond that. */
CCONV_INLINE double cconv_beyond(const cconv_plan *plan) { return plan->desc.compute == CCONV_F32 ? 0x1p68 : 0x1p524; }

/* Where tap k of axis a lies in the planes: in which phase, and at which entry of it.  Taps k and
 * k + cycle share a phase; with wide dilations none do (layout.c). */
CCONV_INLINE int64_t cconv_phase(const cconv_plan *plan, int a, int64_t k)
{
    return k % plan->cycle[a];
}

CCONV_INLINE int64_t cconv_entry(const cconv_plan *plan, int a, int64_t k)
{
    const int64_t s = plan->desc.stride[a];
    if (plan->apart[a]) return 0;
    return s == 1 ? k * plan->desc.dilation[a] : k * plan->desc.dilation[a] / s;     /* division is slow */
}

/* From a position to the next where nothing is copied: one alone takes no step, and the product could overflow. */
CCONV_INLINE int64_t cconv_step(int64_t positions, int64_t stride, int64_t between) { return positions > 1 ? stride * between : 0; }

/* How `taps` uses its vectors: along the positions of a row; or of all rows and the gaps between them;
 * or of all rows in a panel without gaps; or across the output channels. */
enum { ALONG_ROWS, ALONG_GAPS, ALONG_PANEL, ACROSS };

/* The first output channel of a tile: those of a group are cut into `tiles`, of which the first
 * `larger_tiles` have plan->tile channels and the others one less, or the last what is left. */
CCONV_INLINE int64_t cconv_tile_first(const cconv_plan *plan, int64_t tile)
{
    const int64_t outputs = plan->outputs, smaller = tile - plan->larger_tiles;
    const int64_t first = tile * plan->tile - (smaller > 0 ? smaller : 0);
    return first < outputs ? first : outputs;
}

CCONV_INLINE const cconv_type_kernels *cconv_of_type(const cconv_plan *plan)
{
    return plan->desc.compute == CCONV_F32 ? plan->kernels->f32 : plan->kernels->f64;
}

typedef struct cconv_task {
    int64_t n, group, group_count, od;
    int64_t tile_first, tile_last, out_first, out_count;    /* the block of output channels */
    int64_t first[3], size[3];          /* the band: first output position and size along D (1), H, W */
} cconv_task;

#define SQRT_2 1.4142135623730951
#define SQRT_HALF 0.70710678118654757

CCONV_INLINE cconv_task cconv_no_task(void)
{
    cconv_task task;
    memset(&task, 0, sizeof task);
    return task;
}

/* plan.c: the index-th task of taps or rows; which output channels the block-th block of them has. */
CCONV_HIDDEN void cconv_task_at(const cconv_plan *plan, int64_t index, cconv_task *task);
CCONV_HIDDEN void cconv_block_of(const cconv_plan *plan, int64_t block, cconv_task *task);

/* Where the task's first output lies, in bytes. */
CCONV_INLINE int64_t cconv_output_at(const cconv_plan *plan, const cconv_task *task)
{
    const int64_t *stride = plan->desc.output_stride;
    const int64_t channel = task->group * plan->outputs + task->out_first;
    return task->n * stride[0] + channel * stride[1] + task->od * stride[2] + task->first[1] * stride[3] + task->first[2] * stride[4];
}

/* The planes of a channel; `fresh`: a constant border is not there yet. */
CCONV_HIDDEN void cconv_load_plane(const cconv_plan *plan, const cconv_task *task, const char *channel, char *plane, int fresh);
/* Those of neighbouring channels. */
CCONV_HIDDEN void cconv_load_planes(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t channels, char *planes,
                                    int fresh);
/* The pixels that the band sees, border included, in rows, of each so many channels side by side. */
CCONV_HIDDEN void cconv_load_pixels(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t channels, char *pixels);
CCONV_HIDDEN void cconv_store_band(const cconv_plan *plan, const cconv_task *task, const char *sums, int64_t pitch, int64_t plane,
                                   const char *bias, char *output);

/* costs.c: the taps of an axis, from[0] to from[1] - 1, that some of its outputs `first` to `last` see in the picture; others see zeros.  How many
 * of the products do, for the plan. */
CCONV_HIDDEN void cconv_taps_inside(const cconv_plan *plan, int a, int64_t first, int64_t last, int64_t from[2]);
CCONV_HIDDEN void cconv_measure_inside(cconv_plan *plan);

/* costs.c: where along an axis outputs begin to see the first tap of the kernel, and cease to see the last one; whether `taps` leaves out what no
 * output sees (2: and cuts rows of outputs at these edges); what multiplications take then. */
CCONV_HIDDEN void cconv_edges(const cconv_plan *plan, int a, int64_t edge[2]);
CCONV_HIDDEN int cconv_leaves_out(const cconv_plan *plan);
CCONV_HIDDEN double cconv_skipping(const cconv_plan *plan);

/* layout.c: whether scalars of a whole picture can be read where they lie, by tiles of so many, and should. */
CCONV_HIDDEN int cconv_scalars_lie(const cconv_plan *plan, int64_t tile);

/* costs.c: the best form of taps and what it takes; whether taps takes less time than rows. */
CCONV_HIDDEN double cconv_choose_form(const cconv_plan *plan, int64_t lanes, int64_t most, int *best);
CCONV_HIDDEN int cconv_taps_pay(const cconv_plan *plan);

/* layout.c: bands of so many rows and columns of one channel's results, a task each, with weights that are packed. */
CCONV_HIDDEN void cconv_lay_out_bands(cconv_plan *plan, int64_t rows, int64_t columns);

/* layout.c: the phases of the stride that taps use, where they lie. */
CCONV_HIDDEN void cconv_lay_out_phases(cconv_plan *plan);

/* layout.c: the output channels of plan->form in tiles. */
CCONV_HIDDEN void cconv_lay_out_tiles(cconv_plan *plan);

/* layout.c: the rest of a plan by taps or rows that has been checked; parts of it that winograd.c shares. */
CCONV_HIDDEN cconv_status cconv_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_note_weights(cconv_plan *plan);
CCONV_HIDDEN int cconv_output_holds_sums(const cconv_plan *plan);
CCONV_HIDDEN int cconv_meets_border(const cconv_desc *d);
CCONV_HIDDEN int cconv_zeros_outside(const cconv_plan *plan);
CCONV_HIDDEN int cconv_is_large(const cconv_plan *plan);

/* weights.c: how many output channels a tile has, how many weights of a tap lie side by side (up to a whole
 * vector), where those of a tile begin among the weights of `taps` taps of all tiles, and taps first to
 * first + n - 1 of it in order (0 if some must be finite and are not); those of one output channel as they are. */
CCONV_HIDDEN int64_t cconv_tile_count(const cconv_plan *plan, int64_t tile);
CCONV_HIDDEN int64_t cconv_tile_pitch(const cconv_plan *plan, int64_t count);
CCONV_HIDDEN int64_t cconv_tile_place(const cconv_plan *plan, int64_t group, int64_t tile, int64_t taps);
CCONV_HIDDEN int cconv_order_tile(const cconv_plan *plan, int64_t group, int64_t tile, int64_t first, int64_t n, const char *weight,
                                  char *out);
CCONV_HIDDEN void cconv_read_taps(const cconv_plan *plan, const char *weight, int64_t first, int64_t n, char *out);

/* taps.c, rows.c: make tables in the workspace; put weights in order; compute and store a band.  The last
 * two return 0 where weights must be finite and are not. */
CCONV_HIDDEN int64_t cconv_taps_tables_bytes(const cconv_plan *plan);
CCONV_HIDDEN void cconv_taps_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_taps_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_taps_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                char *work, char *output);
CCONV_HIDDEN cconv_status cconv_rows_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_rows_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_rows_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_rows_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                char *work, char *output);

/* rows.c: in which order `rows` adds up to BLOCK_TAPS taps of a channel, and how many at a time; 0 ends. */
typedef struct cconv_order {
    int64_t taps, row[BLOCK_TAPS], column[BLOCK_TAPS], run[BLOCK_TAPS + 1];
} cconv_order;

CCONV_HIDDEN void cconv_rows_order(const cconv_plan *plan, cconv_order *order);

/* deep.c: whether it serves for `rows`; the rest of a plan, CCONV_ERROR_ALGORITHM where `rows` is better; the same three. */
CCONV_HIDDEN int cconv_deep_serves(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_deep_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_deep_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_deep_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_deep_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                                char *output);

/* taps.c: where each tap of a block of channels begins in their planes. */
CCONV_HIDDEN void cconv_tap_offsets(const cconv_plan *plan, ptrdiff_t *offset);

/* gradient.c: the rest of a plan; so many channels of an array, in planes of the type of the sums. */
CCONV_HIDDEN cconv_status cconv_gradient_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_load_window(const cconv_plan *plan, cconv_type type, const char *from, const int64_t *stride, int64_t channels, int64_t rows,
                                    int64_t columns, int64_t pitch, int64_t plane, char *to);

/* gradient_near.c: whether it serves; the same. */
CCONV_HIDDEN int cconv_near_gradient_serves(const cconv_plan *plan);
CCONV_HIDDEN void cconv_near_gradient_lay_out(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_near_input_lay_out(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_near_gradient_run(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *grad, char *weight,
                                                  char *work);

/* gradient_outer.c: the same; tasks of it, CCONV_ERROR_WEIGHTS where a result is not finite. */
CCONV_HIDDEN cconv_status cconv_outer_lay_out(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_outer_run(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *grad, char *weight,
                                          char *work);

/* check.c: a plan's descriptor; the extents of its arrays; those of weights alone. */
CCONV_HIDDEN cconv_status cconv_check(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_measure_arrays(cconv_plan *plan);

CCONV_HIDDEN cconv_status cconv_weights_extent(const cconv_desc *desc, int64_t extent[2]);

/* check.c: whether it is a plan for this kind of run; a buffer has so many bytes from element 0 on; or holds an array; whether a run may begin. */
CCONV_HIDDEN int cconv_is_plan(const cconv_plan *plan, int gradient);
CCONV_HIDDEN int cconv_has(const cconv_buffer *buffer, size_t bytes);
CCONV_HIDDEN int cconv_holds(const cconv_buffer *buffer, const int64_t extent[2], cconv_type type);
CCONV_HIDDEN cconv_status cconv_check_run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers, int gradient);

CCONV_INLINE char *cconv_element(const cconv_buffer *buffer) { return buffer->data ? (char *)buffer->data + buffer->first : NULL; }

/* plan.c: cconv_run, of what has been checked. */
CCONV_HIDDEN cconv_status cconv_run_tasks(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *weights,
                                          const char *bias, char *output, char *workspace);

/* plan.c: a plan for a part of a task: not to be shared by workers. */
CCONV_HIDDEN cconv_status cconv_plan_part(cconv_plan *plan, const cconv_desc *desc);

/* The convolution of a task's outputs by `rows`, on its own: one kernel, whose weights lie in order in the type of the sums. */
CCONV_HIDDEN cconv_desc cconv_part_desc(const cconv_plan *plan, const cconv_task *task);

/* The same, run; its workspace, in the plan's. */
CCONV_HIDDEN int cconv_run_part(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias,
                                char *work, char *output);
CCONV_HIDDEN cconv_status cconv_part_workspace(cconv_plan *plan);

/* box.c: whether it can serve, and does so for these weights; what it takes for a vector of outputs; the rest of a plan; the
 * last two of what stands below. */
CCONV_HIDDEN int cconv_box_serves(const cconv_plan *plan);
CCONV_HIDDEN int cconv_is_box(const cconv_desc *desc, const char *weights);
CCONV_HIDDEN double cconv_box_cost(const cconv_desc *desc);
CCONV_HIDDEN cconv_status cconv_box_lay_out(cconv_plan *plan);
CCONV_HIDDEN int cconv_box_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_box_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                               char *output);

/* integer.c: whether it can serve, and does so for these weights; what it takes for a vector of outputs; the rest of
 * a plan; the last three of what stands below. */
CCONV_HIDDEN int cconv_integer_serves(const cconv_plan *plan);
CCONV_HIDDEN int cconv_is_integer(const cconv_desc *desc, const char *weights);
CCONV_HIDDEN double cconv_integer_cost(const cconv_desc *desc);
CCONV_HIDDEN cconv_status cconv_integer_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_integer_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_integer_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_integer_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                   char *work, char *output);

/* fft.c: whether it can serve, what it takes for a vector of outputs; the rest of a plan; the last two of what stands below. */
CCONV_HIDDEN int cconv_fft_serves(const cconv_plan *plan);
CCONV_HIDDEN double cconv_fft_cost(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_fft_lay_out(cconv_plan *plan);
CCONV_HIDDEN int cconv_fft_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_fft_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                               char *output);

/* separable.c: whether it can serve, which is where it is faster; what it or `rows` takes for a vector of outputs; the rest of
 * a plan; the last two. */
CCONV_HIDDEN double cconv_separable_cost(const cconv_plan *plan);
CCONV_HIDDEN int cconv_separable_serves(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_separable_lay_out(cconv_plan *plan);
CCONV_HIDDEN int cconv_separable_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_separable_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                     char *work, char *output);

/* winograd.c: whether it can serve, and is the fastest; the rest of a plan; the same three. */
CCONV_HIDDEN int cconv_winograd_serves(const cconv_plan *plan);
CCONV_HIDDEN int cconv_winograd_pays(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_winograd_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_winograd_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_winograd_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_winograd_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                    char *work, char *output);

/* upright.c, a part of winograd: whether it can serve, what it takes in multiplications of vectors; the rest of a plan; the same three. */
CCONV_HIDDEN int cconv_upright_serves(const cconv_plan *plan);
CCONV_HIDDEN double cconv_upright_cost(const cconv_plan *plan, int64_t lanes);
CCONV_HIDDEN cconv_status cconv_upright_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_upright_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_upright_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_upright_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                                   char *output);

#endif

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cconv: convolution (cross-correlation) in C11, without allocation, threads or mutable state.  This header is its manual.
 *
 *     cconv_desc desc;
 *     cconv_plan plan;
 *     cconv_desc_init(&desc, CCONV_F32);                 one value, one tap, no border: change what is different
 *     desc.input[1] = height, desc.input[2] = width;
 *     desc.kernel[1] = desc.kernel[2] = 3;
 *     desc.before[1] = desc.before[2] = desc.after[1] = desc.after[2] = 1;
 *     cconv_desc_dense(&desc);                           strides of arrays in C order
 *     status = cconv_plan_init(&plan, &desc);            checks everything; no data is touched
 *     work = malloc(plan.workspace_bytes);               one for each thread
 *     cconv_buffers b = {sizeof b};
 *     b.input = cconv_memory(picture, bytes), b.weights = cconv_memory(kernel, sizeof kernel);
 *     b.output = cconv_memory(result, bytes), b.workspace = cconv_memory(work, plan.workspace_bytes);
 *     status = cconv_run(&plan, 0, plan.tasks, &b);      may be called again, with other data
 *
 * Weights that serve many calls are put in order once:
 *
 *     desc.weights = CCONV_WEIGHTS_PACKED;               before the plan is made
 *     packed = malloc(plan.packed_bytes);
 *     status = cconv_pack_weights(&plan, 0, plan.packs, &weights, &packed_buffer);
 *     b.weights = packed_buffer;
 *
 * The contract:
 *
 * Arrays   (N, C, D, H, W) and weights (O, C/groups, KD, KH, KW); fewer spatial axes have lengths of 1 in front.  Any strides in
 *          bytes, also 0 and less than 0, that are multiples of the element's size; elements are native and
 *          aligned to their size.  All that is read or written lies within the buffers; where it would not, or where one is
 *          NULL or not aligned, the status is CCONV_ERROR_BUFFER and nothing has been touched.
 * Overlap  The output must not share elements with anything that is read, nor the workspace with anything.
 * Memory   The caller's.  Nothing is allocated; the stack takes at most 64 KiB.  A plan is plain memory: it may be copied,
 *          moved and forgotten, but not to another process's machine.  desc.isa is read by cconv_plan_init only.
 * Threads  Every function may be called by any number of threads at once.  Any cut of [0, plan.tasks) and [0, plan.packs) into
 *          ranges gives the same bits, and ranges may run at once if each has its own workspace; of plan.preparations, too.
 * Values   NaN and infinity go where arithmetic takes them and nowhere else.  Results that are stored as integers are clipped and
 *          rounded half to even; NaN is stored as 0.  The sums are those of the correlation: turn the kernel round for a convolution.
 * Errors   A function that returns a status returns CCONV_OK, which is 0, or what was wrong; cconv_strerror puts it into words.
 * Symbols  Compiled with -DCCONV_PREFIX=mylib_, or with that line below, every symbol has this in front, so that copies in one
 *          program do not meet; the code that includes this header stays as it is.
 * Versions From the first release on CCONV_ABI changes when a struct or a function does.  Where another build may be at the other end, compare it with cconv_abi().
 */
#ifndef CCONV_H
#define CCONV_H

/* #define CCONV_PREFIX mylib_ */

#define CCONV_VERSION "0.1.0"
#define CCONV_ABI 1

#include <stddef.h>
#include <stdint.h>

#ifdef CCONV_PREFIX
#include "names.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cconv_status {
    CCONV_OK,
    CCONV_ERROR_DESC,       /* desc is NULL or its size is not that of this header */
    CCONV_ERROR_TYPE,       /* a type is unknown, or the output's does not fit */
    CCONV_ERROR_BORDER,     /* an unknown border, or one that repeats an empty axis */
    CCONV_ERROR_GROUPS,     /* groups do not divide the channels */
    CCONV_ERROR_SIZE,       /* a size, stride, dilation or padding is out of range */
    CCONV_ERROR_EMPTY,      /* the output would have an axis of less than 1 */
    CCONV_ERROR_ALGORITHM,  /* the algorithm is unknown or cannot serve */
    CCONV_ERROR_ISA,        /* the instruction set is unknown or not there */
    CCONV_ERROR_ARGUMENT,   /* a pointer is NULL or a range is outside the tasks */
    CCONV_ERROR_WEIGHTS,    /* weights are not finite, and a border of zeros would be multiplied by them */
    CCONV_ERROR_STRIDE,     /* a stride is no multiple of the element's size, or reaches too far */
    CCONV_ERROR_BUFFER      /* a buffer is missing, too small or not aligned */
} cconv_status;

typedef enum cconv_type {
    CCONV_U8, CCONV_I8, CCONV_U16, CCONV_I16, CCONV_U32, CCONV_I32, CCONV_U64, CCONV_I64,
    CCONV_F16, CCONV_F32, CCONV_F64, CCONV_TYPES
} cconv_type;

typedef enum cconv_border {
    CCONV_CONSTANT,         /* vvv abcd vvv */
    CCONV_EDGE,             /* aaa abcd ddd */
    CCONV_REFLECT,          /* dcb abcd cba */
    CCONV_SYMMETRIC,        /* cba abcd dcb */
    CCONV_WRAP,             /* bcd abcd abc */
    CCONV_BORDERS
} cconv_border;

typedef enum cconv_weights {
    CCONV_WEIGHTS_PLAIN,    /* run is given the weights as they are */
    CCONV_WEIGHTS_PACKED,   /* run is given what cconv_pack_weights made */
    CCONV_WEIGHTS_EITHER    /* whichever is faster for one run over all tasks: plan.prepacked */
} cconv_weights;

typedef enum cconv_algorithm {
    CCONV_AUTO,             /* the fastest; pictures like CCONV_DIRECT, layers also by winograd */
    CCONV_DIRECT,           /* the fastest of those that use nothing outside an output's window: rows, taps, separable */
    CCONV_FAST,             /* the fastest; pictures may go by fft, and by products that cancel */
    CCONV_ROWS, CCONV_TAPS,
    CCONV_WINOGRAD,         /* 3x3 with a stride of 1 or 2; 2 to 16 rows, or one row of 2 to 16 columns (times the stride), of 128 weights; floats; weights that are packed, or either */
    CCONV_SEPARABLE,        /* one kernel of a small rank; weights that are packed */
    CCONV_FFT,              /* one kernel, stride 1; weights that are packed */
    CCONV_BOX,              /* one kernel, all weights of which are the same; weights that are packed */
    CCONV_INTEGER,          /* one kernel of small whole numbers, perhaps over a power of 2, over 8 bits; weights that are packed */
    CCONV_ALGORITHMS
} cconv_algorithm;

typedef struct cconv_desc {
    size_t size;                                /* sizeof(cconv_desc) */
    cconv_type compute;                         /* of the sums: CCONV_F32 or CCONV_F64 */
    cconv_type input_type, weight_type;         /* any */
    cconv_type output_type;                     /* that of the sums, or U8 I8 U16 I16 */
    int64_t batch, in_channels, out_channels, groups;
    int64_t input[3], kernel[3];                /* D, H, W */
    int64_t stride[3], dilation[3];
    int64_t before[3], after[3];                /* border on both sides; less than 0: so much of the input is left out */
    int64_t interleave;                         /* neighbours along W that belong to one pixel; 1 */
    cconv_border border;
    double border_value;
    int64_t input_stride[5], weight_stride[5], output_stride[5];   /* bytes; N C D H W, O C D H W */
    double divisor;                             /* of the sum of products; 1 */
    double low, high;                           /* what the result is clipped to; -inf, inf */
    cconv_algorithm algorithm;
    cconv_weights weights;
    int exact;                                  /* sums of integers must be exact, whatever the input's type is: no algorithm that rounds */
    int64_t rank;                               /* what cconv_rank says of the weights; 0: not known, no CCONV_SEPARABLE, CCONV_BOX or CCONV_INTEGER */
    int64_t tile;                               /* of winograd: 2 or 4 outputs along an axis, or 6 products along one axis; of fft: its length, a power of 2 from 16 to 1024; 0: the fastest */
    const char *isa;                            /* NULL: the best there is */
} cconv_desc;

enum { CCONV_WEIGHT_GRADIENT = 1, CCONV_INPUT_GRADIENT };

typedef struct cconv_plan {
    cconv_desc desc;
    cconv_algorithm algorithm;
    cconv_type plane_type;                      /* of the input on its way */
    const struct cconv_kernels *kernels;
    int64_t output[3];                          /* D, H, W of the result */
    int64_t tasks, packs, preparations, inputs;
    int64_t joined;             /* tasks, from a multiple of it on, that cconv_run does in less time at once, where threads are few; a power of 2 that divides `tasks` */
    size_t packed_bytes, workspace_bytes, shared_bytes;
    int prepacked;
    /* how a task is laid out: see layout.c */
    int alone, deep, upright, form, must_be_finite, dense_weights, read_in_place, near, turning, write_in_place, turn_in_place, stream, channels_last, skips, apart[3];
    int clips;                  /* kernels clip what they write; */
    union { float f32[2]; double f64[2]; } clip;        /* to this */
    int64_t phases[3], cycle[3], reach[3], bands[3], band[3], row_pitch, plane, sums_pitch, sums_plane;
    int gradient;               /* 0, CCONV_WEIGHT_GRADIENT or CCONV_INPUT_GRADIENT; so many channel_blocks, samples together */
    int64_t channel_blocks, together, prepared;     /* winograd.c: so many channels of a preparation, in so many blocks */
    double overhead;            /* of its time, over that of its multiplications */
    double inside[3];           /* how many of the products along an axis are not with a border of zeros, of all */
    int64_t outputs, channels, kernel, taps;    /* of a group: output and input channels; values of a kernel, and of all channels' */
    int64_t channel_block, group_block, out_block, out_blocks, tiles, tile, larger_tiles, columns;
    int64_t edge, wide, units, header, dealt_plane, v_pitch, v_plane, m_plane, done_pitch;     /* winograd.c, upright.c; edge, wide: fft.c too */
    int64_t filter_slices, filter_step;     /* winograd.c: of weights that a task transforms for itself */
    int64_t input_extent[2], weight_extent[2], output_extent[2];    /* bytes below element 0, and from it on */
    size_t v_at, tables_at, planes_at, panel_at, ordered_at, bias_at, sums_at, turned_at, filters_at;
    int64_t pixel;              /* values from one pixel to the next, where the channels of the input on its way lie side by side; else 0 */
    int once, to_the_end, straight, tabled;     /* rows_layout.c */
    int64_t rows_apart, input_row, output_row, short_rows, kernel_columns, counts[2][8];
    ptrdiff_t table[120];
} cconv_plan;

/* Memory that the caller owns: `bytes` bytes from `data` on.  Element 0 of the array lies `first` bytes in, which is 0 where no
 * stride is less than 0. */
typedef struct cconv_buffer {
    void *data;             /* what is only read may be const: see cconv_memory */
    size_t bytes, first;
} cconv_buffer;

typedef struct cconv_buffers {
    size_t size;                                /* sizeof(cconv_buffers) */
    cconv_buffer input, weights, bias;          /* bias: out_channels values of the type of the sums; NULL: none */
    cconv_buffer output, workspace;
    cconv_buffer shared;                        /* what cconv_prepare made; NULL: nothing */
    int continued;      /* 1: the workspace is as cconv_run left it when it last ran a task, without an error, with this plan and these buffers, `shared` too,
                         * whose input and weights have not changed, and cconv_prepare has not had it since; it serves on.  0 in any other case */
} cconv_buffers;

/* A buffer that begins with element 0. */
static inline cconv_buffer cconv_memory(const void *data, size_t bytes)
{
    cconv_buffer buffer;
    buffer.data = (void *)(uintptr_t)data;
    buffer.bytes = bytes;
    buffer.first = 0;
    return buffer;
}

/* One value under one tap: sums, arrays and results of this type, no border, no clip; strides are not set. */
void cconv_desc_init(cconv_desc *desc, cconv_type type);

/* Strides of arrays in C order without gaps, whose sizes and types are set. */
cconv_status cconv_desc_dense(cconv_desc *desc);

/* How many results an axis of n values has; less than 1: none, or a number is out of range. */
int64_t cconv_output_length(int64_t n, int64_t kernel, int64_t stride, int64_t dilation, int64_t before, int64_t after);

cconv_status cconv_plan_init(cconv_plan *plan, const cconv_desc *desc);

/* How many products of a column and a row make up the only kernel of one channel, if there are few enough for CCONV_SEPARABLE;
 * else 0; CCONV_BOX_RANK where all of its weights are the same and CCONV_BOX is the fastest, CCONV_INTEGER_RANK where CCONV_INTEGER
 * can serve: what to set desc->rank to.  Looks at the descriptor and the weights, before the plan is made; 0 for a descriptor
 * that no plan can be made for, and for a buffer that does not hold the weights. */
enum { CCONV_BOX_RANK = 1000, CCONV_INTEGER_RANK };

int cconv_rank(const cconv_desc *desc, const cconv_buffer *weights);

/* Parts first to last - 1 of plan->packs of the weights in the order in which they are used, in the type of the sums. */
cconv_status cconv_pack_weights(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffer *weights, const cconv_buffer *packed);

/* Tasks first to last - 1 of plan->tasks.  After an error the output of these tasks is not defined, but for CCONV_ERROR_ARGUMENT and
 * CCONV_ERROR_BUFFER, after which it is what it was. */
cconv_status cconv_run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);

/* Where threads share the tasks: preparations first to last - 1 of plan->preparations, what all of them would make of the input for themselves,
 * into buffers->shared, plan->shared_bytes, which need not be cleared or aligned.  The other buffers are those of cconv_run.  In any ranges, which may run
 * at once, each with its own workspace; but all of them before the first task that is handed `shared`, and anew for each input.  Most plans have no
 * preparations, and who wants none leaves `shared` out. */
cconv_status cconv_prepare(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);

/* Whether that pays: where one of plan->inputs, which are what tasks see, would be made by several of so many threads; but where each has one to itself,
 * making those that are left over several times takes less than handing all to one another (measured with two threads). */
static inline int cconv_preparing_pays(const cconv_plan *plan, int64_t threads) { return plan->preparations > 0 && threads > plan->inputs; }

/* The gradient with respect to the weights: the descriptor is that of the convolution, but for the output, which is the gradient
 * with respect to it and is read, and the weights, which are the result, of the type of the sums.  What it says of results, of
 * algorithms and of packed weights is not looked at; no interleave.  CCONV_ERROR_WEIGHTS: a result is not finite, and so might be
 * others that should be. */
cconv_status cconv_plan_weight_gradient(cconv_plan *plan, const cconv_desc *desc);
cconv_status cconv_run_weight_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);

/* The gradient with respect to the input, where a way of its own is faster than a convolution for each phase of the result: 3x3 kernels over one channel
 * each, with a stride of 2, no dilation and a border of zeros, all three arrays of the type of the sums; else CCONV_ERROR_ALGORITHM.  The descriptor is that of the convolution, but for the output, which is the gradient with
 * respect to it and is read, and the input, which is the result.  CCONV_ERROR_WEIGHTS: weights are not finite. */
cconv_status cconv_plan_input_gradient(cconv_plan *plan, const cconv_desc *desc);
cconv_status cconv_run_input_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);

const char *cconv_strerror(cconv_status status);
const char *cconv_isa_name(const cconv_plan *plan);

const char *cconv_version(void);
int cconv_abi(void);

/* The i-th instruction set of this build that this CPU has, best first; NULL after the last. */
const char *cconv_isa_list(int i);

#ifdef __cplusplus
}
#endif
#endif

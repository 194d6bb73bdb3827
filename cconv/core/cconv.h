/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cconv: convolution (cross-correlation) in C11, without allocation, threads or mutable state.
 *
 *     cconv_desc desc = {.size = sizeof desc, ...};
 *     cconv_plan plan;
 *     status = cconv_plan_init(&plan, &desc);            checks everything; no data is touched
 *     work = malloc(plan.workspace_bytes);               one for each thread
 *     status = cconv_run(&plan, 0, plan.tasks, input, weights, bias, output, work);
 *
 * Weights that serve many calls are put in order once:
 *
 *     desc.weights = CCONV_WEIGHTS_PACKED;               before the plan is made
 *     packed = malloc(plan.packed_bytes);
 *     status = cconv_pack_weights(&plan, 0, plan.packs, weights, packed);
 *     status = cconv_run(&plan, 0, plan.tasks, input, packed, bias, output, work);
 *
 * Any cut of [0, plan.tasks) and [0, plan.packs) into ranges gives the same bits, and ranges may run at once.
 * Arrays are (N, C, D, H, W) with any strides in bytes; elements are aligned and native.
 * Fewer spatial axes: lengths of 1 in front.  The output must not overlap the input.
 */
#ifndef CCONV_H
#define CCONV_H

#include <stddef.h>
#include <stdint.h>

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
    CCONV_ERROR_WEIGHTS     /* weights are not finite, and a border of zeros would be multiplied by them */
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
    CCONV_WINOGRAD,         /* 3x3, stride 1, floats; weights that are packed */
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
    int64_t tile;                               /* of winograd: 2 or 4 outputs along an axis; of fft: its length, a power of 2 from 16 to 1024; 0: the fastest */
    const char *isa;                            /* NULL: the best there is */
} cconv_desc;

typedef struct cconv_plan {
    cconv_desc desc;
    cconv_algorithm algorithm;
    cconv_type plane_type;                      /* of the input on its way */
    const struct cconv_kernels *kernels;
    int64_t output[3];                          /* D, H, W of the result */
    int64_t tasks, packs;
    size_t packed_bytes, workspace_bytes;
    int prepacked;
    /* how a task is laid out: see layout.c */
    int alone, deep, form, must_be_finite, dense_weights, read_in_place, write_in_place, turn_in_place, stream, channels_last, apart[3];
    int64_t phases[3], cycle[3], reach[3], bands[3], band[3], row_pitch, plane, sums_pitch, sums_plane;
    int gradient;               /* of cconv_plan_weight_gradient; so many channel_blocks, samples together */
    int64_t channel_blocks, together;
    double overhead;            /* of its time, over that of its multiplications */
    int64_t outputs, channels, kernel, taps;    /* of a group: output and input channels; values of a kernel, and of all channels' */
    int64_t channel_block, group_block, out_block, out_blocks, tiles, tile, larger_tiles, columns;
    int64_t edge, wide, units, header, dealt_plane, v_pitch, v_plane, m_plane, done_pitch;     /* winograd.c; edge, wide: fft.c too */
    size_t v_at, tables_at, planes_at, panel_at, ordered_at, bias_at, sums_at, turned_at;
} cconv_plan;

cconv_status cconv_plan_init(cconv_plan *plan, const cconv_desc *desc);

/* How many products of a column and a row make up the only kernel of one channel, if there are few enough for CCONV_SEPARABLE;
 * else 0; CCONV_BOX_RANK where all of its weights are the same and CCONV_BOX is the fastest, CCONV_INTEGER_RANK where CCONV_INTEGER
 * can serve.  Looks at the descriptor and the weights, before the plan is made; a descriptor that no plan can be made for is not
 * looked into. */
enum { CCONV_BOX_RANK = 1000, CCONV_INTEGER_RANK };

int cconv_rank(const cconv_desc *desc, const void *weights);

/* Parts first to last - 1 of the weights (O, C/groups, KD, KH, KW), in the order in which they are used, in the type of
 * the sums. */
cconv_status cconv_pack_weights(const cconv_plan *plan, int64_t first, int64_t last, const void *weights, void *packed);

/* Tasks first to last - 1.  bias: out_channels values of the type of the sums, or NULL.  After an error the
 * output of these tasks is not defined. */
cconv_status cconv_run(const cconv_plan *plan, int64_t first, int64_t last, const void *input, const void *weights,
                       const void *bias, void *output, void *workspace);

/* The gradient with respect to the weights: the descriptor is that of the convolution, but for the output, which is the gradient
 * with respect to it, and the weights, which are the result, of the type of the sums.  What it says of results, of algorithms and
 * of packed weights is not looked at; no interleave.  Tasks first to last - 1.  CCONV_ERROR_WEIGHTS: a result is not finite, and so
 * might be others that should be. */
cconv_status cconv_plan_weight_gradient(cconv_plan *plan, const cconv_desc *desc);
cconv_status cconv_run_weight_gradient(const cconv_plan *plan, int64_t first, int64_t last, const void *input, const void *grad_output,
                                       void *grad_weight, void *workspace);

const char *cconv_strerror(cconv_status status);
const char *cconv_isa_name(const cconv_plan *plan);

/* The i-th instruction set of this build that this CPU has, best first; NULL after the last. */
const char *cconv_isa_list(int i);

#ifdef __cplusplus
}
#endif
#endif

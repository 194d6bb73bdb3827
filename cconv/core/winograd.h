/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to winograd_layout.c, which plans, winograd_products.c, winograd.c, which runs and says what it is about, and upright.c, which shares what
 * falls back.
 */
#ifndef CCONV_WINOGRAD_H
#define CCONV_WINOGRAD_H

#include "sizes.h"

enum { KERNEL = 9, UPRIGHT = 6 };       /* weights of a tile's kernel; products of upright.c, whose `edge` this is */

/* At the workspace's beginning: where the taps of a block of channels lie in V and in U, for both widths of a tile; and
 * what V holds, if anything. */
typedef struct winograd_tables {
    ptrdiff_t v[BLOCK_TAPS], u[2][BLOCK_TAPS];
    const char *shared;         /* every V, made before; or NULL */
    const char *from;           /* V */
    int64_t held, tiles;        /* 1 + the index of the units and group; how many tiles they have */
    int64_t cold;               /* V is shared, and not read before */
    uint64_t spoilt;            /* a bit for each unit that goes another way */
} winograd_tables;

/* What a tile is along an axis: `edge` outputs that see `seen` inputs, `step` after those of the tile before, of which `deal` leaves
 * `dealt` rows of values.  The inputs make as many values to be multiplied: each by one of `filters` transformed weights, and the products
 * are added up to `sums`. */
typedef struct winograd_form {
    int64_t edge, step, seen, dealt, filters, sums;
    unsigned char filter[6], sum[6];    /* of each of these values; those of one sum follow one another */
} winograd_form;

CCONV_INLINE int which_form(int64_t edge, int64_t stride) { return stride == 2 ? 2 : edge == 4; }

CCONV_INLINE const winograd_form *form_for(int64_t edge, int64_t stride)
{
    static const winograd_form forms[3] = {{2, 2, 4, 4, 4, 4, {0, 1, 2, 3}, {0, 1, 2, 3}},
                                           {4, 4, 6, 6, 6, 6, {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5}},
                                           {2, 4, 5, 6, 4, 3, {0, 1, 2, 3, 1}, {0, 0, 1, 2, 2}}};
    return &forms[which_form(edge, stride)];
}

CCONV_INLINE const winograd_form *form_of(const cconv_plan *plan) { return form_for(plan->edge, plan->desc.stride[2]); }

CCONV_INLINE const cconv_winograd_kernels *kernels_of(const cconv_plan *plan)
{
    return &cconv_of_type(plan)->winograd[which_form(plan->edge, plan->desc.stride[2])];
}

CCONV_INLINE int64_t square(int64_t n) { return n * n; }

/* Bytes of V; in shared memory, behind a byte for each unit and part of its channels, which says whether it is spoilt. */
CCONV_INLINE int64_t v_bytes(const cconv_plan *plan)
{
    return up((square(form_of(plan)->seen) * plan->v_plane + SLACK) * (int64_t)cconv_type_size(plan->desc.compute), 64);
}

CCONV_INLINE int64_t v_header(const cconv_plan *plan) { return up(plan->channel_blocks * plan->units, 64); }

/* Of the dilation. */
CCONV_INLINE int64_t phases_of(const cconv_plan *plan, int a) { return least(plan->desc.dilation[a], plan->output[a]); }

/* The first input that a phase of the dilation sees, border aside. */
CCONV_INLINE int64_t start_of(const cconv_plan *plan, int a, int64_t phase)
{
    const int64_t step = plan->desc.dilation[a];
    return ((phase - plan->desc.before[a]) % step + step) % step;
}

/* What the products of an output channel are added up over: the slices that its kernel sees, kernel[0] of each channel. */
CCONV_INLINE int64_t slices_of(const cconv_plan *plan) { return plan->channels * plan->desc.kernel[0]; }

/* Planes that are loaded at once: of channels that lie side by side several. */
CCONV_INLINE int64_t planes_at_once(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return d->input_stride[1] == (int64_t)cconv_type_size(d->compute) ? least(8, plan->channels) : 1;
}

/* Values of U for one transformed weight of a group. */
CCONV_INLINE int64_t filter_values(const cconv_plan *plan)
{
    return odd_lines(slices_of(plan) * cconv_tile_pitch(plan, plan->outputs));
}

CCONV_INLINE int64_t group_values(const cconv_plan *plan) { return square(form_of(plan)->filters) * filter_values(plan); }

/* Of a group's packed weights U, of all the weights themselves. */
CCONV_INLINE const char *products_of(const cconv_plan *plan, const char *packed, int64_t group)
{
    return packed + plan->header + group * group_values(plan) * (int64_t)cconv_type_size(plan->desc.compute);
}

CCONV_INLINE const char *weights_of(const cconv_plan *plan, const char *packed) { return products_of(plan, packed, plan->desc.groups); }

/* The output channels of a task that are a tile's. */
typedef struct channel_range {
    int64_t from, upto;
} channel_range;

CCONV_INLINE channel_range outputs_in(const cconv_plan *plan, const cconv_task *task, int64_t tile)
{
    const int64_t first = cconv_tile_first(plan, tile), end = first + cconv_tile_count(plan, tile);
    const channel_range r = {most(first, task->out_first), least(end, task->out_first + task->out_count)};
    return r;
}

/* What multiplications of vectors take whose weights, so many bytes, come from memory meanwhile. */
CCONV_HIDDEN double cconv_with_weights(double multiplications, double bytes);

/* What transforming the weights of one sample takes, if they are not before: `each` multiplications of a lane for so many. */
CCONV_HIDDEN double cconv_with_packing(const cconv_plan *plan, double each, double weights);

/* The convolution of one phase of the dilation, one sample and one group: of neighbouring taps. */
CCONV_HIDDEN cconv_desc cconv_winograd_phase(const cconv_plan *plan, const int64_t phase[3]);

/* The plan by `taps` for `columns` results of one row of a phase, for `outputs` channels. */
CCONV_HIDDEN cconv_status cconv_winograd_local(const cconv_plan *plan, const cconv_desc *phase, const int64_t first[3],
                                               int64_t columns, int64_t outputs, cconv_plan *local);

/* What such plans take at most. */
CCONV_HIDDEN cconv_status cconv_winograd_local_workspace(const cconv_plan *plan, size_t *bytes);

/* What is noted of n weights of a tile: whether one is too large to be transformed; returns 0 if they must be finite and are not. */
CCONV_HIDDEN int cconv_winograd_note(const cconv_plan *plan, const char *weights, int64_t n, char *noted);

/* Whether one of a group's weights, not packed, is too large to be transformed. */
CCONV_HIDDEN int cconv_winograd_wild(const cconv_plan *plan, int64_t group, const char *weights);

/* M of a task, whose V is there. */
CCONV_HIDDEN void cconv_winograd_multiply(const cconv_plan *plan, const cconv_task *task, const char *weights, char *work);

/* The results of a task by them, row after row; `plan` with the descriptor of the phase. */
CCONV_HIDDEN int cconv_winograd_locally(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias,
                                        char *work, char *output);

#endif

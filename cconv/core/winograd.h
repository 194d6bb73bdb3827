/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to winograd_layout.c, which plans, and winograd.c, which runs and says what it is about.
 */
#ifndef CCONV_WINOGRAD_H
#define CCONV_WINOGRAD_H

#include "sizes.h"

enum { KERNEL = 9 };

/* At the workspace's beginning: where the taps of a block of channels lie in V and in U, for both widths of a tile; and
 * what V holds, if anything. */
typedef struct winograd_tables {
    ptrdiff_t v[BLOCK_TAPS], u[2][BLOCK_TAPS];
    int64_t held, tiles;        /* 1 + the index of the units and group; how many tiles they have */
    uint64_t spoilt;            /* a bit for each unit that is not among them */
} winograd_tables;

/* Of a tile of edge x edge outputs: (edge + 2) x (edge + 2) inputs make as many products. */
CCONV_INLINE int64_t edge_products(int64_t edge) { return (edge + 2) * (edge + 2); }

CCONV_INLINE const cconv_winograd_kernels *kernels_of(const cconv_plan *plan)
{
    return &cconv_of_type(plan)->winograd[plan->edge / 4];
}

/* Of the dilation. */
CCONV_INLINE int64_t phases_of(const cconv_plan *plan, int a) { return least(plan->desc.dilation[a], plan->output[a]); }

/* The first input that a phase of the dilation sees, border aside. */
CCONV_INLINE int64_t start_of(const cconv_plan *plan, int a, int64_t phase)
{
    const int64_t step = plan->desc.dilation[a];
    return ((phase - plan->desc.before[a]) % step + step) % step;
}

/* Values of U for one product of a group: an odd number of lines, since many are written side by side. */
CCONV_INLINE int64_t product_values(const cconv_plan *plan)
{
    return up(plan->channels * cconv_tile_pitch(plan, plan->outputs), 32) + 16;
}

CCONV_INLINE int64_t group_values(const cconv_plan *plan) { return edge_products(plan->edge) * product_values(plan); }

/* The convolution of one phase of the dilation, one sample and one group: a dense kernel. */
CCONV_HIDDEN cconv_desc cconv_winograd_phase(const cconv_plan *plan, const int64_t phase[3]);

/* The plan by `taps` for `columns` results of one row of a phase, for `outputs` channels. */
CCONV_HIDDEN cconv_status cconv_winograd_local(const cconv_plan *plan, const cconv_desc *phase, const int64_t first[3],
                                               int64_t columns, int64_t outputs, cconv_plan *local);

#endif

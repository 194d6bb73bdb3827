/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to upright_layout.c, which plans, and upright.c, which runs and says what it is about.
 */
#ifndef CCONV_UPRIGHT_H
#define CCONV_UPRIGHT_H

#include "winograd.h"

enum {
    UPRIGHT_TAPS = 16,                  /* of a phase, at most */
    UPRIGHT_VECTORS = 2                 /* of S */
};

/* The axis of the tiles: the height, or the width of kernels of one row. */
CCONV_INLINE int axis_of(const cconv_desc *d) { return d->kernel[1] == 1 ? 2 : 1; }

/* Phases of the stride; taps of the longest one, and of one. */
CCONV_INLINE int64_t phase_count(const cconv_desc *d) { return least(d->kernel[axis_of(d)], d->stride[axis_of(d)]); }
CCONV_INLINE int64_t phase_taps(const cconv_desc *d) { return parts(d->kernel[axis_of(d)], d->stride[axis_of(d)]); }
CCONV_INLINE int64_t taps_of_phase(const cconv_desc *d, int64_t phase) { return parts(d->kernel[axis_of(d)] - phase, d->stride[axis_of(d)]); }

/* Taps of a block, such that outputs cost the least; along the width rather of four outputs, which are turned by vectors. */
CCONV_INLINE int64_t block_taps(const cconv_desc *d)
{
    const int64_t taps = phase_taps(d);
    if (taps < 5 || (taps == 5 && axis_of(d) == 1)) return taps;
    return 4 * parts(taps, 4) < 3 * parts(taps, 3) ? 4 : 3;
}

/* Blocks of a phase; outputs of a tile. */
CCONV_INLINE int64_t blocks_of(const cconv_desc *d) { return parts(phase_taps(d), block_taps(d)); }
CCONV_INLINE int64_t tile_size(const cconv_desc *d) { return UPRIGHT + 1 - block_taps(d); }

/* Taps of a kernel across the tiles; rows of V for each of its slices, and of those of a channel; terms of a sum. */
CCONV_INLINE int64_t across_taps(const cconv_desc *d) { return axis_of(d) == 1 ? d->kernel[2] : 1; }
CCONV_INLINE int64_t lines_of_channel(const cconv_plan *plan)
{
    return plan->phases[0] * plan->phases[1] * plan->phases[2] * blocks_of(&plan->desc);
}
CCONV_INLINE int64_t terms_of(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return slices_of(plan) * phase_count(d) * blocks_of(d) * across_taps(d);
}

/* Values of U of a group. */
CCONV_INLINE int64_t upright_values(const cconv_plan *plan) { return UPRIGHT * terms_of(plan) * cconv_tile_pitch(plan, plan->outputs); }

/* Rows that a row is dealt out to: vectors turn at least four. */
CCONV_INLINE int64_t dealt_rows(const cconv_desc *d) { return most(4, tile_size(d)); }

/* Tiles of some columns of outputs, and with those of which blocks but the first see a part. */
CCONV_INLINE int64_t tiles_along(const cconv_desc *d, int64_t columns) { return parts(columns, tile_size(d)); }
CCONV_INLINE int64_t tiles_seen(const cconv_desc *d, int64_t columns)
{
    return tiles_along(d, columns) + parts(blocks_of(d) * block_taps(d) - 1, tile_size(d));
}

#endif

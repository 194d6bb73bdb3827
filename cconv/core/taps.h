/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to taps_tables.c, which says where taps lie, and taps.c, which runs and says what it is about.
 */
#ifndef CCONV_TAPS_H
#define CCONV_TAPS_H

#include "seen.h"

/* Where the task lay whose border the planes have. */
typedef struct framed {
    int64_t yes, depth, first[2], size[2];
} framed;

typedef struct tables {
    ptrdiff_t *offset;          /* where each tap of a channel block begins in the planes */
    ptrdiff_t *spaced;          /* the same at equal distances: in a panel, or in the input */
    ptrdiff_t *weight[2];       /* and in the weights, for each of the two pitches of tiles */
    framed *frame;
    gallery *kept;
} tables;

CCONV_INLINE tables tables_of(const cconv_plan *plan, char *work)
{
    tables t;
    t.offset = (ptrdiff_t *)(void *)work;
    t.spaced = t.offset + plan->columns;
    t.weight[0] = t.spaced + BLOCK_TAPS;
    t.weight[1] = t.weight[0] + BLOCK_TAPS;
    t.frame = (framed *)(void *)(t.weight[1] + BLOCK_TAPS);
    t.kept = (gallery *)(void *)(t.frame + 1);
    return t;
}

/* Whether the planes have the task's border already: that of another task whose outputs lie there, of any channels and sample. */
CCONV_INLINE int has_border(framed *frame, const cconv_task *task)
{
    const framed here = {1, task->od, {task->first[1], task->first[2]}, {task->size[1], task->size[2]}};
    const int has = memcmp(frame, &here, sizeof here) == 0;
    *frame = here;
    return has;
}

/* Whether what scalars, or vectors that are turned, are read from lies at steps: pixels, or the input itself; else in planes, by phases. */
CCONV_INLINE int by_steps(const cconv_plan *plan) { return plan->turning || (plan->form == ACROSS && (plan->read_in_place || plan->pixel)); }

/* Values from one channel, slice, row and column of what the scalars are read from to the next. */
CCONV_HIDDEN void cconv_taps_steps(const cconv_plan *plan, int64_t step[4]);

#endif

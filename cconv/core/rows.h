/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to rows_layout.c, which plans, and rows.c, which runs and says what it is about.
 */
#ifndef CCONV_ROWS_H
#define CCONV_ROWS_H

#include "sizes.h"

/* A table for a whole block of channels, and one for the block that is left over at the end: how many
 * columns there are of each length, where they begin in the planes and in the input, and where the
 * weights of their taps lie. */
typedef struct table {
    const int64_t *count;
    const ptrdiff_t *offset, *place, *weight;
} table;

/* Small tables lie in the plan, others in the workspace: a call of a microsecond has no time to make any. */
CCONV_INLINE table table_at(const cconv_plan *plan, const void *work, int left_over)
{
    const int64_t *counts = plan->tabled ? plan->counts[0] : (const int64_t *)work;
    const ptrdiff_t *at = plan->tabled ? plan->table : (const ptrdiff_t *)(const void *)(counts + 16);
    table t;
    t.count = counts + (left_over ? 8 : 0);
    t.offset = at + (left_over ? 2 * plan->kernel_columns + plan->columns : 0);
    t.place = at + plan->kernel_columns;
    t.weight = t.offset + (left_over ? 1 : 2) * plan->kernel_columns;
    return t;
}

/* Some columns of the kernel, for all positions of one output channel: `count` of each length. */
typedef struct columns {
    const ptrdiff_t *offsets, *places;
    const int64_t *count;
    int64_t short_rows;         /* 0, or at most MAX_SHORT columns all of this length */
    const char *w, *start;
    int stream;                 /* the results are not read again soon */
    const void *clip;           /* what they are clipped to, if these complete them */
} columns;

/* The columns that are left of each length, the length that is next, and how many of each go together. */
typedef struct rest {
    int64_t left[MAX_CLASS + 1], count[MAX_CLASS + 1];
    int length;
} rest;

/* Which columns go together next; returns how many taps. */
CCONV_HIDDEN int64_t cconv_rows_block(const cconv_plan *plan, rest *of, columns *c);

#endif

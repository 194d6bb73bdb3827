/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to taps.c: the taps of a block that a call's outputs see in the picture, where many see nothing but a border of zeros.  Without
 * those the sums are the same, bit for bit.
 */
#ifndef CCONV_SEEN_H
#define CCONV_SEEN_H

#include "sizes.h"

enum { VIEWS = 12 };                    /* that are kept */

/* Tables of the taps of rows range[0] to range[1] - 1 of the kernel and of such columns. */
typedef struct view {
    int64_t range[4], taps;
    const ptrdiff_t *from;              /* which of the tables of weights */
    ptrdiff_t x_at[BLOCK_TAPS], w_at[BLOCK_TAPS];
} view;

/* What sees a task. */
typedef struct eyes {
    const cconv_plan *plan;
    const cconv_task *task;
    int64_t slices[2];                  /* of the kernel, that the task sees */
    int64_t first;                      /* of the block's taps, among those of its channels */
    int views_made;
    view *views;                        /* NULL: everything is to be multiplied */
} eyes;

typedef struct seen_taps {
    int64_t taps;
    const ptrdiff_t *x_at, *w_at;
} seen_taps;

CCONV_INLINE eyes open_eyes(const cconv_plan *plan, const cconv_task *task, view views[VIEWS])
{
    eyes e = {plan, task, {0, 0}, 0, 0, plan->skips ? views : NULL};
    cconv_taps_inside(plan, 0, task->od, task->od, e.slices);
    return e;
}

/* Columns of a call from `column` on, of a task that has so many, at most `most`: as even as can be, and where much is left out, up to where the
 * first tap of a row begins to be seen, or the last one ceases to be. */
CCONV_INLINE int64_t columns_of_call(const eyes *e, int64_t column, int64_t columns, int64_t at_most)
{
    const cconv_desc *d = &e->plan->desc;
    int64_t left = columns - column, k;
    for (k = 0; k < 2 && e->views; k++) {
        const int64_t low = k == 0 ? d->before[2] : d->input[2] + d->before[2] - (d->kernel[2] - 1) * d->dilation[2];
        const int64_t to_edge = low > 0 ? parts(low, d->stride[2]) - e->task->first[2] - column : 0;
        if (to_edge > 0) left = least(left, to_edge);
    }
    return parts(left, parts(left, at_most));
}

/* To the next block. */
CCONV_INLINE void turn_eyes(eyes *e, int64_t first)
{
    e->views_made = 0;
    e->first = first;
}

/* Row by row of the kernel. */
static void look(const eyes *e, const int64_t range[4], int64_t taps, const ptrdiff_t *x_at, const ptrdiff_t *w_at, view *v)
{
    const int64_t *k = e->plan->desc.kernel, place = e->first % e->plan->kernel;
    int64_t kd = place / (k[1] * k[2]), kh = place / k[2] % k[1], kw = place % k[2], t, n = 0;
    v->from = w_at;
    memcpy(v->range, range, sizeof v->range);
    for (t = 0; t < taps; t += k[2] - kw, kw = 0) {
        const int64_t first = t + most(range[2] - kw, 0), end = least(t + range[3] - kw, taps);
        int64_t i;
        if (kd >= e->slices[0] && kd < e->slices[1] && kh >= range[0] && kh < range[1])
            for (i = first; i < end; i++, n++) {
                v->x_at[n] = x_at[i];
                v->w_at[n] = w_at[i];
            }
        if (++kh < k[1]) continue;
        kh = 0;
        if (++kd == k[0]) kd = 0;
    }
    v->taps = n;
}

/* Of the taps of the block, given by where each begins, those that outputs see from row to last_row and column to last_column of the task. */
CCONV_INLINE seen_taps see_taps(eyes *e, int64_t taps, const ptrdiff_t *x_at, const ptrdiff_t *w_at, int64_t row, int64_t last_row, int64_t column,
                                int64_t last_column)
{
    seen_taps seen = {taps, x_at, w_at};
    const int64_t *k = e->plan->desc.kernel;
    int64_t range[4];
    view *v;
    int i = 0;
    if (!e->views) return seen;
    cconv_taps_inside(e->plan, 1, e->task->first[1] + row, e->task->first[1] + last_row, range);
    cconv_taps_inside(e->plan, 2, e->task->first[2] + column, e->task->first[2] + last_column, range + 2);
    if (e->slices[1] - e->slices[0] == k[0] && range[1] - range[0] == k[1] && range[3] - range[2] == k[2]) return seen;
    while (i < e->views_made && (e->views[i].from != w_at || memcmp(e->views[i].range, range, sizeof range) != 0)) i++;
    v = &e->views[i < VIEWS ? i : VIEWS - 1];
    if (i == e->views_made) {
        look(e, range, taps, x_at, w_at, v);
        e->views_made += i < VIEWS;
    }
    seen.taps = v->taps;
    seen.x_at = v->x_at;
    seen.w_at = v->w_at;
    return seen;
}

#endif

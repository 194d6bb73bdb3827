/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to taps.c: the taps of a block that a call's outputs see in the picture, where many see nothing but a border of zeros.  Without
 * those the sums are the same, bit for bit.
 */
#ifndef CCONV_SEEN_H
#define CCONV_SEEN_H

#include "sizes.h"

/* Which taps of a block a call's outputs see, and in which of the two orders of weights they lie. */
typedef struct asked {
    int64_t first, taps;                /* the block, among the taps of its channels */
    int64_t pitch;                      /* 0 or 1 */
    int64_t slices[2], rows[2];         /* of the kernel, from and to */
    int64_t columns[6];                 /* that some output sees; that the first one sees, the last one */
} asked;

/* Tables of them. */
typedef struct view {
    asked of;
    int64_t taps;
    ptrdiff_t x_at[BLOCK_TAPS], w_at[BLOCK_TAPS];
    unsigned char unseen[BLOCK_TAPS];   /* by the first output, or the last one */
} view;

/* Views that are kept, for a plan that leaves out taps, and for another. */
enum { VIEWS = 12, FEW_VIEWS = 4 };

typedef struct gallery {
    int64_t made;                       /* ever */
    view views[VIEWS];
} gallery;

/* What sees a block of a task. */
typedef struct eyes {
    const cconv_plan *plan;
    const cconv_task *task;
    gallery *kept;
    int64_t most;                       /* views that it has room for; 0: all taps are used, in their order */
    asked last;                         /* the last that was asked for, */
    int64_t column[2];                  /* of these columns */
    const view *found;                  /* NULL: none, of this block */
    const ptrdiff_t *x_at, *const *w_at;        /* of all taps of the block, in the order of (channel, kd, kh, kw) */
} eyes;

typedef struct seen_taps {
    int64_t taps;
    const ptrdiff_t *x_at, *w_at;
    const unsigned char *unseen;        /* NULL: all outputs see all of them */
} seen_taps;

/* Whether the taps of a block are added column by column of the kernel. */
CCONV_INLINE int by_columns(const cconv_plan *plan) { return plan->desc.kernel[2] > 1 && plan->output[2] > 1; }

CCONV_INLINE int64_t views_of(const cconv_plan *plan) { return plan->skips ? VIEWS : by_columns(plan) ? FEW_VIEWS : 0; }

CCONV_INLINE eyes open_eyes(const cconv_plan *plan, const cconv_task *task, gallery *kept)
{
    const int64_t *k = plan->desc.kernel;
    eyes e = {plan, task, kept, views_of(plan), {0, 0, 0, {0, k[0]}, {0, k[1]}, {0, k[2], 0, k[2], 0, k[2]}}, {-1, -1}, NULL, NULL, NULL};
    if (plan->skips) cconv_taps_inside(plan, 0, task->od, task->od, e.last.slices);
    return e;
}

/* To the next block. */
CCONV_INLINE void turn_eyes(eyes *e, int64_t first, int64_t taps, const ptrdiff_t *x_at, const ptrdiff_t *const *w_at)
{
    e->last.first = first;
    e->last.taps = taps;
    e->found = NULL;
    e->x_at = x_at;
    e->w_at = w_at;
}

/* Columns of a call from `column` on, of a task that has so many, at most `most`: as even as can be, and where much is left out, up to where the
 * first tap of a row begins to be seen, or the last one ceases to be. */
CCONV_INLINE int64_t columns_of_call(const eyes *e, int64_t column, int64_t columns, int64_t at_most)
{
    const cconv_desc *d = &e->plan->desc;
    int64_t left = columns - column, k;
    for (k = 0; k < 2 && e->plan->skips > 1; k++) {
        const int64_t low = k == 0 ? d->before[2] : d->input[2] + d->before[2] - (d->kernel[2] - 1) * d->dilation[2];
        const int64_t to_edge = low > 0 ? parts(low, d->stride[2]) - e->task->first[2] - column : 0;
        if (to_edge > 0) left = least(left, to_edge);
    }
    return left <= at_most ? left : parts(left, parts(left, at_most));      /* division is slow */
}

/* Column by column of the kernel, if outputs have any, so that what the first output and the last one do not see lies together. */
static void look(const eyes *e, const asked *of, view *v)
{
    const int64_t *k = e->plan->desc.kernel, *seen = of->columns, place = of->first % e->plan->kernel;
    const int64_t above = place / k[2], rows = parts(place % k[2] + of->taps, k[2]);       /* of the kernel, that the block has a part of */
    const int64_t together = by_columns(e->plan) ? 1 : k[2];
    int64_t column, kw, r, n = 0;
    for (column = seen[0]; column < seen[1]; column += together) {
        int64_t kd = above / k[1], kh = above % k[1];
        for (r = 0; r < rows; r++) {
            const int rows_seen = kd >= of->slices[0] && kd < of->slices[1] && kh >= of->rows[0] && kh < of->rows[1];
            for (kw = column; rows_seen && kw < least(column + together, seen[1]); kw++) {
                const int64_t t = r * k[2] + kw - place % k[2];
                if (t < 0 || t >= of->taps) continue;
                v->x_at[n] = e->x_at[t];
                v->w_at[n] = e->w_at[of->pitch][t];
                v->unseen[n++] = (unsigned char)((kw < seen[2] || kw >= seen[3] ? UNSEEN_FIRST : 0) | (kw < seen[4] || kw >= seen[5] ? UNSEEN_LAST : 0));
            }
            if (++kh < k[1]) continue;
            kh = 0;
            if (++kd == k[0]) kd = 0;
        }
    }
    v->of = *of;
    v->taps = n;
}

/* The view of what was asked for last. */
static const view *find_view(const eyes *e)
{
    const int64_t held = least(e->kept->made, e->most);
    view *v = e->kept->views;
    for (; v < e->kept->views + held; v++)
        if (memcmp(&v->of, &e->last, sizeof v->of) == 0) return v;
    v = &e->kept->views[e->kept->made++ % e->most];
    look(e, &e->last, v);
    return v;
}

/* Of the taps of the block those that outputs see from row to last_row and column to last_column of the task, `pitch`: of which order of weights. */
CCONV_INLINE seen_taps see_taps(eyes *e, int64_t pitch, int64_t row, int64_t last_row, int64_t column, int64_t last_column)
{
    const int64_t *first = e->task->first;
    int64_t *seen = e->last.columns, rows[2] = {e->last.rows[0], e->last.rows[1]};
    if (e->most == 0) {
        const seen_taps all = {e->last.taps, e->x_at, e->w_at[pitch], NULL};
        return all;
    }
    if (e->plan->skips) cconv_taps_inside(e->plan, 1, first[1] + row, first[1] + last_row, rows);
    if (e->plan->skips && (column != e->column[0] || last_column != e->column[1])) {
        cconv_taps_inside(e->plan, 2, first[2] + column, first[2] + last_column, seen);
        cconv_taps_inside(e->plan, 2, first[2] + column, first[2] + column, seen + 2);
        cconv_taps_inside(e->plan, 2, first[2] + last_column, first[2] + last_column, seen + 4);
        e->column[0] = column;
        e->column[1] = last_column;
        e->found = NULL;
    }
    if (!e->found || pitch != e->last.pitch || rows[0] != e->last.rows[0] || rows[1] != e->last.rows[1]) {
        e->last.pitch = pitch;
        e->last.rows[0] = rows[0];
        e->last.rows[1] = rows[1];
        e->found = find_view(e);
    }
    {
        const int edge = seen[3] - seen[2] < seen[1] - seen[0] || seen[5] - seen[4] < seen[1] - seen[0];
        const seen_taps some = {e->found->taps, e->found->x_at, e->found->w_at, edge ? e->found->unseen : NULL};
        return some;
    }
}

#endif

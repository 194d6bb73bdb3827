/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to taps.h: the taps of a block in the order in which they are added, without those under which a call's outputs see nothing but a
 * border of zeros: the sums are the same, bit for bit.
 */
#ifndef CCONV_SEEN_H
#define CCONV_SEEN_H

#include "sizes.h"

/* Which taps of a block a call's outputs see, and in which of the two orders of weights they lie. */
typedef struct asked {
    int64_t first, taps;                /* the block, among the taps of its channels */
    int64_t pitch;                      /* 0 or 1 */
    int64_t slices[2], rows[2];         /* of the kernel, from and to */
    int64_t columns[6];                 /* that some output sees; that the first one sees, and the last one */
} asked;

/* Tables of them. */
typedef struct view {
    asked of;
    int64_t taps, ends[2];              /* the first output sees none before ends[0], the last one none from ends[1] on */
    ptrdiff_t x_at[BLOCK_TAPS], w_at[BLOCK_TAPS];
} view;

/* Views that are kept, for a plan that leaves out taps, and for another. */
enum { VIEWS = 24, FEW_VIEWS = 4 };

typedef struct gallery {
    int64_t made;
    view views[VIEWS];
} gallery;

typedef struct seen_taps {
    int64_t taps;
    const ptrdiff_t *x_at, *w_at;
    const int64_t *ends;                /* NULL: all outputs see all of them */
} seen_taps;

/* What sees a block of a task. */
typedef struct eyes {
    const cconv_plan *plan;
    const cconv_task *task;
    gallery *kept;
    int64_t most;                       /* views that it has room for; 0: all taps are used, in their order */
    asked last;                         /* the last that was asked for */
    seen_taps seen;                     /* and what calls from row `from` to before `to` of the task therefore see */
    int64_t from, to;
    const ptrdiff_t *x_at, *const *w_at;        /* of all taps of the block, in the order of (channel, kd, kh, kw) */
} eyes;

/* Whether the taps of a block are added column by column of the kernel, for `edge`: of floats, for more than a vector of output channels.
 * Of rows alone, which may be of some of these only, the order is always the other. */
CCONV_INLINE int by_columns(const cconv_plan *plan)
{
    return !plan->alone && plan->desc.kernel[2] > 1 && plan->output[2] > 1 && plan->outputs > 16 && plan->desc.compute == CCONV_F32;
}

CCONV_INLINE int64_t views_of(const cconv_plan *plan) { return plan->skips ? VIEWS : by_columns(plan) ? FEW_VIEWS : 0; }

CCONV_INLINE eyes open_eyes(const cconv_plan *plan, const cconv_task *task, gallery *kept)
{
    const int64_t *k = plan->desc.kernel;
    eyes e = {plan, task, kept, views_of(plan), {0, 0, 0, {0, k[0]}, {0, k[1]}, {0, k[2], 0, k[2], 0, k[2]}}, {0, NULL, NULL, NULL}, 0, 0, NULL, NULL};
    if (plan->skips) cconv_taps_inside(plan, 0, task->od, task->od, e.last.slices);
    return e;
}

/* To the next block. */
CCONV_INLINE void turn_eyes(eyes *e, int64_t first, int64_t taps, const ptrdiff_t *x_at, const ptrdiff_t *const *w_at)
{
    e->last.first = first;
    e->last.taps = taps;
    e->from = e->to = 0;
    e->x_at = x_at;
    e->w_at = w_at;
}

/* Columns of a call from `column` on, of a task that has so many, at most `most`: as even as can be, and where much is left out, up to where the
 * first tap of a row begins to be seen, or the last one ceases to be. */
CCONV_INLINE int64_t columns_of_call(const eyes *e, int64_t column, int64_t columns, int64_t at_most)
{
    int64_t left = columns - column, edges[2];
    if (e->plan->skips > 1) {
        cconv_edges(e->plan, 2, edges);
        if (edges[0] > e->task->first[2] + column) left = least(left, edges[0] - e->task->first[2] - column);
        else if (edges[1] > e->task->first[2] + column) left = least(left, edges[1] - e->task->first[2] - column);
    }
    return left <= at_most ? left : parts(left, parts(left, at_most));      /* division is slow */
}

/* The taps of `columns` columns of the kernel from `column` on, behind those that a view has. */
static void look_along(const eyes *e, int64_t column, int64_t columns, view *v)
{
    const asked *of = &v->of;
    const int64_t *k = e->plan->desc.kernel, place = of->first % e->plan->kernel, end = of->taps;
    const ptrdiff_t *x_at = e->x_at, *w_at = e->w_at[of->pitch];
    int64_t kd = place / k[2] / k[1], kh = place / k[2] % k[1], n = v->taps, row, t;
    for (row = column - place % k[2]; row < end; row += k[2]) {
        if (kh >= of->rows[0] && kh < of->rows[1] && kd >= of->slices[0] && kd < of->slices[1])
            for (t = most(row, 0); t < least(row + columns, end); t++, n++) {
                v->x_at[n] = x_at[t];
                v->w_at[n] = w_at[t];
            }
        if (++kh < k[1]) continue;
        kh = 0;
        if (++kd == k[0]) kd = 0;
    }
    v->taps = n;
}

/* Column by column of the kernel, so that what the first output and the last one do not see lies at the ends; or row by row. */
static void look(const eyes *e, view *v)
{
    const int64_t *seen = e->last.columns;
    int64_t column;
    v->of = e->last;
    v->taps = v->ends[0] = v->ends[1] = 0;
    if (!by_columns(e->plan)) {
        look_along(e, seen[0], seen[1] - seen[0], v);
        v->ends[1] = v->taps;
    } else for (column = seen[0]; column < seen[1]; column++) {
        look_along(e, column, 1, v);
        if (column < seen[2]) v->ends[0] = v->taps;
        if (column < seen[5]) v->ends[1] = v->taps;
    }
}

/* What differs most often first. */
CCONV_INLINE int same(const asked *a, const asked *b)
{
    int i;
    if (a->rows[0] != b->rows[0] || a->rows[1] != b->rows[1] || a->pitch != b->pitch || a->taps != b->taps || a->first != b->first) return 0;
    for (i = 0; i < 6; i++) if (a->columns[i] != b->columns[i]) return 0;
    return a->slices[0] == b->slices[0] && a->slices[1] == b->slices[1];
}

/* The view of what was asked for last. */
static const view *find_view(const eyes *e)
{
    gallery *kept = e->kept;
    view *v = kept->views;
    for (; v < kept->views + kept->made; v++)
        if (same(&v->of, &e->last)) return v;
    if (kept->made < e->most) kept->made++;
    v = &kept->views[kept->made - 1];
    look(e, v);
    return v;
}

/* To calls for columns column to last_column of the task; `ends`: what the first output and the last one see is to be known. */
CCONV_INLINE void aim(eyes *e, int64_t column, int64_t last_column, int ends)
{
    const int64_t first = e->task->first[2];
    int64_t seen[6];
    if (!e->plan->skips) return;
    cconv_taps_inside(e->plan, 2, first + column, first + last_column, seen);
    cconv_taps_inside(e->plan, 2, first + column, first + (ends ? column : last_column), seen + 2);
    cconv_taps_inside(e->plan, 2, first + (ends ? last_column : column), first + last_column, seen + 4);
    if (memcmp(seen, e->last.columns, sizeof seen) == 0) return;
    memcpy(e->last.columns, seen, sizeof seen);
    e->from = e->to = 0;
}

/* Most rows see all of the kernel's, and need not be asked. */
static void find_taps(eyes *e, int64_t pitch, int64_t row, int64_t last_row)
{
    const int64_t first = e->task->first[1], *rows = e->last.rows;
    const seen_taps all = {e->last.taps, e->x_at, e->w_at[pitch], NULL};
    const view *v;
    int64_t edges[2];
    e->seen = all;
    e->last.pitch = pitch;
    e->from = 0;
    e->to = INT64_MAX;
    if (e->most == 0) return;
    if (e->plan->skips) {
        cconv_taps_inside(e->plan, 1, first + row, first + last_row, e->last.rows);
        cconv_edges(e->plan, 1, edges);
        e->from = row;
        e->to = last_row + 1;
        if (rows[0] == 0 && rows[1] == e->plan->desc.kernel[1]) e->to = most(e->to, edges[1] - first);
    }
    v = find_view(e);
    e->seen.taps = v->taps;
    e->seen.x_at = v->x_at;
    e->seen.w_at = v->w_at;
    if (v->ends[0] > 0 || v->ends[1] < v->taps) e->seen.ends = v->ends;
}

/* Of the taps of the block those that outputs see from row to last_row of the task, in these columns; `pitch`: of which order of weights. */
CCONV_INLINE const seen_taps *see_taps(eyes *e, int64_t pitch, int64_t row, int64_t last_row)
{
    if (row < e->from || last_row >= e->to || pitch != e->last.pitch) find_taps(e, pitch, row, last_row);
    return &e->seen;
}

#endif

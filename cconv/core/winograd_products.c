/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The weights of winograd's tiles, transformed once for many tasks or by each for itself, and multiplied.
 *
 * Packed are a byte for each tile, which says whether one of its weights is too large to be transformed; behind these U; and behind it the weights
 * themselves, for what goes another way.
 */
#include "ahead.h"
#include "winograd.h"

#include <math.h>

enum { AT_ONCE = BLOCK_TAPS / KERNEL };     /* slices that are ordered */

static const double zeros[MAX_VECTOR * 2] = {0};

int cconv_winograd_note(const cconv_plan *plan, const char *weights, int64_t n, char *noted)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    *noted = (char)!kernels->within(weights, n, cconv_limit(plan));
    return !*noted || !plan->must_be_finite || kernels->within(weights, n, INFINITY);
}

/* Whether a kernel after the other lies as they are packed. */
static int lie_packed(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    return plan->dense_weights && d->weight_type == d->compute && d->weight_stride[4] == size && d->weight_stride[0] == plan->taps * size;
}

/* The first byte of a group's weights where they lie side by side in any order of the axes, forwards or backwards; else NULL. */
static const char *block_of(const cconv_plan *plan, int64_t group, const char *weights)
{
    const cconv_desc *d = &plan->desc;
    const int64_t length[5] = {plan->outputs, plan->channels, d->kernel[0], d->kernel[1], d->kernel[2]}, *stride = d->weight_stride;
    int64_t step = (int64_t)cconv_type_size(d->compute);
    int a, i;
    if (d->weight_type != d->compute) return NULL;
    weights += group * plan->outputs * stride[0];
    for (i = 0; i < 5; i++)         /* the i-th from the innermost on */
        for (a = 4; a >= 0; a--) {
            if (length[a] == 1 || (stride[a] != step && stride[a] != -step)) continue;
            if (stride[a] < 0) weights += stride[a] * (length[a] - 1);
            step *= length[a];
            break;
        }
    return step == (int64_t)cconv_type_size(d->compute) * plan->outputs * plan->taps ? weights : NULL;
}

int cconv_winograd_wild(const cconv_plan *plan, int64_t group, const char *weights)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const char *block = block_of(plan, group, weights);
    double ordered[AT_ONCE * KERNEL * MAX_VECTOR];
    cconv_plan any = *plan;
    int64_t tile, s;
    if (block) return !kernels->within(block, plan->outputs * plan->taps, cconv_limit(plan));
    any.must_be_finite = 0;
    for (tile = 0; tile < plan->tiles; tile++)
        for (s = 0; s < slices_of(plan); s += AT_ONCE) {
            const int64_t n = KERNEL * least(AT_ONCE, slices_of(plan) - s), count = cconv_tile_count(plan, tile);
            cconv_order_tile(&any, group, tile, s * KERNEL, n, weights, (char *)ordered);
            if (!kernels->within(ordered, n * cconv_tile_pitch(plan, count), cconv_limit(plan))) return 1;
        }
    return 0;
}

/* U of `count` output channels, of all from this one on, for slices first to last - 1; values from filter to filter; and where `same` is not NULL,
 * the weights themselves, side by side: those of an output channel may lie far apart. */
static void transform(const cconv_plan *plan, int64_t output, int64_t count, int64_t first, int64_t last, const char *weight, char *u, int64_t step,
                      char *same)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), pitch = cconv_tile_pitch(plan, count);
    double ordered[AT_ONCE * KERNEL * MAX_VECTOR];      /* of two vectors of output channels */
    cconv_plan any = *plan;
    int64_t s;
    any.must_be_finite = 0;     /* which is noted elsewhere */
    for (s = first; s < last; s += AT_ONCE) {
        const int64_t n = least(AT_ONCE, last - s);
        cconv_order_outputs(&any, output, count, s * KERNEL, n * KERNEL, weight, (char *)ordered);
        kernels_of(plan)->filter(ordered, n, pitch, u + (s - first) * pitch * size, (ptrdiff_t)step);
        if (same) cconv_of_type(plan)->turn(ordered, (ptrdiff_t)pitch, n * KERNEL, count, same + s * KERNEL * size, (ptrdiff_t)plan->taps);
    }
}

int cconv_winograd_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), group = index / plan->tiles, tile = index % plan->tiles;
    const int64_t first = group * plan->outputs + cconv_tile_first(plan, tile), count = cconv_tile_count(plan, tile);
    char *u = (char *)products_of(plan, packed, group) + cconv_tile_first(plan, tile) * slices_of(plan) * size;
    char *same = (char *)weights_of(plan, packed) + first * plan->taps * size;
    int64_t o;
    transform(plan, first, count, 0, slices_of(plan), weight, u, filter_values(plan), plan->dense_weights ? NULL : same);
    weight += first * d->weight_stride[0];
    if (lie_packed(plan) && plan->kernels->send) {
        plan->kernels->send(weight, same, count * plan->taps * size);       /* past the caches, as they are seldom read */
        plan->kernels->drain();
        return cconv_winograd_note(plan, weight, count * plan->taps, packed + index);
    }
    for (o = 0; o < count && plan->dense_weights; o++)
        cconv_read_taps(plan, weight + o * d->weight_stride[0], 0, plan->taps, same + o * plan->taps * size);
    return cconv_winograd_note(plan, same, count * plan->taps, packed + index);
}

/* Transformed weights of some tiles and slices: a tile's lie side by side from slice to slice, and tile after tile. */
typedef struct filter_range {
    const char *u;
    int64_t tile_first, tile_last, first, last;
    int64_t step;               /* values from filter to filter */
    int whole;                  /* those of all output channels and slices, not only of the task's and these */
    ahead next;                 /* the weights that will be transformed next */
} filter_range;

/* In U, the filter of a product. */
static int64_t filter_at(const cconv_plan *plan, const filter_range *f, int64_t product)
{
    const winograd_form *form = form_of(plan);
    return (form->filter[product / form->seen] * form->filters + form->filter[product % form->seen]) * f->step;
}

/* M, for `tiles` tiles.  What is multiplied next is fetched: weights, and in the first task a V that is shared. */
static void multiply(const cconv_plan *plan, const cconv_task *task, filter_range *f, int64_t tiles, char *work)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int64_t pieces = parts(tiles, kernels->tile);
    const winograd_form *form = form_of(plan);
    const winograd_tables *t = (const winograd_tables *)(const void *)work;
    const int64_t products = square(form->seen), begin = cconv_tile_first(plan, f->tile_first);
    const int64_t begins = f->whole ? begin * slices_of(plan) + task->out_first - begin : 0;
    int64_t product, s, tile, piece, line;
    for (product = 0; product < products; product++) {
        const int64_t i = product / form->seen, j = product % form->seen;
        const int first_of_sum = (i == 0 || form->sum[i] != form->sum[i - 1]) && (j == 0 || form->sum[j] != form->sum[j - 1]);
        const char *v = t->from + product * plan->v_plane * size;
        const char *filter = f->u + filter_at(plan, f, product) * size;
        const char *after = f->u + (filter_at(plan, f, least(product + 1, products - 1)) + begins) * size;
        char *m = work + plan->sums_at + (form->sum[i] * form->sums + form->sum[j]) * plan->m_plane * size;
        fetch(&f->next);
        for (tile = f->tile_first; tile < f->tile_last; tile++) {
            const channel_range r = outputs_in(plan, task, tile);
            const int64_t first = cconv_tile_first(plan, tile), pitch = cconv_tile_pitch(plan, f->whole ? cconv_tile_count(plan, tile) : r.upto - r.from);
            const int64_t lies = f->whole ? first * slices_of(plan) + r.from - first : 0;
            const int cold = t->cold && tile == task->tile_first && product + 1 < products;
            const int wide = r.upto - r.from > lanes, half = pitch > lanes && !wide;     /* of a tile: its other half's weights are not fetched */
            for (s = f->first; s < f->last; s += BLOCK_TAPS) {
                const int64_t slices = least(BLOCK_TAPS, f->last - s), coming = cold ? slices * plan->v_pitch : 0;
                const char *weights = filter + (lies + (s - f->first) * pitch) * size;
                const char *next = s + slices < f->last || tile + 1 < f->tile_last ? weights + slices * pitch * size : after;
                const int begun = s > 0 || !first_of_sum;
                for (piece = 0; piece < pieces; piece++) {
                    const int64_t at = piece * tiles / pieces, n = (piece + 1) * tiles / pieces - at;
                    char *sums = m + (at * plan->sums_pitch + r.from - task->out_first) * size;
                    for (line = piece * coming / pieces * size; line < (piece + 1) * coming / pieces * size; line += LINE)
                        PREFETCH_FAR(v + (plan->v_plane + s * plan->v_pitch) * size + line);
                    kernels->taps[n][wide](weights, t->u[pitch > lanes], v + (s * plan->v_pitch + at) * size, t->v, 1, slices,
                                           begun ? sums : (const char *)zeros, begun ? (ptrdiff_t)plan->sums_pitch : 0, (ptrdiff_t)lanes, sums,
                                           (ptrdiff_t)plan->sums_pitch, lanes, 0, NULL, next + (half ? 0 : slices * pitch * piece / pieces) * size,
                                           (ptrdiff_t)(!half ? pitch / pieces : piece == 0 ? pitch : 0));
                }
            }
        }
    }
}

/* Weights of `count` output channels of a group, if there are so many from this one on, for some slices, if they lie side by side: fetched while the products
 * of others are made. */
static ahead weights_ahead(const cconv_plan *plan, int64_t group, int64_t output, int64_t count, int64_t first, const char *weights)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->weight_type), n = least(plan->filter_slices, slices_of(plan) - first);
    ahead next;
    if (output >= plan->outputs || !plan->dense_weights || d->weight_stride[4] != size) return fetching(NULL, 0, 0, 0, 1);
    next = fetching(weights + (group * plan->outputs + output) * d->weight_stride[0] + first * KERNEL * size, d->weight_stride[0],
                    least(count, plan->outputs - output), n * KERNEL * size, square(form_of(plan)->seen));
    next.far = 1;
    return next;
}

/* M, with weights that are transformed a tile at a time, of so many slices that they stay in a cache, and multiplied at once.  No other task has a use for
 * them, and to write them to memory and to read them again would take longer than to make them. */
static void multiply_plain(const cconv_plan *plan, const cconv_task *task, int64_t tiles, const char *weights, char *work)
{
    const int64_t slices = slices_of(plan);
    filter_range f = {work + plan->filters_at, 0, 0, 0, 0, plan->filter_step, 0, fetching(NULL, 0, 0, 0, 1)};
    for (f.tile_first = task->tile_first; f.tile_first < task->tile_last; f.tile_first = f.tile_last) {
        const channel_range r = outputs_in(plan, task, f.tile_first);
        f.tile_last = f.tile_first + 1;
        for (f.first = 0; f.first < slices; f.first = f.last) {
            f.last = least(f.first + plan->filter_slices, slices);
            f.next = weights_ahead(plan, task->group, f.last < slices ? r.from : r.upto, r.upto - r.from, f.last % slices, weights);
            transform(plan, task->group * plan->outputs + r.from, r.upto - r.from, f.first, f.last, weights, work + plan->filters_at, f.step, NULL);
            multiply(plan, task, &f, tiles, work);
        }
    }
}

void cconv_winograd_multiply(const cconv_plan *plan, const cconv_task *task, const char *weights, char *work)
{
    const int64_t tiles = ((const winograd_tables *)(const void *)work)->tiles;
    filter_range all = {NULL, task->tile_first, task->tile_last, 0, slices_of(plan), filter_values(plan), 1, fetching(NULL, 0, 0, 0, 1)};
    if (!plan->prepacked) {
        multiply_plain(plan, task, tiles, weights, work);
        return;
    }
    all.u = products_of(plan, weights, task->group);
    multiply(plan, task, &all, tiles, work);
}

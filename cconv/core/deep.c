/* SPDX-License-Identifier: BSD-3-Clause
 *
 * deep: what `rows` does, for one kernel per channel where the channels of a pixel lie side by side, in the input and the
 * output: vectors run across channels, and nothing is turned.  Taps are added in the order of `rows`, so the bits are the same.
 *
 * Runs of taps are made of lines, either side by side or below each other, whichever makes fewer; the kernel takes outputs that lie
 * along such lines, so that a vector is loaded once for several of them.  A border of zeros is not there: what lies outside is not
 * read, and a line that does is read from a pixel of zeros.  Other borders make a padded copy of the band.
 */
#include "sizes.h"

#include <math.h>

enum { BAND_VALUES = 1 << 16, TASK_VALUES = 1 << 19, FEWEST = 4, FEWEST_ALONG = 32 };

int cconv_deep_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    return d->groups == d->in_channels && d->groups == d->out_channels && d->groups >= FEWEST && d->kernel[0] == 1 && d->interleave == 1
           && plan->taps <= BLOCK_TAPS && d->input_type == d->compute && d->input_stride[1] == size
           && d->input_stride[4] == times(d->groups, size) && cconv_output_holds_sums(plan) && d->output_stride[1] == size
           && times(plan->taps, d->groups) <= MEMORY / 64;
}

static int64_t pitch_of(const cconv_plan *plan) { return up(plan->desc.groups, MAX_VECTOR); }

/* How many input rows or columns some positions see. */
static int64_t seen(const cconv_plan *plan, int a, int64_t positions)
{
    return (positions - 1) * plan->desc.stride[a] + (plan->desc.kernel[a] - 1) * plan->desc.dilation[a] + 1;
}

typedef struct line {
    int64_t row, column, taps;
} line;

typedef struct deep_tables {
    cconv_order order;
    line lines[BLOCK_TAPS];
    int64_t run[BLOCK_TAPS + 1];        /* lines of each run */
    int64_t apart;                      /* taps of a line: in coordinates */
    int along;                          /* the axis of the lines */
    int pairs;                          /* 3x3 neighbours: outputs in two rows at a time */
} deep_tables;

/* The taps in lines along an axis; returns how many. */
static int64_t find_lines(const cconv_plan *plan, deep_tables *t, int along)
{
    const int64_t next = along == 1 ? plan->cycle[1] : 1, *row = t->order.row, *column = t->order.column;
    int64_t count = 0, tap = 0, r;
    for (r = 0; t->order.run[r] > 0; r++) {
        const int64_t end = tap + t->order.run[r], before = count;
        for (; tap < end; tap++) {
            line *last = count > before ? &t->lines[count - 1] : NULL;
            if (last && row[tap] == last->row + (along == 1 ? last->taps * next : 0)
                && column[tap] == last->column + (along == 2 ? last->taps : 0)) {
                last->taps++;
            } else {
                const line first = {row[tap], column[tap], 1};
                t->lines[count++] = first;
            }
        }
        t->run[r] = count - before;
    }
    t->run[r] = 0;
    t->along = along;
    t->apart = next * plan->desc.dilation[along];
    return count;
}

static void make_tables(const cconv_plan *plan, deep_tables *t)
{
    const cconv_desc *d = &plan->desc;
    int64_t below;
    cconv_rows_order(plan, &t->order);
    below = find_lines(plan, t, 1);
    if (below < find_lines(plan, t, 2)) find_lines(plan, t, 1);
    t->pairs = t->along == 2 && d->kernel[1] == 3 && d->kernel[2] == 3 && d->dilation[1] == 1 && d->dilation[2] == 1
               && d->stride[1] == d->stride[2] && d->stride[1] <= 2 && t->run[0] == (d->stride[1] == 1 ? 3 : 1)
               && t->run[1] == (d->stride[1] == 1 ? 0 : 2);
}

/* Where nothing is copied, a band ends only so that there are enough of them, and across the lines. */
static void bands_in_place(const cconv_plan *plan, int pairs, int64_t *along, int64_t *across, int64_t samples)
{
    const int64_t outputs = *along, others = *across, groups = plan->desc.groups;
    *across = least(others, most(1, TASK_VALUES / times(outputs, groups)));
    if (!plan->alone && samples < SHARES) *across = least(*across, parts(others, SHARES));
    *across = parts(others, parts(others, *across));
    if (pairs) *across = up(*across, 2);
    *along = least(outputs, most(FEWEST_ALONG, TASK_VALUES / times(*across, groups)));
    if (!plan->alone && samples * others < SHARES) *along = least(*along, up(most(parts(outputs, SHARES), FEWEST_ALONG), 8));
}

static cconv_status bands_of_copies(const cconv_plan *plan, int64_t *rows, int64_t *columns, int64_t samples)
{
    const cconv_desc *d = &plan->desc;
    const double reach = (double)d->dilation[1] * (double)(d->kernel[1] - 1) + (double)d->dilation[2] * (double)(d->kernel[2] - 1);
    if (reach * (double)d->groups > (double)BAND_VALUES * 16 || (double)d->stride[2] * (double)d->groups > (double)BAND_VALUES)
        return CCONV_ERROR_ALGORITHM;       /* `rows` takes what lies between taps apart */
    *columns = least(*columns, most(4, BAND_VALUES / 4 / times(d->stride[2], d->groups)));
    *columns = parts(plan->output[2], parts(plan->output[2], *columns));
    *rows = least(*rows, most(4, BAND_VALUES / times(d->stride[1], times(seen(plan, 2, *columns), d->groups))));
    if (!plan->alone && samples < SHARES) *rows = least(*rows, most(1, parts(plan->output[1], SHARES)));
    *rows = parts(plan->output[1], parts(plan->output[1], *rows));
    return times(seen(plan, 1, *rows), times(seen(plan, 2, *columns), d->groups)) > BAND_VALUES * 64 ? CCONV_ERROR_ALGORITHM : CCONV_OK;
}

cconv_status cconv_deep_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), samples = d->batch * plan->output[0];
    deep_tables t;
    int64_t a;
    make_tables(plan, &t);
    memcpy(plan->band, plan->output, sizeof plan->band);
    plan->band[0] = 1;
    plan->read_in_place = cconv_zeros_outside(plan);
    if (plan->read_in_place) bands_in_place(plan, t.pairs, &plan->band[t.along], &plan->band[3 - t.along], samples);
    else if (bands_of_copies(plan, &plan->band[1], &plan->band[2], samples) != CCONV_OK) return CCONV_ERROR_ALGORITHM;
    for (a = 0; a < 3; a++) plan->bands[a] = parts(plan->output[a], plan->band[a]);
    plan->out_blocks = 1;
    plan->group_block = d->groups;
    plan->tasks = samples * plan->bands[1] * plan->bands[2];
    plan->packs = 1;
    plan->prepacked = d->weights != CCONV_WEIGHTS_PLAIN;
    plan->row_pitch = plan->read_in_place ? 0 : up(seen(plan, 2, plan->band[2]) * d->groups, MAX_VECTOR);
    plan->plane = plan->read_in_place ? pitch_of(plan) : seen(plan, 1, plan->band[1]) * plan->row_pitch;
    cconv_note_weights(plan);
    plan->packed_bytes = (size_t)(plan->taps * pitch_of(plan) * size) + 64;
    plan->planes_at = (size_t)up((int64_t)sizeof(deep_tables), 64);
    plan->ordered_at = plan->planes_at + (size_t)up((plan->plane + SLACK) * size, 64);
    plan->workspace_bytes = plan->ordered_at + plan->packed_bytes + 64;
    return CCONV_OK;
}

/* And a pixel of zeros. */
void cconv_deep_tables(const cconv_plan *plan, char *work)
{
    make_tables(plan, (deep_tables *)(void *)work);
    if (plan->read_in_place) memset(work + plan->planes_at, 0, (size_t)pitch_of(plan) * cconv_type_size(plan->desc.compute));
}

/* The weights: for each tap those of all channels. */
static int order_weights(const cconv_plan *plan, const cconv_order *order, const char *weight, char *out)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), pitch = pitch_of(plan);
    int64_t i;
    int finite = 1;
    for (i = 0; i < plan->taps; i++, out += pitch * size) {
        memset(out, 0, (size_t)(pitch * size));
        kernels->load[d->weight_type](weight + order->row[i] * d->weight_stride[3] + order->column[i] * d->weight_stride[4], 0,
                                      (ptrdiff_t)d->weight_stride[0], out, 0, 1, d->groups);
        finite &= !plan->must_be_finite || kernels->within(out, d->groups, INFINITY);
    }
    return finite;
}

int cconv_deep_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    cconv_order order;
    (void)index;
    cconv_rows_order(plan, &order);
    return order_weights(plan, &order, weight, packed);
}

/* The band's part of the padded picture, as a picture of one channel whose neighbours belong to one pixel. */
static void load(const cconv_plan *plan, const cconv_task *task, const char *sample, char *plane)
{
    cconv_plan wide = *plan;
    cconv_task whole = *task;
    cconv_desc *d = &wide.desc;
    int a;
    for (a = 1; a < 3; a++) {
        const int64_t pixel = a == 2 ? d->groups : 1;
        whole.first[a] = task->first[a] * d->stride[a] * pixel;
        whole.size[a] = pixel;
        wide.reach[a] = seen(plan, a, task->size[a]) * pixel - pixel;
        wide.phases[a] = wide.cycle[a] = 1;
        wide.apart[a] = 0;
    }
    wide.phases[0] = 1;
    wide.band[1] = 1;
    d->interleave = d->groups;
    d->input[2] *= d->groups;
    d->before[2] *= d->groups;
    d->after[2] *= d->groups;
    d->input_stride[4] = d->input_stride[1];
    d->stride[1] = d->stride[2] = d->dilation[1] = 1;
    d->dilation[2] = d->groups;
    cconv_load_plane(&wide, &whole, sample, plane, 1);
}

/* Where a band's outputs see what: the picture, or a copy of its part. */
typedef struct sight {
    const char *x;                      /* coordinates 0, 0 */
    int64_t limit[3], first[3];         /* how many coordinates there are; that of the band's first output */
    ptrdiff_t step[3];                  /* bytes from one to the next */
} sight;

/* What the lines of a kernel see from outputs `first` on of the axis of the lines, at place v of the other axis. */
static cconv_deep_line *see(const cconv_plan *plan, const deep_tables *t, const sight *at, cconv_deep_sums *sums, cconv_deep_line *to,
                            const line *from, int64_t first, int64_t v)
{
    const cconv_desc *d = &plan->desc;
    const int along = t->along, across = 3 - along;
    const int64_t place[3] = {0, from->row, from->column}, size = (int64_t)cconv_type_size(d->compute);
    const int64_t there = at->first[across] + v * d->stride[across] + place[across] * d->dilation[across];
    const int outside = !at->x || there < 0 || there >= at->limit[across];
    const ptrdiff_t step = outside ? 0 : at->step[along];
    to->index = at->first[along] + first * d->stride[along] + place[along] * d->dilation[along];
    to->x = outside ? (const char *)sums->zeros : at->x + there * at->step[across] + to->index * step;
    to->tap_step = step / (ptrdiff_t)size * (ptrdiff_t)t->apart;
    to->out_step = step / (ptrdiff_t)size * (ptrdiff_t)d->stride[along];
    to->taps = from->taps;
    sums->lowest = least(sums->lowest, to->index);
    sums->highest = most(sums->highest, to->index + (to->taps - 1) * t->apart);
    return to + 1;
}

/* Outputs `first` to `last` - 1 of the axis of the lines, for every place of the other axis. */
static void run_lines(const cconv_plan *plan, const cconv_task *task, const deep_tables *t, const sight *at, cconv_deep_sums *sums,
                      cconv_deep_line *lines, int64_t first, int64_t last, char *y)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), step = d->output_stride[5 - t->along];
    int64_t v = 0, count, i, r;
    sums->lowest = INT64_MAX;
    sums->highest = INT64_MIN;
    y += first * d->output_stride[2 + t->along];
    for (; v < task->size[3 - t->along]; v += count, y += count * step) {
        const line *from = t->lines;
        cconv_deep_line *to = lines;
        count = t->pairs && kernels->deep_pair[0] && d->groups >= kernels->lanes && task->size[3 - t->along] - v > 1 ? 2 : 1;
        if (count == 2) {
            for (r = 0; r < d->stride[1] + 3; r++) {
                const line whole = {r, 0, 3};
                to = see(plan, t, at, sums, to, &whole, first, v);
            }
            kernels->deep_pair[d->stride[1] - 1](sums, y, (ptrdiff_t)(step / size), last - first, d->groups);
        } else {
            for (r = 0; t->run[r] > 0; r++)
                for (i = 0; i < t->run[r]; i++) to = see(plan, t, at, sums, to, from++, first, v);
            kernels->deep(sums, y, last - first, d->groups);
        }
    }
}

int cconv_deep_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work, char *output)
{
    enum { STRIP = 8 };                 /* rows whose inputs stay in the cache */
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const deep_tables *t = (const deep_tables *)(const void *)work;
    char *plane = work + plan->planes_at, *ordered = work + plan->ordered_at;
    cconv_task task;
    cconv_deep_line lines[BLOCK_TAPS];
    cconv_deep_sums sums = {lines, t->run, t->apart, d->stride[t->along], 0, 0, 0, plane, NULL, bias, 0, 0};
    sight at;
    int64_t r;
    int a;
    cconv_task_at(plan, index, &task);
    task.out_first = 0;
    input += task.n * d->input_stride[0];
    if (!plan->prepacked && !order_weights(plan, &t->order, weights, ordered)) return 0;
    if (plan->read_in_place) {
        const int64_t depth = task.od * d->stride[0] - d->before[0];
        at.x = depth < 0 || depth >= d->input[0] ? NULL : input + depth * d->input_stride[2];
        for (a = 1; a < 3; a++) {
            at.limit[a] = d->input[a];
            at.first[a] = task.first[a] * d->stride[a] - d->before[a];
            at.step[a] = (ptrdiff_t)d->input_stride[2 + a];
        }
    } else {
        load(plan, &task, input, plane);
        at.x = plane;
        for (a = 1; a < 3; a++) {
            at.limit[a] = seen(plan, a, task.size[a]);
            at.first[a] = 0;
            at.step[a] = (ptrdiff_t)((a == 1 ? plan->row_pitch : d->groups) * size);
        }
    }
    sums.limit = at.limit[t->along];
    sums.w = plan->prepacked ? weights : ordered;
    sums.w_pitch = (ptrdiff_t)pitch_of(plan);
    sums.y_step = (ptrdiff_t)(d->output_stride[2 + t->along] / size);
    output += cconv_output_at(plan, &task);
    if (t->along == 2) run_lines(plan, &task, t, &at, &sums, lines, 0, task.size[2], output);
    else for (r = 0; r < task.size[1]; r += STRIP) run_lines(plan, &task, t, &at, &sums, lines, r, least(r + STRIP, task.size[1]), output);
    return 1;
}

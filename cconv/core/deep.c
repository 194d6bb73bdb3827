/* SPDX-License-Identifier: BSD-3-Clause
 *
 * deep: what `rows` does, for one kernel per channel where the channels of a pixel lie side by side, in the input and the
 * output: vectors run across channels, and nothing is turned.  Taps are added in the order of `rows`, so the bits are the same.
 */
#include "sizes.h"

#include <math.h>

enum { BAND_VALUES = 1 << 16, FEWEST = 4 };

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

cconv_status cconv_deep_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), samples = d->batch * plan->output[0];
    const double reach = (double)d->dilation[1] * (double)(d->kernel[1] - 1) + (double)d->dilation[2] * (double)(d->kernel[2] - 1);
    int64_t rows, columns, a;
    if (reach * (double)d->groups > (double)BAND_VALUES * 16 || (double)d->stride[2] * (double)d->groups > (double)BAND_VALUES)
        return CCONV_ERROR_ALGORITHM;       /* `rows` takes what lies between taps apart */
    columns = least(plan->output[2], most(4, BAND_VALUES / 4 / times(d->stride[2], d->groups)));
    columns = parts(plan->output[2], parts(plan->output[2], columns));
    rows = least(plan->output[1], most(4, BAND_VALUES / times(d->stride[1], times(seen(plan, 2, columns), d->groups))));
    if (!plan->alone && samples < SHARES) rows = least(rows, most(1, parts(plan->output[1], SHARES)));
    rows = parts(plan->output[1], parts(plan->output[1], rows));
    if (times(seen(plan, 1, rows), times(seen(plan, 2, columns), d->groups)) > BAND_VALUES * 64) return CCONV_ERROR_ALGORITHM;
    for (a = 0; a < 3; a++) {
        plan->band[a] = a == 0 ? 1 : a == 1 ? rows : columns;
        plan->bands[a] = parts(plan->output[a], plan->band[a]);
    }
    plan->out_blocks = 1;
    plan->group_block = d->groups;
    plan->tasks = samples * plan->bands[1] * plan->bands[2];
    plan->packs = 1;
    plan->prepacked = d->weights != CCONV_WEIGHTS_PLAIN;
    plan->row_pitch = up(seen(plan, 2, columns) * d->groups, MAX_VECTOR);
    plan->plane = seen(plan, 1, rows) * plan->row_pitch;
    cconv_note_weights(plan);
    plan->packed_bytes = (size_t)(plan->taps * pitch_of(plan) * size) + 64;
    plan->planes_at = (size_t)up(4 * BLOCK_TAPS * (int64_t)sizeof(int64_t), 64);
    plan->ordered_at = plan->planes_at + (size_t)up((plan->plane + SLACK) * size, 64);
    plan->workspace_bytes = plan->ordered_at + plan->packed_bytes + 64;
    return CCONV_OK;
}

typedef struct deep_tables {
    cconv_order order;
    ptrdiff_t offset[BLOCK_TAPS];
} deep_tables;

void cconv_deep_tables(const cconv_plan *plan, char *work)
{
    const cconv_desc *d = &plan->desc;
    deep_tables *t = (deep_tables *)(void *)work;
    int64_t i;
    cconv_rows_order(plan, &t->order);
    for (i = 0; i < plan->taps; i++)
        t->offset[i] = (ptrdiff_t)(t->order.row[i] * d->dilation[1] * plan->row_pitch + t->order.column[i] * d->dilation[2] * d->groups);
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

int cconv_deep_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const deep_tables *t = (const deep_tables *)(const void *)work;
    char *plane = work + plan->planes_at, *ordered = work + plan->ordered_at;
    cconv_task task;
    int64_t r;
    cconv_task_at(plan, index, &task);
    task.out_first = 0;
    load(plan, &task, input + task.n * d->input_stride[0], plane);
    if (!plan->prepacked && !order_weights(plan, &t->order, weights, ordered)) return 0;
    for (r = 0; r < task.size[1]; r++)
        kernels->deep(plane + r * d->stride[1] * plan->row_pitch * size, t->offset, t->order.run, plan->prepacked ? weights : ordered,
                      (ptrdiff_t)pitch_of(plan), bias, output + cconv_output_at(plan, &task) + r * d->output_stride[3],
                      (ptrdiff_t)(d->stride[2] * d->groups), (ptrdiff_t)(d->output_stride[4] / size), task.size[2], d->groups);
    return 1;
}

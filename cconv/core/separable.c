/* SPDX-License-Identifier: BSD-3-Clause
 *
 * separable: one kernel over a picture that is a sum of few products of a column (KD x KH taps) and a row
 * (KW taps), which rank.c finds.  A band of the picture goes through the columns first and through the rows then: two
 * convolutions by `rows`, of one channel to `rank` and of these to one, with the sums in between in the cache.
 *
 * A band whose sums in between are not finite goes by `rows` alone, in which nothing cancels or overflows that does
 * not do so in the kernel.
 */
#include "rank.h"

#include <math.h>

enum {
    BETWEEN_VALUES = 1 << 16,           /* sums of a band between columns and rows */
    BOTH_COLUMNS = 4096
};

double cconv_separable_cost(const cconv_plan *plan)
{
    const double column = (double)(plan->desc.kernel[0] * plan->desc.kernel[1]), row = (double)plan->desc.kernel[2];
    const int64_t lanes = plan->desc.compute == CCONV_F32 ? 16 : 8, width = plan->output[2];
    if (cconv_box_serves(plan)) return cconv_box_cost(&plan->desc);
    if (cconv_separable_serves(plan)) return cconv_rank_cost((int)plan->desc.rank, column, row);
    return cconv_direct_cost(column, row) * (double)up(width, lanes) / (double)width + 9 * row * (double)lanes / (double)width;
}

int cconv_separable_serves(const cconv_plan *plan)
{
    return plan->desc.rank > 0 && plan->desc.rank <= MOST_RANK && cconv_fits_products(&plan->desc);
}

/* Of the whole kernel, and of the products: where each lies among the packed weights, in values. */
static int64_t columns_at(const cconv_plan *plan) { return plan->kernel; }
static int64_t rows_at(const cconv_plan *plan) { return plan->kernel + plan->desc.rank * plan->desc.kernel[0] * plan->desc.kernel[1]; }

static void write_values(const cconv_plan *plan, char *to, int64_t at, const double *values, int64_t n)
{
    int64_t i;
    for (i = 0; i < n; i++) {
        if (plan->desc.compute == CCONV_F32) ((float *)(void *)to)[at + i] = (float)values[i];
        else ((double *)(void *)to)[at + i] = values[i];
    }
}

/* Returns 0 where the weights are not of the plan's rank. */
int cconv_separable_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    products p;
    int r;
    (void)index;
    if (!cconv_factor(d, weight, (int)d->rank, &p) || p.rank != d->rank) return 0;
    cconv_read_taps(plan, weight, 0, plan->kernel, packed);
    for (r = 0; r < p.rank; r++) {
        write_values(plan, packed, columns_at(plan) + r * p.column, p.columns[r], p.column);
        write_values(plan, packed, rows_at(plan) + r * p.row, p.rows[r], p.row);
    }
    return !plan->must_be_finite || cconv_of_type(plan)->within(packed, plan->kernel, INFINITY);
}

/* A part of a task as a convolution of its own. */
enum { COLUMNS, ROWS, WHOLE_KERNEL };

static cconv_status part_of(const cconv_plan *plan, const cconv_task *task, int which, cconv_plan *part)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), *k = plan->desc.kernel;
    const int64_t between = (task->size[2] - 1) * plan->desc.stride[2] + (k[2] - 1) * plan->desc.dilation[2] + 1;
    cconv_desc d = cconv_part_desc(plan, task);
    int a;
    if (which == COLUMNS) {
        d.kernel[2] = d.stride[2] = 1;
        d.weight_stride[3] = size;
        d.weight_stride[2] = k[1] * size;
        d.weight_stride[0] = d.weight_stride[1] = k[0] * k[1] * size;
        d.dilation[2] = d.interleave;
        d.out_channels = plan->desc.rank;
        d.output_type = d.compute;
        d.divisor = 1;
        d.low = -INFINITY;
        d.high = INFINITY;
        d.output_stride[4] = size;
        d.output_stride[3] = plan->row_pitch * size;
        d.output_stride[1] = plan->plane * size;
    } else if (which == ROWS) {
        d.in_channels = plan->desc.rank;
        d.weight_stride[1] = k[2] * size;
        d.input_type = d.compute;
        d.interleave = 1;
        d.input[0] = 1;
        d.input[1] = task->size[1];
        d.input[2] = between;
        for (a = 0; a < 3; a++) d.before[a] = d.after[a] = 0;
        d.kernel[0] = d.kernel[1] = d.stride[0] = d.stride[1] = d.dilation[0] = d.dilation[1] = 1;
        d.input_stride[4] = size;
        d.input_stride[3] = plan->row_pitch * size;
        d.input_stride[1] = plan->plane * size;
    }
    return cconv_plan_part(part, &d);
}

cconv_status cconv_separable_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), reach = times(d->kernel[2] - 1, d->dilation[2]);
    int64_t columns, rows, values, i;
    cconv_task task = cconv_no_task();
    size_t most_bytes = 0;
    if (!cconv_separable_serves(plan)) return CCONV_ERROR_ALGORITHM;
    columns = up(parts(plan->output[2], parts(plan->output[2], BOTH_COLUMNS)), d->interleave);
    values = up((columns - 1) * d->stride[2] + reach + 1, 16) + 16;
    rows = least(plan->output[1], most(8, BETWEEN_VALUES * (d->compute == CCONV_F32 ? 2 : 1) / (values * d->rank)));
    rows = parts(plan->output[1], parts(plan->output[1], rows));
    if (rows < plan->output[1]) rows = least(plan->output[1], up(rows, 8));
    cconv_lay_out_bands(plan, rows, columns);
    plan->row_pitch = values;
    plan->plane = odd_lines(rows * values + SLACK);
    plan->packed_bytes = (size_t)((plan->kernel + d->rank * (d->kernel[0] * d->kernel[1] + d->kernel[2]) + SLACK) * size + 64);
    plan->sums_at = (size_t)up((d->rank * plan->plane + SLACK) * size, 64);
    for (i = 0; i < 12; i++) {          /* bands have two heights and two widths */
        cconv_plan part;
        cconv_status status;
        task.size[0] = 1;
        task.size[1] = i & 1 ? (plan->output[1] - 1) % rows + 1 : rows;
        task.size[2] = i & 2 ? (plan->output[2] - 1) % columns + 1 : columns;
        status = part_of(plan, &task, (int)(i / 4), &part);
        if (status != CCONV_OK) return status;
        if (part.workspace_bytes > most_bytes) most_bytes = part.workspace_bytes;
    }
    plan->workspace_bytes = plan->sums_at + most_bytes + 64;
    return CCONV_OK;
}

int cconv_separable_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                        char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    cconv_task task;
    cconv_plan part;
    int64_t r, row;
    int finite = 1;
    cconv_task_at(plan, index, &task);
    input += task.n * d->input_stride[0];
    task.out_first = task.group = 0;
    output += cconv_output_at(plan, &task);
    if (part_of(plan, &task, COLUMNS, &part) != CCONV_OK
        || cconv_run_tasks(&part, 0, part.tasks, input, weights + columns_at(plan) * size, NULL, work, work + plan->sums_at) != CCONV_OK)
        return 0;
    for (r = 0; r < d->rank; r++)
        for (row = 0; row < task.size[1] && finite; row++)
            finite = kernels->within(work + (r * plan->plane + row * plan->row_pitch) * size, part.output[2], INFINITY);
    if (part_of(plan, &task, finite ? ROWS : WHOLE_KERNEL, &part) != CCONV_OK) return 0;
    return cconv_run_tasks(&part, 0, part.tasks, finite ? work : input, finite ? weights + rows_at(plan) * size : weights, bias, output,
                     work + plan->sums_at) == CCONV_OK;
}

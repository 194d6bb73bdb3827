/* SPDX-License-Identifier: BSD-3-Clause
 *
 * box: one kernel over a picture whose weights are all the same.  Sums of 2, 4, 8 ... neighbours are made of two sums
 * of half as many, so that k neighbours take log2(k) passes, down the columns and then along the rows of a band, and
 * no error grows with the size: a sum is never carried on from one output to the next.
 *
 * The weight is multiplied last.  A band whose results are not finite goes by `rows`, in which it is first.
 */
#include "sizes.h"

#include <math.h>

enum { BOX_VALUES = 1 << 16, LARGEST_BOX = 1 << 11 };

int cconv_box_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return d->rank == CCONV_BOX_RANK && d->in_channels == 1 && d->out_channels == 1 && d->kernel[0] == 1 && d->kernel[1] > 1
           && d->kernel[2] > 1 && d->kernel[1] <= LARGEST_BOX && times(d->kernel[2], d->interleave) <= LARGEST_BOX && d->stride[1] == 1
           && d->stride[2] == 1 && d->dilation[1] == 1 && d->dilation[2] == d->interleave && d->weights != CCONV_WEIGHTS_PLAIN;
}

double cconv_box_cost(const cconv_desc *d) { return 17 + 4 * log2((double)d->kernel[1]) + 4.5 * log2((double)d->kernel[2]); }

/* Where the kernel lies behind the weight, in values. */
static int64_t kernel_at(const cconv_plan *plan) { return LINE / (int64_t)cconv_type_size(plan->desc.compute); }

cconv_status cconv_box_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), values = BOX_VALUES * 8 / size;
    const int64_t reach[2] = {d->kernel[1] - 1, times(d->kernel[2] - 1, d->dilation[2])};
    int64_t columns, rows;
    if (!cconv_box_serves(plan)) return CCONV_ERROR_ALGORITHM;
    /* High enough for most of what is loaded to be outputs, and wide for the same. */
    rows = least(plan->output[1], most(reach[0] + 1, least((int64_t)sqrt((double)values) - reach[0], 4 * reach[0] + 32)));
    columns = most(reach[1] + 1, values / (rows + reach[0]) - reach[1]);
    cconv_lay_out_bands(plan, rows, up(parts(plan->output[2], parts(plan->output[2], columns)), d->interleave));
    plan->row_pitch = odd_lines(plan->band[2] + plan->reach[2] + SLACK / 2);
    plan->plane = (rows + plan->reach[1]) * plan->row_pitch;
    plan->packed_bytes = (size_t)((kernel_at(plan) + plan->kernel + SLACK) * size) + 64;
    plan->sums_at = (size_t)up((plan->plane + SLACK) * size, 64);
    plan->workspace_bytes = plan->sums_at + (size_t)((most((rows + plan->reach[1]) * MAX_VECTOR, plan->row_pitch) + SLACK) * size) + 64;
    return cconv_part_workspace(plan);
}

int cconv_box_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    (void)index;
    if (!cconv_is_box(&plan->desc, weight)) return 0;
    cconv_read_taps(plan, weight, 0, plan->kernel, packed + kernel_at(plan) * size);
    memcpy(packed, packed + kernel_at(plan) * size, (size_t)size);
    return !plan->must_be_finite || cconv_of_type(plan)->within(packed, 1, INFINITY);
}

int cconv_box_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = kernels->lanes, pitch = plan->row_pitch;
    const char *start = d->divisor == 1 ? bias : NULL;
    char *plane = work, *sums = work + plan->sums_at;
    cconv_task task;
    int64_t j, r;
    int finite = 1;
    cconv_task_at(plan, index, &task);
    task.out_count = 1;
    cconv_load_plane(plan, &task, input + task.n * d->input_stride[0], plane, 1);
    for (j = 0; j < task.size[2] + plan->reach[2]; j += lanes)
        kernels->box(plane + j * size, (ptrdiff_t)pitch, sums, (ptrdiff_t)lanes, 1, 1, task.size[1], d->kernel[1], NULL, NULL);
    for (r = 0; r < task.size[1] && finite; r++) {
        char *row = plane + r * pitch * size;
        kernels->box(row, 1, sums, 1, lanes, d->dilation[2], task.size[2], d->kernel[2], weights, start);
        finite = kernels->within(row, task.size[2], INFINITY);
    }
    if (!finite) return cconv_run_part(plan, &task, input, weights + kernel_at(plan) * size, bias, work, output);
    cconv_store_band(plan, &task, plane, pitch, plan->plane, bias, output);
    return 1;
}

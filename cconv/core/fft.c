/* SPDX-License-Identifier: BSD-3-Clause
 *
 * fft: one large kernel over a picture.  Along the columns by the fast Fourier transform (Cooley and Tukey 1965), in
 * tiles that overlap (overlap-save); along the rows as they are: for each frequency of a column, the rows of the
 * kernel are KW complex taps.  No picture is ever turned, and all lanes of all vectors are used; up to kernels of
 * about 100 columns that beats a transform along both axes, whose rows must be turned and which multiplies less.
 *
 * Two tiles, one above the other, are the real and the imaginary part of one transform: the kernel is real, so they
 * do not mix but for rounding.  Each has `edge` rows, of which edge - KH + 1 are results.
 *
 * A task whose values are not all finite, or so large that sums might not be, goes by `rows`, and so does everything
 * where a weight is.  The packed weights: whether one is; themselves; the roots of unity; the kernel's transform; and
 * what it took to make it.
 */
#include "sizes.h"

#include <math.h>
#include <string.h>

enum {
    SHORTEST = 16, LONGEST = 1024,      /* tiles */
    TILE_VALUES = 1 << 16,              /* of a tile with its columns, so that two stay in an L2 cache */
    LEAST_COLUMNS = 64,
    MOST_REACH = 1 << 10                /* of a row of the kernel */
};

static double limit_of(const cconv_plan *plan) { return plan->desc.compute == CCONV_F32 ? 0x1p60 : 0x1p500; }

/* What a vector of outputs takes in multiplications, with tiles of that length: measured. */
static double cost_of(const cconv_plan *plan, int64_t length)
{
    const double height = (double)plan->desc.kernel[1], width = (double)plan->desc.kernel[2], n = (double)length;
    const double vectors = (double)plan->output[1] * (double)plan->output[2] / (plan->desc.compute == CCONV_F32 ? 16 : 8);
    return n / (n - height + 1) * (2.4 * width + 3.5 * log2(n) + 12) + 15 * n * width / vectors;
}

static int64_t best_length(const cconv_plan *plan)
{
    int64_t length, best = 0;
    if (plan->desc.tile >= SHORTEST) return plan->desc.tile;
    for (length = SHORTEST; length <= LONGEST; length *= 2)
        if (length >= plan->desc.kernel[1] && (!best || cost_of(plan, length) < cost_of(plan, best))) best = length;
    return best;
}

int cconv_fft_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return d->in_channels == 1 && d->out_channels == 1 && d->kernel[0] == 1 && d->kernel[1] > 1 && d->kernel[1] <= LONGEST / 2
           && d->stride[1] == 1 && d->stride[2] == 1 && d->dilation[1] == 1 && times(d->kernel[2] - 1, d->dilation[2]) <= MOST_REACH
           && (d->input_type >= CCONV_F16 || d->weight_type >= CCONV_F16) && d->weights != CCONV_WEIGHTS_PLAIN
           && (d->tile == 0 || (d->tile >= SHORTEST && d->tile >= d->kernel[1]));
}

double cconv_fft_cost(const cconv_plan *plan) { return cost_of(plan, best_length(plan)); }

/* Where the parts of the packed weights begin, in values; the first has a line to itself. */
static int64_t weights_at(const cconv_plan *plan) { return LINE / (int64_t)cconv_type_size(plan->desc.compute); }
static int64_t roots_at(const cconv_plan *plan) { return weights_at(plan) + plan->kernel; }
static int64_t taps_at(const cconv_plan *plan) { return roots_at(plan) + 2 * plan->edge; }

cconv_status cconv_fft_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int64_t columns, rows;
    int a;
    if (!cconv_fft_serves(plan)) return CCONV_ERROR_ALGORITHM;
    plan->edge = best_length(plan);
    rows = 2 * (plan->edge - d->kernel[1] + 1);
    plan->reach[1] = d->kernel[1] - 1;
    plan->reach[2] = (d->kernel[2] - 1) * d->dilation[2];
    columns = most(LEAST_COLUMNS, TILE_VALUES * 4 / size / plan->edge - plan->reach[2]);
    columns = up(parts(plan->output[2], parts(plan->output[2], columns)), up(d->interleave, 1));
    for (a = 0; a < 3; a++) plan->phases[a] = plan->cycle[a] = 1;
    plan->apart[0] = 1;
    plan->band[0] = 1;
    plan->band[1] = rows;
    plan->band[2] = columns;
    for (a = 0; a < 3; a++) plan->bands[a] = parts(plan->output[a], plan->band[a]);
    plan->out_blocks = plan->group_block = 1;
    plan->tasks = d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2];
    plan->packs = plan->prepacked = 1;
    plan->row_pitch = up(columns + plan->reach[2] + 64, 32) + 16;       /* an odd number of lines apart */
    plan->plane = plan->edge * plan->row_pitch;
    plan->packed_bytes = (size_t)(up((taps_at(plan) + 3 * plan->edge * d->kernel[2]) * size, 64)
                                  + 16 * plan->edge * (1 + up(d->kernel[2], MAX_VECTOR)) + 64 + SLACK);
    cconv_note_weights(plan);
    plan->planes_at = 0;
    plan->panel_at = (size_t)up((plan->plane + SLACK) * size, 64);
    plan->workspace_bytes = 2 * plan->panel_at + 64;
    for (a = 0; a < 4; a++) {           /* in case a task goes by rows: of two heights and two widths */
        cconv_task task = {0};
        cconv_desc part_desc;
        cconv_plan part;
        cconv_status status;
        task.size[1] = a & 1 ? (plan->output[1] - 1) % rows + 1 : least(rows, plan->output[1]);
        task.size[2] = a & 2 ? (plan->output[2] - 1) % columns + 1 : columns;
        part_desc = cconv_part_desc(plan, &task);
        status = cconv_plan_part(&part, &part_desc);
        if (status != CCONV_OK) return status;
        if (part.workspace_bytes > plan->workspace_bytes) plan->workspace_bytes = part.workspace_bytes;
    }
    return CCONV_OK;
}

static void put(const cconv_plan *plan, char *to, int64_t at, double value)
{
    if (plan->desc.compute == CCONV_F32) ((float *)(void *)to)[at] = (float)value;
    else ((double *)(void *)to)[at] = value;
}

/* For each stage and k: w^k, w^2k, w^3k, as the kernels want them. */
static void write_roots(int64_t edge, double *to)
{
    const double turn = 2 * 3.14159265358979323846 / (double)edge;
    int64_t length, k, i;
    for (length = edge; length > 2; length /= 4)
        for (k = 0; k < length / 4; k++)
            for (i = 1; i <= 3; i++) {
                const double angle = turn * (double)(i * k * (edge / length));
                *to++ = cos(angle);
                *to++ = -sin(angle);
            }
}

/* The kernel's columns are transformed in double, and conjugated: correlation, not convolution. */
int cconv_fft_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan), *f64 = plan->kernels->f64;
    const int64_t size = (int64_t)cconv_type_size(d->compute), width = d->kernel[2], pitch = up(width, MAX_VECTOR);
    char *same = packed + weights_at(plan) * size;
    double *roots = (double *)(void *)(packed + up((taps_at(plan) + 3 * plan->edge * width) * size, 64));
    double *re = roots + 2 * plan->edge, *im = re + plan->edge * pitch;
    int64_t at = taps_at(plan), f, t, i;
    (void)index;
    cconv_read_taps(plan, weight, 0, plan->kernel, same);
    packed[0] = (char)!kernels->within(same, plan->kernel, limit_of(plan));
    write_roots(plan->edge, roots);
    for (i = 0; i < 2 * plan->edge; i++) put(plan, packed, roots_at(plan) + i, roots[i]);
    memset(re, 0, (size_t)(2 * plan->edge * pitch) * sizeof *re);
    for (i = 0; i < d->kernel[1]; i++) f64->load[d->compute](same + i * width * size, 0, (ptrdiff_t)size, re + i * pitch, 0, 1, width);
    f64->to_frequencies(re, im, (ptrdiff_t)pitch, plan->edge, width, roots);
    for (f = 0; f < plan->edge; f++)
        for (t = 0; t < width; t++) {
            put(plan, packed, at++, re[f * pitch + t] / (double)plan->edge);
            put(plan, packed, at++, -im[f * pitch + t] / (double)plan->edge);
            put(plan, packed, at++, im[f * pitch + t] / (double)plan->edge);
        }
    return !plan->must_be_finite || kernels->within(same, plan->kernel, INFINITY);
}

void cconv_fft_tables(const cconv_plan *plan, char *work)
{
    (void)plan;
    (void)work;
}

/* The half of a task that is the real or the imaginary part; of size 0 where it lies beyond the picture. */
static cconv_task half_of(const cconv_plan *plan, const cconv_task *task, int half)
{
    const int64_t rows = plan->band[1] / 2;
    cconv_task part = *task;
    part.first[1] += half * rows;
    part.size[1] = most(0, least(rows, task->size[1] - half * rows));
    part.out_count = 1;
    return part;
}

/* The bias: at frequency 0. */
static void add_to_all(const cconv_plan *plan, char *const part[2], const char *bias, int64_t n)
{
    int64_t i;
    int half;
    for (half = 0; half < 2; half++)
        for (i = 0; i < n; i++) {
            if (plan->desc.compute == CCONV_F32) ((float *)(void *)part[half])[i] += *(const float *)(const void *)bias;
            else ((double *)(void *)part[half])[i] += *(const double *)(const void *)bias;
        }
}

int cconv_fft_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), pitch = plan->row_pitch;
    const cconv_task task = cconv_task_at(plan, index);
    const int64_t seen = task.size[2] + plan->reach[2];
    char *part[2];
    int half, finite = !weights[0];
    part[0] = work + plan->planes_at;
    part[1] = work + plan->panel_at;
    for (half = 0; half < 2 && finite; half++) {
        const cconv_task of = half_of(plan, &task, half);
        int64_t r;
        memset(part[half], 0, (size_t)((plan->plane + SLACK) * size));
        if (of.size[1] > 0) cconv_load_plane(plan, &of, input + task.n * d->input_stride[0], part[half], 1);
        for (r = 0; r < of.size[1] + plan->reach[1] && of.size[1] > 0 && finite; r++)
            finite = kernels->within(part[half] + r * pitch * size, seen, limit_of(plan));
    }
    if (!finite) {
        const cconv_desc by_rows = cconv_part_desc(plan, &task);
        cconv_plan local;
        return cconv_plan_part(&local, &by_rows) == CCONV_OK
               && cconv_run(&local, 0, local.tasks, input + task.n * d->input_stride[0], weights + weights_at(plan) * size, bias,
                            output + cconv_output_at(plan, &task), work) == CCONV_OK;
    }
    kernels->to_frequencies(part[0], part[1], (ptrdiff_t)pitch, plan->edge, seen, weights + roots_at(plan) * size);
    kernels->multiply_frequencies(part[0], part[1], (ptrdiff_t)pitch, plan->edge, task.size[2], d->kernel[2], (ptrdiff_t)d->dilation[2],
                                  weights + taps_at(plan) * size);
    if (bias && d->divisor == 1) add_to_all(plan, part, bias, task.size[2]);
    kernels->from_frequencies(part[0], part[1], (ptrdiff_t)pitch, plan->edge, task.size[2], weights + roots_at(plan) * size);
    for (half = 0; half < 2; half++) {
        const cconv_task of = half_of(plan, &task, half);
        if (of.size[1] > 0) cconv_store_band(plan, &of, part[half], pitch, plan->plane, bias, output);
    }
    return 1;
}

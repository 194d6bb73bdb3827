/* SPDX-License-Identifier: BSD-3-Clause
 *
 * fft: one large kernel over a picture.  Along the columns by the fast Fourier transform (Cooley and Tukey 1965), in
 * tiles that overlap (overlap-save).  Along the rows, for each frequency of a column, as they are: KW complex taps, which
 * use all lanes of all vectors and turn nothing; from about 20 columns up by a second transform, for which some rows at a
 * time are turned into columns.
 *
 * Two tiles, one above the other, are the real and the imaginary part of one transform: the kernel is real, so they
 * do not mix but for rounding.  Each has `edge` rows, of which edge - KH + 1 are results, and `wide` columns, if rows are
 * transformed, else 0.
 *
 * A task whose values are not all finite, or so large that sums might not be, goes by `rows`, and so does everything
 * where a weight is, or where all are next to nothing.  The packed weights: whether one is; themselves; the roots of
 * unity; the kernel's transform; and what it took to make it.
 */
#include "sizes.h"

#include <math.h>

enum {
    SHORTEST = 16, LONGEST = 1024,      /* tiles */
    TILE_VALUES = 1 << 16,              /* of a tile with its columns, so that two stay in an L2 cache */
    MOST_VALUES = 1 << 18,              /* where rows are transformed, too */
    HELD_TILES = 1 << 16,               /* of which two parts are still near */
    LEAST_COLUMNS = 64,
    MOST_ROW = 1 << 10                  /* of a row of the kernel */
};

/* What the magnitudes of the weights must add up to, for none of their transform's values to lose bits to underflow. */
static double least_sum(const cconv_plan *plan) { return plan->desc.compute == CCONV_F32 ? 0x1p-100 : 0x1p-980; }

/* What a vector of outputs takes in multiplications, with tiles of that length and width: measured over 4100 random pictures. */
static double cost_of(const cconv_plan *plan, int64_t length, int64_t wide)
{
    const double reach = (double)((plan->desc.kernel[2] - 1) * plan->desc.dilation[2]);
    const double rows = (double)length / (double)(length - plan->desc.kernel[1] + 1), columns = (double)wide / ((double)wide - reach);
    if (wide == 0) return rows * (1.1 * log2((double)length) + 3.2 * (double)plan->desc.kernel[2] + (length > 256 ? 240 : 55));
    return rows * columns * (1.1 * log2((double)(length * wide)) + (length * wide > HELD_TILES ? 420 : 100));
}

/* Of what width tiles of that length are, best: a function of the kernel. */
static int64_t best_wide(const cconv_plan *plan, int64_t length)
{
    const int64_t reach = (plan->desc.kernel[2] - 1) * plan->desc.dilation[2];
    int64_t wide, best = 0;
    for (wide = LEAST_COLUMNS; wide <= LONGEST; wide *= 2)
        if (wide - reach >= most(LEAST_COLUMNS / 4, plan->desc.interleave) && length * wide <= MOST_VALUES
            && cost_of(plan, length, wide) < cost_of(plan, length, best))
            best = wide;
    return best;
}

/* The same for all of the picture: tiles that lie beyond it in part, and the kernel's own transform. */
static double whole_cost(const cconv_plan *plan, int64_t length)
{
    const int64_t wide = best_wide(plan, length);
    const int64_t rows = 2 * (length - plan->desc.kernel[1] + 1), columns = wide - (plan->desc.kernel[2] - 1) * plan->desc.dilation[2];
    const double height = (double)plan->output[1], width = (double)plan->output[2];
    const double vectors = height * width / (plan->desc.compute == CCONV_F32 ? 16 : 8);
    const double whole = (double)up(plan->output[1], rows) / height * (wide ? (double)up(plan->output[2], columns) / width : 1);
    return whole * cost_of(plan, length, wide) + ((double)length * (double)(wide ? 2 * wide : plan->desc.kernel[2]) * 6.4 + 9600) / vectors;
}

static int64_t best_length(const cconv_plan *plan)
{
    int64_t length, best = 0;
    if (plan->desc.tile >= SHORTEST) return plan->desc.tile;
    for (length = SHORTEST; length <= LONGEST; length *= 2)
        if (length >= plan->desc.kernel[1] && (!best || whole_cost(plan, length) < whole_cost(plan, best))) best = length;
    return best;
}

int cconv_fft_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return d->in_channels == 1 && d->out_channels == 1 && d->kernel[0] == 1 && d->kernel[1] > 1 && d->kernel[1] <= LONGEST / 2
           && d->stride[1] == 1 && d->stride[2] == 1 && d->dilation[1] == 1 && times(d->kernel[2] - 1, d->dilation[2]) <= MOST_ROW
           && d->interleave <= MOST_ROW && !cconv_exact(d) && d->weights != CCONV_WEIGHTS_PLAIN
           && (d->tile == 0 || (d->tile >= SHORTEST && d->tile >= d->kernel[1]));
}

double cconv_fft_cost(const cconv_plan *plan) { return whole_cost(plan, best_length(plan)); }

/* Where the parts of the packed weights begin, in values; the first has a line to itself. */
static int64_t spectrum_at(const cconv_plan *plan) { return LINE / (int64_t)cconv_type_size(plan->desc.compute); }
static int64_t roots_at(const cconv_plan *plan) { return spectrum_at(plan) + plan->kernel; }
static int64_t taps_at(const cconv_plan *plan) { return up(roots_at(plan) + 2 * (plan->edge + plan->wide), 16); }
static int64_t taps_of(const cconv_plan *plan) { return plan->wide ? 2 * plan->wide : 3 * plan->desc.kernel[2]; }      /* a frequency */

cconv_status cconv_fft_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int64_t columns, rows, reach;
    if (!cconv_fft_serves(plan)) return CCONV_ERROR_ALGORITHM;
    plan->edge = best_length(plan);
    rows = 2 * (plan->edge - d->kernel[1] + 1);
    reach = (d->kernel[2] - 1) * d->dilation[2];
    plan->wide = best_wide(plan, plan->edge);
    columns = most(LEAST_COLUMNS, TILE_VALUES * 4 / size / plan->edge - reach);
    columns = up(parts(plan->output[2], parts(plan->output[2], columns)), d->interleave);
    if (plan->wide) columns = (plan->wide - reach) / d->interleave * d->interleave;
    cconv_lay_out_bands(plan, rows, columns);
    plan->row_pitch = odd_lines(most(columns + plan->reach[2], plan->wide) + 64);
    plan->plane = plan->edge * plan->row_pitch;
    plan->packed_bytes = (size_t)(up((taps_at(plan) + plan->edge * taps_of(plan)) * size, 64) + 64 + SLACK
                                  + 16 * (plan->edge + plan->wide + plan->edge * up(d->kernel[2], MAX_VECTOR) + plan->wide * MAX_VECTOR));
    plan->planes_at = 0;
    plan->panel_at = (size_t)up((plan->plane + SLACK) * size, 64);
    plan->turned_at = 2 * plan->panel_at;
    plan->workspace_bytes = plan->turned_at + (size_t)(2 * plan->wide * MAX_VECTOR * size) + 64;
    return cconv_part_workspace(plan);     /* in case a task goes by rows */
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

/* The kernel's rows of some frequencies of a column: transformed too, and written as `by_transforms` reads them. */
static void transform_rows(const cconv_plan *plan, const double *re, const double *im, int64_t pitch, const double *roots, double *turned,
                           char *packed)
{
    const cconv_desc *d = &plan->desc;
    const int64_t lanes = cconv_of_type(plan)->lanes, wide = plan->wide;
    const double scale = 1 / ((double)plan->edge * (double)wide);
    double *turned_i = turned + wide * MAX_VECTOR;
    int64_t f, t, i, at = taps_at(plan);
    for (f = 0; f < plan->edge; f += lanes) {
        memset(turned, 0, (size_t)(2 * wide * MAX_VECTOR) * sizeof *turned);
        for (t = 0; t < d->kernel[2]; t++)
            for (i = 0; i < lanes; i++) {
                turned[t * d->dilation[2] * MAX_VECTOR + i] = re[(f + i) * pitch + t];
                turned_i[t * d->dilation[2] * MAX_VECTOR + i] = im[(f + i) * pitch + t];
            }
        plan->kernels->f64->to_frequencies(turned, turned_i, MAX_VECTOR, wide, lanes, roots);
        for (t = 0; t < wide; t++)
            for (i = 0; i < lanes; i++, at++) {
                put(plan, packed, at, turned[t * MAX_VECTOR + i] * scale);
                put(plan, packed, at + wide * lanes, -turned_i[t * MAX_VECTOR + i] * scale);
            }
        at += wide * lanes;
    }
}

/* The kernel is transformed in double, and conjugated: correlation, not convolution. */
int cconv_fft_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan), *f64 = plan->kernels->f64;
    const int64_t size = (int64_t)cconv_type_size(d->compute), width = d->kernel[2], pitch = up(width, MAX_VECTOR);
    char *same = packed + spectrum_at(plan) * size;
    double *roots = (double *)(void *)(packed + up((taps_at(plan) + plan->edge * taps_of(plan)) * size, 64));
    double *re = roots + 2 * (plan->edge + plan->wide), *im = re + plan->edge * pitch, *turned = im + plan->edge * pitch;
    int64_t at = taps_at(plan), f, t, i;
    double sum = 0;
    (void)index;
    cconv_read_taps(plan, weight, 0, plan->kernel, same);
    write_roots(plan->edge, roots);
    if (plan->wide) write_roots(plan->wide, roots + 2 * plan->edge);
    for (i = 0; i < 2 * (plan->edge + plan->wide); i++) put(plan, packed, roots_at(plan) + i, roots[i]);
    memset(re, 0, (size_t)(2 * plan->edge * pitch) * sizeof *re);
    for (i = 0; i < d->kernel[1]; i++) f64->load[d->compute](same + i * width * size, 0, (ptrdiff_t)size, re + i * pitch, 0, 1, width);
    for (i = 0; i < d->kernel[1] * pitch; i++) sum += re[i] < 0 ? -re[i] : re[i];
    packed[0] = (char)!(kernels->within(same, plan->kernel, cconv_limit(plan)) && sum >= least_sum(plan));
    f64->to_frequencies(re, im, (ptrdiff_t)pitch, plan->edge, width, roots);
    if (plan->wide) transform_rows(plan, re, im, pitch, roots + 2 * plan->edge, turned, packed);
    for (f = 0; f < plan->edge && !plan->wide; f++)
        for (t = 0; t < width; t++) {
            put(plan, packed, at++, re[f * pitch + t] / (double)plan->edge);
            put(plan, packed, at++, -im[f * pitch + t] / (double)plan->edge);
            put(plan, packed, at++, im[f * pitch + t] / (double)plan->edge);
        }
    return !plan->must_be_finite || kernels->within(same, plan->kernel, INFINITY);
}

/* The rows of all frequencies of a column, by transforms along them: a vector of rows at a time. */
static void by_transforms(const cconv_plan *plan, char *const part[2], int64_t columns, const char *weights, char *work)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes, wide = plan->wide;
    const char *roots = weights + (roots_at(plan) + 2 * plan->edge) * size, *taps = weights + taps_at(plan) * size;
    char *turned[2];
    int64_t f;
    int i;
    turned[0] = work + plan->turned_at;
    turned[1] = turned[0] + wide * lanes * size;
    for (f = 0; f < plan->edge; f += lanes, taps += 2 * wide * lanes * size) {
        for (i = 0; i < 2; i++)
            kernels->turn(part[i] + f * plan->row_pitch * size, (ptrdiff_t)plan->row_pitch, lanes, wide, turned[i], (ptrdiff_t)lanes);
        kernels->to_frequencies(turned[0], turned[1], (ptrdiff_t)lanes, wide, lanes, roots);
        kernels->multiply_each(turned[0], turned[1], wide * lanes, taps);
        kernels->from_frequencies(turned[0], turned[1], (ptrdiff_t)lanes, wide, lanes, roots);
        for (i = 0; i < 2; i++)
            kernels->turn(turned[i], (ptrdiff_t)lanes, columns, lanes, part[i] + f * plan->row_pitch * size, (ptrdiff_t)plan->row_pitch);
    }
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
    char *part[2];
    int half, finite = !weights[0];
    int64_t seen;
    cconv_task task;
    cconv_task_at(plan, index, &task);
    seen = task.size[2] + plan->reach[2];
    part[0] = work + plan->planes_at;
    part[1] = work + plan->panel_at;
    for (half = 0; half < 2 && finite; half++) {
        const cconv_task of = half_of(plan, &task, half);
        int64_t r;
        memset(part[half], 0, (size_t)((plan->plane + SLACK) * size));
        if (of.size[1] > 0) cconv_load_plane(plan, &of, input + task.n * d->input_stride[0], part[half], 1);
        for (r = 0; r < of.size[1] + plan->reach[1] && of.size[1] > 0 && finite; r++)
            finite = kernels->within(part[half] + r * pitch * size, seen, cconv_limit(plan));
    }
    if (!finite) return cconv_run_part(plan, &task, input, weights + spectrum_at(plan) * size, bias, work, output);
    kernels->to_frequencies(part[0], part[1], (ptrdiff_t)pitch, plan->edge, plan->wide ? plan->wide : seen,
                            weights + roots_at(plan) * size);
    if (plan->wide) by_transforms(plan, part, task.size[2], weights, work);
    else kernels->multiply_frequencies(part[0], part[1], (ptrdiff_t)pitch, plan->edge, task.size[2], d->kernel[2],
                                       (ptrdiff_t)d->dilation[2], weights + taps_at(plan) * size);
    if (bias && d->divisor == 1) add_to_all(plan, part, bias, task.size[2]);
    kernels->from_frequencies(part[0], part[1], (ptrdiff_t)pitch, plan->edge, task.size[2], weights + roots_at(plan) * size);
    for (half = 0; half < 2; half++) {
        const cconv_task of = half_of(plan, &task, half);
        if (of.size[1] > 0) cconv_store_band(plan, &of, part[half], pitch, plan->plane, bias, output);
    }
    return 1;
}

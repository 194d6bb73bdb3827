/* SPDX-License-Identifier: BSD-3-Clause
 *
 * taps: many output channels at once.  A register tile of output channels x vectors of positions runs
 * over the taps; the positions of a band are one line that goes on from row to row, gaps included.
 * Where the gaps waste more than a copy costs, a panel without them is made first.
 *
 * Packed weights: for each group and tile of M output channels, [tap][M]; taps in the order of
 * (channel, kd, kh, kw).
 */
#include "impl.h"

static const double no_bias[MAX_TILE];

/* Output channels of a group are cut into tiles of nearly equal size. */
static int64_t tiles_of(const cconv_plan *plan)
{
    const int64_t best = cconv_of_type(plan)->tile;
    return (plan->desc.out_channels / plan->desc.groups + best - 1) / best;
}

static int64_t tile_first(const cconv_plan *plan, int64_t tile)
{
    return tile * (plan->desc.out_channels / plan->desc.groups) / tiles_of(plan);
}

/* Where each tap of a channel block begins in the planes. */
void cconv_taps_tables(const cconv_plan *plan, ptrdiff_t *offsets)
{
    const cconv_desc *d = &plan->desc;
    const int64_t rows = plan->band[1] + plan->reach[1];
    int64_t c, kd, kh, kw;
    for (c = 0; c < plan->channel_block; c++)
        for (kd = 0; kd < d->kernel[0]; kd++)
            for (kh = 0; kh < d->kernel[1]; kh++)
                for (kw = 0; kw < d->kernel[2]; kw++) {
                    const int64_t slice = (kd * plan->phases[1] + cconv_phase(plan, 1, kh)) * plan->phases[2]
                                          + cconv_phase(plan, 2, kw);
                    *offsets++ = (ptrdiff_t)(c * plan->plane + (slice * rows + cconv_entry(plan, 1, kh)) * plan->row_pitch
                                             + cconv_entry(plan, 2, kw));
                }
}

int cconv_taps_pack(const cconv_plan *plan, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), outputs = d->out_channels / d->groups;
    const int64_t channels = d->in_channels / d->groups, tiles = tiles_of(plan);
    cconv_load_kernel *load = cconv_of_type(plan)->load[d->weight_type];
    const int64_t *stride = d->weight_stride;
    int64_t g, tile, m, c, kd, kh, kw;
    int finite = 1;
    for (g = 0; g < d->groups; g++)
        for (tile = 0; tile < tiles; tile++) {
            const int64_t first = g * outputs + tile_first(plan, tile), count = tile_first(plan, tile + 1) - tile_first(plan, tile);
            char *base = packed + first * plan->taps * size;
            for (m = 0; m < count; m++) {
                char *out = base + m * size;
                for (c = 0; c < channels; c++)
                    for (kd = 0; kd < d->kernel[0]; kd++)
                        for (kh = 0; kh < d->kernel[1]; kh++) {
                            const char *in = weight + (first + m) * stride[0] + c * stride[1] + kd * stride[2] + kh * stride[3];
                            for (kw = 0; kw < d->kernel[2]; kw++, in += stride[4], out += count * size) {
                                load(in, 0, 0, out, 0, 1, 1);
                                if (d->compute == CCONV_F32) {
                                    const float v = *(const float *)(const void *)out;
                                    finite &= v - v == 0;
                                } else {
                                    const double v = *(const double *)(const void *)out;
                                    finite &= v - v == 0;
                                }
                            }
                        }
            }
        }
    return finite;
}

/* One block of taps for all output channels of the task. */
static void run_block(const cconv_plan *plan, const cconv_task *task, const char *x, const ptrdiff_t *offsets,
                      int64_t first_tap, int64_t taps, const char *packed, const char *bias, char *sums)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int64_t outputs = plan->desc.out_channels / plan->desc.groups;
    const int64_t positions = (task->size[1] - 1) * plan->sums_pitch + task->size[2];
    int64_t tile = 0, j;
    while (tile_first(plan, tile) < task->out_first) tile++;
    for (; tile_first(plan, tile) < task->out_first + task->out_count; tile++) {
        const int64_t first = tile_first(plan, tile), count = tile_first(plan, tile + 1) - first;
        const int64_t channel = task->group * outputs + first;
        const char *w = packed + (channel * plan->taps + first_tap * count) * size;
        const char *start = first_tap ? NULL : bias && plan->desc.divisor == 1 ? bias + channel * size : (const char *)no_bias;
        char *y = sums + (first - task->out_first) * plan->sums_plane * size;
        for (j = 0; j < positions;) {
            int width = positions - j > 2 * lanes && kernels->taps[count][2] ? 2 : positions - j > lanes ? 1 : 0;
            kernels->taps[count][width](x + j * size, offsets, taps, w, start, y + j * size, (ptrdiff_t)plan->sums_plane);
            j += lanes << width;
        }
    }
}

void cconv_taps_run(const cconv_plan *plan, const cconv_task *task, const char *input, const char *packed,
                    const char *bias, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), channels = d->in_channels / d->groups;
    const int64_t kernel = d->kernel[0] * d->kernel[1] * d->kernel[2];
    const ptrdiff_t *offsets = (const ptrdiff_t *)(const void *)packed;
    char *planes = work + plan->planes_at, *panel = work + plan->panel_at, *sums = work + plan->sums_at;
    ptrdiff_t *panel_offsets = (ptrdiff_t *)(void *)panel;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    int64_t c, b, t;
    for (t = 0; plan->compact && t < BLOCK_TAPS && t < plan->columns; t++)
        panel_offsets[t] = (ptrdiff_t)(t * plan->sums_plane);
    panel += (plan->columns < BLOCK_TAPS ? plan->columns : BLOCK_TAPS) * (int64_t)sizeof(ptrdiff_t);
    for (c = 0; c < channels; c += plan->channel_block) {
        const int64_t count = channels - c < plan->channel_block ? channels - c : plan->channel_block;
        const char *channel = input + task->n * d->input_stride[0] + (task->group * channels + c) * d->input_stride[1];
        for (b = 0; b < count; b++)
            cconv_load_plane(plan, task, channel + b * d->input_stride[1], planes + b * plan->plane * size);
        for (t = 0; t < count * kernel; t += BLOCK_TAPS) {
            const int64_t taps = count * kernel - t < BLOCK_TAPS ? count * kernel - t : BLOCK_TAPS;
            if (plan->compact)
                kernels->panel(planes, offsets + t, taps, task->size[1], task->size[2], (ptrdiff_t)plan->row_pitch, panel,
                               (ptrdiff_t)plan->sums_pitch, (ptrdiff_t)plan->sums_plane);
            run_block(plan, task, plan->compact ? panel : planes, plan->compact ? panel_offsets : offsets + t,
                      c * kernel + t, taps, packed + plan->table_bytes, bias, sums);
        }
    }
    cconv_store_band(plan, task, sums, bias, output);
}

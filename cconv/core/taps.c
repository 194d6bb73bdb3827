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

enum { WOVEN = 128 };       /* taps of a tile that are put in order at a time */

/* Taps first to first + n - 1 of an output channel's weights, side by side in the type of the sums. */
static void read_taps(const cconv_plan *plan, const char *weight, int64_t first, int64_t n, char *out)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), *stride = d->weight_stride, *k = d->kernel;
    cconv_load_kernel *load = cconv_of_type(plan)->load[d->weight_type];
    const int dense = (k[1] == 1 || stride[3] == k[2] * stride[4]) && (k[0] == 1 || stride[2] == k[1] * k[2] * stride[4])
                      && (d->in_channels == d->groups || stride[1] == k[0] * k[1] * k[2] * stride[4]);
    int64_t t;
    if (dense) {
        load(weight + first * stride[4], 0, (ptrdiff_t)stride[4], out, 0, 1, n);
        return;
    }
    for (t = first; t < first + n; t++, out += size)
        load(weight + t / (k[0] * k[1] * k[2]) * stride[1] + t / (k[1] * k[2]) % k[0] * stride[2] + t / k[2] % k[1] * stride[3]
                 + t % k[2] * stride[4], 0, 0, out, 0, 1, 1);
}

int cconv_taps_pack(const cconv_plan *plan, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), outputs = d->out_channels / d->groups;
    double rows[MAX_TILE * WOVEN];
    int64_t g, tile, m, t;
    int finite = 1;
    for (g = 0; g < d->groups; g++)
        for (tile = 0; tile < plan->tiles; tile++) {
            const int64_t first = g * outputs + cconv_tile_first(plan, tile);
            const int64_t count = tile < plan->larger_tiles ? plan->tile : plan->tile - 1;
            for (t = 0; t < plan->taps; t += WOVEN) {
                const int64_t n = plan->taps - t < WOVEN ? plan->taps - t : WOVEN;
                for (m = 0; m < count; m++)
                    read_taps(plan, weight + (first + m) * d->weight_stride[0], t, n, (char *)rows + m * WOVEN * size);
                finite &= kernels->weave(rows, WOVEN, count, n, packed + (first * plan->taps + t * count) * size);
            }
        }
    return finite;
}

/* The positions of a band as the tiles see them: lines of `length`, of which those before `tail` are
 * whole tiles and can be written to the output; the others always go to the sums. */
typedef struct lines {
    int64_t count, length, tail;
    const char *x;
    ptrdiff_t x_pitch;
    char *sums, *output;
    ptrdiff_t output_pitch, output_plane;
} lines;

static lines lines_of(const cconv_plan *plan, const cconv_task *task, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    lines l;
    l.count = plan->by_rows ? task->size[1] : 1;
    l.length = plan->by_rows ? task->size[2] : (task->size[1] - 1) * plan->sums_pitch + task->size[2];
    l.tail = plan->write_in_place ? l.length / cconv_of_type(plan)->lanes * cconv_of_type(plan)->lanes : 0;
    l.x = work + (plan->compact ? plan->panel_at + BLOCK_TAPS * sizeof(ptrdiff_t) : plan->planes_at);
    l.x_pitch = (ptrdiff_t)plan->row_pitch;
    l.sums = work + plan->sums_at;
    l.output = output + task->n * d->output_stride[0]
               + (task->group * (d->out_channels / d->groups) + task->out_first) * d->output_stride[1]
               + task->od * d->output_stride[2] + task->first[1] * d->output_stride[3] + task->first[2] * d->output_stride[4];
    l.output_pitch = (ptrdiff_t)(d->output_stride[3] / size);
    l.output_plane = (ptrdiff_t)(d->output_stride[1] / size);
    return l;
}

/* One block of taps for all output channels of the task; the last one may write to the output. */
static void run_block(const cconv_plan *plan, const cconv_task *task, const lines *l, const ptrdiff_t *offsets,
                      int64_t first_tap, int64_t taps, const char *packed, const char *bias)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int64_t outputs = plan->desc.out_channels / plan->desc.groups;
    const int64_t tail = first_tap + taps == plan->taps ? l->tail : 0;
    const ptrdiff_t sums_plane = (ptrdiff_t)plan->sums_plane;
    int64_t tile, r, j;
    for (r = 0; r < l->count; r++)
        for (j = 0; j < l->length;) {
            /* All output channels of a few positions: what these read of the planes stays in the L1 cache, and the
             * weights come in the order in which they lie. */
            const int to_output = j < tail;
            const int64_t left = to_output ? tail - j : l->length - j;
            const int wide = left > 2 * lanes && (!to_output || left >= 4 * lanes) && kernels->taps[plan->tile][2];
            const int width = wide ? 2 : left > lanes ? 1 : 0;
            const char *x = l->x + (r * l->x_pitch + j) * size;
            for (tile = task->tile_first; tile < task->tile_last; tile++) {
                const int64_t first = cconv_tile_first(plan, tile);
                const int64_t count = tile < plan->larger_tiles ? plan->tile : plan->tile - 1;
                const int64_t channel = task->group * outputs + first, o = first - task->out_first;
                const char *w = packed + (channel * plan->taps + first_tap * count) * size;
                const char *start = first_tap ? NULL
                                    : bias && plan->desc.divisor == 1 ? bias + channel * size : (const char *)no_bias;
                char *sums = l->sums + (o * plan->sums_plane + r * plan->sums_pitch + j) * size;
                char *output = l->output + (o * l->output_plane + r * l->output_pitch + j) * size;
                kernels->taps[count][width](x, offsets, taps, w, start, sums, sums_plane, to_output ? output : sums,
                                            to_output ? l->output_plane : sums_plane);
            }
            j += lanes << width;
        }
}

/* What the tiles left in the sums. */
static void store_lines(const cconv_plan *plan, const cconv_task *task, const lines *l, const char *bias, char *output)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    int64_t o;
    if (!plan->write_in_place) {
        cconv_store_band(plan, task, l->sums, bias, output);
        return;
    }
    for (o = 0; o < task->out_count && l->tail < l->length; o++)
        cconv_of_type(plan)->store[plan->desc.output_type](
            l->sums + (o * plan->sums_plane + l->tail) * size, (ptrdiff_t)plan->sums_pitch,
            l->output + (o * l->output_plane + l->tail) * size, l->output_pitch * size, (ptrdiff_t)size, l->count,
            l->length - l->tail, 1, 0, plan->desc.low, plan->desc.high);
}

void cconv_taps_run(const cconv_plan *plan, const cconv_task *task, const char *input, const char *packed,
                    const char *bias, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), channels = d->in_channels / d->groups;
    const int64_t kernel = d->kernel[0] * d->kernel[1] * d->kernel[2];
    const ptrdiff_t *offsets = (const ptrdiff_t *)(const void *)packed;
    const lines l = lines_of(plan, task, work, output);
    char *planes = work + plan->planes_at, *panel = work + plan->panel_at + BLOCK_TAPS * sizeof(ptrdiff_t);
    ptrdiff_t *panel_offsets = (ptrdiff_t *)(void *)(work + plan->panel_at);
    int64_t c, b, t;
    for (t = 0; plan->compact && t < BLOCK_TAPS; t++) panel_offsets[t] = (ptrdiff_t)(t * plan->sums_plane);
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
            run_block(plan, task, &l, plan->compact ? panel_offsets : offsets + t, c * kernel + t, taps,
                      packed + plan->table_bytes, bias);
        }
    }
    store_lines(plan, task, &l, bias, output);
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * taps: many output channels at once.  A register tile of scalars x vectors runs over the taps, by
 * blocks of BLOCK_TAPS.  Either the vectors run along the positions and the scalars are the weights of
 * a few output channels, or, on narrow pictures, the vectors run across the output channels and the
 * scalars are a few positions of a row (plan->form, chosen in plan.c).
 *
 * Weights in order: for each group and tile of output channels [tap][pitch], taps in the order of
 * (channel, kd, kh, kw).
 */
#include "impl.h"

#include <string.h>

static const double no_bias[MAX_TILE];

enum { TURNED = 32 };       /* taps and output channels that are put in order at a time */

typedef struct tables {
    ptrdiff_t *offset;          /* where each tap of a channel block begins in the planes */
    ptrdiff_t *panel;           /* the same in a panel, or in the input */
    ptrdiff_t *weight[2];       /* and in the weights, for each of the two pitches of tiles */
} tables;

static tables tables_of(const cconv_plan *plan, char *work)
{
    tables t;
    t.offset = (ptrdiff_t *)(void *)work;
    t.panel = t.offset + plan->columns;
    t.weight[0] = t.panel + BLOCK_TAPS;
    t.weight[1] = t.weight[0] + BLOCK_TAPS;
    return t;
}

static int64_t count_of(const cconv_plan *plan, int64_t tile)
{
    return cconv_tile_first(plan, tile + 1) - cconv_tile_first(plan, tile);
}

/* How many weights of a tap lie side by side: the tile's, and up to a whole vector of them. */
static int64_t pitch_of(const cconv_plan *plan, int64_t count)
{
    const int64_t lanes = cconv_of_type(plan)->lanes;
    return plan->form == ACROSS ? (count + lanes - 1) / lanes * lanes : count;
}

void cconv_taps_tables(const cconv_plan *plan, char *work)
{
    const cconv_desc *d = &plan->desc;
    const int64_t rows = plan->band[1] + plan->reach[1], lanes = cconv_of_type(plan)->lanes;
    const tables to = tables_of(plan, work);
    ptrdiff_t *offset = to.offset;
    int64_t c, kd, kh, kw;
    for (c = 0; c < plan->channel_block; c++)
        for (kd = 0; kd < d->kernel[0]; kd++)
            for (kh = 0; kh < d->kernel[1]; kh++)
                for (kw = 0; kw < d->kernel[2]; kw++) {
                    const int64_t slice = (kd * plan->phases[1] + cconv_phase(plan, 1, kh)) * plan->phases[2]
                                          + cconv_phase(plan, 2, kw);
                    *offset++ = (ptrdiff_t)(c * plan->plane + (slice * rows + cconv_entry(plan, 1, kh)) * plan->row_pitch
                                            + cconv_entry(plan, 2, kw));
                }
    for (c = 0; c < BLOCK_TAPS; c++) {
        to.panel[c] = (ptrdiff_t)(c * (plan->read_in_place ? d->input_stride[1] / (int64_t)cconv_type_size(d->compute) : plan->sums_plane));
        to.weight[0][c] = (ptrdiff_t)(c * plan->tile);
        to.weight[1][c] = (ptrdiff_t)(c * (plan->form == ACROSS ? lanes : plan->tile - 1));
    }
}

/* Taps first to first + n - 1 of an output channel's weights, side by side in the type of the sums. */
static void read_taps(const cconv_plan *plan, const char *weight, int64_t first, int64_t n, char *out)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), *stride = d->weight_stride, *k = d->kernel;
    cconv_load_kernel *load = cconv_of_type(plan)->load[d->weight_type];
    int64_t t;
    if (plan->dense_weights) {
        load(weight + first * stride[4], 0, (ptrdiff_t)stride[4], out, 0, 1, n);
        return;
    }
    for (t = first; t < first + n; t++, out += size)
        load(weight + t / (k[0] * k[1] * k[2]) * stride[1] + t / (k[1] * k[2]) % k[0] * stride[2] + t / k[2] % k[1] * stride[3]
                 + t % k[2] * stride[4], 0, 0, out, 0, 1, 1);
}

/* The weights of a tile for taps first to first + n - 1, in order; returns 0 if some must be finite and are not. */
static int order_weights(const cconv_plan *plan, int64_t group, int64_t tile, int64_t first, int64_t n, const char *weight,
                         char *out)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), count = count_of(plan, tile), pitch = pitch_of(plan, count);
    const int as_they_lie = plan->dense_weights && d->weight_type == d->compute && d->weight_stride[4] == size
                            && (count == 1 || d->weight_stride[0] % size == 0);
    double rows[TURNED * TURNED];
    int64_t o, t, i;
    int finite = 1;
    weight += (group * (d->out_channels / d->groups) + cconv_tile_first(plan, tile)) * d->weight_stride[0];
    if (pitch != count) memset(out, 0, (size_t)(n * pitch * size));
    for (t = 0; t < n; t += TURNED)
        for (o = 0; o < count; o += TURNED) {
            const int64_t taps = n - t < TURNED ? n - t : TURNED, held = count - o < TURNED ? count - o : TURNED;
            const char *from = as_they_lie ? weight + o * d->weight_stride[0] + (first + t) * size : (const char *)rows;
            const int64_t from_pitch = as_they_lie ? count == 1 ? 0 : d->weight_stride[0] / size : TURNED;
            for (i = 0; i < held && !as_they_lie; i++)
                read_taps(plan, weight + (o + i) * d->weight_stride[0], first + t, taps, (char *)rows + i * TURNED * size);
            for (i = 0; i < held && plan->must_be_finite; i++) finite &= kernels->finite(from + i * from_pitch * size, taps);
            kernels->turn(from, (ptrdiff_t)from_pitch, held, taps, out + (t * pitch + o) * size, (ptrdiff_t)pitch);
        }
    return finite;
}

/* Where the weights of a tile begin, in values, among those of `taps` taps of all output channels. */
static int64_t place_of(const cconv_plan *plan, int64_t group, int64_t tile, int64_t taps)
{
    return (group * pitch_of(plan, plan->desc.out_channels / plan->desc.groups) + cconv_tile_first(plan, tile)) * taps;
}

int cconv_taps_pack(const cconv_plan *plan, const char *weight, char *packed)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    int64_t group, tile;
    int finite = 1;
    for (group = 0; group < plan->desc.groups; group++)
        for (tile = 0; tile < plan->tiles; tile++)
            finite &= order_weights(plan, group, tile, 0, plan->taps, weight,
                                    packed + place_of(plan, group, tile, plan->taps) * size);
    return finite;
}

/* What the next block will read, fetched into the cache a few lines with each tile: rows of `bytes` bytes, `step`
 * bytes apart. */
typedef struct ahead {
    const char *row;
    int64_t step, rows, bytes, at, lines;       /* at: in the row; lines: with each tile */
} ahead;

static void fetch(ahead *a)
{
    int64_t i;
    for (i = 0; i < a->lines && a->rows > 0; i++) {
        PREFETCH(a->row + a->at);
        a->at += LINE;
        if (a->at < a->bytes) continue;
        a->at = 0;
        a->row += a->step;
        a->rows--;
    }
}

static ahead fetching(const char *row, int64_t step, int64_t rows, int64_t bytes, int64_t tiles)
{
    const ahead a = {row, step, rows, bytes, 0, (rows * ((bytes + LINE - 1) / LINE) + tiles - 1) / tiles};
    return a;
}

/* A block of taps of a task: what its tiles read and write. */
typedef struct block {
    const cconv_plan *plan;
    const cconv_task *task;
    const char *x, *here;               /* planes or panel; the input itself, for positions before `whole` */
    const ptrdiff_t *x_at, *here_at, *const *w_at;
    int64_t whole;
    const char *weights;                /* of the task's first tile, each with weights_taps taps */
    int64_t weights_taps, weights_first, taps;
    int first;                          /* block of these outputs: they begin with the bias */
    const char *bias;                   /* of the group; across: of the task's channels, then zeros */
    char *sums, *output;                /* output: NULL if sums are kept for store */
    int64_t output_plane, output_row, output_step;
    ahead input, ordered;
} block;

static const char *weights_at(const block *b, int64_t o, int64_t pitch)
{
    return b->weights + (o * b->weights_taps + b->weights_first * pitch) * (int64_t)cconv_type_size(b->plan->desc.compute);
}

/* Positions j to j + count - 1 of row r for one tile of weights. */
static void along(block *b, int64_t tile, int64_t r, int64_t j, int64_t count)
{
    const cconv_plan *plan = b->plan;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int64_t first = cconv_tile_first(plan, tile), outputs = count_of(plan, tile), o = first - b->task->out_first;
    const int64_t vectors = (count + lanes - 1) / lanes;
    const int width = vectors == 4 ? 2 : vectors == 2;
    const char *start = !b->first ? NULL : b->bias ? b->bias + first * size : (const char *)no_bias;
    char *sums = b->sums + (o * plan->sums_plane + r * plan->sums_pitch + j) * size;
    const char *x = j < b->whole ? b->here + j * size : b->x + (r * plan->row_pitch + j) * size;
    fetch(&b->input);
    fetch(&b->ordered);
    kernels->taps[outputs][width](
        x, j < b->whole ? b->here_at : b->x_at, weights_at(b, o, outputs),
        b->w_at[outputs != plan->tile], b->taps, start, sums, (ptrdiff_t)plan->sums_plane,
        b->output ? b->output + (o * b->output_plane + r * b->output_row + j * b->output_step) * size : sums,
        (ptrdiff_t)(b->output ? b->output_plane : plan->sums_plane), b->output ? count - (vectors - 1) * lanes : lanes);
}

/* How many positions the next tile of a line with `left` of them takes. */
static int64_t width_at(const cconv_plan *plan, int64_t left)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t lanes = kernels->lanes, most = left > 3 * lanes && kernels->taps[plan->tile][2] ? 4 : left > lanes ? 2 : 1;
    return left < most * lanes ? left : most * lanes;
}

/* Tile by tile: its weights stay in L1, and few lines of the output are open at a time. */
static void run_along(block *b)
{
    const cconv_plan *plan = b->plan;
    const cconv_task *task = b->task;
    const int64_t rows = plan->form == ALONG_ROWS ? task->size[1] : 1;
    const int64_t length = rows > 1 ? task->size[2] : (task->size[1] - 1) * plan->sums_pitch + task->size[2];
    int64_t tile, r, j, n;
    for (tile = task->tile_first; tile < task->tile_last; tile++)
        for (r = 0; r < rows; r++)
            for (j = 0; j < length; j += n) {
                n = width_at(plan, (j < b->whole ? b->whole : length) - j);
                along(b, tile, r, j, n);
            }
}

static void run_across(block *b)
{
    const cconv_plan *plan = b->plan;
    const cconv_task *task = b->task;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int64_t columns = task->size[2], pieces = (columns + kernels->tile - 1) / kernels->tile;
    int64_t tile, r, piece;
    for (tile = task->tile_first; tile < task->tile_last; tile++) {
        const int64_t count = count_of(plan, tile), pitch = pitch_of(plan, count), o = cconv_tile_first(plan, tile) - task->out_first;
        const int wide = pitch > lanes;
        for (r = 0; r < task->size[1]; r++)
            for (piece = 0; piece < pieces; piece++) {
                const int64_t j = piece * columns / pieces, positions = (piece + 1) * columns / pieces - j;
                char *sums = b->sums + ((r * columns + j) * plan->sums_plane + o) * size;
                fetch(&b->input);
                fetch(&b->ordered);
                kernels->taps[positions][wide](
                    weights_at(b, o, pitch), b->w_at[pitch != plan->tile], b->x + (r * plan->row_pitch + j) * size,
                    b->x_at, b->taps, NULL, b->first ? b->bias + o * size : sums, b->first ? 0 : (ptrdiff_t)plan->sums_plane,
                    b->output ? b->output + (o * b->output_plane + r * b->output_row + j * b->output_step) * size : sums,
                    (ptrdiff_t)(b->output ? b->output_step : plan->sums_plane), b->output ? count - wide * lanes : lanes);
            }
    }
}

/* What the tiles left in the sums, to the output. */
static void store(const cconv_plan *plan, const cconv_task *task, const block *b, const char *bias, char *turned, char *output)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), columns = task->size[2], plane = task->size[1] * columns;
    char *to = plan->turn_in_place ? output + cconv_output_at(plan, task) : turned;
    const int64_t to_plane = plan->turn_in_place ? plan->desc.output_stride[1] / size : plane;
    const int64_t to_row = plan->turn_in_place ? plan->desc.output_stride[3] / size : columns;
    int64_t r;
    if (plan->form != ACROSS) {
        cconv_store_band(plan, task, b->sums, plan->sums_pitch, plan->sums_plane, bias, output);
        return;
    }
    for (r = 0; r < task->size[1]; r++)
        kernels->turn(b->sums + r * columns * plan->sums_plane * size, (ptrdiff_t)plan->sums_plane, columns, task->out_count,
                      to + r * to_row * size, (ptrdiff_t)to_plane);
    if (!plan->turn_in_place) cconv_store_band(plan, task, turned, columns, plane, bias, output);
}

/* How many tiles a block of the task has, about. */
static int64_t tiles_of(const cconv_plan *plan, const cconv_task *task)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t tile = plan->form == ACROSS ? kernels->tile : 2 * kernels->lanes;
    return (task->tile_last - task->tile_first) * (plan->form == ALONG_PANEL || plan->form == ALONG_GAPS
               ? task->size[1] * task->size[2] / tile + 1 : task->size[1] * ((task->size[2] + tile - 1) / tile));
}

/* The channels and the weights of the next block of channels; those in between lie in the same lines, mostly. */
static void look_ahead(const cconv_plan *plan, const cconv_task *task, block *b, const char *input, const char *weights, int64_t next,
                       int last)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->input_type), channels = d->in_channels / d->groups, tiles = tiles_of(plan, task);
    const int64_t first = task->first[1] * d->stride[1] - d->before[1], row = first > 0 ? first : 0;
    const int64_t end = first + (task->size[1] - 1) * d->stride[1] + (d->kernel[1] - 1) * d->dilation[1] + 1;
    const int64_t below = end < d->input[1] ? end : d->input[1];
    const int64_t held = channels - next < plan->channel_block ? channels - next : plan->channel_block;
    b->input = b->ordered = fetching(NULL, 0, 0, 0, 1);
    if (!last || held <= 0) return;
    if (d->input[0] == 1 && d->input_stride[4] == size && d->input_stride[3] == size * d->input[2] && below > row)
        b->input = fetching(input + task->n * d->input_stride[0] + (task->group * channels + next) * d->input_stride[1]
                                + row * d->input_stride[3], d->input_stride[1], held, (below - row) * d->input_stride[3], tiles);
    if (plan->prepacked && plan->form == ACROSS) {
        const int64_t compute = (int64_t)cconv_type_size(d->compute), kernel = d->kernel[0] * d->kernel[1] * d->kernel[2];
        b->ordered = fetching(weights + (place_of(plan, task->group, task->tile_first, plan->taps) + next * kernel * plan->tile) * compute,
                              plan->taps * plan->tile * compute, task->tile_last - task->tile_first,
                              held * kernel * plan->tile * compute, tiles);
    }
    if (!plan->prepacked && plan->dense_weights)
        b->ordered = fetching(weights + (task->group * (d->out_channels / d->groups) + task->out_first) * d->weight_stride[0]
                                  + next * d->weight_stride[1],
                              d->weight_stride[0], task->out_count, held * d->weight_stride[1], tiles);
}

int cconv_taps_run(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias,
                   char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), channels = d->in_channels / d->groups;
    const int64_t kernel = d->kernel[0] * d->kernel[1] * d->kernel[2];
    const tables t = tables_of(plan, work);
    char *planes = work + plan->planes_at, *panel = work + plan->panel_at, *ordered = work + plan->ordered_at;
    const int64_t channel_0 = task->group * (d->out_channels / d->groups);
    cconv_task copied = *task;
    int64_t c, i, at, tile;
    block b;
    b.plan = plan;
    b.task = task;
    b.x = plan->form == ALONG_PANEL ? panel : planes;
    b.w_at = (const ptrdiff_t *const *)t.weight;
    b.weights = plan->prepacked ? weights + place_of(plan, task->group, task->tile_first, plan->taps) * size : ordered;
    b.weights_taps = plan->prepacked ? plan->taps : BLOCK_TAPS;
    b.bias = bias && d->divisor == 1 ? bias + channel_0 * size : NULL;
    b.sums = work + plan->sums_at;
    b.output = NULL;
    b.output_plane = d->output_stride[1] / size;
    b.output_row = d->output_stride[3] / size;
    b.output_step = d->output_stride[4] / size;
    b.here_at = t.panel;
    b.whole = 0;
    if (plan->read_in_place) {      /* whole vectors; the rows that hold what is left are copied */
        const int64_t rows = task->size[1], lanes = kernels->lanes;
        b.whole = rows * task->size[2] / lanes * lanes;
        copied.first[1] += b.whole / task->size[2];
        copied.size[1] = rows - b.whole / task->size[2];
    }
    if (plan->form == ACROSS) {
        char *start = work + plan->bias_at;
        memset(start, 0, (size_t)(plan->sums_plane * size));
        if (b.bias) memcpy(start, b.bias + task->out_first * size, (size_t)(task->out_count * size));
        b.bias = start;
    }
    for (c = 0; c < channels; c += plan->channel_block) {
        const int64_t held = channels - c < plan->channel_block ? channels - c : plan->channel_block;
        const char *channel = input + task->n * d->input_stride[0] + (task->group * channels + c) * d->input_stride[1];
        for (i = 0; i < held && copied.size[1] > 0; i++)
            cconv_load_plane(plan, &copied, channel + i * d->input_stride[1],
                             planes + (i * plan->plane + (copied.first[1] - task->first[1]) * plan->row_pitch) * size, c == 0);
        b.here = plan->read_in_place ? channel + task->od * d->input_stride[2] + task->first[1] * d->input_stride[3] : NULL;
        for (at = 0; at < held * kernel; at += BLOCK_TAPS) {
            const int64_t first = c * kernel + at;
            b.taps = held * kernel - at < BLOCK_TAPS ? held * kernel - at : BLOCK_TAPS;
            b.x_at = t.offset + at;
            b.first = first == 0;
            if (first + b.taps == plan->taps && plan->write_in_place) b.output = output + cconv_output_at(plan, task);
            for (tile = task->tile_first; tile < task->tile_last && !plan->prepacked; tile++)
                if (!order_weights(plan, task->group, tile, first, b.taps, weights,
                                   ordered + (cconv_tile_first(plan, tile) - task->out_first) * BLOCK_TAPS * size))
                    return 0;
            b.weights_first = plan->prepacked ? first : 0;
            if (plan->form == ALONG_PANEL) {
                kernels->panel(planes, b.x_at, b.taps, task->size[1], task->size[2], (ptrdiff_t)plan->row_pitch, panel,
                               (ptrdiff_t)plan->sums_pitch, (ptrdiff_t)plan->sums_plane);
                b.x_at = t.panel;
            }
            look_ahead(plan, task, &b, input, weights, c + plan->channel_block, at + BLOCK_TAPS >= held * kernel);
            if (plan->form == ACROSS) run_across(&b);
            else run_along(&b);
        }
    }
    if (!plan->write_in_place) store(plan, task, &b, bias, work + plan->turned_at, output);
    return 1;
}

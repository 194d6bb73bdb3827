/* SPDX-License-Identifier: BSD-3-Clause
 *
 * taps: many output channels at once.  A register tile of scalars x vectors runs over the taps, by
 * blocks of BLOCK_TAPS.  Either the vectors run along the positions and the scalars are the weights of
 * a few output channels, or, on narrow pictures, the vectors run across the output channels and the
 * scalars are a few positions of a row (plan->form, chosen in costs.c).
 */
#include "ahead.h"
#include "taps.h"

enum { CALLS_AHEAD = 4 };

/* A block of taps of a task: what its tiles read and write. */
typedef struct block {
    const cconv_plan *plan;
    const cconv_task *task;
    const char *x, *here;               /* planes or panel; the input itself, for positions before `whole` */
    const ptrdiff_t *here_at;
    int64_t x_row, x_step, whole;       /* values from one row of results to the next in x, and from one result */
    const char *weights;                /* of the task's first tile, each with weights_taps taps */
    int64_t weights_taps, weights_first, taps;
    int first;                          /* block of these outputs: they begin with the bias */
    const void *clip;                   /* of the last block */
    const char *bias;                   /* of the task's channels, then zeros; along: a vector of each */
    char *sums, *output;                /* output: NULL if sums are kept for store */
    int64_t output_plane, output_row, output_step;
    ahead input, ordered;
    eyes seeing;
} block;

/* A tile of output channels: what its calls have in common. */
typedef struct taps_tile {
    int64_t count, pitch;
    const char *weights, *start;        /* start: the bias, or NULL: sums are added to what was there before */
    ptrdiff_t before_pitch, before_step;
    char *sums, *output;                /* of its first position */
} taps_tile;

static taps_tile tile_at(const block *b, int64_t index)
{
    const cconv_plan *plan = b->plan;
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), o = cconv_tile_first(plan, index) - b->task->out_first;
    const int64_t lanes = cconv_of_type(plan)->lanes;
    const int across = plan->form == ACROSS;
    taps_tile t;
    t.count = cconv_tile_count(plan, index);
    t.pitch = cconv_tile_pitch(plan, t.count);
    t.weights = b->weights + (o * b->weights_taps + b->weights_first * t.pitch) * size;
    t.sums = b->sums + o * (across ? 1 : plan->sums_plane) * size;
    t.output = b->output ? b->output + o * b->output_plane * size : NULL;
    t.start = b->first ? b->bias + o * (across ? 1 : lanes) * size : NULL;
    t.before_pitch = (ptrdiff_t)(!b->first ? plan->sums_plane : across ? 0 : lanes);
    t.before_step = (ptrdiff_t)(b->first && !across ? 0 : lanes);
    return t;
}

/* Rows of positions, up to four vectors of them at a time.  Tile by tile: its weights stay in L1, and few lines of the output are
 * open at a time.  What is read in place is fetched by the first tile, tap by tap, for a call that comes CALLS_AHEAD later. */
static void run_along(block *b)
{
    const cconv_plan *plan = b->plan;
    const cconv_task *task = b->task;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int64_t rows = plan->form == ALONG_ROWS ? task->size[1] : 1;
    const int64_t length = rows > 1 ? task->size[2] : (task->size[1] - 1) * plan->sums_pitch + task->size[2];
    const int four = kernels->taps[plan->tile][2] != NULL, one_row = task->size[1] == 1;
    int64_t index, r, j, count;
    for (index = task->tile_first; index < task->tile_last; index++) {
        const taps_tile t = tile_at(b, index);
        cconv_taps_kernel *const *kernel = kernels->taps[t.count];
        const int other = t.pitch != plan->tile;
        const int far = plan->stream && t.output && (((uintptr_t)t.output | (uintptr_t)(b->output_plane * size)) & (LINE - 1)) != 0;
        const int first = index == task->tile_first;        /* other tiles find near what it has fetched */
        aim(&b->seeing, 0, task->size[2] - 1, 0);
        for (r = 0; r < rows; r++)
            for (j = 0; j < length; j += count) {
                const int here = j < b->whole, fetches = here && first;
                const int64_t left = (here ? b->whole : length) - j;
                const int width = four && left > 3 * lanes ? 2 : left > lanes;
                const int64_t full = lanes << width, last = left < full ? left - (full - lanes) : lanes;
                const char *x = here ? b->here + j * size : b->x + (r * b->x_row + j) * size;
                char *sums = t.sums + (r * plan->sums_pitch + j) * size;
                const seen_taps *s;
                count = least(left, full);
                if (far) open_lines(t.output + (r * b->output_row + (j + full) * b->output_step) * size, t.count, b->output_plane * size, full * size);
                fetch(&b->input);
                fetch(&b->ordered);
                if (one_row) aim(&b->seeing, j, j + count - 1, 0);
                s = rows > 1 ? see_taps(&b->seeing, other, r, r)
                             : see_taps(&b->seeing, other, j / plan->sums_pitch, least(j + count - 1, length - 1) / plan->sums_pitch);
                kernel[width](x, here ? b->here_at : s->x_at, t.weights, s->w_at, 1, s->taps, t.start ? t.start : sums, t.before_pitch, t.before_step,
                              t.output ? t.output + (r * b->output_row + j * b->output_step) * size : sums,
                              (ptrdiff_t)(t.output ? b->output_plane : plan->sums_plane), t.output ? last : lanes, t.output && plan->stream && last == lanes, b->clip,
                              fetches ? x + CALLS_AHEAD * full * size : x, fetches ? b->here_at[1] : 0);
            }
    }
}

/* Whether what the positions of a block read, of one tap, and write lies as evenly from row to row as along a row: they are one row then. */
static int is_one_row(const block *b)
{
    const int64_t columns = b->task->size[2];
    return b->plan->kernel == 1 && b->x_row == columns * b->x_step && (!b->output || b->output_row == columns * b->output_step);
}

/* Pixels, whose vectors along positions are turned on their way: all rows at once, if they are one and a pixel follows each. */
static void run_turning(block *b)
{
    const cconv_plan *plan = b->plan;
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), *positions = b->task->size;
    const taps_tile t = tile_at(b, b->task->tile_first);
    const int joined = b->x_step > 0 && plan->sums_pitch == positions[2] && is_one_row(b);
    int64_t r;
    for (r = 0; r < (joined ? 1 : positions[1]); r++) {
        char *sums = t.sums + r * plan->sums_pitch * size, *y = t.output ? t.output + r * b->output_row * size : sums;
        cconv_of_type(plan)->turning[t.count - 1](b->x + r * b->x_row * size, (ptrdiff_t)b->x_step, joined ? positions[1] * positions[2] : positions[2],
                                                  t.weights, (ptrdiff_t)t.pitch, b->taps, t.count, t.start ? t.start : sums, t.before_pitch, t.before_step,
                                                  y, (ptrdiff_t)(t.output ? b->output_plane : plan->sums_plane), b->clip);
    }
}

/* Rows of positions by as many scalars as a tile has, or about.  What one tap reads in place is fetched as in run_along; channels that lie
 * side by side, with each tap a position further, as that meets all lines of all positions within a few calls. */
static void run_across(block *b)
{
    const cconv_plan *plan = b->plan;
    const cconv_task *task = b->task;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int joined = is_one_row(b);
    const int64_t rows = joined ? 1 : task->size[1], columns = joined ? task->size[1] * task->size[2] : task->size[2];
    const int64_t channel = cconv_step(plan->channels, 1, plan->desc.input_stride[1] / size);
    const int64_t pieces = parts(columns, kernels->tile) + (plan->skips > 1 ? 2 : 0), calls = rows * pieces;
    int64_t index, r, j, positions;
    for (index = task->tile_first; index < task->tile_last; index++) {
        const taps_tile t = tile_at(b, index);
        const int wide = t.pitch > lanes;
        const int64_t last = t.output ? t.count - wide * lanes : lanes;
        const int stream = t.output && plan->stream && last == lanes;
        const ptrdiff_t pitch = (ptrdiff_t)(t.output ? b->output_step : plan->sums_plane);
        ptrdiff_t step = plan->prepacked ? (ptrdiff_t)parts(t.pitch, calls) : 0, left = (ptrdiff_t)t.pitch;
        /* What comes next, of which each call fetches its share: the next tile's weights of this block, or those of the first tile
         * and the next block. */
        const char *next = index + 1 < task->tile_last ? t.weights + t.count * b->weights_taps * size
                                                       : b->weights + (b->weights_first + b->taps) * plan->tile * size;
        const int fetches = plan->read_in_place && plan->kernel == 1 && index == task->tile_first;
        if (!plan->prepacked) next = t.weights;
        for (j = 0; j < columns; j += positions) {
            positions = columns_of_call(&b->seeing, j, columns, kernels->tile);
            aim(&b->seeing, j, j + positions - 1, wide);
            for (r = 0; r < rows; r++, next += step * b->taps * size, left -= step) {
                char *sums = t.sums + (r * columns + j) * plan->sums_plane * size;
                char *output = t.output ? t.output + (r * b->output_row + j * b->output_step) * size : sums;
                const char *x = b->x + (r * b->x_row + j * b->x_step) * size, *before = t.start ? t.start : sums;
                const seen_taps *s = see_taps(&b->seeing, t.pitch != plan->tile, r, r);
                cconv_edge_kernel *edge = s->ends && wide ? kernels->edge[positions] : NULL;
                if (left <= 0) step = 0;
                if (fetches) next = x + CALLS_AHEAD * positions * b->x_step * size, step = (ptrdiff_t)(channel == 1 ? b->x_step + 1 : channel);
                fetch(&b->input);
                fetch(&b->ordered);
                if (edge)
                    edge(t.weights, s->w_at, x, s->x_at, (ptrdiff_t)b->x_step, s->taps, before, t.before_pitch, output, pitch, last, b->clip, next, step, s->ends);
                else
                    kernels->taps[positions][wide](t.weights, s->w_at, x, s->x_at, (ptrdiff_t)b->x_step, s->taps, before, t.before_pitch, t.before_step, output, pitch,
                                                   last, stream, b->clip, next, step);
                fetch_rest(next, step * size, s->taps, b->taps, t.pitch * size > LINE ? 2 : 1);
            }
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

/* How many times a block calls a kernel, about. */
static int64_t calls_of(const block *b)
{
    const cconv_plan *plan = b->plan;
    const cconv_task *task = b->task;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t tiles = task->tile_last - task->tile_first, rows = task->size[1], columns = task->size[2];
    int64_t wide;
    if (plan->form == ACROSS) return tiles * (is_one_row(b) ? parts(rows * columns, kernels->tile) : rows * parts(columns, kernels->tile));
    wide = kernels->taps[plan->tile][2] != NULL ? 4 * kernels->lanes : 2 * kernels->lanes;
    if (plan->form == ALONG_ROWS) return tiles * rows * parts(columns, wide);
    return tiles * parts((rows - 1) * plan->sums_pitch + columns, wide);
}

/* Channels from `next` on, as many as a block has, and their weights, of a task that will need them; those in between lie in the same
 * lines, mostly. */
static void look_ahead_to(const cconv_plan *plan, const cconv_task *task, int64_t next, const char *input, const char *weights, int64_t calls, block *b)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->input_type), depth = task->od * d->stride[0] - d->before[0];
    const int64_t first = task->first[1] * d->stride[1] - d->before[1], row = first > 0 ? first : 0;
    const int64_t end = first + (task->size[1] - 1) * d->stride[1] + (d->kernel[1] - 1) * d->dilation[1] + 1;
    const int64_t below = end < d->input[1] ? end : d->input[1], held = least(plan->channels - next, plan->channel_block);
    if (!b->whole && d->stride[1] <= d->kernel[1] && d->kernel[0] == 1 && depth >= 0 && depth < d->input[0] && d->input_stride[4] == size
        && d->input_stride[3] == size * d->input[2] && below > row)
        b->input = fetching(input + task->n * d->input_stride[0] + (task->group * plan->channels + next) * d->input_stride[1]
                                + depth * d->input_stride[2] + row * d->input_stride[3],
                            d->input_stride[1], held, (below - row) * d->input_stride[3], calls);
    b->input.far = 1;
    if (!plan->prepacked && plan->dense_weights && d->weight_stride[4] == (int64_t)cconv_type_size(d->weight_type))
        b->ordered = fetching(weights + (task->group * plan->outputs + task->out_first) * d->weight_stride[0]
                                  + next * d->weight_stride[1],
                              d->weight_stride[0], task->out_count, held * d->weight_stride[1], calls);
}

/* What a block of taps fetches for the next block of channels, of this task or, if it has no more, of the one after it. */
static void look_beyond(const cconv_plan *plan, const cconv_task *task, int64_t then, int64_t next, const char *input, const char *weights, block *b)
{
    const int64_t calls = calls_of(b);
    cconv_task after;
    if (next < plan->channels) {
        look_ahead_to(plan, task, next, input, weights, calls, b);
    } else if (then < plan->tasks) {
        cconv_task_at(plan, then, &after);
        if (after.out_first == task->out_first || plan->channels > plan->channel_block) look_ahead_to(plan, &after, 0, input, weights, calls, b);
    }
}

/* What the sums of a task begin with: the bias of its channels, in vectors that run across them; for others a vector of each. */
static const char *first_sums(const cconv_plan *plan, const cconv_task *task, const char *bias, char *start)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), count = task->out_count;
    const int across = plan->form == ACROSS;
    if (!bias || across) memset(start, 0, (size_t)((across ? plan->sums_plane : count * kernels->lanes) * size));
    if (bias && across) memcpy(start, bias, (size_t)(count * size));
    else if (bias) kernels->load[plan->desc.compute](bias, (ptrdiff_t)size, 0, start, (ptrdiff_t)kernels->lanes, count, kernels->lanes);
    return start;
}

int cconv_taps_run(const cconv_plan *plan, int64_t index, int64_t count, const char *input, const char *weights, const char *bias,
                   char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const tables t = tables_of(plan, work);
    char *planes = work + plan->planes_at, *panel = work + plan->panel_at, *ordered = work + plan->ordered_at;
    cconv_task at_index;
    const cconv_task *const task = &at_index;
    int64_t c, at, tile, channel_0;
    block b;
    cconv_tasks_at(plan, index, count, &at_index);
    channel_0 = task->group * plan->outputs;
    b.plan = plan;
    b.task = task;
    b.x = plan->form == ALONG_PANEL ? panel : planes;
    b.x_row = plan->row_pitch;
    b.x_step = 1;
    b.weights = plan->prepacked ? weights + cconv_tile_place(plan, task->group, task->tile_first, plan->taps) * size : ordered;
    b.weights_taps = plan->prepacked ? plan->taps : (int64_t)BLOCK_TAPS;
    b.sums = work + plan->sums_at;
    b.output = NULL;
    b.clip = NULL;
    b.output_plane = d->output_stride[1] / size;
    b.output_row = d->output_stride[3] / size;
    b.output_step = d->output_stride[4] / size;
    b.here_at = t.spaced;
    b.seeing = open_eyes(plan, task, t.kept);
    b.whole = 0;
    if (by_steps(plan)) {
        int64_t step[4];
        cconv_taps_steps(plan, step);
        b.x_row = cconv_step(task->size[1], d->stride[1], step[2]);
        b.x_step = cconv_step(task->size[2], d->stride[2], step[3]);
    } else if (plan->read_in_place) {
        if (kernels->tile > SMALL_TILE || plan->outputs <= FEW_OUTPUTS)
            b.whole = task->size[1] * task->size[2] / kernels->lanes * kernels->lanes;      /* whole vectors; what is left is copied, else all */
    }
    b.bias = first_sums(plan, task, bias && d->divisor == 1 ? bias + (channel_0 + task->out_first) * size : NULL, work + plan->bias_at);
    for (c = 0; c < plan->channels; c += plan->channel_block) {
        const int64_t held = plan->channels - c < plan->channel_block ? plan->channels - c : plan->channel_block;
        const char *channel = input + task->n * d->input_stride[0] + (task->group * plan->channels + c) * d->input_stride[1];
        b.here = plan->read_in_place ? channel + task->od * d->stride[0] * d->input_stride[2]
                                           + task->first[1] * d->stride[1] * d->input_stride[3]
                                           + task->first[2] * d->stride[2] * d->input_stride[4] : NULL;
        if (plan->read_in_place && by_steps(plan)) {
            b.x = b.here;
        } else if (plan->read_in_place) {
            kernels->load[d->compute](b.here + b.whole * size, (ptrdiff_t)d->input_stride[1], (ptrdiff_t)size, planes + b.whole * size,
                                      (ptrdiff_t)plan->plane, held, task->size[1] * task->size[2] - b.whole);
        } else if (plan->pixel > plan->channel_block) {         /* all of them lie there */
            if (c == 0) cconv_load_pixels(plan, task, channel, plan->channels, planes);
            b.x = planes + c * size;
        } else if (plan->pixel) {
            cconv_load_pixels(plan, task, channel, held, planes);
        } else {
            cconv_load_planes(plan, task, channel, held, planes, c == 0 && !has_border(t.frame, task));
        }
        for (at = 0; at < held * plan->kernel; at += BLOCK_TAPS) {
            const int64_t first = c * plan->kernel + at;
            b.taps = least(held * plan->kernel - at, BLOCK_TAPS);
            b.first = first == 0;
            turn_eyes(&b.seeing, at, b.taps, plan->form == ALONG_PANEL ? t.spaced : t.offset + at, (const ptrdiff_t *const *)t.weight);
            if (first + b.taps == plan->taps) {
                b.clip = cconv_clip(plan);
                if (plan->write_in_place) b.output = output + cconv_output_at(plan, task);
            }
            for (tile = task->tile_first; tile < task->tile_last && !plan->prepacked; tile++)
                if (!cconv_order_tile(plan, task->group, tile, first, b.taps, weights,
                                   ordered + (cconv_tile_first(plan, tile) - task->out_first) * BLOCK_TAPS * size))
                    return 0;
            b.weights_first = plan->prepacked ? first : 0;
            if (plan->form == ALONG_PANEL) {
                kernels->panel(planes, t.offset + at, b.taps, task->size[1], task->size[2], (ptrdiff_t)plan->row_pitch, panel,
                               (ptrdiff_t)plan->sums_pitch, (ptrdiff_t)plan->sums_plane);
            }
            b.input = b.ordered = fetching(NULL, 0, 0, 0, 1);
            if (at + BLOCK_TAPS >= held * plan->kernel) look_beyond(plan, task, index + count, c + plan->channel_block, input, weights, &b);
            if (plan->turning) run_turning(&b);
            else if (plan->form == ACROSS) run_across(&b);
            else run_along(&b);
        }
    }
    if (!plan->write_in_place) store(plan, task, &b, bias, work + plan->turned_at, output);
    if (plan->stream) plan->kernels->drain();
    return 1;
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The gradient with respect to the weights where channels are many: a product of two matrices, the output's gradient by its
 * channels, and x by its channels and taps, summed over the positions.
 *
 * At each position a register tile adds the outer product of some channels of x, a scalar each, and two vectors of output
 * channels.  For that the gradient of a block of output channels is turned, so that those of a position lie side by side; x lies in
 * planes, as `taps` has them, or is read where it is, and a tap is where its values begin.  Positions in between, which belong to no
 * result, are left out, so nothing is multiplied but what belongs to a sum, and each sum has an accumulator of its own: its order is that
 * of the positions, in blocks of OUTER_POSITIONS of a band at most.
 *
 * A task is a block of output channels and one of input channels, with all of the samples.  The workspace:
 *     taps     where they begin in the planes
 *     at       where the band's positions lie in the planes
 *     planes   of x, for some samples
 *     turned   the output's gradient: [panel of output channels][position][output channel]
 *     sums     the results: [channel and tap][output channel]
 */
#include "ahead.h"
#include "sizes.h"

#include <math.h>

enum {
    OUTER_POSITIONS = 256,      /* summed in a register before the sum goes to memory */
    OUTER_BAND = 1024,          /* positions of a band at most, in float */
    OUTER_HELD = 1 << 16,       /* values of planes and of turned gradients, in float: all of it stays in L2 */
    OUTER_RESULTS = 1 << 18,    /* and of results */
    OUTER_SHARED = 1 << 21,     /* multiplications that are cut for several workers */
    OUTER_CHANNELS = 16,        /* of a task that is */
    OUTER_TURNED = 64,          /* positions, or taps, that are turned at a time */
    OUTER_ROWS = 4,             /* rows of results that are written at a time: they may all begin at the same set of the cache */
    OUTER_SET = 4096            /* bytes from one plane to the next that share a set of the cache */
};

static const double outer_zeros[MAX_VECTOR * 2] = {0};

/* Values of two lines: what output channels are cut by, with every instruction set. */
static int64_t panel_of(const cconv_plan *plan) { return 2 * LINE / (int64_t)cconv_type_size(plan->desc.compute); }

/* Whether x can be read where it lies: no border, and its channels do not all begin at the same set of the cache. */
static int outer_lies(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int a, in_place = d->input_type == d->compute && (plan->channels == 1 || d->input_stride[1] % OUTER_SET != 0);
    for (a = 0; a < 3; a++) in_place &= d->before[a] <= 0 && d->after[a] <= 0;
    for (a = 0; a < 5; a++) in_place &= d->input_stride[a] % size == 0;
    return in_place;
}

static void cut_outer_bands(cconv_plan *plan)
{
    const int64_t positions = OUTER_BAND * 4 / (int64_t)cconv_type_size(plan->desc.compute) / (plan->kernel == 1 ? 2 : 1);
    cconv_lay_out_phases(plan);
    plan->band[0] = 1;
    plan->band[2] = parts(plan->output[2], parts(plan->output[2], positions));
    plan->band[1] = parts(plan->output[1], parts(plan->output[1], most(1, positions / plan->band[2])));
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(plan->output[1], plan->band[1]);
    plan->bands[2] = parts(plan->output[2], plan->band[2]);
    plan->row_pitch = plan->band[2] + plan->reach[2];
    plan->plane = times(times(times(plan->phases[0], plan->phases[1]), plan->phases[2]),
                        times(plan->band[1] + plan->reach[1], plan->row_pitch));
    plan->plane = plan->plane > MEMORY ? plan->plane : odd_lines(plan->plane);
    plan->together = most(1, least(plan->desc.batch, positions / (plan->band[1] * plan->band[2])));
}

static int64_t outer_tasks(const cconv_plan *plan) { return times(plan->desc.groups, times(plan->out_blocks, plan->channel_blocks)); }

/* Blocks of outputs and of channels: what is held for a band of them stays in the cache, and there are tasks enough for some workers.
 * A block of channels turns the gradient once more, one of outputs only loads x. */
static void cut_outer_blocks(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t width = (int64_t)cconv_type_size(d->compute) / 4, held = OUTER_HELD / width, panel = panel_of(plan);
    const int64_t band = plan->together * plan->band[1] * plan->band[2];
    const int64_t positions = times(times(most(d->batch, 1), plan->output[0]), times(plan->output[1], plan->output[2]));
    const int shared = times(times(d->out_channels, plan->taps), positions) >= OUTER_SHARED;
    int64_t outputs = least(up(plan->outputs, panel), most(1, held / band / panel) * panel), channels;
    channels = least(plan->channels, most(1, least(held / most(1, times(plan->together, plan->plane)), OUTER_RESULTS / width / most(1, times(outputs, plan->kernel)))));
    plan->out_blocks = parts(plan->outputs, outputs);
    plan->channel_blocks = parts(plan->channels, channels);
    while (shared && outer_tasks(plan) < SHARES && 2 * plan->out_blocks * panel <= up(plan->outputs, panel)) plan->out_blocks *= 2;
    while (shared && outer_tasks(plan) < SHARES && 2 * plan->channel_blocks * OUTER_CHANNELS <= plan->channels) plan->channel_blocks *= 2;
    plan->out_block = up(parts(plan->outputs, plan->out_blocks), panel);
    plan->out_blocks = parts(plan->outputs, plan->out_block);
    plan->channel_block = parts(plan->channels, plan->channel_blocks);
    plan->channel_blocks = parts(plan->channels, plan->channel_block);
    plan->tasks = outer_tasks(plan);
    plan->columns = times(plan->channel_block, plan->kernel);
}

/* What it takes for each of its multiplications, about, with every instruction set and layout: those of vectors that are not full, what a
 * tile of few scalars loses, sums on their way to memory and to their place, turning and loading. */
static double outer_overhead(const cconv_plan *plan)
{
    const int64_t line = LINE / (int64_t)cconv_type_size(plan->desc.compute), held = plan->together * plan->band[1] * plan->band[2];
    const double columns = (double)plan->columns, scalars = columns / (double)parts(plan->columns, MAX_TILE);
    const double positions = (double)most(plan->desc.batch, 1) * (double)plan->output[0] * (double)plan->output[1] * (double)plan->output[2];
    const double loaded = plan->kernel == 1 ? 0 : (double)(plan->together * plan->plane) / ((double)held * (double)plan->kernel);
    return (double)up(plan->outputs, line) / (double)plan->outputs
               * ((plan->outputs > line ? 1.1 : 1.3) + 1 / (scalars * scalars) + 5 / (double)least(held, OUTER_POSITIONS) + 20 / positions)
           + 10 / columns + 8 * loaded / (double)least(plan->outputs, plan->out_block);
}

cconv_status cconv_outer_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes, panel = panel_of(plan);
    int64_t at, positions;
    if (d->interleave != 1) return CCONV_ERROR_ALGORITHM;
    cut_outer_bands(plan);
    if (plan->plane > MEMORY) return CCONV_ERROR_SIZE;
    plan->read_in_place = outer_lies(plan);
    cut_outer_blocks(plan);
    if (plan->tasks > MEMORY || times(plan->together * plan->channel_block, plan->plane) > MEMORY
        || times(plan->out_block + panel, plan->columns) > MEMORY)
        return CCONV_ERROR_SIZE;
    positions = plan->together * plan->band[1] * plan->band[2];
    plan->form = ACROSS;
    plan->tile = 2 * lanes;
    cconv_note_weights(plan);
    at = up(plan->columns * (int64_t)sizeof(ptrdiff_t), 64);
    plan->tables_at = (size_t)at;
    at += up(positions * (int64_t)sizeof(ptrdiff_t), 64);
    plan->planes_at = (size_t)at;
    if (!plan->read_in_place) at += up((plan->together * plan->channel_block * plan->plane + SLACK) * size, 64);
    plan->turned_at = (size_t)at;
    at += up(plan->out_block * positions * size, 64);
    plan->sums_at = (size_t)at;
    at += up(plan->columns * plan->out_block * size, 64);
    plan->workspace_bytes = (size_t)at + 64;
    plan->overhead = outer_overhead(plan);
    return CCONV_OK;
}

/* What a task works on. */
typedef struct piece {
    const cconv_plan *plan;
    const cconv_type_kernels *kernels;
    int64_t size, group, output, outputs, channel, channels;      /* of the group, and how many */
    int held;                           /* planes and positions, if they are all in one band, are those of the task before */
    const ptrdiff_t *taps;
    ptrdiff_t *at;
    const char *x;                      /* planes, or the input where the band begins */
    char *turned, *sums;
    ptrdiff_t pitch;                    /* of the sums: output channels, in whole vectors */
    ahead next_x, next_grads;
} piece;

static int64_t at_most_panel(const piece *p, int64_t o) { return least(p->plan->tile, p->outputs - o); }

/* Output channels of a panel: whole vectors. */
static int64_t width_of(const piece *p, int64_t o) { return up(at_most_panel(p, o), p->kernels->lanes); }

/* Where positions lie in the planes, or in the input. */
static void find_outer_positions(const piece *p, const cconv_task *task, int64_t samples)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    const int64_t *stride = d->input_stride;
    const ptrdiff_t sample = plan->read_in_place ? stride[0] / p->size : plan->channel_block * plan->plane;
    const ptrdiff_t row = plan->read_in_place ? cconv_step(task->size[1], d->stride[1], stride[3] / p->size) : plan->row_pitch;
    const ptrdiff_t step = plan->read_in_place ? cconv_step(task->size[2], d->stride[2], stride[4] / p->size) : 1;
    ptrdiff_t *at = p->at;
    int64_t s, r, j;
    for (s = 0; s < samples; s++)
        for (r = 0; r < task->size[1]; r++)
            for (j = 0; j < task->size[2]; j++) *at++ = s * sample + r * row + j * step;
}

static void find_outer_taps(const cconv_plan *plan, ptrdiff_t *taps)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), *stride = d->input_stride;
    int64_t i, a, b, c;
    if (!plan->read_in_place) {
        cconv_tap_offsets(plan, taps);
        return;
    }
    for (i = 0; i < plan->channel_block; i++)
        for (a = 0; a < d->kernel[0]; a++)
            for (b = 0; b < d->kernel[1]; b++)
                for (c = 0; c < d->kernel[2]; c++)
                    *taps++ = (ptrdiff_t)((i * stride[1] + a * d->dilation[0] * stride[2] + b * d->dilation[1] * stride[3]
                                           + c * d->dilation[2] * stride[4]) / size);
}

/* One sample's gradients of the band for a panel of output channels, side by side for each position. */
static void turn_panel(const piece *p, const cconv_task *task, const char *grad, int64_t o, char *to)
{
    const cconv_desc *d = &p->plan->desc;
    const int64_t *stride = d->output_stride, count = at_most_panel(p, o), pitch = width_of(p, o);
    const int whole = task->size[1] == 1 || stride[3] == task->size[2] * p->size;       /* rows without gaps */
    const int64_t rows = whole ? 1 : task->size[1], n = whole ? task->size[1] * task->size[2] : task->size[2];
    const char *from = grad + o * stride[1] + task->od * stride[2] + task->first[1] * stride[3] + task->first[2] * stride[4];
    int64_t r, j;
    for (r = 0; r < rows; r++, from += stride[3], to += n * pitch * p->size)
        for (j = 0; j < n; j += OUTER_TURNED) {
            const int64_t held = least(OUTER_TURNED, n - j);
            p->kernels->turn(from + j * p->size, (ptrdiff_t)(stride[1] / p->size), count, held, to + j * pitch * p->size, (ptrdiff_t)pitch);
        }
}

/* The same of any type and strides: best where output channels lie side by side. */
static void gather_panel(const piece *p, const cconv_task *task, const char *grad, int64_t o, char *to)
{
    const cconv_desc *d = &p->plan->desc;
    const int64_t *stride = d->output_stride, count = at_most_panel(p, o), pitch = width_of(p, o);
    const char *from = grad + o * stride[1] + task->od * stride[2] + task->first[1] * stride[3] + task->first[2] * stride[4];
    int64_t r;
    for (r = 0; r < task->size[1]; r++, from += stride[3], to += task->size[2] * pitch * p->size)
        p->kernels->load[d->output_type](from, stride[4], stride[1], to, (ptrdiff_t)pitch, task->size[2], count);
}

static void turn_band(const piece *p, const cconv_task *task, const char *grad, int64_t samples)
{
    const cconv_desc *d = &p->plan->desc;
    const int64_t positions = task->size[1] * task->size[2];
    const int rows = d->output_type == d->compute && (positions == 1 || d->output_stride[4] == p->size) && d->output_stride[1] % p->size == 0;
    char *to = p->turned;
    int64_t o, s;
    for (o = 0; o < p->outputs; o += p->plan->tile) {
        const int64_t bytes = positions * width_of(p, o) * p->size;
        if (width_of(p, o) > at_most_panel(p, o)) memset(to, 0, (size_t)(samples * bytes));
        for (s = 0; s < samples; s++, to += bytes)
            (rows ? turn_panel : gather_panel)(p, task, grad + s * d->output_stride[0], o, to);
    }
}

/* The band's products, added to the sums, which begin with them if it is the first. */
static void add_outer_band(piece *p, int64_t positions, int first)
{
    const cconv_plan *plan = p->plan;
    const int64_t columns = p->channels * plan->kernel, blocks = parts(positions, OUTER_POSITIONS), tiles = parts(columns, p->kernels->tile);
    int64_t block, tile, o;
    for (block = 0; block < blocks; block++) {
        const int64_t from = block * positions / blocks, n = (block + 1) * positions / blocks - from;
        const int begin = first && block == 0;
        for (tile = 0; tile < tiles; tile++) {
            const int64_t t = tile * columns / tiles, scalars = (tile + 1) * columns / tiles - t;
            const char *turned = p->turned;
            for (o = 0; o < p->outputs; o += plan->tile) {
                const int64_t width = width_of(p, o);
                char *sums = p->sums + (t * p->pitch + o) * p->size;
                fetch(&p->next_x);
                fetch(&p->next_grads);
                p->kernels->outer[scalars][width > p->kernels->lanes](
                    turned + from * width * p->size, p->x, p->taps + t, p->at + from, n, begin ? (const char *)outer_zeros : sums,
                    begin ? 0 : p->pitch, sums, p->pitch);
                turned += positions * width * p->size;
            }
        }
    }
}

/* Whether the results of an output channel lie side by side, in the order of the sums. */
static int rows_of_results(const cconv_plan *plan, int64_t columns, int64_t size)
{
    const int64_t *stride = plan->desc.weight_stride;
    return plan->dense_weights && (columns == 1 || stride[4] == size) && stride[0] % size == 0;
}

/* What the band will read that follows the task's, if it lies row after row; where the results of the last will go. */
static void look_ahead_of_band(piece *p, const cconv_task *task, const char *x, const char *grad, const char *weight, int last)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    const int64_t row = task->first[1] + task->size[1], rows = least(plan->band[1], plan->output[1] - row), columns = p->channels * plan->kernel;
    const int64_t tiles = parts(p->outputs, plan->tile) * parts(columns, p->kernels->tile) * parts(task->size[1] * task->size[2], OUTER_POSITIONS);
    p->next_x = p->next_grads = fetching(NULL, 0, 0, 0, 1);
    if (last && rows_of_results(plan, columns, p->size))
        p->next_x = fetching(weight, d->weight_stride[0], p->outputs, columns * p->size, tiles);
    if (plan->read_in_place || plan->bands[2] > 1 || plan->bands[0] > 1 || rows <= 0 || plan->together > 1) return;
    if (d->input_stride[3] == d->input[2] * d->input_stride[4])
        p->next_x = rows_ahead(x, d->input_stride[1], p->channels, d->input_stride[3], row * d->stride[1] - d->before[1],
                               (rows - 1) * d->stride[1] + (d->kernel[1] - 1) * d->dilation[1] + 1, d->input[1], tiles);
    if (d->output_stride[3] == plan->output[2] * d->output_stride[4])
        p->next_grads = rows_ahead(grad, d->output_stride[1], p->outputs, d->output_stride[3], row, rows, plan->output[1], tiles);
}

/* The planes of a band, unless they are there; in place, where it begins. */
static void load_band(piece *p, const cconv_task *task, const char *x, int64_t samples, char *planes)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    int64_t s;
    if (plan->read_in_place)
        p->x = x + (task->od * d->stride[0] - d->before[0]) * d->input_stride[2] + (task->first[1] * d->stride[1] - d->before[1]) * d->input_stride[3]
               + (task->first[2] * d->stride[2] - d->before[2]) * d->input_stride[4];
    else for (s = 0; s < samples && !p->held; s++)
        cconv_load_planes(plan, task, x + s * d->input_stride[0], p->channels, planes + s * plan->channel_block * plan->plane * p->size, 1);
}

/* All samples, band by band. */
static void add_outer_bands(piece *p, const char *x, const char *grad, const char *weight, char *planes)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    const int64_t bands = plan->bands[0] * plan->bands[1] * plan->bands[2];
    cconv_task task = cconv_no_task();
    int64_t n, b;
    p->held &= bands == 1 && d->batch <= plan->together;
    if (d->batch == 0) memset(p->sums, 0, (size_t)(p->channels * plan->kernel * p->pitch * p->size));
    for (n = 0; n < d->batch; n += plan->together)
        for (b = 0; b < bands; b++) {
            const int64_t samples = least(plan->together, d->batch - n);
            const char *x_from = x + n * d->input_stride[0], *grad_from = grad + n * d->output_stride[0];
            task.od = b / plan->bands[2] / plan->bands[1];
            task.first[1] = b / plan->bands[2] % plan->bands[1] * plan->band[1];
            task.first[2] = b % plan->bands[2] * plan->band[2];
            task.size[1] = least(plan->band[1], plan->output[1] - task.first[1]);
            task.size[2] = least(plan->band[2], plan->output[2] - task.first[2]);
            if (!p->held) find_outer_positions(p, &task, samples);
            turn_band(p, &task, grad_from, samples);
            load_band(p, &task, x_from, samples, planes);
            look_ahead_of_band(p, &task, x_from, grad_from, weight, n + samples == d->batch && b == bands - 1);
            add_outer_band(p, samples * task.size[1] * task.size[2], n == 0 && b == 0);
        }
}

/* The results, where they belong; 0 if one is not finite. */
static int store_outer(const piece *p, char *weight)
{
    const cconv_plan *plan = p->plan;
    const int64_t *k = plan->desc.kernel, *stride = plan->desc.weight_stride, columns = p->channels * plan->kernel;
    const int rows = rows_of_results(plan, columns, p->size);
    int64_t i, o;
    if (!p->kernels->within(p->sums, columns * p->pitch, INFINITY)) return 0;
    for (i = 0; i < columns && rows; i += OUTER_TURNED)
        for (o = 0; o < p->outputs; o += OUTER_ROWS)
            p->kernels->turn(p->sums + (i * p->pitch + o) * p->size, p->pitch, least(OUTER_TURNED, columns - i), least(OUTER_ROWS, p->outputs - o),
                             weight + o * stride[0] + i * p->size, (ptrdiff_t)(stride[0] / p->size));
    for (i = 0; i < columns && !rows; i++) {
        char *to = weight + i / plan->kernel * stride[1] + i / k[2] / k[1] % k[0] * stride[2] + i / k[2] % k[1] * stride[3] + i % k[2] * stride[4];
        for (o = 0; o < p->outputs; o++) memcpy(to + o * stride[0], p->sums + (i * p->pitch + o) * p->size, (size_t)p->size);
    }
    return 1;
}

static int run_outer_task(const cconv_plan *plan, int64_t index, const char *input, const char *grad, char *weight, char *work, int64_t *held)
{
    const int64_t *stride = plan->desc.weight_stride, block = index / plan->out_blocks;
    piece p;
    memset(&p, 0, sizeof p);
    p.plan = plan;
    p.kernels = cconv_of_type(plan);
    p.size = (int64_t)cconv_type_size(plan->desc.compute);
    p.group = block / plan->channel_blocks;
    p.output = index % plan->out_blocks * plan->out_block;
    p.outputs = least(plan->out_block, plan->outputs - p.output);
    p.channel = block % plan->channel_blocks * plan->channel_block;
    p.channels = least(plan->channel_block, plan->channels - p.channel);
    p.taps = (const ptrdiff_t *)(const void *)work;
    p.at = (ptrdiff_t *)(void *)(work + plan->tables_at);
    p.x = work + plan->planes_at;
    p.turned = work + plan->turned_at;
    p.sums = work + plan->sums_at;
    p.pitch = (ptrdiff_t)up(p.outputs, p.kernels->lanes);
    p.held = *held == block;
    *held = block;
    weight += (p.group * plan->outputs + p.output) * stride[0] + p.channel * stride[1];
    add_outer_bands(&p, input + (p.group * plan->channels + p.channel) * plan->desc.input_stride[1],
            grad + (p.group * plan->outputs + p.output) * plan->desc.output_stride[1], weight, work + plan->planes_at);
    return store_outer(&p, weight);
}

cconv_status cconv_outer_run(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *grad, char *weight, char *work)
{
    int64_t index, held = -1;
    find_outer_taps(plan, (ptrdiff_t *)(void *)work);
    for (index = first; index < last; index++)
        if (!run_outer_task(plan, index, input, grad, weight, work, &held)) return CCONV_ERROR_WEIGHTS;
    return CCONV_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The gradient with respect to the weights, where output channels are few (gradient_outer.c: where they are many; gradient_near.c: 3x3 kernels
 * per channel): for each output channel o, input channel c and tap k the sum over samples and
 * positions p of grad[o][p] * x[c][p * stride + k * dilation - before].
 *
 * The planes of x are those of `taps`; the gradient's rows lie as far apart, with zeros in between.  So a band of positions is
 * one run of values, and a tap is where the other run begins.  A register tile of output channels x taps goes along both; a
 * sum is as many partial sums as a line of the cache holds, which are added up after each band.
 *
 * Zeros are multiplied by whatever lies beside a row's end.  Where that is not finite, nor are the results: the caller must
 * then take another way.
 *
 * A task is a block of output channels and one of input channels, with all of the samples.  The workspace:
 *     offsets  where taps begin in the planes
 *     planes   of x, for some samples
 *     grads    the output's gradient, likewise
 *     lines    the sums of a tile, a line each
 *     sums     the results
 */
#include "ahead.h"
#include "sizes.h"

#include <math.h>

enum {
    POSITIONS = 2048,           /* of a band, in float: a few of its rows of values stay in L1 */
    HELD = 1 << 16,             /* values of planes, of gradients, of results, in float: all of it stays in L2 */
    WORTH = 1 << 21,            /* multiplications that are cut for several workers */
    LEAST_OUTPUTS = 8,          /* of a task that is, and taps */
    LEAST_TAPS = 24,
    IN_PLACE = 512,             /* positions of planes that are not copied: a line that is not whole costs as much as 20 */
    SAME_SET = 4096             /* bytes from one plane to the next that share a set of the cache */
};

/* Whether an array can be read where it lies: its planes have no gaps, and do not begin at the same set of the cache. */
static int lies(const cconv_plan *plan, cconv_type type, const int64_t *stride)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    return type == plan->desc.compute && stride[4] == size && stride[3] == size * plan->output[2] && stride[1] % size == 0
           && stride[1] % SAME_SET != 0;
}

/* Bands of positions, and how many samples share one. */
static cconv_status lay_out_bands(cconv_plan *plan)
{
    const int64_t positions = POSITIONS * 4 / (int64_t)cconv_type_size(plan->desc.compute);
    int64_t slices;
    cconv_lay_out_phases(plan);
    slices = times(times(plan->phases[0], plan->phases[1]), plan->phases[2]);
    plan->band[0] = 1;
    plan->band[2] = parts(plan->output[2], parts(plan->output[2], positions));
    plan->row_pitch = plan->band[2] + plan->reach[2];
    plan->band[1] = most(1, least(plan->output[1], positions / plan->row_pitch));
    plan->band[1] = parts(plan->output[1], parts(plan->output[1], plan->band[1]));
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(plan->output[1], plan->band[1]);
    plan->bands[2] = parts(plan->output[2], plan->band[2]);
    plan->plane = times(slices, times(plan->band[1] + plan->reach[1], plan->row_pitch));
    if (plan->plane > MEMORY) return CCONV_ERROR_SIZE;
    plan->plane = odd_lines(plan->plane);
    plan->sums_plane = odd_lines(plan->band[1] * plan->row_pitch);
    plan->together = most(1, least(plan->desc.batch, positions / plan->sums_plane));
    return CCONV_OK;
}

/* Blocks of outputs and of channels: all that belongs to a task stays in the cache, and there are tasks enough for some workers. */
static void lay_out_blocks(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t held = HELD * 4 / (int64_t)cconv_type_size(d->compute), kernel = least(plan->kernel, held);
    const int64_t positions = times(times(most(d->batch, 1), plan->output[0]), times(plan->output[1], plan->output[2]));
    const int shared = times(times(d->out_channels, plan->taps), positions) >= WORTH;
    int64_t outputs = most(4, least(held / (plan->together * plan->sums_plane), held / 16 / kernel) / 4 * 4), channels;
    outputs = least(plan->outputs, outputs);
    channels = least(plan->channels, most(1, least(held / (plan->together * plan->plane), held / (outputs * kernel))));
    plan->out_blocks = parts(plan->outputs, outputs);
    plan->channel_blocks = parts(plan->channels, channels);
    while (shared && times(d->groups, plan->out_blocks * plan->channel_blocks) < SHARES) {
        const int more_outputs = plan->outputs >= 2 * LEAST_OUTPUTS * plan->out_blocks;
        const int more_channels = plan->channels >= 2 * plan->channel_blocks && plan->taps >= 2 * LEAST_TAPS * plan->channel_blocks;
        /* x is loaded for each block of outputs, the gradient for each block of channels */
        const int cheaper = times(plan->channels, plan->plane) * plan->out_blocks <= times(plan->outputs, plan->sums_plane) * plan->channel_blocks;
        if (more_outputs && (cheaper || !more_channels)) plan->out_blocks *= 2;
        else if (more_channels) plan->channel_blocks *= 2;
        else break;
    }
    plan->out_block = parts(plan->outputs, plan->out_blocks);
    plan->channel_block = parts(plan->channels, plan->channel_blocks);
    if (plan->out_block > 4) plan->out_block = up(plan->out_block, 4);
    plan->out_blocks = parts(plan->outputs, plan->out_block);
    plan->channel_blocks = parts(plan->channels, plan->channel_block);
    plan->tasks = times(d->groups, times(plan->out_blocks, plan->channel_blocks));
    plan->columns = times(plan->channel_block, plan->kernel);
}

/* What it takes for each of its multiplications, about, with every layout: those of gaps, of lines that are not whole, and what a tile's sums
 * take until they are in place, as long as 11 lines; loads that few outputs share, and planes. */
static double overhead(const cconv_plan *plan)
{
    const int64_t line = LINE / (int64_t)cconv_type_size(plan->desc.compute), values = plan->band[1] * plan->band[2];
    const int64_t lines = plan->together * parts((plan->band[1] - 1) * plan->row_pitch + plan->band[2], line);
    const double kernel = (double)plan->kernel, tile = plan->outputs >= 4 ? 1 : plan->outputs >= 2 ? 1.3 : 1.9;
    return tile * (1.12 + 0.12 / kernel) * ((double)lines + 11) * (double)line / (double)(plan->together * values)
           + (plan->kernel == 1 ? 0 : 8 * (double)plan->plane / ((double)values * kernel * (double)plan->out_block));
}

static cconv_status lay_out_along(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    cconv_status status;
    int64_t at;
    if (d->interleave != 1) return CCONV_ERROR_ALGORITHM;
    status = lay_out_bands(plan);
    if (status != CCONV_OK) return status;
    lay_out_blocks(plan);
    if (plan->tasks > MEMORY || times(plan->together * plan->channel_block, plan->plane) > MEMORY || times(plan->out_block, plan->columns) > MEMORY)
        return CCONV_ERROR_SIZE;
    plan->read_in_place = lies(plan, d->input_type, d->input_stride) && lies(plan, d->output_type, d->output_stride)
                          && plan->kernel == 1 && d->stride[0] == 1 && d->stride[1] == 1 && d->stride[2] == 1
                          && !(d->before[0] | d->before[1] | d->before[2] | d->after[0] | d->after[1] | d->after[2])
                          && times(plan->output[1], plan->output[2]) >= IN_PLACE;
    cconv_note_weights(plan);
    at = up(plan->columns * (int64_t)sizeof(ptrdiff_t), 64);
    plan->planes_at = (size_t)at;
    at += up((plan->together * plan->channel_block * plan->plane + SLACK) * size, 64);
    plan->panel_at = (size_t)at;
    at += up((plan->together * plan->out_block * plan->sums_plane + SLACK) * size, 64);
    plan->ordered_at = (size_t)at;
    at += up((4 * MAX_OVER * LINE / size + SLACK) * size, 64);
    plan->sums_at = (size_t)at;
    at += up(plan->out_block * plan->columns * size, 64);
    plan->workspace_bytes = (size_t)at + 64;
    plan->overhead = overhead(plan);
    return CCONV_OK;
}

/* Where they lie, if that can be; along the positions, or by outer products: whichever takes less. */
cconv_status cconv_gradient_lay_out(cconv_plan *plan)
{
    cconv_plan outer = *plan;
    cconv_status status;
    if (cconv_near_gradient_serves(plan)) {
        cconv_near_gradient_lay_out(plan);
        return CCONV_OK;
    }
    status = lay_out_along(plan);
    if (cconv_outer_lay_out(&outer) == CCONV_OK && (status != CCONV_OK || outer.overhead < plan->overhead)) *plan = outer;
    return plan->form == ACROSS ? CCONV_OK : status;
}

void cconv_load_window(const cconv_plan *plan, cconv_type type, const char *from, const int64_t *stride, int64_t channels, int64_t rows, int64_t columns,
                       int64_t pitch, int64_t plane, char *to)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), row = rows > 1 ? stride[3] : 0, step = columns > 1 ? stride[4] : 0;
    const int side_by_side = type == plan->desc.compute && channels > 1 && stride[1] == size && step % size == 0;
    int64_t i;
    for (i = 0; i < rows && side_by_side; i++)
        kernels->turn(from + i * row, (ptrdiff_t)(step / size), columns, channels, to + i * pitch * size, (ptrdiff_t)plane);
    for (i = 0; i < channels && !side_by_side; i++)
        kernels->load[type](from + i * stride[1], (ptrdiff_t)row, (ptrdiff_t)step, to + i * plane * size, (ptrdiff_t)pitch, rows, columns);
}

/* What a task works on. */
typedef struct part {
    const cconv_plan *plan;
    const cconv_type_kernels *kernels;
    int64_t size, group, output, outputs, channel, channels;      /* of the group, and how many */
    const ptrdiff_t *offsets;
    const char *planes, *grads;         /* and how far channels and samples lie apart in them */
    ptrdiff_t planes_step, grads_pitch, grads_step;
    char *lines, *sums;
    ahead next_planes, next_grads;
} part;

/* The gradients of one sample's band: rows as far apart as those of the planes. */
static void load_grads(const part *p, const cconv_task *task, const char *grad, char *to)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    const int64_t *stride = d->output_stride, rows = task->size[1], columns = task->size[2];
    if (rows < plan->band[1] || columns < plan->band[2]) memset(to, 0, (size_t)(p->outputs * plan->sums_plane * p->size));
    cconv_load_window(plan, d->output_type, grad + task->od * stride[2] + task->first[1] * stride[3] + task->first[2] * stride[4], stride, p->outputs, rows,
                      columns, plan->row_pitch, plan->sums_plane, to);
}

/* The sums of n taps from the t-th on for m outputs from the o-th on. */
static void add_tile(part *p, int64_t samples, int64_t lines, int64_t o, int m, int64_t t, int64_t n)
{
    const cconv_plan *plan = p->plan;
    const int64_t taps = p->channels * plan->kernel;
    int64_t i, j;
    fetch(&p->next_planes);
    fetch(&p->next_grads);
    p->kernels->over[m / 2][n](p->grads + o * p->grads_pitch * p->size, p->grads_pitch, p->grads_step, p->planes, p->offsets + t,
                               p->planes_step, samples, lines, p->lines);
    p->kernels->fold(p->lines, m * n);
    for (i = 0; i < m; i++)
        for (j = 0; j < n; j++) {
            const int64_t to = (o + i) * taps + t + j;
            if (p->size == 4) ((float *)(void *)p->sums)[to] += ((const float *)(const void *)p->lines)[i * n + j];
            else ((double *)(void *)p->sums)[to] += ((const double *)(const void *)p->lines)[i * n + j];
        }
}

static void add_band(part *p, int64_t samples, int64_t lines)
{
    const int64_t taps = p->channels * p->plan->kernel;
    int64_t o, t, n;
    int m;
    for (o = 0; o < p->outputs; o += m) {
        int64_t most_taps = 0;
        m = p->outputs - o >= 4 && p->kernels->over[2][1] ? 4 : p->outputs - o >= 2 ? 2 : 1;
        while (most_taps < MAX_OVER && p->kernels->over[m / 2][most_taps + 1]) most_taps++;
        for (t = 0; t < taps; t += n) {
            n = parts(taps - t, parts(taps - t, most_taps));
            add_tile(p, samples, lines, o, m, t, n);
        }
    }
}

/* n values, step bytes apart. */
static void put_sums(const part *p, const char *from, int64_t n, char *to, int64_t step)
{
    int64_t i;
    if (step == p->size) memcpy(to, from, (size_t)(n * p->size));
    else if (p->size == 4) for (i = 0; i < n; i++) *(float *)(void *)(to + i * step) = ((const float *)(const void *)from)[i];
    else for (i = 0; i < n; i++) *(double *)(void *)(to + i * step) = ((const double *)(const void *)from)[i];
}

/* The results, where they belong; 0 if one is not finite. */
static int store_sums(const part *p, char *weight)
{
    const cconv_plan *plan = p->plan;
    const int64_t *k = plan->desc.kernel, *stride = plan->desc.weight_stride;
    const int64_t run = plan->dense_weights ? p->channels * plan->kernel : k[2], runs = p->channels * plan->kernel / run;
    int64_t o, i;
    if (!p->kernels->within(p->sums, p->outputs * p->channels * plan->kernel, INFINITY)) return 0;
    weight += (p->group * plan->outputs + p->output) * stride[0] + p->channel * stride[1];
    for (o = 0; o < p->outputs; o++)
        for (i = 0; i < runs; i++)
            put_sums(p, p->sums + (o * runs + i) * run * p->size, run,
                weight + o * stride[0] + i / k[1] / k[0] * stride[1] + i / k[1] % k[0] * stride[2] + i % k[1] * stride[3], stride[4]);
    return 1;
}

/* What the band will read that follows the task's, if it lies row after row. */
static void look_ahead(part *p, const cconv_task *task, const char *x, const char *grad, int64_t tiles)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    const int64_t row = task->first[1] + task->size[1], rows = least(plan->band[1], plan->output[1] - row);
    p->next_planes = p->next_grads = fetching(NULL, 0, 0, 0, 1);
    if (plan->bands[2] > 1 || plan->bands[0] > 1 || rows <= 0 || plan->together > 1) return;
    if (d->input_stride[3] == d->input[2] * d->input_stride[4])
        p->next_planes = rows_ahead(x, d->input_stride[1], p->channels, d->input_stride[3], row * d->stride[1] - d->before[1],
                                    (rows - 1) * d->stride[1] + (d->kernel[1] - 1) * d->dilation[1] + 1, d->input[1], tiles);
    if (d->output_stride[3] == plan->output[2] * d->output_stride[4])
        p->next_grads = rows_ahead(grad, d->output_stride[1], p->outputs, d->output_stride[3], row, rows, plan->output[1], tiles);
}

/* All samples, band by band, through copies. */
static void add_copies(part *p, const char *x, const char *grad, char *planes, char *grads, int64_t tiles)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    cconv_task task = cconv_no_task();
    int64_t n, b, s;
    for (n = 0; n < d->batch; n += plan->together)
        for (b = 0; b < plan->bands[0] * plan->bands[1] * plan->bands[2]; b++) {
            const int64_t samples = least(plan->together, d->batch - n);
            task.od = b / plan->bands[2] / plan->bands[1];
            task.first[1] = b / plan->bands[2] % plan->bands[1] * plan->band[1];
            task.first[2] = b % plan->bands[2] * plan->band[2];
            task.size[1] = least(plan->band[1], plan->output[1] - task.first[1]);
            task.size[2] = least(plan->band[2], plan->output[2] - task.first[2]);
            for (s = 0; s < samples; s++) {
                cconv_load_planes(plan, &task, x + (n + s) * d->input_stride[0], p->channels, planes + s * p->planes_step * p->size, 1);
                load_grads(p, &task, grad + (n + s) * d->output_stride[0], grads + s * p->grads_step * p->size);
            }
            look_ahead(p, &task, x + n * d->input_stride[0], grad + n * d->output_stride[0], tiles);
            add_band(p, samples, parts((task.size[1] - 1) * plan->row_pitch + task.size[2], LINE / p->size));
        }
}

/* Values of each of `count` channels from `first` on that do not fill a line, with zeros behind them. */
static void load_rest(const part *p, const char *channel, ptrdiff_t channel_stride, int64_t count, int64_t first, int64_t n, char *to)
{
    int64_t i;
    memset(to, 0, (size_t)(count * LINE));
    for (i = 0; i < count; i++) memcpy(to + i * LINE, channel + i * channel_stride + first * p->size, (size_t)(n * p->size));
}

/* All samples of a kernel of one tap, of which all arrays lie as they are read; but for what does not fill a line. */
static void add_in_place(part *p, const char *x, const char *grad, char *planes, char *grads, ptrdiff_t *offsets, int64_t tiles)
{
    const cconv_plan *plan = p->plan;
    const cconv_desc *d = &plan->desc;
    const int64_t values = plan->output[1] * plan->output[2], line = LINE / p->size, whole = values / line;
    const int64_t step = parts(whole, parts(whole, plan->band[1] * plan->band[2] / line));
    const ptrdiff_t x_pitch = d->input_stride[1], grad_pitch = d->output_stride[1];
    int64_t n, c, at;
    for (n = 0; n < d->batch * plan->output[0]; n++) {
        const char *from = x + n / plan->output[0] * d->input_stride[0] + n % plan->output[0] * d->input_stride[2];
        const char *grads_from = grad + n / plan->output[0] * d->output_stride[0] + n % plan->output[0] * d->output_stride[2];
        p->grads_pitch = grad_pitch / p->size;
        for (c = 0; c < p->channels; c++) offsets[c] = c * (x_pitch / p->size);
        for (at = 0; at < whole; at += step) {
            const int64_t next = least(step, whole - at - step);
            p->planes = from + at * LINE;
            p->grads = grads_from + at * LINE;
            p->next_planes = fetching(p->planes + step * LINE, x_pitch, next > 0 ? p->channels : 0, next * LINE, tiles);
            p->next_grads = fetching(p->grads + step * LINE, grad_pitch, next > 0 ? p->outputs : 0, next * LINE, tiles);
            add_band(p, 1, least(step, whole - at));
        }
        if (whole * line == values) continue;
        load_rest(p, from, x_pitch, p->channels, whole * line, values - whole * line, planes);
        load_rest(p, grads_from, grad_pitch, p->outputs, whole * line, values - whole * line, grads);
        for (c = 0; c < p->channels; c++) offsets[c] = c * line;
        p->planes = planes;
        p->grads = grads;
        p->grads_pitch = line;
        add_band(p, 1, 1);
    }
}

static int run_task(const cconv_plan *plan, int64_t index, const char *input, const char *grad, char *weight, char *work)
{
    const int64_t block = index / plan->out_blocks % plan->channel_blocks, out_block = index % plan->out_blocks;
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    char *planes = work + plan->planes_at, *grads = work + plan->panel_at;
    int64_t tiles;
    part p;
    memset(&p, 0, sizeof p);
    p.plan = plan;
    p.kernels = cconv_of_type(plan);
    p.size = size;
    p.group = index / plan->out_blocks / plan->channel_blocks;
    p.output = out_block * plan->out_block;
    p.outputs = least(plan->out_block, plan->outputs - p.output);
    p.channel = block * plan->channel_block;
    p.channels = least(plan->channel_block, plan->channels - p.channel);
    p.offsets = (const ptrdiff_t *)(const void *)work;
    p.planes = planes;
    p.planes_step = (ptrdiff_t)(plan->channel_block * plan->plane);
    p.grads = grads;
    p.grads_pitch = (ptrdiff_t)plan->sums_plane;
    p.grads_step = (ptrdiff_t)(plan->out_block * plan->sums_plane);
    p.lines = work + plan->ordered_at;
    p.sums = work + plan->sums_at;
    tiles = parts(p.outputs, 4) * parts(p.channels * plan->kernel, MAX_OVER);
    memset(p.sums, 0, (size_t)(p.outputs * p.channels * plan->kernel * size));
    input += (p.group * plan->channels + p.channel) * plan->desc.input_stride[1];
    grad += (p.group * plan->outputs + p.output) * plan->desc.output_stride[1];
    if (plan->read_in_place) {
        add_in_place(&p, input, grad, planes, grads, (ptrdiff_t *)(void *)work, tiles);
    } else {
        memset(planes, 0, plan->ordered_at - plan->planes_at);
        add_copies(&p, input, grad, planes, grads, tiles);
    }
    return store_sums(&p, weight);
}

cconv_status cconv_run_weight_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers)
{
    const cconv_status status = cconv_check_run(plan, first, last, buffers, CCONV_WEIGHT_GRADIENT);
    char *work;
    int64_t index;
    if (status != CCONV_OK || first == last) return status;
    work = cconv_aligned(cconv_element(&buffers->workspace));
    if (plan->near || plan->form == ACROSS)
        return (plan->near ? cconv_near_gradient_run : cconv_outer_run)(plan, first, last, cconv_element(&buffers->input), cconv_element(&buffers->output),
                                                                        cconv_element(&buffers->weights), work);
    if (!plan->read_in_place) cconv_tap_offsets(plan, (ptrdiff_t *)(void *)work);
    for (index = first; index < last; index++)
        if (!run_task(plan, index, cconv_element(&buffers->input), cconv_element(&buffers->output), cconv_element(&buffers->weights), work))
            return CCONV_ERROR_WEIGHTS;
    return CCONV_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Gradients of 3x3 kernels over one channel each, with a border of zeros, of arrays that are read where they lie, as `near` reads x.
 *
 * With respect to the weights: nine sums of products of the output's gradient and of x, moved by a tap.  What has no rows of the type of
 * the sums is copied, without a border.  The positions of a band are cut into strips as wide as a line of the cache.  Each lane adds up
 * those of its column, row after row, and a strip's sums are added to those before it: samples, depths and bands in order.  So the order of
 * a sum depends neither on how long vectors are nor on what lies where.  A task is a block of channels, with all of the samples.  The
 * workspace:
 *     zeros    what stands for a row beyond the picture
 *     sums     of each channel, a line each
 *     planes   of x, if it must be copied: what a band sees of the picture
 *     grads    the output's gradient, likewise
 *
 * With respect to the input, with a stride of 2: all four phases of the result at once, each sum in the order in which `rows` would add it.
 * A task is a band of rows of some channels of a sample.  The workspace: zeros, and a channel's weights.
 */
#include "ahead.h"
#include "sizes.h"

#include <math.h>

enum {
    NEAR_TAPS = 9,
    NEAR_ROWS = 256,            /* of a band at most: so many products are summed in a register */
    NEAR_LEAST_ROWS = 32,       /* since a strip begins with two rows of x */
    NEAR_COLUMNS = 4096,
    NEAR_BAND = 1 << 13,        /* positions of a band, about, */
    NEAR_HELD = 1 << 17,        /* and values of x and of gradients that a task holds, in float: they stay in L2 */
    NEAR_SHARED = 1 << 18       /* multiplications that are cut for several workers */
};

/* Coordinates of an axis that `count` outputs from the `first` on see, of those that exist. */
typedef struct near_window {
    int64_t before;             /* of the first tap, from the first that exists */
    int64_t first, count;
} near_window;

static near_window near_window_of(const cconv_desc *d, int a, int64_t first, int64_t count)
{
    const int64_t begin = first * d->stride[a] - d->before[a], end = begin + (count - 1) * d->stride[a] + d->kernel[a];
    near_window w;
    w.first = least(most(begin, 0), d->input[a]);
    w.count = most(least(end, d->input[a]) - w.first, 0);
    w.before = begin - w.first;
    return w;
}

/* Whether rows are as the kernel reads them. */
static int rows_lie(const cconv_plan *plan, cconv_type type, const int64_t *stride)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    return type == plan->desc.compute && stride[4] == size && stride[3] % size == 0;
}

int cconv_near_gradient_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return cconv_of_type(plan)->near && d->interleave == 1 && plan->channels == 1 && plan->outputs == 1 && d->kernel[0] == 1
           && d->kernel[1] == 3 && d->kernel[2] == 3 && d->dilation[1] == 1 && d->dilation[2] == 1 && d->stride[1] == d->stride[2]
           && d->stride[1] <= 2 && cconv_zeros_outside(plan);
}

void cconv_near_gradient_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), line = LINE / size;
    const int64_t positions = times(times(most(d->batch, 1), plan->output[0]), times(plan->output[1], plan->output[2]));
    const int shared = times(times(d->groups, NEAR_TAPS), positions) >= NEAR_SHARED;
    int64_t at;
    plan->near = 1;
    plan->band[0] = 1;
    plan->band[2] = least(plan->output[2], NEAR_COLUMNS);
    plan->band[1] = most(NEAR_LEAST_ROWS, least(NEAR_ROWS, NEAR_BAND / plan->band[2]));
    plan->band[1] = parts(plan->output[1], parts(plan->output[1], plan->band[1]));
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(plan->output[1], plan->band[1]);
    plan->bands[2] = parts(plan->output[2], plan->band[2]);
    plan->row_pitch = plan->band[2] * d->stride[2] + 2;
    plan->plane = (plan->band[1] * d->stride[1] + 2) * plan->row_pitch;
    plan->sums_plane = plan->band[1] * plan->band[2];
    plan->group_block = most(1, NEAR_HELD * 4 / size / (plan->plane + plan->sums_plane + NEAR_TAPS * line));
    plan->group_block = least(plan->group_block, shared ? parts(d->groups, SHARES) : d->groups);
    plan->tasks = parts(d->groups, plan->group_block);
    plan->read_in_place = rows_lie(plan, d->input_type, d->input_stride);
    plan->turn_in_place = rows_lie(plan, d->output_type, d->output_stride);
    at = SLACK * size;
    plan->sums_at = (size_t)at;
    at += plan->group_block * NEAR_TAPS * LINE + SLACK * size;
    plan->planes_at = (size_t)at;
    if (!plan->read_in_place) at += up((plan->group_block * plan->plane + SLACK) * size, LINE);
    plan->panel_at = (size_t)at;
    if (!plan->turn_in_place) at += up((plan->group_block * plan->sums_plane + SLACK) * size, LINE);
    plan->workspace_bytes = (size_t)at + LINE;
    plan->overhead = 1.2 * (double)up(plan->band[2], line) * (double)(plan->band[1] + 4) / (double)plan->sums_plane;
}

/* Rows of values as they are, in planes, or as they were put there: how far rows and channels lie apart, in bytes. */
typedef struct near_planes {
    const char *data;
    int64_t row, channel;
} near_planes;

static near_planes near_rows(const cconv_plan *plan, int lie, cconv_type type, const char *from, const int64_t *stride, int64_t channels, int64_t rows,
                             int64_t columns, int64_t pitch, int64_t plane, char *to)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    near_planes p;
    p.data = lie ? from : to;
    p.row = lie ? (rows > 1 ? stride[3] : 0) : pitch * size;
    p.channel = lie ? (channels > 1 ? stride[1] : 0) : plane * size;
    if (!lie && rows > 0 && columns > 0) cconv_load_window(plan, type, from, stride, channels, rows, columns, pitch, plane, to);
    return p;
}

/* A band of one sample, of n channels from x and grad on. */
static void add_near_band(const cconv_plan *plan, const cconv_task *task, const char *x, const char *grad, int64_t n, char *work)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), depth = task->od * d->stride[0] - d->before[0];
    const near_window rows = near_window_of(d, 1, task->first[1], task->size[1]), columns = near_window_of(d, 2, task->first[2], task->size[2]);
    const int outside = depth < 0 || depth >= d->input[0] || rows.count == 0 || columns.count == 0;
    near_planes planes = {NULL, 0, 0}, grads;
    cconv_near at;
    int64_t i;
    if (!outside)
        planes = near_rows(plan, plan->read_in_place, d->input_type, x + depth * d->input_stride[2] + rows.first * d->input_stride[3]
                           + columns.first * d->input_stride[4], d->input_stride, n, rows.count, columns.count, plan->row_pitch, plan->plane,
                           work + plan->planes_at);
    grads = near_rows(plan, plan->turn_in_place, d->output_type, grad + task->od * d->output_stride[2] + task->first[1] * d->output_stride[3]
                      + task->first[2] * d->output_stride[4], d->output_stride, n, task->size[1], task->size[2], plan->band[2], plan->sums_plane,
                      work + plan->panel_at);
    memset(&at, 0, sizeof at);
    at.zeros = work;
    at.x_row = (ptrdiff_t)(planes.row / size);
    at.height = outside ? 0 : rows.count;
    at.width = columns.count;
    at.row = rows.before;
    at.column = columns.before;
    for (i = 0; i < n; i++) {
        const char *g = grads.data + i * grads.channel;
        at.x = outside ? work : planes.data + i * planes.channel;
        at.next = (const char *)at.x + planes.channel;
        cconv_of_type(plan)->near_sums[d->stride[1] - 1](&at, g, g + grads.channel, (ptrdiff_t)(grads.row / size), task->size[1], task->size[2],
                                       work + plan->sums_at + i * NEAR_TAPS * LINE);
    }
}

static int run_near_task(const cconv_plan *plan, int64_t index, const char *x, const char *grad, char *weight, char *work)
{
    const cconv_desc *d = &plan->desc;
    const int64_t first = index * plan->group_block, n = least(plan->group_block, d->groups - first), size = (int64_t)cconv_type_size(d->compute);
    const int64_t bands = plan->bands[0] * plan->bands[1] * plan->bands[2];
    char *sums = work + plan->sums_at;
    cconv_task task = cconv_no_task();
    int64_t b, i, t;
    memset(work, 0, (size_t)(SLACK * size));
    memset(sums, 0, (size_t)(n * NEAR_TAPS * LINE));
    x += first * d->input_stride[1];
    grad += first * d->output_stride[1];
    for (task.n = 0; task.n < d->batch; task.n++)
        for (b = 0; b < bands; b++) {
            task.od = b / plan->bands[2] / plan->bands[1];
            task.first[1] = b / plan->bands[2] % plan->bands[1] * plan->band[1];
            task.first[2] = b % plan->bands[2] * plan->band[2];
            task.size[1] = least(plan->band[1], plan->output[1] - task.first[1]);
            task.size[2] = least(plan->band[2], plan->output[2] - task.first[2]);
            add_near_band(plan, &task, x + task.n * d->input_stride[0], grad + task.n * d->output_stride[0], n, work);
        }
    cconv_of_type(plan)->fold(sums, n * NEAR_TAPS);
    if (!cconv_of_type(plan)->within(sums, n * NEAR_TAPS, INFINITY)) return 0;
    for (i = 0; i < n; i++)
        for (t = 0; t < NEAR_TAPS; t++) {
            char *to = weight + (first + i) * d->weight_stride[0] + t / 3 * d->weight_stride[3] + t % 3 * d->weight_stride[4];
            const char *from = sums + (i * NEAR_TAPS + t) * size;
            if (size == 4) memcpy(to, from, 4);
            else memcpy(to, from, 8);
        }
    return 1;
}

cconv_status cconv_near_gradient_run(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *grad, char *weight, char *work)
{
    int64_t index;
    for (index = first; index < last; index++)
        if (!run_near_task(plan, index, input, grad, weight, work)) return CCONV_ERROR_WEIGHTS;
    return CCONV_OK;
}

cconv_status cconv_near_input_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), values = times(times(d->input[0], d->input[1]), d->input[2]);
    if (!cconv_near_gradient_serves(plan) || d->stride[1] != 2 || d->weight_type != d->compute || !rows_lie(plan, d->input_type, d->input_stride)
        || !rows_lie(plan, d->output_type, d->output_stride))
        return CCONV_ERROR_ALGORITHM;
    plan->near = 1;
    plan->band[1] = most(NEAR_LEAST_ROWS, least(d->input[1], 4 * NEAR_BAND / most(d->input[2], 1)));
    plan->bands[1] = parts(d->input[1], plan->band[1]);
    plan->group_block = plan->bands[1] > 1 ? 1 : most(1, least(parts(d->groups, SHARES), NEAR_HELD * 4 / size / most(values, 1)));
    plan->tasks = values == 0 ? 0 : times(times(d->batch, parts(d->groups, plan->group_block)), plan->bands[1]);
    plan->sums_at = (size_t)(SLACK * size);
    plan->workspace_bytes = plan->sums_at + NEAR_TAPS * sizeof(double) + LINE;
    return plan->tasks > MEMORY ? CCONV_ERROR_SIZE : CCONV_OK;
}

/* A band of the gradient of a channel's input; 0 where a weight is not finite, which may be multiplied by a border of zeros. */
static int spread_band(const cconv_plan *plan, const cconv_task *task, const char *grad, const char *weight, char *x, char *work)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), row = d->output_stride[3];
    char *weights = work + plan->sums_at;
    cconv_near at;
    int64_t i;
    for (i = 0; i < NEAR_TAPS; i++)
        memcpy(weights + i * size, weight + i / 3 * d->weight_stride[3] + i % 3 * d->weight_stride[4], (size_t)size);
    if (!cconv_of_type(plan)->within(weights, NEAR_TAPS, INFINITY)) return 0;
    memset(&at, 0, sizeof at);
    at.zeros = work;
    at.w = weights;
    at.x_row = (ptrdiff_t)(row / size);
    at.width = plan->output[2];
    at.row = d->before[1] + task->first[1];
    at.column = d->before[2];
    for (i = 0; i < d->input[0]; i++) {
        const int64_t behind = i + d->before[0], depth = behind / d->stride[0];
        const int seen = behind >= 0 && behind % d->stride[0] == 0 && depth < plan->output[0];
        at.height = seen ? plan->output[1] : 0;
        at.x = seen ? grad + depth * d->output_stride[2] : grad;
        at.next = (const char *)at.x + (plan->bands[1] > 1 ? (at.row + task->size[1]) / 2 * row : d->output_stride[1]);
        cconv_of_type(plan)->near_spread(&at, x + i * d->input_stride[2] + task->first[1] * d->input_stride[3], (ptrdiff_t)(d->input_stride[3] / size),
                                         task->size[1], d->input[2]);
    }
    return 1;
}

cconv_status cconv_run_input_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers)
{
    const cconv_status status = cconv_check_run(plan, first, last, buffers, CCONV_INPUT_GRADIENT);
    const cconv_desc *d = &plan->desc;
    char *work, *x;
    const char *grad, *weights;
    int64_t blocks, index, c;
    if (status != CCONV_OK || first == last) return status;
    work = cconv_aligned(cconv_element(&buffers->workspace));
    memset(work, 0, plan->sums_at);
    blocks = parts(d->groups, plan->group_block);
    x = cconv_element(&buffers->input);
    weights = cconv_element(&buffers->weights);
    grad = cconv_element(&buffers->output);
    for (index = first; index < last; index++) {
        const int64_t block = index / plan->bands[1], n = block / blocks, from = block % blocks * plan->group_block;
        cconv_task task = cconv_no_task();
        task.first[1] = index % plan->bands[1] * plan->band[1];
        task.size[1] = least(plan->band[1], d->input[1] - task.first[1]);
        for (c = from; c < least(from + plan->group_block, d->groups); c++)
            if (!spread_band(plan, &task, grad + n * d->output_stride[0] + c * d->output_stride[1], weights + c * d->weight_stride[0],
                             x + n * d->input_stride[0] + c * d->input_stride[1], work))
                return CCONV_ERROR_WEIGHTS;
    }
    return CCONV_OK;
}

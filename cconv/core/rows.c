/* SPDX-License-Identifier: BSD-3-Clause
 *
 * rows: one output channel at a time, a block of output rows x vectors of columns in registers.  The
 * kernel is taken apart into columns of up to MAX_CLASS taps below each other; a vector that is loaded
 * for one input row is multiplied by every tap of its column.
 *
 * With a stride the rows of a column are those of one phase; with a dilation the output rows of a block
 * are as far apart as the taps.  Columns are in the order of their length, so that a kernel can run
 * over those of one length without asking.
 *
 * Packed: for each output channel and block of input channels the weights of all columns, in order.
 */
#include "impl.h"

static const double no_bias[1];

typedef struct column {
    int64_t c, kd, kw, kh, length;      /* kh: of its first tap; the others follow `cycle` apart */
} column;

/* How many rows of a plane lie between kernel rows of one phase, which are a cycle apart. */
static int64_t step_of(const cconv_plan *plan)
{
    return plan->apart[1] ? 1 : plan->cycle[1] * plan->desc.dilation[1] / plan->desc.stride[1];
}

/* Calls visit(column) for the columns of `channels` channels that have `length` taps; returns how many. */
typedef void visitor(const cconv_plan *plan, const column *col, void *state);

static int64_t each_column(const cconv_plan *plan, int64_t channels, int64_t length, visitor *visit, void *state)
{
    const cconv_desc *d = &plan->desc;
    const int64_t cycle = plan->cycle[1];
    int64_t found = 0, phase, chunk;
    column col;
    for (col.c = 0; col.c < channels; col.c++)
        for (col.kd = 0; col.kd < d->kernel[0]; col.kd++)
            for (phase = 0; phase < plan->phases[1]; phase++) {
                const int64_t taps = (d->kernel[1] - phase + cycle - 1) / cycle;
                const int64_t chunks = (taps + MAX_CLASS - 1) / MAX_CLASS;
                for (chunk = 0; chunk < chunks; chunk++) {
                    const int64_t first = chunk * taps / chunks;
                    col.length = (chunk + 1) * taps / chunks - first;
                    if (col.length != length) continue;
                    col.kh = phase + first * cycle;
                    for (col.kw = 0; col.kw < d->kernel[2]; col.kw++, found++)
                        if (visit) visit(plan, &col, state);
                }
            }
    return found;
}

/* The same in the input itself, where it is read in place. */
static void note_place(const cconv_plan *plan, const column *col, void *state)
{
    const cconv_desc *d = &plan->desc;
    ptrdiff_t **next = (ptrdiff_t **)state;
    *(*next)++ = (ptrdiff_t)((col->c * d->input_stride[1] + col->kd * d->dilation[0] * d->input_stride[2]
                              + col->kh * d->dilation[1] * d->input_stride[3]) / d->input_stride[4]
                             + col->kw * d->dilation[2]);
}

/* Where the weights of a column's taps lie, in bytes from those of the block's first channel. */
static void note_weight(const cconv_plan *plan, const column *col, void *state)
{
    const cconv_desc *d = &plan->desc;
    ptrdiff_t **next = (ptrdiff_t **)state;
    int64_t k;
    for (k = 0; k < col->length; k++)
        *(*next)++ = (ptrdiff_t)(col->c * d->weight_stride[1] + col->kd * d->weight_stride[2]
                                 + (col->kh + k * plan->cycle[1]) * d->weight_stride[3] + col->kw * d->weight_stride[4]);
}

static void note_offset(const cconv_plan *plan, const column *col, void *state)
{
    ptrdiff_t **next = (ptrdiff_t **)state;
    const int64_t slice = (col->kd * plan->phases[1] + cconv_phase(plan, 1, col->kh)) * plan->phases[2]
                          + cconv_phase(plan, 2, col->kw);
    *(*next)++ = (ptrdiff_t)(col->c * plan->plane
        + (slice * (plan->band[1] + plan->reach[1]) + cconv_entry(plan, 1, col->kh)) * plan->row_pitch
        + cconv_entry(plan, 2, col->kw));
}

/* A table for a whole block of channels, and one for the block that is left over at the end: how many
 * columns there are of each length, where they begin in the planes and in the input, and where the
 * weights of their taps lie. */
typedef struct table {
    const int64_t *count;
    const ptrdiff_t *offset, *place, *weight;
} table;

static table table_at(const cconv_plan *plan, const void *packed, int left_over)
{
    table t;
    t.count = (const int64_t *)packed + (left_over ? 8 : 0);
    t.offset = (const ptrdiff_t *)(const void *)((const int64_t *)packed + 16) + (left_over ? plan->columns : 0);
    t.place = (const ptrdiff_t *)(const void *)((const int64_t *)packed + 16) + 2 * plan->columns;
    t.weight = t.place + (left_over ? 2 : 1) * plan->columns;
    return t;
}

void cconv_rows_tables(const cconv_plan *plan, ptrdiff_t *packed)
{
    const int64_t channels = plan->desc.in_channels / plan->desc.groups;
    int left_over;
    for (left_over = 0; left_over < 2; left_over++) {
        const int64_t count = left_over ? channels % plan->channel_block : plan->channel_block;
        const table t = table_at(plan, packed, left_over);
        ptrdiff_t *next = (ptrdiff_t *)t.offset;
        int64_t *counts = (int64_t *)t.count;
        int length;
        counts[0] = 0;
        for (length = 1; length <= MAX_CLASS; length++)
            counts[length] = each_column(plan, count, length, note_offset, &next);
        next = (ptrdiff_t *)t.place;
        for (length = 1; length <= MAX_CLASS && plan->read_in_place && !left_over; length++)
            each_column(plan, count, length, note_place, &next);
        next = (ptrdiff_t *)t.weight;
        for (length = 1; length <= MAX_CLASS; length++) each_column(plan, count, length, note_weight, &next);
    }
}

/* n weights, gathered; returns whether all are finite. */
static int gather(const cconv_plan *plan, const char *weight, const ptrdiff_t *from, int64_t n, char *out)
{
    const cconv_desc *d = &plan->desc;
    cconv_load_kernel *load = cconv_of_type(plan)->load[d->weight_type];
    int finite = 1;
    int64_t t;
    if (d->compute == CCONV_F32) {
        float *y = (float *)(void *)out;
        for (t = 0; t < n; t++) {
            if (d->weight_type == CCONV_F32) y[t] = *(const float *)(const void *)(weight + from[t]);
            else load(weight + from[t], 0, 0, y + t, 0, 1, 1);
            finite &= y[t] - y[t] == 0;
        }
    } else {
        double *y = (double *)(void *)out;
        for (t = 0; t < n; t++) {
            load(weight + from[t], 0, 0, y + t, 0, 1, 1);
            finite &= y[t] - y[t] == 0;
        }
    }
    return finite;
}

int cconv_rows_pack(const cconv_plan *plan, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), channels = d->in_channels / d->groups;
    const int64_t kernel = d->kernel[0] * d->kernel[1] * d->kernel[2];
    int finite = 1;
    int64_t o, c;
    for (o = 0; o < d->out_channels; o++)
        for (c = 0; c < channels; c += plan->channel_block) {
            const int64_t count = channels - c < plan->channel_block ? channels - c : plan->channel_block;
            const table t = table_at(plan, packed - plan->table_bytes, count < plan->channel_block);
            finite &= gather(plan, weight + o * d->weight_stride[0] + c * d->weight_stride[1], t.weight, count * kernel,
                             packed + (o * plan->taps + c * kernel) * size);
        }
    return finite;
}

/* Where a band is read and written.  Columns from `inside` to `outside` are read from the input, the
 * others from planes; columns before `tail` are written to the output, the others to the sums. */
typedef struct band {
    const char *planes, *input;
    ptrdiff_t input_step;
    int64_t inside, outside, tail;
    char *sums, *output;
    ptrdiff_t output_step;
} band;

enum { TILE_VECTORS = 2 };      /* columns of a tile wherever there are so many */

/* One block of columns over all positions of one output channel. */
static void run_block(const cconv_plan *plan, const cconv_task *task, const band *at, const ptrdiff_t *offsets,
                      const ptrdiff_t *places, const int64_t *count, const char *w, const char *start)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes, step = step_of(plan);
    int64_t phase, r, j;
    for (phase = 0; phase < step && phase < task->size[1]; phase++)
        for (r = phase; r < task->size[1];) {
            const int64_t left = (task->size[1] - r + step - 1) / step;
            int height = 3;
            while (!kernels->rows[height][0] || (int64_t)1 << height > left) height--;
            for (j = 0; j < task->size[2];) {
                const int from_input = j >= at->inside && j < at->outside, to_output = j < at->tail;
                const ptrdiff_t x_pitch = from_input ? at->input_step : (ptrdiff_t)plan->row_pitch;
                const ptrdiff_t y_pitch = to_output ? at->output_step : (ptrdiff_t)plan->sums_pitch;
                int width = 1;
                if (lanes >= task->size[2] - j || !kernels->rows[height][1]) width = 0;
                kernels->rows[height][width]((from_input ? at->input : at->planes) + (r * x_pitch + j) * size, step * x_pitch,
                                             from_input ? places : offsets, count, w, start,
                                             (to_output ? at->output : at->sums) + (r * y_pitch + j) * size, step * y_pitch);
                j += lanes << width;
            }
            r += step << height;
        }
}

/* All columns of a block of channels for one output channel, in blocks of at most BLOCK_TAPS taps. */
static void run_columns(const cconv_plan *plan, const cconv_task *task, const band *at, const table *t, const char *w,
                        const char *start)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    const ptrdiff_t *offsets = t->offset, *places = t->place;
    int64_t left[MAX_CLASS + 1], count[MAX_CLASS + 1];
    int length = 1, i;
    for (i = 0; i <= MAX_CLASS; i++) left[i] = t->count[i];
    while (length <= MAX_CLASS) {
        int64_t taps = 0, columns = 0;
        for (i = 0; i <= MAX_CLASS; i++) count[i] = 0;
        while (length <= MAX_CLASS && taps + length <= BLOCK_TAPS) {
            const int64_t fit = (BLOCK_TAPS - taps) / length;
            count[length] = left[length] < fit ? left[length] : fit;
            left[length] -= count[length];
            columns += count[length];
            taps += count[length] * length;
            if (left[length]) break;
            length++;
        }
        if (!columns) break;
        run_block(plan, task, at, offsets, places, count, w, start);
        offsets += columns;
        places += columns;
        w += taps * size;
        start = NULL;
    }
}

static void load_columns(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t count, char *planes,
                         int64_t first, int64_t last)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    cconv_task part = *task;
    int64_t b;
    part.first[2] += first;
    part.size[2] = last - first;
    for (b = 0; b < count && last > first; b++)
        cconv_load_plane(plan, &part, channel + b * plan->desc.input_stride[1], planes + (b * plan->plane + first) * size);
}

/* The columns that can be read from the input: whole tiles that no border and no end of a row touches. */
static void find_inside(const cconv_plan *plan, const cconv_task *task, const char *channel, band *at)
{
    const cconv_desc *d = &plan->desc;
    const int64_t tile = cconv_of_type(plan)->lanes * TILE_VECTORS, size = (int64_t)cconv_type_size(d->compute);
    const int64_t depth = task->od * d->stride[0] - d->before[0], row = task->first[1] - d->before[1];
    const int64_t column = task->first[2] - d->before[2];
    at->inside = at->outside = 0;
    if (!plan->read_in_place || depth < 0 || depth + (d->kernel[0] - 1) * d->dilation[0] >= d->input[0] || row < 0
        || row + task->size[1] + plan->reach[1] > d->input[1])
        return;
    at->inside = column < 0 ? (-column + tile - 1) / tile * tile : 0;
    at->outside = (task->size[2] < d->input[2] - plan->reach[2] - column ? task->size[2]
                                                                        : d->input[2] - plan->reach[2] - column) / tile * tile;
    if (at->outside <= at->inside) {
        at->inside = at->outside = 0;
        return;
    }
    at->input = channel + depth * d->input_stride[2] + row * d->input_stride[3] + column * size;
    at->input_step = (ptrdiff_t)(d->input_stride[3] / size);
}

void cconv_rows_run(const cconv_plan *plan, const cconv_task *task, const char *input, const char *packed,
                    const char *bias, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), channels = d->in_channels / d->groups;
    const int64_t kernel = d->kernel[0] * d->kernel[1] * d->kernel[2];
    const int64_t tile = cconv_of_type(plan)->lanes * TILE_VECTORS;
    char *planes = work + plan->planes_at;
    cconv_task tail = *task;
    int64_t c, o;
    band at;
    at.input = at.planes = planes;
    at.input_step = 0;
    at.output_step = (ptrdiff_t)(d->output_stride[3] / size);
    at.tail = plan->write_in_place ? task->size[2] / tile * tile : 0;
    for (c = 0; c < channels; c += plan->channel_block) {
        const int64_t held = channels - c < plan->channel_block ? channels - c : plan->channel_block;
        const table t = table_at(plan, packed, held < plan->channel_block);
        const char *channel = input + task->n * d->input_stride[0] + (task->group * channels + c) * d->input_stride[1];
        find_inside(plan, task, channel, &at);
        load_columns(plan, task, channel, held, planes, 0, at.inside);
        load_columns(plan, task, channel, held, planes, at.outside, task->size[2]);
        for (o = 0; o < task->out_count; o++) {
            const int64_t out = task->group * (d->out_channels / d->groups) + task->out_first + o;
            const char *w = packed + plan->table_bytes + (out * plan->taps + c * kernel) * size;
            at.sums = work + plan->sums_at + o * plan->sums_plane * size;
            at.output = output + task->n * d->output_stride[0] + out * d->output_stride[1] + task->od * d->output_stride[2]
                        + task->first[1] * d->output_stride[3] + task->first[2] * d->output_stride[4];
            run_columns(plan, task, &at, &t, w, c ? NULL : bias && d->divisor == 1 ? bias + out * size : (const char *)no_bias);
        }
    }
    tail.first[2] += at.tail;
    tail.size[2] -= at.tail;
    cconv_store_band(plan, &tail, work + plan->sums_at + at.tail * size, bias, output);
}

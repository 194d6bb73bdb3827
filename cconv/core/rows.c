/* SPDX-License-Identifier: BSD-3-Clause
 *
 * rows: one output channel at a time.  The kernel is taken apart into columns of up to MAX_CLASS taps
 * below each other; a vector that is loaded for one input row is multiplied by every tap of its column.
 * Short columns, up to three side by side, go down a whole strip of output rows; longer ones run over
 * blocks of rows x vectors of positions in registers.
 *
 * With a stride the rows of a column are those of one phase; with a dilation the output rows of a block
 * are as far apart as the taps.  Columns are in the order of their length, so that a kernel can run
 * over those of one length without asking.
 *
 * Weights in order: for each output channel and block of input channels those of all columns; packed, the
 * tables that say where each lies come behind them.
 */
#include "rows.h"

#include <math.h>

static const double nothing[SLACK + LINE / sizeof(double)] = {0};
static const ptrdiff_t in_order[2][MAX_SHORT * MAX_SHORT] = {{0, 4, 8, 12, 16, 20, 24, 28, 32}, {0, 8, 16, 24, 32, 40, 48, 56, 64}};

/* n weights, gathered; returns whether all are finite. */
static int gather(const cconv_plan *plan, const char *weight, const ptrdiff_t *from, int64_t n, char *out)
{
    const cconv_desc *d = &plan->desc;
    int64_t t;
    if (d->weight_type == d->compute && d->compute == CCONV_F32) {
        for (t = 0; t < n; t++) memcpy(out + 4 * t, weight + from[t], 4);
    } else if (d->weight_type == d->compute) {
        for (t = 0; t < n; t++) memcpy(out + 8 * t, weight + from[t], 8);
    } else {
        cconv_load_kernel *const load = cconv_of_type(plan)->load[d->weight_type];
        const int64_t size = (int64_t)cconv_type_size(d->compute);
        for (t = 0; t < n; t++) load(weight + from[t], 0, 0, out + t * size, 0, 1, 1);
    }
    return !plan->must_be_finite || cconv_of_type(plan)->within(out, n, INFINITY);
}

/* Whether weights of the type of the sums are finite; an exponent of nothing but ones overflows into the sign's bit. */
static int are_finite(const cconv_plan *plan, const char *weight, const ptrdiff_t *from, int64_t n)
{
    int64_t t;
    uint32_t narrow, over = 0;
    uint64_t wide, beyond = 0;
    if (plan->dense_weights && plan->desc.weight_stride[4] == (int64_t)cconv_type_size(plan->desc.compute))
        return cconv_of_type(plan)->within(weight, n, INFINITY);
    for (t = 0; t < n && plan->desc.compute == CCONV_F32; t++) {
        memcpy(&narrow, weight + from[t], sizeof narrow);
        over |= (narrow & 0x7fffffff) + 0x00800000;
    }
    for (t = 0; t < n && plan->desc.compute == CCONV_F64; t++) {
        memcpy(&wide, weight + from[t], sizeof wide);
        beyond |= (wide & 0x7fffffffffffffff) + 0x0010000000000000;
    }
    return !(over >> 31) && !(beyond >> 63);
}

/* All weights: one table serves them. */
int cconv_rows_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    char *tables = packed + plan->tables_at;
    int finite = 1;
    int64_t o, c;
    (void)index;
    if (!plan->tabled) cconv_rows_tables(plan, tables);
    for (o = 0; o < d->out_channels; o++)
        for (c = 0; c < plan->channels; c += plan->channel_block) {
            const int64_t count = plan->channels - c < plan->channel_block ? plan->channels - c : plan->channel_block;
            const table t = table_at(plan, tables, count < plan->channel_block);
            finite &= gather(plan, weight + o * d->weight_stride[0] + c * d->weight_stride[1], t.weight, count * plan->kernel,
                             packed + (o * plan->taps + c * plan->kernel) * size);
        }
    return finite;
}

/* A part of a band's positions, read from planes or, where it sees nothing but the picture, from the input. */
typedef struct region {
    int64_t row, last_row, column, last_column;
    int inside;
} region;

typedef struct band {
    region regions[5];
    int count;
    const char *planes, *input;
    int64_t first;              /* where in a channel the first position reads, if some read there */
    char *out;
    int in_place;               /* `out` is the output, of which not a value too many may be written */
} band;

/* Whether the columns are taps of one row, side by side. */
static int in_line(const columns *c, const ptrdiff_t *offsets)
{
    int64_t i;
    for (i = 2; i <= MAX_CLASS; i++)
        if (c->count[i]) return 0;
    for (i = 1; i < c->count[1]; i++)
        if (offsets[i] != offsets[i - 1] + 1) return 0;
    return !c->short_rows;
}

/* Two lines of each of the rows that the next block reads for the first time. */
static void fetch_below(const char *x, ptrdiff_t step, int64_t rows)
{
    int64_t i;
    for (i = 0; i < rows; i++, x += step) {
        PREFETCH(x);
        PREFETCH(x + LINE);
    }
}

/* The rows of a region, of one phase where they lie `step` apart. */
typedef struct lines {
    const char *x;
    char *y;
    const ptrdiff_t *offsets;
    ptrdiff_t pitch, x_step, y_step;
    int64_t n;
    int ends, fetch;            /* fetch: what the next block reads */
} lines;

static void run_blocks(const cconv_plan *plan, const columns *c, const lines *at, int64_t rows)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes, n = at->n;
    const int64_t two = at->ends == WITHIN && n < 2 * lanes ? n : lanes;        /* more positions than this take two vectors */
    const ptrdiff_t x_step = at->x_step, y_step = at->y_step, *const offsets = at->offsets;
    const char *x = at->x;
    char *y = at->y;
    while (rows > 0) {
        int height = HEIGHTS - 1;
        int64_t left, from = 0, last = lanes, most, high;
        cconv_rows_kernel *const *kernel;
        while (!kernels->rows[height][0] || (int64_t)1 << height > rows) height--;
        kernel = kernels->rows[height];
        high = (int64_t)1 << height;
        for (left = n; left > 0; left -= most, from += most) {
            most = left > two ? 2 * lanes : lanes;
            if (left < most && at->ends == WITHIN) from -= most - left;
            if (left < most && at->ends == PARTLY) last = left - (most - lanes);
            if (at->fetch)
                fetch_below(x + (from + plan->reach[1] * at->pitch + high * x_step) * size, at->pitch * size, plan->rows_apart * high);
            kernel[most > lanes](x + from * size, x_step, offsets, c->count, c->w, c->start, y + from * size, y_step, last, c->clip);
        }
        x += high * x_step * size;
        y += high * y_step * size;
        rows -= high;
    }
}

static void run_region(const cconv_plan *plan, const band *at, const region *part, const columns *c)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), rows = part->last_row - part->row, step = plan->rows_apart;
    int64_t phase;
    lines of;
    of.n = part->last_column - part->column;
    of.ends = part->inside && plan->to_the_end ? WITHIN : at->in_place ? PARTLY : BEYOND;
    of.fetch = part->inside && plan->desc.kernel[2] == 1;       /* nothing else hides how long that takes */
    of.offsets = part->inside ? c->places : c->offsets;
    of.pitch = (ptrdiff_t)(part->inside ? plan->input_row : plan->row_pitch);
    of.x_step = (ptrdiff_t)step * of.pitch;
    of.y_step = (ptrdiff_t)(step * plan->output_row);
    of.x = (part->inside ? at->input : at->planes) + (part->row * of.pitch + part->column) * size;
    of.y = at->out + (part->row * plan->output_row + part->column) * size;
    if (!c->short_rows && in_line(c, of.offsets)) {
        kernels->line(of.x + of.offsets[0] * size, of.pitch, c->count[1], c->w, c->start, of.y, (ptrdiff_t)plan->output_row, rows, of.n, !at->in_place, c->clip);
        return;
    }
    for (phase = 0; phase < step && phase < rows; phase++, of.x += of.pitch * size, of.y += plan->output_row * size) {
        const int64_t left = step == 1 ? rows : (rows - phase + step - 1) / step;       /* division is slow */
        if (c->short_rows)
            kernels->down[c->short_rows - 1][c->count[c->short_rows] - 1](of.x, of.x_step, of.offsets, left, of.n, c->w, in_order[size == 8], c->start, of.y,
                                                                         of.y_step, of.ends, c->stream, c->clip);
        else run_blocks(plan, c, &of, left);
    }
}

/* All columns of a block of channels, of the `last` one or another, for one output channel. */
static void run_columns(const cconv_plan *plan, const band *at, const table *t, int64_t taps, const char *w, const char *start, int last)
{
    rest of;
    columns c;
    int i;
    c.offsets = t->offset;
    c.places = t->place;
    c.w = w;
    c.start = start;
    c.count = t->count;
    c.short_rows = plan->short_rows;
    c.stream = plan->stream && plan->once;      /* else sums will be added to */
    of.length = 0;
    for (;;) {
        int64_t block = taps;
        if (!plan->once) {
            if (of.length == 0) {
                memcpy(of.left, t->count, sizeof of.left);
                of.length = 1;
            }
            block = cconv_rows_block(plan, &of, &c);
        }
        taps -= block;
        c.clip = last && taps == 0 ? cconv_clip(plan) : NULL;
        for (i = 0; i < at->count; i++) run_region(plan, at, &at->regions[i], &c);
        if (taps == 0) return;
        for (i = 1; i <= MAX_CLASS; i++) {
            c.offsets += c.count[i];
            c.places += c.count[i];
        }
        c.w += block * (int64_t)cconv_type_size(plan->desc.compute);
        c.start = NULL;
    }
}

/* Which of `count` positions, the first at coordinate `first`, see nothing but the picture of n: whole multiples of
 * `unit`, but for the last if it ends them all. */
static void find_inside(int64_t first, int64_t count, int64_t reach, int64_t n, int64_t unit, int64_t inside[2])
{
    const int64_t end = n - reach - first;
    inside[0] = first < 0 ? (unit - 1 - first) / unit * unit : 0;
    inside[1] = end >= count ? count : end / unit * unit;
}

static void add_region(band *at, int64_t row, int64_t last_row, int64_t column, int64_t last_column, int inside)
{
    region *const part = &at->regions[at->count];
    if (row >= last_row || column >= last_column) return;
    part->row = row;
    part->last_row = last_row;
    part->column = column;
    part->last_column = last_column;
    part->inside = inside;
    at->count++;
}

static void find_regions(const cconv_plan *plan, const cconv_task *task, band *at)
{
    const cconv_desc *d = &plan->desc;
    const int64_t lanes = cconv_of_type(plan)->lanes;
    const int64_t depth = task->od * d->stride[0] - d->before[0], row = task->first[1] - d->before[1];
    const int64_t column = task->first[2] - d->before[2], height = task->size[1], width = task->size[2];
    int64_t rows[2] = {0, 0}, columns[2] = {0, 0};
    if (plan->read_in_place && depth >= 0 && depth + (d->kernel[0] - 1) * d->dilation[0] < d->input[0]) {
        /* Where one pass does it, the last vectors end with the row, and some results are computed twice.  Else what is left of a
         * row is copied, and a kernel may read beyond it: not in the last row, where the array may end. */
        find_inside(row, height, plan->reach[1], d->input[1] - !plan->to_the_end, plan->rows_apart * (d->kernel[1] <= MAX_SHORT ? 1 : 8), rows);
        find_inside(column, plan->to_the_end ? width : width / lanes * lanes, plan->reach[2], d->input[2], lanes, columns);
        if (columns[1] - columns[0] < lanes) columns[1] = columns[0];
    }
    at->count = 0;
    at->first = 0;
    if (rows[1] <= rows[0] || columns[1] <= columns[0]) rows[0] = rows[1] = height;
    else at->first = depth * d->input_stride[2] + row * d->input_stride[3] + column * d->input_stride[4];
    add_region(at, 0, rows[0], 0, width, 0);
    add_region(at, rows[0], rows[1], 0, columns[0], 0);
    add_region(at, rows[0], rows[1], columns[0], columns[1], 1);
    add_region(at, rows[0], rows[1], columns[1], width, 0);
    add_region(at, rows[1], height, 0, width, 0);
}

/* Where no band touches a border, and one pass leads from the input to the output: nothing is copied, no region differs from another. */
static int run_straight(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias,
                        char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const table t = table_at(plan, work, 0);
    const int64_t size = (int64_t)cconv_type_size(d->compute), *stride = d->input_stride;
    const char *x = input + task->n * stride[0] + (task->od * d->stride[0] - d->before[0]) * stride[2]
                    + (task->first[1] - d->before[1]) * stride[3] + (task->first[2] - d->before[2]) * size;
    char *y = output + cconv_output_at(plan, task);
    cconv_down_kernel *const down = kernels->down[plan->short_rows - 1][t.count[plan->short_rows] - 1];
    int64_t out = task->group * plan->outputs;
    const int64_t last = out + task->group_count * plan->outputs;
    for (; out < last; out++, y += d->output_stride[1]) {
        const int64_t group = plan->outputs == 1 ? out : out / plan->outputs;       /* division is slow */
        const int lie = !plan->prepacked && d->weight_type == d->compute;
        const char *w = lie ? weights + out * d->weight_stride[0] : weights + out * plan->taps * size;
        if (!plan->prepacked && !lie) {
            gather(plan, weights + out * d->weight_stride[0], t.weight, plan->taps, work + plan->ordered_at);     /* no border: need not be finite */
            w = work + plan->ordered_at;
        }
        down(x + group * plan->channels * stride[1], (ptrdiff_t)plan->input_row, t.place, task->size[1], task->size[2], w, lie ? t.weight : in_order[size == 8],
             bias && d->divisor == 1 ? bias + out * size : (const char *)nothing, y, (ptrdiff_t)plan->output_row, WITHIN,
             plan->stream, cconv_clip(plan));
    }
    if (plan->stream) plan->kernels->drain();
    return 1;
}

/* The planes of a region. */
static void load_region(const cconv_plan *plan, const cconv_task *task, const region *part, const char *channel, int64_t channels, char *planes,
                        int fresh)
{
    cconv_task of = *task;
    of.first[1] += part->row;
    of.size[1] = part->last_row - part->row;
    of.first[2] += part->column;
    of.size[2] = part->last_column - part->column;
    cconv_load_planes(plan, &of, channel, channels,
                      planes + (part->row * plan->row_pitch + part->column) * (int64_t)cconv_type_size(plan->desc.compute), fresh);
}

/* One channel, where it lies: nothing is copied. */
static int run_near(const cconv_plan *plan, cconv_task *task, const char *input, const char *weights, const char *bias, char *work,
                    char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const int64_t depth = task->od * d->stride[0] - d->before[0];
    const int outside = depth < 0 || depth >= d->input[0];
    const int lie = !plan->prepacked && d->weight_type == d->compute && d->kernel[1] <= MAX_SHORT;
    const table t = table_at(plan, work, 0);
    cconv_near_kernel *const run = d->kernel[1] > MAX_SHORT ? cconv_of_type(plan)->near_tall : cconv_of_type(plan)->near;
    const int64_t last = task->group + task->group_count;
    char kept[KEPT + LINE];
    cconv_near at;
    int64_t o;
    at.zeros = cconv_aligned(nothing);
    at.clip = cconv_clip(plan);
    at.order = lie ? t.weight : in_order[size == 8];
    at.x_row = d->input[1] > 1 ? (ptrdiff_t)plan->input_row : 0;
    at.height = outside ? 0 : d->input[1];
    at.width = d->input[2];
    at.kept = cconv_aligned(kept);
    at.fresh = 1;
    at.kernel[0] = d->kernel[1];
    at.kernel[1] = d->kernel[2];
    at.row = task->first[1] * d->stride[1] - d->before[1];
    at.column = task->first[2] * d->stride[2] - d->before[2];
    for (; task->group < last; task->group++) {
        const char *channel = input + task->n * d->input_stride[0] + task->group * d->input_stride[1];
        at.x = outside ? channel : channel + depth * d->input_stride[2];
        for (o = 0; o < task->out_count; o++) {
            const int64_t out = task->group * plan->outputs + task->out_first + o;
            const char *w = plan->prepacked ? weights + out * plan->taps * size : weights + out * d->weight_stride[0];
            if (lie && plan->must_be_finite && !are_finite(plan, w, t.weight, plan->taps)) return 0;
            if (!plan->prepacked && !lie) {
                if (!gather(plan, w, t.weight, plan->taps, work + plan->ordered_at)) return 0;
                w = work + plan->ordered_at;
            }
            at.w = w;
            at.bias = bias && d->divisor == 1 ? bias + out * size : (const char *)nothing;
            at.next = (const char *)at.x + (o + 1 == task->out_count ? d->input_stride[1] : 0) + most(at.row, 0) * d->input_stride[3];
            run(&at, d->stride[1], output + cconv_output_at(plan, task) + o * d->output_stride[1], (ptrdiff_t)plan->output_row, task->size[1],
                task->size[2]);
            at.fresh = 0;
        }
    }
    return 1;
}

int cconv_rows_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                   char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    char *planes = work + plan->planes_at, *ordered = work + plan->ordered_at;
    int64_t c, o, first_group;
    int k;
    cconv_task task;
    band at;
    cconv_task_at(plan, index, &task);
    if (plan->straight) return run_straight(plan, &task, input, weights, bias, work, output);
    if (plan->near) return run_near(plan, &task, input, weights, bias, work, output);
    first_group = task.group;
    at.planes = planes;
    at.in_place = plan->write_in_place;
    find_regions(plan, &task, &at);
    for (; task.group < first_group + task.group_count; task.group++) {
        for (c = 0; c < plan->channels; c += plan->channel_block) {
            const int64_t held = plan->channels - c < plan->channel_block ? plan->channels - c : plan->channel_block;
            const table t = table_at(plan, work, held < plan->channel_block);
            const char *channel = input + task.n * d->input_stride[0] + (task.group * plan->channels + c) * d->input_stride[1];
            for (k = 0; k < at.count; k++)
                if (!at.regions[k].inside)
                    load_region(plan, &task, &at.regions[k], channel, held, planes, task.group == first_group && c == 0);
            at.input = channel + at.first;
            for (o = 0; o < task.out_count; o++) {
                const int64_t out = task.group * plan->outputs + task.out_first + o;
                const char *w = weights + (out * plan->taps + c * plan->kernel) * size;
                if (!plan->prepacked) {
                    const char *from = weights + out * d->weight_stride[0] + c * d->weight_stride[1];
                    if (!gather(plan, from, t.weight, held * plan->kernel, ordered)) return 0;
                    w = ordered;
                }
                at.out = plan->write_in_place ? output + cconv_output_at(plan, &task) + o * d->output_stride[1]
                                              : work + plan->sums_at + o * plan->sums_plane * size;
                run_columns(plan, &at, &t, held * plan->kernel, w, c ? NULL : bias && d->divisor == 1 ? bias + out * size : (const char *)nothing,
                            c + held == plan->channels);
            }
        }
        if (!plan->write_in_place)
            cconv_store_band(plan, &task, work + plan->sums_at, plan->sums_pitch, plan->sums_plane, bias, output);
    }
    if (plan->stream) plan->kernels->drain();
    return 1;
}

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
#include "sizes.h"

#include <math.h>

static const double nothing[1] = {0};

typedef struct column {
    int64_t c, kd, kw, kh, length;      /* kh: of its first tap; the others follow `cycle` apart */
} column;

/* How many rows of a plane lie between kernel rows of one phase, which are a cycle apart. */
static int64_t rows_apart(const cconv_plan *plan)
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

static table table_at(const cconv_plan *plan, const void *work, int left_over)
{
    table t;
    t.count = (const int64_t *)work + (left_over ? 8 : 0);
    t.offset = (const ptrdiff_t *)(const void *)((const int64_t *)work + 16) + (left_over ? plan->columns : 0);
    t.place = (const ptrdiff_t *)(const void *)((const int64_t *)work + 16) + 2 * plan->columns;
    t.weight = t.place + (left_over ? 2 : 1) * plan->columns;
    return t;
}

void cconv_rows_tables(const cconv_plan *plan, char *work)
{
    int left_over;
    for (left_over = 0; left_over < 2; left_over++) {
        const int64_t count = left_over ? plan->channels % plan->channel_block : plan->channel_block;
        const table t = table_at(plan, work, left_over);
        ptrdiff_t *offset = (ptrdiff_t *)t.offset, *place = (ptrdiff_t *)t.place, *weight = (ptrdiff_t *)t.weight;
        int64_t *counts = (int64_t *)t.count;
        int length;
        counts[0] = 0;
        for (length = 1; length <= MAX_CLASS; length++) {
            counts[length] = each_column(plan, count, length, note_offset, &offset);
            if (plan->read_in_place && !left_over) each_column(plan, count, length, note_place, &place);
            each_column(plan, count, length, note_weight, &weight);
        }
    }
}

/* n weights, gathered; returns whether all are finite. */
static int gather(const cconv_plan *plan, const char *weight, const ptrdiff_t *from, int64_t n, char *out)
{
    const cconv_desc *d = &plan->desc;
    cconv_load_kernel *load = cconv_of_type(plan)->load[d->weight_type];
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int64_t t;
    if (d->compute == CCONV_F32 && d->weight_type == CCONV_F32) {
        float *y = (float *)(void *)out;
        for (t = 0; t < n; t++) y[t] = *(const float *)(const void *)(weight + from[t]);
    } else {
        for (t = 0; t < n; t++) load(weight + from[t], 0, 0, out + t * size, 0, 1, 1);
    }
    return !plan->must_be_finite || cconv_of_type(plan)->within(out, n, INFINITY);
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
    cconv_rows_tables(plan, tables);
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
    int64_t step;               /* rows of a plane between two rows of a column */
    const char *planes, *input;
    int64_t first;              /* where in a channel the first position reads, if some read there */
    ptrdiff_t input_step;
    char *out;
    ptrdiff_t out_step;
    int in_place;               /* `out` is the output, of which not a value too many may be written */
} band;

/* Some columns of the kernel, for all positions of one output channel: `count` of each length. */
typedef struct columns {
    const ptrdiff_t *offsets, *places;
    int64_t count[MAX_CLASS + 1];
    int64_t short_rows;         /* 0, or at most MAX_SHORT columns all of this length */
    const char *w, *start;
    int stream;                 /* the results are not read again soon */
} columns;

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

static void run_region(const cconv_plan *plan, const band *at, const region *part, const columns *c)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes, step = at->step;
    const ptrdiff_t pitch = part->inside ? at->input_step : (ptrdiff_t)plan->row_pitch, x_step = (ptrdiff_t)step * pitch;
    const ptrdiff_t y_step = (ptrdiff_t)step * at->out_step, *offsets = part->inside ? c->places : c->offsets;
    int64_t phase, r, j;
    if (in_line(c, offsets)) {
        kernels->line((part->inside ? at->input : at->planes) + (part->row * pitch + part->column + offsets[0]) * size, pitch,
                      c->count[1], c->w, c->start, at->out + (part->row * at->out_step + part->column) * size, at->out_step,
                      part->last_row - part->row, part->last_column - part->column, !at->in_place);
        return;
    }
    for (phase = part->row; phase < part->row + step && phase < part->last_row; phase++)
        for (r = phase; r < part->last_row;) {
            const int64_t left = (part->last_row - r + step - 1) / step;
            int height = HEIGHTS - 1;
            while (!kernels->rows[height][0] || (int64_t)1 << height > left) height--;
            for (j = part->column; j < part->last_column;) {
                const int wide = part->last_column - j > lanes;
                const int64_t most = lanes << wide, valid = part->last_column - j < most ? part->last_column - j : most;
                const int64_t last = at->in_place ? valid - lanes * wide : lanes;
                const char *x = (part->inside ? at->input : at->planes) + (r * pitch + j) * size;
                char *y = at->out + (r * at->out_step + j) * size;
                if (c->short_rows)
                    kernels->down[c->short_rows - 1][c->count[c->short_rows] - 1][wide](x, x_step, offsets, left, c->w, c->start,
                                                                                       y, y_step, last, c->stream);
                else {
                    if (part->inside && plan->desc.kernel[2] == 1)      /* nothing else hides how long they take */
                        fetch_below(x + (plan->reach[1] + (step << height)) * pitch * size, pitch * size, step << height);
                    kernels->rows[height][wide](x, x_step, offsets, c->count, c->w, c->start, y, y_step, last);
                }
                j += valid;
            }
            r += c->short_rows ? left * step : step << height;
        }
}

static void run(const cconv_plan *plan, const band *at, columns *c, int64_t columns, int64_t taps)
{
    int i;
    for (i = 0; i < at->count; i++) run_region(plan, at, &at->regions[i], c);
    c->offsets += columns;
    c->places += columns;
    c->w += taps * (int64_t)cconv_type_size(plan->desc.compute);
    c->start = NULL;
}

/* The columns that are left of each length, and the length that is next. */
typedef struct rest {
    int64_t left[MAX_CLASS + 1];
    int length;
} rest;

/* Which columns go together: short ones by threes, if that does not make too many sums of sums, but for those of a
 * single row, which serve one output each either way; the others in blocks of at most BLOCK_TAPS taps.  Returns how many taps. */
static int64_t next_block(const cconv_plan *plan, rest *of, columns *c)
{
    int64_t taps = 0;
    memset(c->count, 0, sizeof c->count);
    c->short_rows = 0;
    for (; of->length <= MAX_SHORT && plan->taps <= BLOCK_TAPS; of->length++) {
        const int64_t left = of->left[of->length];
        if (left == 0) continue;
        c->short_rows = of->length == 1 && left > MAX_SHORT ? 0 : of->length;
        c->count[of->length] = c->short_rows == 0 || left < MAX_SHORT ? left : (int64_t)MAX_SHORT;
        of->left[of->length] -= c->count[of->length];
        return c->count[of->length] * of->length;
    }
    while (of->length <= MAX_CLASS && taps + of->length <= BLOCK_TAPS) {
        const int64_t fit = (BLOCK_TAPS - taps) / of->length, left = of->left[of->length];
        c->count[of->length] = left < fit ? left : fit;
        of->left[of->length] -= c->count[of->length];
        taps += c->count[of->length] * of->length;
        if (of->left[of->length]) break;
        of->length++;
    }
    return taps;
}

/* All columns of a block of channels for one output channel. */
static void run_columns(const cconv_plan *plan, const band *at, const table *t, const char *w, const char *start)
{
    rest of;
    columns c = {t->offset, t->place, {0}, 0, w, start, 0};
    int64_t taps;
    memcpy(of.left, t->count, sizeof of.left);
    of.length = 1;
    while ((taps = next_block(plan, &of, &c)) > 0) {
        int64_t columns = 0;
        int i;
        for (i = 1; i <= MAX_CLASS; i++) columns += c.count[i];
        c.stream = plan->stream && taps == plan->taps;        /* nothing will be added */
        run(plan, at, &c, columns, taps);
    }
}

static void note_order(const cconv_plan *plan, const column *col, void *state)
{
    cconv_order *order = (cconv_order *)state;
    int64_t k;
    for (k = 0; k < col->length; k++, order->taps++) {
        order->row[order->taps] = col->kh + k * plan->cycle[1];
        order->column[order->taps] = col->kw;
    }
}

/* Short columns go down together: by rows. */
static void across(int64_t *values, int64_t columns, int64_t rows)
{
    int64_t same[MAX_SHORT * MAX_SHORT], i;
    memcpy(same, values, (size_t)(columns * rows) * sizeof *values);
    for (i = 0; i < columns * rows; i++) values[i] = same[i % columns * rows + i / columns];
}

void cconv_rows_order(const cconv_plan *plan, cconv_order *order)
{
    rest of;
    columns c;
    int64_t *run = order->run, at = 0;
    order->taps = 0;
    of.left[0] = 0;
    for (of.length = 1; of.length <= MAX_CLASS; of.length++) of.left[of.length] = each_column(plan, 1, of.length, note_order, order);
    of.length = 1;
    for (; (*run = next_block(plan, &of, &c)) > 0; at += *run++)
        if (c.short_rows) {
            across(order->row + at, c.count[c.short_rows], c.short_rows);
            across(order->column + at, c.count[c.short_rows], c.short_rows);
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
    const region part = {row, last_row, column, last_column, inside};
    if (row < last_row && column < last_column) at->regions[at->count++] = part;
}

static void find_regions(const cconv_plan *plan, const cconv_task *task, band *at)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes;
    const int64_t depth = task->od * d->stride[0] - d->before[0], row = task->first[1] - d->before[1];
    const int64_t column = task->first[2] - d->before[2], height = task->size[1], width = task->size[2];
    int64_t rows[2] = {0, 0}, columns[2] = {0, 0};
    if (plan->read_in_place && depth >= 0 && depth + (d->kernel[0] - 1) * d->dilation[0] < d->input[0]) {
        /* A kernel may read a vector beyond the last of a row: not in the last row, where the array may end. */
        find_inside(row, height, plan->reach[1], d->input[1] - 1, at->step * (d->kernel[1] <= MAX_SHORT ? 1 : 8), rows);
        find_inside(column, width / lanes * lanes, plan->reach[2], d->input[2], lanes, columns);
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
    at->input_step = (ptrdiff_t)(d->input_stride[3] / size);
}

/* The planes of a region. */
static void load_region(const cconv_plan *plan, const cconv_task *task, const region *part, const char *channel, char *plane, int fresh)
{
    cconv_task of = *task;
    of.first[1] += part->row;
    of.size[1] = part->last_row - part->row;
    of.first[2] += part->column;
    of.size[2] = part->last_column - part->column;
    cconv_load_plane(plan, &of, channel,
                     plane + (part->row * plan->row_pitch + part->column) * (int64_t)cconv_type_size(plan->desc.compute), fresh);
}

/* 3x3, where it lies: nothing is copied. */
static int run_near(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias, char *work,
                    char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const int64_t depth = task->od * d->stride[0] - d->before[0];
    const int outside = depth < 0 || depth >= d->input[0];
    const table t = table_at(plan, work, 0);
    cconv_task part = *task;
    cconv_near at;
    int64_t o;
    memset(work + plan->planes_at, 0, (size_t)(SLACK * size));
    at.zeros = work + plan->planes_at;
    at.x_row = (ptrdiff_t)(d->input_stride[3] / size);
    at.height = outside ? 0 : d->input[1];
    at.width = d->input[2];
    at.row = task->first[1] * d->stride[1] - d->before[1];
    at.column = task->first[2] * d->stride[2] - d->before[2];
    for (; part.group < task->group + task->group_count; part.group++) {
        const char *channel = input + part.n * d->input_stride[0] + part.group * d->input_stride[1];
        at.x = outside ? channel : channel + depth * d->input_stride[2];
        for (o = 0; o < part.out_count; o++) {
            const int64_t out = part.group * plan->outputs + part.out_first + o;
            at.w = weights + out * plan->taps * size;
            if (!plan->prepacked) {
                if (!gather(plan, weights + out * d->weight_stride[0], t.weight, plan->taps, work + plan->ordered_at)) return 0;
                at.w = work + plan->ordered_at;
            }
            at.bias = bias && d->divisor == 1 ? bias + out * size : (const char *)nothing;
            at.next = (const char *)at.x + (o + 1 == part.out_count ? d->input_stride[1] : 0) + most(at.row, 0) * d->input_stride[3];
            cconv_of_type(plan)->near(&at, d->stride[1], output + cconv_output_at(plan, &part) + o * d->output_stride[1],
                                      (ptrdiff_t)(d->output_stride[3] / size), task->size[1], task->size[2]);
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
    const cconv_task task = cconv_task_at(plan, index);
    cconv_task part = task;
    int64_t c, o, i;
    int k;
    band at;
    if (plan->near) return run_near(plan, &task, input, weights, bias, work, output);
    at.planes = planes;
    at.in_place = plan->write_in_place;
    at.step = rows_apart(plan);
    at.out_step = (ptrdiff_t)(plan->write_in_place ? d->output_stride[3] / size : plan->sums_pitch);
    find_regions(plan, &task, &at);
    for (; part.group < task.group + task.group_count; part.group++) {
        for (c = 0; c < plan->channels; c += plan->channel_block) {
            const int64_t held = plan->channels - c < plan->channel_block ? plan->channels - c : plan->channel_block;
            const table t = table_at(plan, work, held < plan->channel_block);
            const char *channel = input + part.n * d->input_stride[0] + (part.group * plan->channels + c) * d->input_stride[1];
            for (i = 0; i < held; i++)
                for (k = 0; k < at.count; k++)
                    if (!at.regions[k].inside)
                        load_region(plan, &part, &at.regions[k], channel + i * d->input_stride[1], planes + i * plan->plane * size,
                                    part.group == task.group && c == 0);
            at.input = channel + at.first;
            for (o = 0; o < part.out_count; o++) {
                const int64_t out = part.group * plan->outputs + part.out_first + o;
                const char *w = weights + (out * plan->taps + c * plan->kernel) * size;
                if (!plan->prepacked) {
                    const char *from = weights + out * d->weight_stride[0] + c * d->weight_stride[1];
                    if (!gather(plan, from, t.weight, held * plan->kernel, ordered)) return 0;
                    w = ordered;
                }
                at.out = plan->write_in_place ? output + cconv_output_at(plan, &part) + o * d->output_stride[1]
                                              : work + plan->sums_at + o * plan->sums_plane * size;
                run_columns(plan, &at, &t, w, c ? NULL : bias && d->divisor == 1 ? bias + out * size : (const char *)nothing);
            }
        }
        if (!plan->write_in_place)
            cconv_store_band(plan, &part, work + plan->sums_at, plan->sums_pitch, plan->sums_plane, bias, output);
    }
    if (plan->stream) plan->kernels->drain();
    return 1;
}

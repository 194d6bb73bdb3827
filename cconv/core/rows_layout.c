/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rest of a plan by rows: the columns that a kernel is taken apart into, in which order they are added, where each lies,
 * and how the input is read.
 */
#include "rows.h"

/* From so many columns up a picture is read where it lies: below, copying it line after line is faster than what has to be done apart. */
enum { WIDE_IN_PASSES = 512, WIDE_WITH_BORDER = 192, MOST_BORDER = 1 << 15 };

typedef struct column {
    int64_t c, kd, kw, kh, length;      /* kh: of its first tap; the others follow `cycle` apart */
} column;

/* How many columns of each length `channels` channels have. */
static void count_columns(const cconv_plan *plan, int64_t channels, int64_t count[MAX_CLASS + 1])
{
    const cconv_desc *d = &plan->desc;
    const int64_t cycle = plan->cycle[1];
    int64_t phase, chunk;
    memset(count, 0, (MAX_CLASS + 1) * sizeof *count);
    for (phase = 0; phase < plan->phases[1]; phase++) {
        const int64_t taps = (d->kernel[1] - phase + cycle - 1) / cycle;
        const int64_t chunks = (taps + MAX_CLASS - 1) / MAX_CLASS;
        for (chunk = 0; chunk < chunks; chunk++)
            count[(chunk + 1) * taps / chunks - chunk * taps / chunks] += channels * d->kernel[0] * d->kernel[2];
    }
}

/* Calls visit(column) for the columns of `channels` channels that have `length` taps. */
typedef void visitor(const cconv_plan *plan, const column *col, void *state);

static void each_column(const cconv_plan *plan, int64_t channels, int64_t length, visitor *visit, void *state)
{
    const cconv_desc *d = &plan->desc;
    const int64_t cycle = plan->cycle[1];
    int64_t phase, chunk;
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
                    for (col.kw = 0; col.kw < d->kernel[2]; col.kw++) visit(plan, &col, state);
                }
            }
}

/* What is written next. */
typedef struct pen {
    ptrdiff_t *offset, *place, *weight;
} pen;

static void note_column(const cconv_plan *plan, const column *col, void *state)
{
    const cconv_desc *d = &plan->desc;
    const int64_t slice = (col->kd * plan->phases[1] + cconv_phase(plan, 1, col->kh)) * plan->phases[2] + cconv_phase(plan, 2, col->kw);
    const int64_t weight = col->c * d->weight_stride[1] + col->kd * d->weight_stride[2] + col->kw * d->weight_stride[4];
    pen *at = (pen *)state;
    int64_t k;
    *at->offset++ = (ptrdiff_t)(col->c * plan->plane
        + (slice * (plan->band[1] + plan->reach[1]) + cconv_entry(plan, 1, col->kh)) * plan->row_pitch
        + cconv_entry(plan, 2, col->kw));
    if (plan->read_in_place && at->place)
        *at->place++ = (ptrdiff_t)((col->c * d->input_stride[1] + col->kd * d->dilation[0] * d->input_stride[2]
                                    + col->kh * d->dilation[1] * d->input_stride[3]) / d->input_stride[4]
                                   + col->kw * d->dilation[2]);
    for (k = 0; k < col->length; k++)
        *at->weight++ = (ptrdiff_t)(weight + (col->kh + k * plan->cycle[1]) * d->weight_stride[3]);
}

void cconv_rows_tables(const cconv_plan *plan, char *work)
{
    int left_over;
    for (left_over = 0; left_over < 2; left_over++) {
        const int64_t count = left_over ? plan->channels % plan->channel_block : plan->channel_block;
        const table t = table_at(plan, work, left_over);
        pen at = {(ptrdiff_t *)t.offset, left_over ? NULL : (ptrdiff_t *)t.place, (ptrdiff_t *)t.weight};
        int64_t length;
        if (count == 0) return;
        count_columns(plan, count, (int64_t *)t.count);
        for (length = 1; length <= MAX_CLASS; length++)
            if (t.count[length] > 0) each_column(plan, count, length, note_column, &at);
    }
}

/* Which columns go together: short ones by threes, if that does not make too many sums of sums, but for those of a
 * single row, which serve one output each either way; the others in blocks of at most BLOCK_TAPS taps.  Returns how many taps. */
int64_t cconv_rows_block(const cconv_plan *plan, rest *of, columns *c)
{
    int64_t taps = 0;
    memset(of->count, 0, sizeof of->count);
    c->count = of->count;
    c->short_rows = 0;
    for (; of->length <= MAX_SHORT && plan->taps <= BLOCK_TAPS; of->length++) {
        const int64_t left = of->left[of->length];
        if (left == 0) continue;
        c->short_rows = of->length == 1 && left > MAX_SHORT ? 0 : of->length;
        of->count[of->length] = c->short_rows == 0 || left < MAX_SHORT ? left : (int64_t)MAX_SHORT;
        of->left[of->length] -= of->count[of->length];
        return of->count[of->length] * of->length;
    }
    while (of->length <= MAX_CLASS && taps + of->length <= BLOCK_TAPS) {
        const int64_t fit = (BLOCK_TAPS - taps) / of->length, left = of->left[of->length];
        of->count[of->length] = left < fit ? left : fit;
        of->left[of->length] -= of->count[of->length];
        taps += of->count[of->length] * of->length;
        if (of->left[of->length]) break;
        of->length++;
    }
    return taps;
}

/* Whether a picture's border is of such a size that addresses of what lies in it can be worked out, though nothing is read there. */
static int borders_are_sane(const cconv_desc *d)
{
    int a;
    for (a = 1; a < 3; a++)
        if (d->before[a] > MOST_BORDER || d->before[a] < -d->input[a]) return 0;
    return 1;
}

/* How a plan by rows reads its input and writes its results. */
static void choose_places(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *const kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = kernels->lanes;
    const int64_t width = plan->band[2], last_width = (plan->output[2] - 1) % width + 1, least_width = least(width, last_width);
    const int border = cconv_meets_border(d);
    const int each = d->stride[1] == 1 && d->stride[2] == 1, square = each && d->kernel[1] == 3 && d->kernel[2] == 3;
    const int tall = each && kernels->near_tall && plan->once && (d->kernel[1] == 5 || d->kernel[1] == 7) && width <= kernels->near_most;
    int64_t wide = border ? (int64_t)WIDE_WITH_BORDER : lanes;
    plan->to_the_end = plan->once && d->kernel[1] > 1;
    if (!plan->to_the_end) wide = WIDE_IN_PASSES;
    plan->read_in_place = plan->read_in_place && width >= wide;
    plan->input_row = d->input_stride[3] / size;
    plan->output_row = plan->write_in_place ? d->output_stride[3] / size : plan->sums_pitch;
    plan->straight = plan->read_in_place && plan->write_in_place && plan->to_the_end && !border && least_width >= lanes && plan->short_rows
                     && plan->rows_apart == 1 && plan->out_blocks == 1;
    plan->near = kernels->near && (square || tall || cconv_near_halves(plan)) && plan->write_in_place && !plan->read_in_place && d->input_type == d->compute
                 && d->input_stride[4] == size && d->input_stride[3] % size == 0 && d->interleave == 1 && plan->channels == 1
                 && cconv_zeros_outside(plan) && borders_are_sane(d) && d->kernel[0] == 1 && d->dilation[1] == 1 && d->dilation[2] == 1 && !plan->apart[1] && !plan->apart[2];
}

cconv_status cconv_rows_lay_out(cconv_plan *plan)
{
    const cconv_status status = cconv_lay_out(plan);
    int64_t values;
    columns c;
    rest of;
    if (status != CCONV_OK || plan->deep) return status;
    plan->rows_apart = plan->apart[1] ? 1 : plan->cycle[1] * plan->desc.dilation[1] / plan->desc.stride[1];
    plan->kernel_columns = plan->columns;
    if (plan->columns <= BLOCK_TAPS) {
        count_columns(plan, plan->channel_block, of.left);
        plan->kernel_columns = 0;
        for (of.length = MAX_CLASS; of.length > 0; of.length--) plan->kernel_columns += of.left[of.length];
        of.length = 1;
        plan->once = cconv_rows_block(plan, &of, &c) == plan->taps;
        plan->short_rows = c.short_rows;
    }
    choose_places(plan);
    values = 2 * plan->kernel_columns + plan->columns;
    if (plan->channels % plan->channel_block) values += plan->kernel_columns + plan->columns;
    plan->tabled = values <= (int64_t)(sizeof plan->table / sizeof *plan->table);
    if (plan->tabled) cconv_rows_tables(plan, NULL);
    return CCONV_OK;
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
    count_columns(plan, 1, of.left);
    for (of.length = 1; of.length <= MAX_CLASS; of.length++)
        if (of.left[of.length] > 0) each_column(plan, 1, of.length, note_order, order);
    of.length = 1;
    for (; (*run = cconv_rows_block(plan, &of, &c)) > 0; at += *run++)
        if (c.short_rows) {
            across(order->row + at, of.count[c.short_rows], c.short_rows);
            across(order->column + at, of.count[c.short_rows], c.short_rows);
        }
}

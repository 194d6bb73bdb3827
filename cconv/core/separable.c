/* SPDX-License-Identifier: BSD-3-Clause
 *
 * separable: one kernel over a picture that is a sum of few products of a column (KD x KH taps) and a row
 * (KW taps).  A band of the picture goes through the columns first and through the rows then: two
 * convolutions by `rows`, of one channel to `rank` and of these to one, with the sums in between in the cache.
 *
 * The products are found by elimination with the largest value as the pivot, in double.  A sum of them counts as
 * the kernel if what it leaves is below rounding at each tap.  Results stay local: nothing outside an output's
 * window is used; and at no tap may the products, without their signs, add up to more than twice the weight, so that
 * what cancels between them does not show.  A kernel of whole numbers is taken apart into whole numbers, or not at all:
 * then sums of integers stay exact.
 *
 * A band whose sums in between are not finite goes by `rows` alone, in which nothing cancels or overflows that does
 * not do so in the kernel.
 */
#include "sizes.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    MOST_TAPS = 512,                    /* of a column, of a row */
    MOST_RANK = 4,
    BETWEEN_VALUES = 1 << 16,           /* sums of a band between columns and rows */
    BAND_COLUMNS = 4096,
    MOST_REACH = 1 << 14,               /* of a row */
    MOST_STRIDE = 8
};

typedef struct products {
    int64_t column, row;                /* taps */
    int rank, whole;
    double columns[MOST_RANK][MOST_TAPS], rows[MOST_RANK][MOST_TAPS];
} products;

/* What a vector of outputs takes in multiplications, measured: by `rows`, and by way of this many products. */
static double direct_cost(double column, double row) { return 1.1 * column * row; }
static double cost_of(int rank, double column, double row) { return rank * (1.3 * column + 1.75 * row + 16); }

static double least_cost(const cconv_desc *d)
{
    const double column = (double)(d->kernel[0] * d->kernel[1]), row = (double)d->kernel[2];
    return cost_of(1, column, row) < direct_cost(column, row) ? cost_of(1, column, row) : direct_cost(column, row);
}

/* Whether the kernel's shape is such that products can serve, whatever the weights are. */
static int fits(const cconv_desc *d)
{
    return d->in_channels == 1 && d->out_channels == 1 && times(d->kernel[0], d->kernel[1]) > 1 && d->kernel[2] > 1
           && times(d->kernel[0], d->kernel[1]) <= MOST_TAPS && d->kernel[2] <= MOST_TAPS && d->stride[2] <= MOST_STRIDE
           && times(d->kernel[2] - 1, d->dilation[2]) <= MOST_REACH && d->weights != CCONV_WEIGHTS_PLAIN;
}

/* Row i of what the products found so far leave of the kernel; `given`, if not NULL, is set to the kernel's own. */
static void rest_of(const cconv_desc *d, const cconv_type_kernels *f64, const products *p, const char *weights, int64_t i, double *rest,
                    double *given)
{
    int64_t j;
    int r;
    f64->load[d->weight_type](weights + i / d->kernel[1] * d->weight_stride[2] + i % d->kernel[1] * d->weight_stride[3], 0,
                              (ptrdiff_t)d->weight_stride[4], rest, 0, 1, p->row);
    if (given) memcpy(given, rest, (size_t)p->row * sizeof *rest);
    for (r = 0; r < p->rank; r++)
        for (j = 0; j < p->row; j++) rest[j] -= p->columns[r][i] * p->rows[r][j];
}

/* Whether the products are the kernel: 1; 0: not yet; -1: what cancels between them would show, at a tap if `local`, else in
 * the whole. */
static int complete(const cconv_desc *d, const cconv_type_kernels *f64, const products *p, const char *weights, int local)
{
    const double eps = p->whole ? 0 : d->compute == CCONV_F32 ? FLT_EPSILON : DBL_EPSILON;
    double rest[MOST_TAPS], given[MOST_TAPS], all = 0, size = 0;
    int64_t i, j;
    int r, cancels = 0;
    for (i = 0; i < p->column; i++) {
        rest_of(d, f64, p, weights, i, rest, given);
        for (j = 0; j < p->row; j++) {
            const double weight = fabs(given[j]);
            double sum = 0;
            for (r = 0; r < p->rank; r++) sum += fabs(p->columns[r][i] * p->rows[r][j]);
            if (fabs(rest[j]) > 4 * eps * weight) return 0;
            cancels |= local && p->rank > 1 && sum > 2 * weight;
            all += sum;
            size += weight;
        }
    }
    if (cconv_exact(d) && p->rank > 1) return -1;       /* sums in between may be twice as large */
    return cancels || all > 2 * size ? -1 : 1;
}

static double common(double a, double b)
{
    while (b != 0) { const double r = fmod(a, b); a = b; b = r; }
    return fabs(a);
}

/* One more product: of the column and the row through a pivot.  Returns 0 where none will do. */
static int next_product(const cconv_desc *d, const cconv_type_kernels *f64, products *p, const char *weights)
{
    double rest[MOST_TAPS], row_common[MOST_TAPS], column_common[MOST_TAPS] = {0}, pivot = 0, best = 0;
    int64_t i, j, at_row = 0, at_column = 0;
    for (i = 0; i < p->column; i++) {
        rest_of(d, f64, p, weights, i, rest, NULL);
        row_common[i] = 0;
        for (j = 0; j < p->row; j++) {
            if (p->whole) {
                row_common[i] = common(row_common[i], rest[j]);
                column_common[j] = common(column_common[j], rest[j]);
            } else if (fabs(rest[j]) > best) {
                best = fabs(pivot = rest[j]), at_row = i, at_column = j;
            }
        }
    }
    for (i = 0; i < p->column && p->whole; i++) {       /* the column times the row must be divisible by the pivot */
        rest_of(d, f64, p, weights, i, rest, NULL);
        for (j = 0; j < p->row; j++)
            if (fabs(rest[j]) > best && fmod(row_common[i] * column_common[j], rest[j]) == 0)
                best = fabs(pivot = rest[j]), at_row = i, at_column = j;
    }
    if (best == 0) return 0;
    rest_of(d, f64, p, weights, at_row, p->rows[p->rank], NULL);
    for (i = 0; i < p->column; i++) {
        rest_of(d, f64, p, weights, i, rest, NULL);
        p->columns[p->rank][i] = p->whole ? rest[at_column] / column_common[at_column] : rest[at_column] / pivot;
    }
    for (j = 0; j < p->row && p->whole; j++) p->rows[p->rank][j] = p->rows[p->rank][j] * column_common[at_column] / pivot;
    p->rank++;
    return 1;
}

/* Powers of 2 that keep sums in between from overflowing and from losing bits to underflow. */
static void scale(products *p)
{
    int64_t i;
    int r, power;
    for (r = 0; r < p->rank && !p->whole; r++) {
        double column = 0, row = 0;
        for (i = 0; i < p->column; i++) column += fabs(p->columns[r][i]);
        for (i = 0; i < p->row; i++) row += fabs(p->rows[r][i]);
        power = column * row < 1 ? -ilogb(column) : ilogb(row);
        for (i = 0; i < p->column; i++) p->columns[r][i] = ldexp(p->columns[r][i], power);
        for (i = 0; i < p->row; i++) p->rows[r][i] = ldexp(p->rows[r][i], -power);
    }
}

/* Whether n factors are numbers of the type of the sums that keep all bits, or make weights, with another of at most `most`,
 * that do not keep them either. */
static int keep(const cconv_desc *d, const double *factors, int64_t n, double most)
{
    const double least = d->compute == CCONV_F32 ? FLT_MIN : DBL_MIN, largest = d->compute == CCONV_F32 ? FLT_MAX : DBL_MAX;
    int64_t i;
    for (i = 0; i < n; i++)
        if (fabs(factors[i]) > largest || (fabs(factors[i]) < least && fabs(factors[i]) * most >= least)) return 0;
    return 1;
}

static int all_keep(const cconv_desc *d, const products *p)
{
    int64_t i;
    int r;
    for (r = 0; r < p->rank; r++) {
        double column = 0, row = 0;
        for (i = 0; i < p->column; i++) column = fmax(column, fabs(p->columns[r][i]));
        for (i = 0; i < p->row; i++) row = fmax(row, fabs(p->rows[r][i]));
        if (!keep(d, p->columns[r], p->column, row) || !keep(d, p->rows[r], p->row, column)) return 0;
    }
    return 1;
}

/* The kernel as at most `most` products; 0 if it is not. */
static int factor(const cconv_desc *d, const char *weights, int most_products, products *p)
{
    const int local = d->algorithm == CCONV_AUTO || d->algorithm == CCONV_DIRECT;
    const cconv_type_kernels *f64 = cconv_choose_kernels(d->isa)->f64;
    double row[MOST_TAPS];
    int64_t i, j;
    int done = 0;
    p->column = d->kernel[0] * d->kernel[1];
    p->row = d->kernel[2];
    p->rank = 0;
    p->whole = 1;
    for (i = 0; i < p->column; i++) {
        rest_of(d, f64, p, weights, i, row, NULL);
        for (j = 0; j < p->row; j++) {
            if (!isfinite(row[j])) return 0;
            p->whole &= fabs(row[j]) <= 0x1p50 && row[j] == floor(row[j]);
        }
    }
    if (cconv_exact(d) && !p->whole) return 0;
    while (done == 0 && p->rank < most_products && next_product(d, f64, p, weights)) done = complete(d, f64, p, weights, local);
    if (done > 0) scale(p);
    return done > 0 && all_keep(d, p);
}

int cconv_is_box(const cconv_desc *d, const char *weights)
{
    const cconv_type_kernels *f64 = cconv_choose_kernels(d->isa)->f64;
    double first, value;
    int64_t i, j;
    f64->load[d->weight_type](weights, 0, 0, &first, 0, 1, 1);
    for (i = 0; i < d->kernel[1]; i++)
        for (j = 0; j < d->kernel[2]; j++) {
            f64->load[d->weight_type](weights + i * d->weight_stride[3] + j * d->weight_stride[4], 0, 0, &value, 0, 1, 1);
            if (value != first || !isfinite(value)) return 0;
        }
    return first != 0;
}

int cconv_rank(const cconv_desc *desc, const void *weights)
{
    cconv_desc any;
    cconv_plan plan;
    products p;
    int forced, most_products = MOST_RANK;
    if (!desc || !weights || (desc->algorithm >= CCONV_ROWS && desc->algorithm != CCONV_SEPARABLE && desc->algorithm != CCONV_BOX)) return 0;
    any = *desc;
    any.algorithm = CCONV_ROWS;
    any.rank = 0;
    if (!fits(desc) || cconv_plan_init(&plan, &any) != CCONV_OK) return 0;
    plan.desc.rank = CCONV_BOX_RANK;
    if (desc->algorithm != CCONV_SEPARABLE && cconv_box_serves(&plan) && cconv_is_box(desc, (const char *)weights)
        && (desc->algorithm == CCONV_BOX || cconv_box_cost(desc) < least_cost(desc)))
        return CCONV_BOX_RANK;
    if (desc->algorithm == CCONV_BOX) return 0;
    forced = desc->algorithm == CCONV_SEPARABLE;
    while (most_products > 0 && !forced
           && cost_of(most_products, (double)(desc->kernel[0] * desc->kernel[1]), (double)desc->kernel[2])
              >= direct_cost((double)(desc->kernel[0] * desc->kernel[1]), (double)desc->kernel[2]))
        most_products--;
    return most_products > 0 && factor(desc, (const char *)weights, most_products, &p) ? p.rank : 0;
}

double cconv_separable_cost(const cconv_plan *plan)
{
    const double column = (double)(plan->desc.kernel[0] * plan->desc.kernel[1]), row = (double)plan->desc.kernel[2];
    if (cconv_box_serves(plan)) return cconv_box_cost(&plan->desc);
    return cconv_separable_serves(plan) ? cost_of((int)plan->desc.rank, column, row) : direct_cost(column, row);
}

int cconv_separable_serves(const cconv_plan *plan) { return plan->desc.rank > 0 && plan->desc.rank <= MOST_RANK && fits(&plan->desc); }

/* Of the whole kernel, and of the products: where each lies among the packed weights, in values. */
static int64_t columns_at(const cconv_plan *plan) { return plan->kernel; }
static int64_t rows_at(const cconv_plan *plan) { return plan->kernel + plan->desc.rank * plan->desc.kernel[0] * plan->desc.kernel[1]; }

static void write_values(const cconv_plan *plan, char *to, int64_t at, const double *values, int64_t n)
{
    int64_t i;
    for (i = 0; i < n; i++) {
        if (plan->desc.compute == CCONV_F32) ((float *)(void *)to)[at + i] = (float)values[i];
        else ((double *)(void *)to)[at + i] = values[i];
    }
}

/* Returns 0 where the weights are not of the plan's rank. */
int cconv_separable_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    products p;
    int r;
    (void)index;
    if (!factor(d, weight, (int)d->rank, &p) || p.rank != d->rank) return 0;
    cconv_read_taps(plan, weight, 0, plan->kernel, packed);
    for (r = 0; r < p.rank; r++) {
        write_values(plan, packed, columns_at(plan) + r * p.column, p.columns[r], p.column);
        write_values(plan, packed, rows_at(plan) + r * p.row, p.rows[r], p.row);
    }
    return 1;
}

void cconv_separable_tables(const cconv_plan *plan, char *work)
{
    (void)plan;
    (void)work;
}

/* A part of a task as a convolution of its own. */
enum { COLUMNS, ROWS, WHOLE_KERNEL };

static cconv_status part_of(const cconv_plan *plan, const cconv_task *task, int which, cconv_plan *part)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), *k = plan->desc.kernel;
    const int64_t between = (task->size[2] - 1) * plan->desc.stride[2] + (k[2] - 1) * plan->desc.dilation[2] + 1;
    cconv_desc d = cconv_part_desc(plan, task);
    int a;
    if (which == COLUMNS) {
        d.kernel[2] = d.stride[2] = 1;
        d.weight_stride[3] = size;
        d.weight_stride[2] = k[1] * size;
        d.weight_stride[0] = d.weight_stride[1] = k[0] * k[1] * size;
        d.dilation[2] = d.interleave;
        d.out_channels = plan->desc.rank;
        d.output_type = d.compute;
        d.divisor = 1;
        d.low = -INFINITY;
        d.high = INFINITY;
        d.output_stride[4] = size;
        d.output_stride[3] = plan->row_pitch * size;
        d.output_stride[1] = plan->plane * size;
    } else if (which == ROWS) {
        d.in_channels = plan->desc.rank;
        d.weight_stride[1] = k[2] * size;
        d.input_type = d.compute;
        d.interleave = 1;
        d.input[0] = 1;
        d.input[1] = task->size[1];
        d.input[2] = between;
        for (a = 0; a < 3; a++) d.before[a] = d.after[a] = 0;
        d.kernel[0] = d.kernel[1] = d.stride[0] = d.stride[1] = d.dilation[0] = d.dilation[1] = 1;
        d.input_stride[4] = size;
        d.input_stride[3] = plan->row_pitch * size;
        d.input_stride[1] = plan->plane * size;
    }
    return cconv_plan_part(part, &d);
}

cconv_status cconv_separable_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), reach = times(d->kernel[2] - 1, d->dilation[2]);
    int64_t columns, rows, values, i;
    cconv_task task = {0};
    size_t most_bytes = 0;
    if (!cconv_separable_serves(plan)) return CCONV_ERROR_ALGORITHM;
    columns = up(parts(plan->output[2], parts(plan->output[2], BAND_COLUMNS)), d->interleave);
    values = up((columns - 1) * d->stride[2] + reach + 1, 16) + 16;
    rows = least(plan->output[1], most(8, BETWEEN_VALUES * (d->compute == CCONV_F32 ? 2 : 1) / (values * d->rank)));
    rows = parts(plan->output[1], parts(plan->output[1], rows));
    if (rows < plan->output[1]) rows = least(plan->output[1], up(rows, 8));
    plan->band[0] = 1;
    plan->band[1] = rows;
    plan->band[2] = columns;
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(plan->output[1], rows);
    plan->bands[2] = parts(plan->output[2], columns);
    plan->out_blocks = plan->group_block = 1;
    plan->tasks = d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2];
    plan->packs = plan->prepacked = 1;
    plan->row_pitch = values;
    plan->plane = up(rows * values + SLACK, 32) + 16;
    plan->packed_bytes = (size_t)((plan->kernel + d->rank * (d->kernel[0] * d->kernel[1] + d->kernel[2]) + SLACK) * size + 64);
    cconv_note_weights(plan);
    plan->sums_at = (size_t)up((d->rank * plan->plane + SLACK) * size, 64);
    for (i = 0; i < 12; i++) {          /* bands have two heights and two widths */
        cconv_plan part;
        cconv_status status;
        task.size[0] = 1;
        task.size[1] = i & 1 ? (plan->output[1] - 1) % rows + 1 : rows;
        task.size[2] = i & 2 ? (plan->output[2] - 1) % columns + 1 : columns;
        status = part_of(plan, &task, (int)(i / 4), &part);
        if (status != CCONV_OK) return status;
        if (part.workspace_bytes > most_bytes) most_bytes = part.workspace_bytes;
    }
    plan->workspace_bytes = plan->sums_at + most_bytes + 64;
    return CCONV_OK;
}

int cconv_separable_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                        char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    cconv_task task = cconv_task_at(plan, index);
    cconv_plan part;
    int64_t r, row;
    int finite = 1;
    input += task.n * d->input_stride[0];
    task.out_first = task.group = 0;
    output += cconv_output_at(plan, &task);
    if (part_of(plan, &task, COLUMNS, &part) != CCONV_OK
        || cconv_run(&part, 0, part.tasks, input, weights + columns_at(plan) * size, NULL, work, work + plan->sums_at) != CCONV_OK)
        return 0;
    for (r = 0; r < d->rank; r++)
        for (row = 0; row < task.size[1] && finite; row++)
            finite = kernels->within(work + (r * plan->plane + row * plan->row_pitch) * size, part.output[2], INFINITY);
    if (part_of(plan, &task, finite ? ROWS : WHOLE_KERNEL, &part) != CCONV_OK) return 0;
    return cconv_run(&part, 0, part.tasks, finite ? work : input, finite ? weights + rows_at(plan) * size : weights, bias, output,
                     work + plan->sums_at) == CCONV_OK;
}

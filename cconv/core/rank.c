/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Of how many products of a column and a row a kernel is the sum; whether all of its weights are the same.
 *
 * The products are found by elimination with the largest value as the pivot, in double.  A sum of them counts as
 * the kernel if what it leaves is below rounding at each tap.  Results stay local: nothing outside an output's
 * window is used; and at no tap may the products, without their signs, add up to more than twice the weight, so that
 * what cancels between them does not show.  A kernel of whole numbers is taken apart into whole numbers, or not at all:
 * then sums of integers stay exact.
 */
#include "rank.h"

#include <float.h>
#include <math.h>

enum { MOST_REACH = 1 << 14, MOST_STRIDE = 8 /* of a row */, BYTES_AT_ONCE = 128, CONVERTED = 6 /* what bytes to floats and back take */ };

/* What a vector of outputs takes in multiplications, measured: by `rows`, and by way of this many products. */
double cconv_direct_cost(double column, double row) { return 1.1 * column * row; }
double cconv_rank_cost(int rank, double column, double row) { return rank * (1.3 * column + 1.75 * row + 16); }

/* Whether the kernel's shape is such that products can serve, whatever the weights are. */
int cconv_fits_products(const cconv_desc *d)
{
    return d->in_channels == 1 && d->out_channels == 1 && d->kernel[0] > 0 && d->kernel[1] > 0 && times(d->kernel[0], d->kernel[1]) > 1 && d->kernel[2] > 1
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
int cconv_factor(const cconv_desc *d, const char *weights, int most_products, products *p)
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

/* Whether the weights are small whole numbers over 8 bits, and the picture not so narrow that most of the vectors, of bytes,
 * would be empty. */
static int fits_integers(const cconv_desc *desc, const char *weights)
{
    const double column = (double)desc->kernel[0] * (double)desc->kernel[1], row = (double)desc->kernel[2];
    cconv_desc any = *desc;
    cconv_plan plan;
    if (desc->input_type != CCONV_U8 || desc->in_channels != 1 || desc->out_channels != 1) return 0;
    any.algorithm = CCONV_ROWS;
    any.rank = 0;
    if (cconv_plan_init(&plan, &any) != CCONV_OK) return 0;
    if (desc->algorithm != CCONV_INTEGER
        && cconv_integer_cost(desc) * (double)up(plan.output[2], BYTES_AT_ONCE)
               > (cconv_direct_cost(column, row) + (double)CONVERTED) * (double)up(plan.output[2], MAX_VECTOR))
        return 0;
    plan.desc.rank = CCONV_INTEGER_RANK;
    return cconv_integer_serves(&plan) && cconv_is_integer(desc, weights);
}

/* How many products, or a box; 0 where these take no less than `limit`. */
static int products_below(const cconv_desc *desc, const char *weights, double limit)
{
    const double column = (double)desc->kernel[0] * (double)desc->kernel[1], row = (double)desc->kernel[2];
    const int forced = desc->algorithm == CCONV_SEPARABLE;
    int most_products = MOST_RANK;
    cconv_desc any = *desc;
    cconv_plan plan;
    products p;
    while (most_products > 0 && !forced && cconv_rank_cost(most_products, column, row) >= limit) most_products--;
    if (most_products == 0 && desc->algorithm != CCONV_BOX) return 0;       /* nor does a box pay then */
    any.algorithm = CCONV_ROWS;
    any.rank = 0;
    if (cconv_plan_init(&plan, &any) != CCONV_OK) return 0;
    plan.desc.rank = CCONV_BOX_RANK;
    if (!forced && cconv_box_serves(&plan) && cconv_is_box(desc, weights)
        && (desc->algorithm == CCONV_BOX || cconv_box_cost(desc) < cconv_rank_cost(1, column, row)))
        return CCONV_BOX_RANK;
    return desc->algorithm != CCONV_BOX && cconv_factor(desc, weights, most_products, &p) ? p.rank : 0;
}

int cconv_rank(const cconv_desc *desc, const cconv_buffer *buffer)
{
    const int any = desc && desc->algorithm < CCONV_ROWS;
    const char *weights;
    int64_t extent[2];
    int integers, products = 0;
    double limit;
    if (!desc || !buffer || desc->size != sizeof *desc || cconv_weights_extent(desc, extent) != CCONV_OK
        || !cconv_holds(buffer, extent, desc->weight_type))
        return 0;
    weights = cconv_element(buffer);
    integers = (any || desc->algorithm == CCONV_INTEGER) && fits_integers(desc, weights);
    limit = integers ? cconv_integer_cost(desc) : cconv_direct_cost((double)desc->kernel[0] * (double)desc->kernel[1], (double)desc->kernel[2]);
    if ((any || desc->algorithm == CCONV_SEPARABLE || desc->algorithm == CCONV_BOX) && cconv_fits_products(desc))
        products = products_below(desc, weights, limit);
    return products || !integers ? products : CCONV_INTEGER_RANK;
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What `taps` and `rows` take, with the products that a border of zeros leaves, and which of them is chosen, in which form.  A pure
 * function of the descriptor.
 */
#include "sizes.h"

#include <math.h>

/* What `taps` does besides multiplying, for each sum or value, in multiplications of a vector's lane; and one of these across outputs,
 * whose scalars need no loading.  Measured over 1000 random layers. */
static const double STORED_SUM = 4, TURNED_SUM = 9, TURNED_FAR = 20, TURNED_VALUE = 3.4, PANEL_LOAD = 3, STRIDED_VALUE = 40, ACROSS_OUTPUTS = 0.97;

/* What a multiplication takes of scalars that are read where they lie in so many planes that a block of them is on more pages than the first level
 * of a TLB knows (64 to 96 of 4 KB); by small tiles, which have less to do in between. */
static const double FAR_SCALARS = 1.04, FAR_SCALARS_OF_FEW = 1.12;
enum { PAGES_KNOWN = 1 << 18 };

/* And what `rows` does for each sum that it comes back to, where results, which only `taps` then writes past the caches, are far too many for these. */
static const double REREAD_SUM = 7;

/* Where fewer products than SOME, of all, are not with a border of zeros, `taps` may leave out those that are; where fewer than MANY, it may cut
 * rows of outputs for that. */
static const double SOME = 0.99, MANY = 0.75;
enum { OUTPUTS_LOADED = 128 };      /* that a value is loaded for, about */
/* One tap with a stride of 2: `taps` gathers values one by one, `rows` takes vectors of them apart, but reads them for each output.  So many outputs at most, and products
 * for each position: FEW_APART where a row of results is shorter than a vector. */
enum { OUTPUTS_APART = 6, FEW_APART = 8, SOME_APART = 48 };
enum { FEWEST_COLUMNS = 4, MOST_ROWS = 4 };        /* between the cuts; of a kernel, for whose cuts there are tables enough */

void cconv_taps_inside(const cconv_plan *plan, int a, int64_t first, int64_t last, int64_t from[2])
{
    const cconv_desc *d = &plan->desc;
    const int64_t low = d->before[a] - last * d->stride[a], high = d->input[a] + d->before[a] - first * d->stride[a], step = d->dilation[a];
    from[0] = low > 0 ? parts(low, step) : 0;
    from[1] = high > (d->kernel[a] - 1) * step ? d->kernel[a] : high > 0 ? parts(high, step) : 0;       /* division is slow */
}

/* Products along an axis that are not with a border of zeros, of all; tap by tap. */
static double inside_along(const cconv_plan *plan, int a)
{
    enum { MOST_COUNTED = 32 };
    const cconv_desc *d = &plan->desc;
    int64_t k, inside = 0;
    if (d->kernel[a] > MOST_COUNTED || (d->before[a] <= 0 && d->after[a] <= 0) || !cconv_zeros_outside(plan)) return 1;
    for (k = 0; k < d->kernel[a]; k++) {
        const int64_t low = d->before[a] - k * d->dilation[a], high = d->input[a] + low;
        const int64_t first = low > 0 ? parts(low, d->stride[a]) : 0, end = high > 0 ? least(plan->output[a], parts(high, d->stride[a])) : 0;
        inside += most(0, end - first);
    }
    return (double)inside / ((double)d->kernel[a] * (double)plan->output[a]);
}

void cconv_measure_inside(cconv_plan *plan)
{
    int a;
    for (a = 0; a < 3; a++) plan->inside[a] = inside_along(plan, a);
}

/* How `taps` uses its vectors, and what that takes for one multiplication, those of empty lanes included, with tiles of
 * up to `most` scalars; loads and stores are counted in multiplications that they take the time of. */
double cconv_choose_form(const cconv_plan *plan, int64_t lanes, int64_t most, int *best)
{
    const int64_t outputs = plan->outputs, columns = least(plan->output[2], TAPS_COLUMNS);
    const double taps = (double)plan->taps, gaps = (double)plan->reach[2] / (double)columns;
    const double tile = (double)parts(outputs, parts(outputs, most)), scalars = (double)parts(columns, parts(columns, most));
    const int64_t positions = times(columns, plan->output[1]);
    const double results = (double)outputs * (double)plan->output[0] * (double)plan->output[1] * (double)plan->output[2];     /* of a sample, as bits depend on it */
    const double ends = (double)up(positions, lanes) / (double)positions;
    const double turned = (results * (double)cconv_type_size(plan->desc.compute) >= (double)STREAMED ? TURNED_FAR : TURNED_SUM) / taps;
    const double values = (double)times(plan->desc.stride[1], plan->desc.stride[2]) / (double)times(outputs, times(plan->desc.kernel[1], plan->desc.kernel[2]));
    const int lie = plan->kernel == 1 && plan->channels > 1 && cconv_scalars_lie(plan, most), strided = lie && plan->desc.stride[2] > 1;    /* but vectors do not */
    const int64_t stride = lie ? plan->desc.input_stride[1] : 0, apart = stride < 0 ? -stride : stride;
    const int far = lie && !strided && plan->desc.input_stride[4] == (int64_t)cconv_type_size(plan->desc.compute)
                    && times(least(plan->channels, BLOCK_TAPS), apart) > PAGES_KNOWN;
    const double along = (plan->channels_last ? turned + TURNED_VALUE * values : 0) + (strided ? STRIDED_VALUE / (double)least(outputs, OUTPUTS_LOADED) : 0);
    const double columns_inside = plan->skips > 1 || (outputs > lanes && plan->desc.compute == CCONV_F32) ? plan->inside[2] : 1;
    const double left_out = plan->skips ? (1 + 2 * plan->inside[1] * columns_inside) / 3 : 1;
    double cost[4], loads;
    int form;
    cost[ALONG_ROWS] = along + (double)up(columns, lanes) / (double)columns;
    cost[ALONG_GAPS] = along + ends + gaps + (gaps > 0 ? STORED_SUM / taps : 0);
    cost[ALONG_PANEL] = gaps > 0 ? along + ends + PANEL_LOAD / (double)outputs : INFINITY;     /* without gaps, no copy without them */
    loads = (4 + tile / 2) / (2 * tile);
    for (form = ALONG_ROWS; form <= ALONG_PANEL && loads > 1; form++) cost[form] *= loads;
    if (plan->skips) cost[ALONG_ROWS] *= (1 + 2 * plan->inside[1]) / 3;
    loads = (2 + scalars / 2) / (2 * scalars);
    cost[ACROSS] = ACROSS_OUTPUTS * (double)up(outputs, lanes) / (double)outputs * (loads > 1 ? loads : 1) * left_out
                   + (plan->channels_last ? 0 : turned);
    if (far) cost[ACROSS] *= most > SMALL_TILE ? FAR_SCALARS : FAR_SCALARS_OF_FEW;
    *best = gaps > 0 ? ALONG_ROWS : ALONG_GAPS;     /* of two that take the same the one that may read where the input lies */
    for (form = ALONG_ROWS; form <= ACROSS; form++)
        if (cost[form] < cost[*best]) *best = form;
    return cost[*best];
}

/* How often `rows` goes over an output, about: short columns go down by threes, those of each phase of a stride on their own. */
static double passes_of(const cconv_plan *plan)
{
    const int64_t *k = plan->desc.kernel, phases = plan->cycle[1], columns = times(times(plan->channels, k[0]), k[2]);
    if (plan->taps > BLOCK_TAPS || k[1] > MAX_SHORT * phases) return (double)parts(plan->taps, BLOCK_TAPS);
    return (double)least(k[1], phases) * (k[1] <= phases && columns > MAX_SHORT ? 1 : (double)parts(columns, MAX_SHORT));
}

static double products_inside(const cconv_plan *plan) { return plan->inside[0] * plan->inside[1] * plan->inside[2]; }

void cconv_edges(const cconv_plan *plan, int a, int64_t edge[2])
{
    const cconv_desc *d = &plan->desc;
    const int64_t last = d->input[a] + d->before[a] - (d->kernel[a] - 1) * d->dilation[a];
    edge[0] = d->before[a] > 0 ? parts(d->before[a], d->stride[a]) : 0;
    edge[1] = last > 0 ? parts(last, d->stride[a]) : 0;
}

/* If that saves twice what the tables take, which each sort of rows and columns of outputs has. */
int cconv_leaves_out(const cconv_plan *plan)
{
    const double inside = products_inside(plan), taps = (double)plan->taps;
    const double all = taps * (double)plan->outputs * (double)plan->output[0] * (double)plan->output[1] * (double)plan->output[2] / 16;
    const double rows = plan->inside[1] < 1 ? (double)least(plan->desc.kernel[1], plan->output[1]) : 1, columns = plan->inside[2] < 1 ? 3 : 1;
    int64_t edge[2];
    if (plan->kernel == 1 || inside >= SOME || (1 - inside) * all < 2 * rows * columns * (100 + 4 * fmin(taps, 2 * BLOCK_TAPS))) return 0;
    cconv_edges(plan, 2, edge);
    return inside < MANY && plan->desc.kernel[1] <= MOST_ROWS && edge[0] >= FEWEST_COLUMNS && edge[1] - edge[0] >= FEWEST_COLUMNS
           && plan->output[2] - edge[1] >= FEWEST_COLUMNS ? 2 : 1;
}

/* What multiplications take where some are left out, for one if none were: those that no output of a call needs, or not the one at its end. */
double cconv_skipping(const cconv_plan *plan) { return cconv_leaves_out(plan) ? (2 + products_inside(plan)) / 3 : 1; }

/* Both in multiplications of a vector, measured over thousands of random layers; as if vectors were the same everywhere, since the bits
 * depend on it. */
int cconv_taps_pay(const cconv_plan *plan)
{
    const int64_t lanes = plan->desc.compute == CCONV_F32 ? 16 : 8, *input = plan->desc.input;
    const double taps = (double)plan->taps, outputs = (double)plan->outputs, width = (double)plan->output[2];
    const double vectors = outputs * (double)plan->output[0] * (double)plan->output[1] * width / (double)lanes;
    const double lines = (double)input[0] * (double)input[1], strips = (double)(plan->output[0] * parts(plan->output[2], 2 * lanes));
    const int64_t *k = plan->desc.kernel, *stride = plan->desc.stride;
    const int in_place = plan->channels == 1 && k[0] == 1 && k[1] == 3 && k[2] == 3 && stride[1] == stride[2] && stride[1] <= 2
                         && plan->desc.dilation[1] == 1 && plan->desc.dilation[2] == 1 && cconv_zeros_outside(plan);
    double rows, across, passes;
    cconv_plan other = *plan;
    int form;
    if (plan->kernel == 1 && stride[2] == 2 && plan->outputs <= OUTPUTS_APART
        && plan->channels * (plan->outputs + 1) <= (plan->output[2] < lanes ? FEW_APART : SOME_APART)) return 0;
    if (k[0] == 1 && k[1] == 1 && plan->outputs > 2) return 1;      /* there are no rows to share what is loaded */
    if (plan->kernel == 1 && plan->channels > 1 && !cconv_meets_border(&plan->desc)) return 1;      /* and the input may be read where it lies */
    cconv_lay_out_phases(&other);
    passes = passes_of(&other);
    across = vectors * (taps * cconv_skipping(plan) * cconv_choose_form(&other, lanes, MAX_TILE, &form) + 1 + 4 * ceil(taps / (double)BLOCK_TAPS)) + 400
             + 2 * (double)plan->channels * lines * (double)input[2] / (double)lanes;      /* the last: loading */
    if (in_place) {         /* which only taps must copy: near.inc.h */
        rows = vectors * (0.7 * taps * (double)up(plan->output[2], lanes) / width + 4) * (stride[1] == 2 ? 1.5 : 1) + outputs * strips * 40;
        across += 10 * lines;
    } else                  /* more loading, line by line */
        rows = vectors * (1.1 * taps * (double)up(plan->output[2], lanes) / width + (passes > 1 && vectors * 64 > 2 * STREAMED ? REREAD_SUM : 2))
               + outputs * strips * passes * 20
               + (double)plan->channels * (11 + lines * (4.8 + 1.5 * (double)input[2] / (double)lanes));
    return across < rows;
}

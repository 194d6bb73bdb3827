/* SPDX-License-Identifier: BSD-3-Clause
 *
 * integer: one kernel of small whole numbers, or of such over a power of 2, over a picture of 8 bits.  Sums are
 * made in 16 bits, which hold them (they may wrap around on the way), two taps by one instruction, and 8-bit results are
 * rounded in 16 bits: the same bits as by way of floats, with a quarter of the memory and no conversions.
 */
#include "sizes.h"

#include <math.h>

enum {
    BAND_BYTES = 1 << 16,               /* of the picture, in the cache */
    INTEGER_TAPS = 128,
    INTEGER_REACH = 1 << 12,
    MOST_SHIFT = 8,
    MARGIN = 8 * LINE                   /* read behind the last row */
};

/* What precedes the weights as bytes in the packed ones; then comes the kernel in the type of the sums. */
typedef struct header {
    cconv_rounding rounding;
    int8_t weights[2 * INTEGER_TAPS];      /* each pair twice */
} header;

static int64_t pairs_at(const cconv_plan *plan)
{
    return up((int64_t)sizeof(header), LINE) / (int64_t)cconv_type_size(plan->desc.compute);
}

static int64_t pairs_of(const cconv_plan *plan) { return parts(plan->kernel, 2); }

/* Whether 8 bits are written as they are rounded, or 16 as they are summed; else words go through the type of the sums. */
static int writes_bytes(const cconv_desc *d) { return d->output_type == CCONV_U8 && d->output_stride[4] == 1; }

static int writes_words(const cconv_desc *d, const cconv_rounding *r)
{
    return (int)d->output_type == r->words && d->output_stride[4] == 2 && d->low <= INT16_MIN && d->high >= UINT16_MAX;
}

int cconv_integer_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    int power;
    return d->rank == CCONV_INTEGER_RANK && plan->kernels->integer && d->in_channels == 1 && d->out_channels == 1 && d->kernel[0] == 1
           && plan->kernel > 1 && plan->kernel <= INTEGER_TAPS && d->input_type == CCONV_U8 && d->output_type < CCONV_U32 && d->stride[1] == 1 && d->stride[2] == 1
           && times(d->kernel[1] - 1, d->dilation[1]) <= INTEGER_REACH && times(d->kernel[2] - 1, d->dilation[2]) <= INTEGER_REACH
           && (d->border != CCONV_CONSTANT
               || (d->border_value >= 0 && d->border_value <= 255 && d->border_value == floor(d->border_value)))
           && frexp(d->divisor, &power) == 0.5 && power >= 1 && power <= MOST_SHIFT + 1 && (power == 1 || writes_bytes(d))
           && d->weights != CCONV_WEIGHTS_PLAIN;
}

/* What results are clipped to, in the type of the sums, rounded as they are. */
static uint16_t bound(const cconv_desc *d, double limit)
{
    const double clipped = fmin(fmax(limit, 0), 255);
    return (uint16_t)rint(d->compute == CCONV_F32 ? (float)clipped : clipped);
}

/* The weights as whole numbers, and how to come from their sums to results; 0 if 16 bits do not hold them. */
static int numbers(const cconv_desc *d, const char *weight, header *to)
{
    const cconv_type_kernels *f64 = cconv_choose_kernels(d->isa)->f64;
    double w[INTEGER_TAPS], more = 0, less = 0;
    int64_t i, taps = d->kernel[1] * d->kernel[2];
    cconv_rounding *const r = &to->rounding;
    for (i = 0; i < d->kernel[1]; i++)
        f64->load[d->weight_type](weight + i * d->weight_stride[3], 0, (ptrdiff_t)d->weight_stride[4], w + i * d->kernel[2], 0, 1,
                                  d->kernel[2]);
    memset(to, 0, sizeof *to);
    for (i = 0, r->shift = 0; i < taps; i++) {
        if (!(fabs(w[i]) <= INT8_MAX)) return 0;
        while (ldexp(w[i], r->shift) != floor(ldexp(w[i], r->shift)))
            if (++r->shift > MOST_SHIFT) return 0;
    }
    for (i = 0; i < taps; i++) {
        const double value = ldexp(w[i], r->shift);
        if (fabs(value) > INT8_MAX) return 0;
        to->weights[i / 2 * 4 + i % 2] = to->weights[i / 2 * 4 + 2 + i % 2] = (int8_t)value;
        if (i & 1 && fabs((double)(to->weights[i / 2 * 4] + to->weights[i / 2 * 4 + 1])) > INT16_MAX / 255) return 0;
        more += fmax(value, 0) * 255, less += fmax(-value, 0) * 255;
    }
    if (!writes_bytes(d)) {
        const int sign = less > 0 || (d->output_type == CCONV_I16 && more <= INT16_MAX);
        r->words = sign ? CCONV_I16 : CCONV_U16;
        return r->shift == 0 && more <= (sign ? INT16_MAX : UINT16_MAX) && less <= -INT16_MIN;
    }
    r->shift += ilogb(d->divisor);
    r->start = (uint16_t)up((int64_t)less, 2 << MOST_SHIFT);            /* no sum is less than 0, an even quotient stays even */
    r->low = bound(d, d->low);
    r->high = bound(d, d->high);
    return r->shift <= MOST_SHIFT && (double)up((int64_t)less, 2 << MOST_SHIFT) + more + ldexp(0.5, r->shift) <= UINT16_MAX;
}

int cconv_is_integer(const cconv_desc *d, const char *weights)
{
    header any;
    return numbers(d, weights, &any);
}

double cconv_integer_cost(const cconv_desc *d) { return 4 + 0.63 * (double)(d->kernel[1] * d->kernel[2]); }

cconv_status cconv_integer_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int64_t rows, columns, samples = d->batch * plan->output[0];
    if (!cconv_integer_serves(plan)) return CCONV_ERROR_ALGORITHM;
    columns = up(parts(plan->output[2], parts(plan->output[2], BAND_BYTES / 16)), d->interleave);
    rows = most(8, BAND_BYTES / (columns + times(d->kernel[2] - 1, d->dilation[2])) - times(d->kernel[1] - 1, d->dilation[1]));
    if (!plan->alone && samples < SHARES) rows = least(rows, most(8, parts(plan->output[1], SHARES)));
    rows = parts(plan->output[1], parts(plan->output[1], least(rows, plan->output[1])));
    cconv_lay_out_bands(plan, rows, columns);
    plan->plane_type = CCONV_U8;
    plan->row_pitch = up(columns + plan->reach[2], LINE) + LINE;
    plan->plane = (rows + plan->reach[1]) * plan->row_pitch;
    plan->packed_bytes = (size_t)((pairs_at(plan) + plan->kernel + SLACK) * size) + 64;
    plan->planes_at = (size_t)up(2 * pairs_of(plan) * (int64_t)sizeof(ptrdiff_t), 64);
    plan->sums_at = plan->planes_at + (size_t)up(plan->plane + MARGIN, 64);
    plan->turned_at = plan->sums_at + (size_t)up(2 * columns + MARGIN, 64);
    plan->workspace_bytes = plan->turned_at + (size_t)((columns + SLACK) * size) + 64;
    return cconv_part_workspace(plan);
}

void cconv_integer_tables(const cconv_plan *plan, char *work)
{
    const cconv_desc *d = &plan->desc;
    ptrdiff_t *offset = (ptrdiff_t *)(void *)work;
    int64_t kh, kw;
    for (kh = 0; kh < d->kernel[1]; kh++)
        for (kw = 0; kw < d->kernel[2]; kw++) *offset++ = (ptrdiff_t)(kh * d->dilation[1] * plan->row_pitch + kw * d->dilation[2]);
    if (plan->kernel & 1) *offset = offset[-1];         /* beside a weight of 0 */
}

int cconv_integer_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    header to;
    (void)index;
    if (!numbers(&plan->desc, weight, &to)) return 0;
    memcpy(packed, &to, sizeof to);
    cconv_read_taps(plan, weight, 0, plan->kernel, packed + pairs_at(plan) * (int64_t)cconv_type_size(plan->desc.compute));
    return 1;
}

/* A bias is added before anything else by floats, and may not be a whole number. */
int cconv_integer_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const header *of = (const header *)(const void *)weights;
    const ptrdiff_t *offset = (const ptrdiff_t *)(const void *)work;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    char *plane = work + plan->planes_at, *sums = work + plan->sums_at, *values = work + plan->turned_at;
    const int through = of->rounding.words && !writes_words(d, &of->rounding);
    cconv_task task;
    int64_t r;
    char *to;
    cconv_task_at(plan, index, &task);
    to = output + cconv_output_at(plan, &task);
    if (bias) return cconv_run_part(plan, &task, input, weights + pairs_at(plan) * size, bias, work, output);
    cconv_load_plane(plan, &task, input + task.n * d->input_stride[0], plane, 1);
    for (r = 0; r < task.size[1]; r++, to += d->output_stride[3]) {
        plan->kernels->integer((const uint8_t *)plane + r * plan->row_pitch, offset, of->weights, pairs_of(plan), task.size[2],
                               through ? sums : to, &of->rounding);
        if (!through) continue;
        kernels->load[of->rounding.words](sums, 0, 2, values, 0, 1, task.size[2]);
        kernels->store[d->output_type](values, 0, to, 0, (ptrdiff_t)d->output_stride[4], 1, task.size[2], 1, 0, d->low, d->high);
    }
    return 1;
}

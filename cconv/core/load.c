/* SPDX-License-Identifier: BSD-3-Clause
 *
 * load: a channel of the input, of any type and strides, as padded planes with unit stride in the type
 * of the sums.  The only place that knows borders.
 *
 * A stride s is undone here: tap k at output o reads the padded coordinate o*s + k*d, which is entry
 * o + (k*d)/s of phase (k*d)%s.  Taps k and k + s/gcd(s,d) share a phase.
 */
#include "impl.h"

/* Where coordinate i of the padded axis lies in 0..n-1, or -1 in a constant border. */
static int64_t source(int64_t i, int64_t n, cconv_border border)
{
    int64_t period;
    if (i >= 0 && i < n) return i;
    if (border == CCONV_CONSTANT) return -1;
    if (border == CCONV_EDGE || n == 1) return i < 0 ? 0 : n - 1;
    period = border == CCONV_WRAP ? n : border == CCONV_SYMMETRIC ? 2 * n : 2 * n - 2;
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : border == CCONV_SYMMETRIC ? 2 * n - 1 - i : period - i;
}

/* How many of `count` positions first, first + s, ... lie below `limit`. */
static int64_t below(int64_t limit, int64_t first, int64_t s, int64_t count)
{
    int64_t n = limit > first ? (limit - first + s - 1) / s : 0;
    return n < count ? n : count;
}

/* `count` entries of a phase, the first at coordinate `p` of the picture, before its border. */
static void load_row(const cconv_plan *plan, const char *row, int64_t p, int64_t count, char *out)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const ptrdiff_t size = (ptrdiff_t)cconv_type_size(d->compute), step = d->input_stride[4];
    const int64_t n = d->input[2], s = d->stride[2], pixel = d->interleave;
    const int64_t left = row ? below(0, p, s, count) : count;
    const int64_t right = row ? below(n, p, s, count) : count;
    int64_t j;
    if (d->border == CCONV_CONSTANT || !row) {
        kernels->load[CCONV_F64]((const char *)&d->border_value, 0, out, left);
        kernels->load[CCONV_F64]((const char *)&d->border_value, 0, out + right * size, count - right);
    } else {
        for (j = 0; j < count; j++) {
            int64_t q, which;
            if (j == left) j = right;
            if (j >= count) break;
            q = p + j * s;
            which = ((q % pixel) + pixel) % pixel;
            q = source((q - which) / pixel, n / pixel, d->border) * pixel + which;
            kernels->load[d->input_type](row + q * step, step, out + j * size, 1);
        }
    }
    if (right > left)
        kernels->load[d->input_type](row + (p + left * s) * step, s * step, out + left * size, right - left);
}

/* The padded coordinate of the first entry of phase q. */
static int64_t phase_start(const cconv_plan *plan, int a, int64_t q)
{
    return q * plan->desc.dilation[a] - cconv_entry(plan, a, q) * plan->desc.stride[a];
}

void cconv_load_plane(const cconv_plan *plan, const cconv_task *task, const char *channel, char *plane)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const int64_t rows = task->size[1] + plan->reach[1], columns = task->size[2] + plan->reach[2];
    const int64_t all_rows = plan->band[1] + plan->reach[1];
    int64_t kd, qh, qw, r;
    for (kd = 0; kd < plan->phases[0]; kd++) {
        const int64_t depth = source(task->od * d->stride[0] + kd * d->dilation[0] - d->before[0], d->input[0], d->border);
        for (qh = 0; qh < plan->phases[1]; qh++)
            for (qw = 0; qw < plan->phases[2]; qw++) {
                char *out = plane + ((kd * plan->phases[1] + qh) * plan->phases[2] + qw) * all_rows * plan->row_pitch * size;
                for (r = 0; r < rows; r++, out += plan->row_pitch * size) {
                    const int64_t h = (task->first[1] + r) * d->stride[1] + phase_start(plan, 1, qh) - d->before[1];
                    const int64_t w = task->first[2] * d->stride[2] + phase_start(plan, 2, qw) - d->before[2];
                    const int64_t at = source(h, d->input[1], d->border);
                    const char *row = depth < 0 || at < 0
                        ? NULL : channel + depth * d->input_stride[2] + at * d->input_stride[3];
                    load_row(plan, row, w, columns, out);
                }
            }
    }
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * load: a channel of the input, of any type and strides, as padded planes with unit stride in the type
 * of the sums, or bytes for integer.c.  The only place that knows borders.
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
    int64_t n = limit <= first ? 0 : s == 1 ? limit - first : (limit - first + s - 1) / s;
    return n < count ? n : count;
}

static void load_bytes(const char *x, ptrdiff_t x_row, ptrdiff_t x_step, void *y_, ptrdiff_t y_row, int64_t rows, int64_t n)
{
    uint8_t *y = (uint8_t *)y_;
    int64_t i;
    for (; rows > 0; rows--, x += x_row, y += y_row) {
        if (x_step == 1) memcpy(y, x, (size_t)n);
        else for (i = 0; i < n; i++) y[i] = (uint8_t)x[i * x_step];
    }
}

static cconv_load_kernel *loader(const cconv_plan *plan)
{
    return plan->plane_type == CCONV_U8 ? load_bytes : cconv_of_type(plan)->load[plan->desc.input_type];
}

/* The border's constant, n times in each row. */
static void fill(const cconv_plan *plan, char *out, int64_t rows, int64_t n)
{
    int64_t i;
    if (n == 0) return;
    if (plan->plane_type == CCONV_U8) {
        for (; rows > 0; rows--, out += plan->row_pitch) memset(out, (int)plan->desc.border_value, (size_t)n);
    } else if (plan->plane_type == CCONV_F32) {
        const float value = (float)plan->desc.border_value;
        float *y = (float *)(void *)out;
        for (; rows > 0; rows--, y += plan->row_pitch)
            for (i = 0; i < n; i++) y[i] = value;
    } else {
        double *y = (double *)(void *)out;
        for (; rows > 0; rows--, y += plan->row_pitch)
            for (i = 0; i < n; i++) y[i] = plan->desc.border_value;
    }
}

/* One row of a phase: entries left to right - 1 lie in the picture. */
typedef struct span {
    int64_t first;              /* coordinate of entry 0 in the picture, before its border */
    int64_t count, left, right;
    int64_t channels;           /* side by side in the picture, a plane each */
} span;

/* The entries of a row that lie on a border which repeats the picture. */
static void repeat(const cconv_plan *plan, const char *row, const span *at, char *out)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(plan->plane_type), pixel = d->interleave, n = d->input[2];
    int64_t j;
    for (j = 0; j < at->count; j++) {
        int64_t p, which;
        if (j == at->left) j = at->right;
        if (j >= at->count) break;
        p = at->first + j * d->stride[2];
        which = ((p % pixel) + pixel) % pixel;
        p = source((p - which) / pixel, n / pixel, d->border) * pixel + which;
        loader(plan)(row + p * d->input_stride[4], 0, 0, out + j * size, 0, 1, 1);
    }
}

/* The padded coordinate of the first entry of phase q. */
static int64_t phase_start(const cconv_plan *plan, int a, int64_t q)
{
    return q * plan->desc.dilation[a] - cconv_entry(plan, a, q) * plan->desc.stride[a];
}

/* s times a stride, where `count` entries that far apart lie in the picture; one alone takes no step,
 * and the product could overflow. */
static ptrdiff_t step_of(int64_t stride, int64_t s, int64_t count)
{
    return count > 1 ? (ptrdiff_t)(s * stride) : 0;
}

/* `count` rows of a phase that lie in the picture, `step` bytes apart. */
static void load_rows(const cconv_plan *plan, const char *row, ptrdiff_t step, int64_t count, const span *at, char *out, int fresh)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(plan->plane_type), s = d->stride[2], here = at->right - at->left;
    int64_t r, c;
    if (here > 0 && at->channels == 1 && count > 1 && step == size && step_of(d->input_stride[4], s, here) != size && d->input_stride[4] % size == 0
        && d->input_type == plan->plane_type && plan->plane_type != CCONV_U8)       /* rows side by side: a picture in Fortran's order */
        cconv_of_type(plan)->turn(row + (at->first + at->left * s) * d->input_stride[4], step_of(d->input_stride[4] / size, s, here),
                                  here, count, out + at->left * size, (ptrdiff_t)plan->row_pitch);
    else if (here > 0 && at->channels > 1)
        for (r = 0; r < count; r++)
            cconv_of_type(plan)->turn(row + r * step + (at->first + at->left * s) * d->input_stride[4],
                                      step_of(d->input_stride[4] / size, s, here), here, at->channels,
                                      out + (r * plan->row_pitch + at->left) * size, (ptrdiff_t)plan->plane);
    else if (here > 0)
        loader(plan)(row + (at->first + at->left * s) * d->input_stride[4], step, step_of(d->input_stride[4], s, at->right - at->left),
                     out + at->left * size, (ptrdiff_t)plan->row_pitch, count, at->right - at->left);
    if (d->border == CCONV_CONSTANT && !fresh) return;
    for (c = 0; c < at->channels; c++, row += size, out += plan->plane * size) {
        if (d->border == CCONV_CONSTANT) {
            fill(plan, out, count, at->left);
            fill(plan, out + at->right * size, count, at->count - at->right);
        } else if (at->left > 0 || at->right < at->count) {
            for (r = 0; r < count; r++) repeat(plan, row + r * step, at, out + r * plan->row_pitch * size);
        }
    }
}

/* One phase of one depth slice: the rows of the band, those above and below the picture included. */
static void load_slice(const cconv_plan *plan, const cconv_task *task, const char *slice, int64_t qh, const span *at,
                       char *out, int fresh)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(plan->plane_type), pitch = plan->row_pitch * size, plane = plan->plane * size, s = d->stride[1];
    const int64_t rows = task->size[1] + plan->reach[1];
    const int64_t start = task->first[1] * s + phase_start(plan, 1, qh) - d->before[1];
    const int64_t top = slice ? below(0, start, s, rows) : rows, bottom = slice ? below(d->input[1], start, s, rows) : rows;
    int64_t r, c;
    if (bottom > top)
        load_rows(plan, slice + (start + top * s) * d->input_stride[3], step_of(d->input_stride[3], s, bottom - top), bottom - top, at,
                  out + top * pitch, fresh);
    if (d->border == CCONV_CONSTANT && !fresh) return;
    for (r = 0; r < rows; r++) {
        int64_t h;
        if (r == top) r = bottom;
        if (r >= rows) break;
        h = slice ? source(start + r * s, d->input[1], d->border) : -1;
        if (h < 0)
            for (c = 0; c < at->channels; c++) fill(plan, out + r * pitch + c * plane, 1, at->count);
        else
            load_rows(plan, slice + h * d->input_stride[3], 0, 1, at, out + r * pitch, fresh);
    }
}

static void load_phases(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t channels, char *plane, int fresh)
{
    const cconv_desc *d = &plan->desc;
    const int64_t slice_bytes = (plan->band[1] + plan->reach[1]) * plan->row_pitch * (int64_t)cconv_type_size(plan->plane_type);
    int64_t kd, qh, qw;
    span at;
    at.count = task->size[2] + plan->reach[2];
    at.channels = channels;
    for (qw = 0; qw < plan->phases[2]; qw++) {
        at.first = task->first[2] * d->stride[2] + phase_start(plan, 2, qw) - d->before[2];
        at.left = below(0, at.first, d->stride[2], at.count);
        at.right = below(d->input[2], at.first, d->stride[2], at.count);
        for (kd = 0; kd < plan->phases[0]; kd++) {
            const int64_t depth = source(task->od * d->stride[0] + kd * d->dilation[0] - d->before[0], d->input[0], d->border);
            const char *slice = depth < 0 ? NULL : channel + depth * d->input_stride[2];
            for (qh = 0; qh < plan->phases[1]; qh++)
                load_slice(plan, task, slice, qh, &at,
                           plane + ((kd * plan->phases[1] + qh) * plan->phases[2] + qw) * slice_bytes,
                           fresh);
        }
    }
}

void cconv_load_plane(const cconv_plan *plan, const cconv_task *task, const char *channel, char *plane, int fresh)
{
    load_phases(plan, task, channel, 1, plane, fresh);
}

void cconv_load_planes(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t channels, char *planes, int fresh)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(plan->plane_type);
    const int side_by_side = d->input_type == plan->plane_type && plan->plane_type != CCONV_U8 && d->input_stride[1] == size && d->input_stride[4] % size == 0;
    int64_t i;
    if (side_by_side) load_phases(plan, task, channel, channels, planes, fresh);
    else for (i = 0; i < channels; i++) load_phases(plan, task, channel + i * d->input_stride[1], 1, planes + i * plan->plane * size, fresh);
}

/* `count` neighbours of a row as pixels: their channels lie side by side, or are turned to do so. */
static void load_neighbours(const cconv_plan *plan, const char *from, int64_t count, int64_t channels, char *out)
{
    const int64_t size = (int64_t)cconv_type_size(plan->plane_type), *stride = plan->desc.input_stride, pixel = plan->pixel * size;
    if (channels == plan->pixel && stride[4] == pixel && (channels == 1 || stride[1] == size))
        loader(plan)(from, 0, (ptrdiff_t)size, out, 0, 1, count * channels);
    else if (stride[1] != size)
        cconv_of_type(plan)->turn(from, (ptrdiff_t)(stride[1] / size), channels, count, out, (ptrdiff_t)plan->pixel);
    else
        loader(plan)(from, step_of(stride[4], 1, count), (ptrdiff_t)size, out, (ptrdiff_t)plan->pixel, count, channels);
}

/* `count` pixels from coordinate `first` of a row on. */
static void load_row_of_pixels(const cconv_plan *plan, const char *row, int64_t first, int64_t count, int64_t channels, char *out)
{
    const cconv_desc *d = &plan->desc;
    const int64_t pixel = plan->pixel * (int64_t)cconv_type_size(plan->plane_type);
    const int64_t left = below(0, first, 1, count), right = below(d->input[2], first, 1, count);
    int64_t j;
    if (right > left) load_neighbours(plan, row + (first + left) * d->input_stride[4], right - left, channels, out + left * pixel);
    for (j = 0; j < count; j++) {
        int64_t w;
        if (j == left) j = right;
        if (j >= count) break;
        w = source(first + j, d->input[2], d->border);
        if (w < 0) fill(plan, out + j * pixel, 1, channels);
        else load_neighbours(plan, row + w * d->input_stride[4], 1, channels, out + j * pixel);
    }
}

void cconv_load_pixels(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t channels, char *pixels)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(plan->plane_type), row_bytes = plan->row_pitch * size, slice = plan->plane * plan->pixel / d->kernel[0];      /* of taps; deep has but one */
    int64_t first[3], count[3], kd, r;
    int a;
    for (a = 1; a < 3; a++) {
        first[a] = task->first[a] * d->stride[a] - d->before[a];
        count[a] = (task->size[a] - 1) * d->stride[a] + (d->kernel[a] - 1) * d->dilation[a] + 1;
    }
    for (kd = 0; kd < d->kernel[0]; kd++) {
        const int64_t depth = source(task->od * d->stride[0] + kd * d->dilation[0] - d->before[0], d->input[0], d->border);
        for (r = 0; r < count[1]; r++) {
            const int64_t h = depth < 0 ? -1 : source(first[1] + r, d->input[1], d->border);
            char *out = pixels + (kd ? kd * slice * size : 0) + r * row_bytes;
            if (h < 0) fill(plan, out, 1, count[2] * plan->pixel);
            else load_row_of_pixels(plan, channel + depth * d->input_stride[2] + h * d->input_stride[3], first[2], count[2], channels, out);
        }
    }
}

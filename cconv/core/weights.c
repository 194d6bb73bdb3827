/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The weights of `taps` in the order of their use: for each group and tile of output channels [tap][pitch],
 * taps in the order of (channel, kd, kh, kw).
 */
#include "sizes.h"

#include <math.h>

enum { TURNED = 32 };       /* taps and output channels that are put in order at a time */

int64_t cconv_tile_count(const cconv_plan *plan, int64_t tile)
{
    return cconv_tile_first(plan, tile + 1) - cconv_tile_first(plan, tile);
}

/* How many weights of a tap lie side by side: the tile's, and up to a whole vector of them. */
int64_t cconv_tile_pitch(const cconv_plan *plan, int64_t count)
{
    const int64_t lanes = cconv_of_type(plan)->lanes;
    return plan->form == ACROSS ? (count + lanes - 1) / lanes * lanes : count;
}

/* Taps in the order of (channel, kd, kh, kw), by runs of a constant step: where the next lies, and how many follow with it. */
typedef struct walk {
    const char *channel, *weight;
    int64_t tap, left;          /* of the channel's */
    int whole;                  /* a channel is one run */
} walk;

static walk walk_from(const cconv_plan *plan, const char *weights, int64_t first)
{
    const int64_t *stride = plan->desc.weight_stride, *k = plan->desc.kernel, c = first / plan->kernel;
    const int whole = (k[1] == 1 || stride[3] == k[2] * stride[4]) && (k[0] == 1 || stride[2] == k[1] * k[2] * stride[4]);
    const walk at = {weights + c * stride[1], NULL, first - c * plan->kernel, 0, whole};
    return at;
}

/* The next run, of at most n. */
static void next_run(const cconv_plan *plan, int64_t n, walk *at)
{
    const int64_t *stride = plan->desc.weight_stride, *k = plan->desc.kernel;
    at->tap += at->left;
    if (at->tap == plan->kernel) {
        at->tap = 0;
        at->channel += stride[1];
    }
    if (at->whole) {
        at->weight = at->channel + at->tap * stride[4];
        at->left = least(n, plan->kernel - at->tap);
    } else {
        at->weight = at->channel + at->tap / (k[1] * k[2]) * stride[2] + at->tap / k[2] % k[1] * stride[3] + at->tap % k[2] * stride[4];
        at->left = least(n, k[2] - at->tap % k[2]);
    }
}

/* Taps first to first + n - 1 of an output channel's weights, side by side in the type of the sums. */
void cconv_read_taps(const cconv_plan *plan, const char *weight, int64_t first, int64_t n, char *out)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), step = d->weight_stride[4];
    cconv_load_kernel *load = cconv_of_type(plan)->load[d->weight_type];
    walk at = walk_from(plan, weight, first);
    int64_t i;
    if (plan->dense_weights) {
        load(weight + first * step, 0, (ptrdiff_t)step, out, 0, 1, n);
        return;
    }
    for (; n > 0; n -= at.left, out += at.left * size) {
        next_run(plan, n, &at);
        if (d->weight_type != d->compute) load(at.weight, 0, (ptrdiff_t)step, out, 0, 1, at.left);
        else if (size == 4) for (i = 0; i < at.left; i++) ((float *)(void *)out)[i] = *(const float *)(const void *)(at.weight + i * step);
        else for (i = 0; i < at.left; i++) ((double *)(void *)out)[i] = *(const double *)(const void *)(at.weight + i * step);
    }
}

/* What lies some channels further on, of `count` output channels: lines that they share are fetched once. */
static void fetch_channel_of(const cconv_plan *plan, const char *weight, int64_t count)
{
    enum { AHEAD = 4 };
    const int64_t to_next = plan->desc.weight_stride[0], step = to_next > 0 && to_next < LINE ? (int64_t)LINE : to_next;
    int64_t o;
    weight += AHEAD * plan->desc.weight_stride[1];
    for (o = 0; o < (step == to_next ? count : parts(count * to_next, LINE)); o++) PREFETCH(weight + o * step);
}

/* Taps of `count` output channels that lie anyhow, in the type of the sums: each tap's side by side.  Those of a run lie row by row
 * for each output, forwards or, where a kernel is turned round, backwards. */
static void order_anyhow(const cconv_plan *plan, const char *weight, int64_t first, int64_t n, int64_t count, char *out, int64_t pitch)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), to_next = plan->desc.weight_stride[0], step = plan->desc.weight_stride[4];
    const int rows = (step == size || step == -size) && to_next % size == 0;
    cconv_turn_kernel *turn = cconv_of_type(plan)->turn;
    walk at = walk_from(plan, weight, first);
    int64_t t, o;
    for (; n > 0; n -= at.left, out += at.left * pitch * size) {
        next_run(plan, n, &at);
        fetch_channel_of(plan, at.weight, count);
        if (rows && step > 0) {
            turn(at.weight, (ptrdiff_t)(to_next / size), count, at.left, out, (ptrdiff_t)pitch);
            continue;
        }
        if (rows) {
            turn(at.weight + (at.left - 1) * step, (ptrdiff_t)(to_next / size), count, at.left, out + (at.left - 1) * pitch * size, -(ptrdiff_t)pitch);
            continue;
        }
        for (t = 0; t < at.left; t++) {
            const char *from = at.weight + t * step;
            float *y = (float *)(void *)(out + t * pitch * size);
            if (size == 4) for (o = 0; o < count; o++) y[o] = *(const float *)(const void *)(from + o * to_next);
            else for (o = 0; o < count; o++) ((double *)(void *)y)[o] = *(const double *)(const void *)(from + o * to_next);
        }
    }
}

/* The weights of `count` output channels, of all from this one on, for taps first to first + n - 1, in order; returns 0 if some must be
 * finite and are not. */
int cconv_order_outputs(const cconv_plan *plan, int64_t output, int64_t count, int64_t first, int64_t n, const char *weight, char *out)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), pitch = cconv_tile_pitch(plan, count);
    const int as_they_lie = plan->dense_weights && d->weight_type == d->compute && d->weight_stride[4] == size
                            && (count == 1 || d->weight_stride[0] % size == 0);
    double rows[TURNED * TURNED];
    int64_t o, t, i;
    weight += output * d->weight_stride[0];
    if (pitch != count) memset(out, 0, (size_t)(n * pitch * size));
    if (!as_they_lie && d->weight_type == d->compute) order_anyhow(plan, weight, first, n, count, out, pitch);
    else for (t = 0; t < n; t += TURNED)
        for (o = 0; o < count; o += TURNED) {
            const int64_t taps = least(n - t, TURNED), held = least(count - o, TURNED);
            const char *from = as_they_lie ? weight + o * d->weight_stride[0] + (first + t) * size : (const char *)rows;
            const int64_t from_pitch = as_they_lie ? count == 1 ? 0 : d->weight_stride[0] / size : (int64_t)TURNED;
            for (i = 0; i < held && !as_they_lie; i++)
                cconv_read_taps(plan, weight + (o + i) * d->weight_stride[0], first + t, taps, (char *)rows + i * TURNED * size);
            kernels->turn(from, (ptrdiff_t)from_pitch, held, taps, out + (t * pitch + o) * size, (ptrdiff_t)pitch);
        }
    return !plan->must_be_finite || kernels->within(out, n * pitch, INFINITY);
}

int cconv_order_tile(const cconv_plan *plan, int64_t group, int64_t tile, int64_t first, int64_t n, const char *weight, char *out)
{
    return cconv_order_outputs(plan, group * plan->outputs + cconv_tile_first(plan, tile), cconv_tile_count(plan, tile), first, n, weight, out);
}

/* Where the weights of a tile begin, in values, among those of `taps` taps of all output channels. */
int64_t cconv_tile_place(const cconv_plan *plan, int64_t group, int64_t tile, int64_t taps)
{
    return (group * cconv_tile_pitch(plan, plan->outputs) + cconv_tile_first(plan, tile)) * taps;
}

/* The weights of a tile. */
int cconv_taps_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), group = index / plan->tiles, tile = index % plan->tiles;
    return cconv_order_tile(plan, group, tile, 0, plan->taps, weight, packed + cconv_tile_place(plan, group, tile, plan->taps) * size);
}

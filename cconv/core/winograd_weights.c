/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The weights of winograd's tiles: transformed once for many tasks, or by each for itself; and whether they may be.
 *
 * Packed are, for each tile, a byte that says whether one of its weights is too large to be transformed; U; and the weights themselves, for what
 * goes another way.
 */
#include "winograd.h"

#include <math.h>

int cconv_winograd_note(const cconv_plan *plan, const char *weights, int64_t n, char *noted)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    *noted = (char)!kernels->within(weights, n, cconv_limit(plan));
    return !*noted || !plan->must_be_finite || kernels->within(weights, n, INFINITY);
}

/* Whether a kernel after the other lies as they are packed. */
static int lie_packed(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    return plan->dense_weights && d->weight_type == d->compute && d->weight_stride[4] == size && d->weight_stride[0] == plan->taps * size;
}

int cconv_winograd_wild(const cconv_plan *plan, int64_t group, const char *weight)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    double some[BLOCK_TAPS];
    int64_t o, t;
    for (t = 0; t < plan->tiles && plan->prepacked; t++)
        if (weight[group * plan->tiles + t]) return 1;
    if (plan->prepacked) return 0;
    weight += group * plan->outputs * d->weight_stride[0];
    if (lie_packed(plan)) return !kernels->within(weight, plan->outputs * plan->taps, cconv_limit(plan));
    for (o = 0; o < plan->outputs; o++)
        for (t = 0; t < plan->taps; t += BLOCK_TAPS) {
            const int64_t n = least(BLOCK_TAPS, plan->taps - t);
            cconv_read_taps(plan, weight + o * d->weight_stride[0], t, n, (char *)some);
            if (!kernels->within(some, n, cconv_limit(plan))) return 1;
        }
    return 0;
}

void cconv_winograd_filters(const cconv_plan *plan, int64_t output, int64_t count, int64_t first, int64_t last, const char *weight, char *u,
                            int64_t step, char *same)
{
    enum { AT_ONCE = BLOCK_TAPS / KERNEL };
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), pitch = cconv_tile_pitch(plan, count);
    double ordered[AT_ONCE * KERNEL * MAX_VECTOR];      /* of two vectors of output channels */
    cconv_plan any = *plan;
    int64_t s;
    any.must_be_finite = 0;     /* which is noted elsewhere */
    for (s = first; s < last; s += AT_ONCE) {
        const int64_t n = least(AT_ONCE, last - s);
        cconv_order_outputs(&any, output, count, s * KERNEL, n * KERNEL, weight, (char *)ordered);
        kernels_of(plan)->filter(ordered, n, pitch, u + (s - first) * pitch * size, (ptrdiff_t)step);
        if (same) cconv_of_type(plan)->turn(ordered, (ptrdiff_t)pitch, n * KERNEL, count, same + s * KERNEL * size, (ptrdiff_t)plan->taps);
    }
}

int cconv_winograd_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), group = index / plan->tiles, tile = index % plan->tiles;
    const int64_t first = group * plan->outputs + cconv_tile_first(plan, tile), count = cconv_tile_count(plan, tile);
    char *u = (char *)products_of(plan, packed, group) + cconv_tile_first(plan, tile) * slices_of(plan) * size;
    char *same = (char *)weights_of(plan, packed) + first * plan->taps * size;
    int64_t o;
    cconv_winograd_filters(plan, first, count, 0, slices_of(plan), weight, u, filter_values(plan), plan->dense_weights ? NULL : same);     /* or far apart */
    weight += first * d->weight_stride[0];
    if (lie_packed(plan) && plan->kernels->send) {
        plan->kernels->send(weight, same, count * plan->taps * size);       /* past the caches, as they are seldom read */
        plan->kernels->drain();
        return cconv_winograd_note(plan, weight, count * plan->taps, packed + index);
    }
    for (o = 0; o < count && plan->dense_weights; o++)
        cconv_read_taps(plan, weight + o * d->weight_stride[0], 0, plan->taps, same + o * plan->taps * size);
    return cconv_winograd_note(plan, same, count * plan->taps, packed + index);
}

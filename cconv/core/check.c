/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the caller says, checked: sizes and types of a descriptor, the memory that its strides reach, the buffers that
 * a run is handed.  And what helps to say it.
 */
#include "sizes.h"

#include <math.h>

void cconv_desc_init(cconv_desc *desc, cconv_type type)
{
    int a;
    if (!desc) return;
    memset(desc, 0, sizeof *desc);
    desc->size = sizeof *desc;
    desc->compute = desc->input_type = desc->weight_type = desc->output_type = type;
    desc->batch = desc->in_channels = desc->out_channels = desc->groups = desc->interleave = 1;
    for (a = 0; a < 3; a++) desc->input[a] = desc->kernel[a] = desc->stride[a] = desc->dilation[a] = 1;
    desc->divisor = 1;
    desc->low = -INFINITY;
    desc->high = INFINITY;
}

int64_t cconv_output_length(int64_t n, int64_t kernel, int64_t stride, int64_t dilation, int64_t before, int64_t after)
{
    int64_t reach;
    if (n < 0 || kernel < 1 || stride < 1 || dilation < 1 || before < -LARGEST || after < -LARGEST || n > LARGEST || kernel > LARGEST
        || stride > LARGEST || dilation > LARGEST || before > LARGEST - n || after > LARGEST - n - before)
        return -1;
    reach = times(dilation, kernel - 1);
    return reach >= n + before + after ? 0 : (n + before + after - reach - 1) / stride + 1;
}

cconv_status cconv_check(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    int64_t values = 1, taps = 1;
    int a;
    if (d->compute != CCONV_F32 && d->compute != CCONV_F64) return CCONV_ERROR_TYPE;
    if ((unsigned)d->input_type >= CCONV_TYPES || (unsigned)d->weight_type >= CCONV_TYPES
        || (unsigned)d->output_type >= CCONV_TYPES)
        return CCONV_ERROR_TYPE;
    if (!cconv_of_type(plan)->store[d->output_type]) return CCONV_ERROR_TYPE;
    if ((unsigned)d->border >= CCONV_BORDERS) return CCONV_ERROR_BORDER;
    if ((unsigned)d->algorithm >= CCONV_ALGORITHMS || (unsigned)d->weights > CCONV_WEIGHTS_EITHER) return CCONV_ERROR_ALGORITHM;
    if (d->tile && d->tile != 2 && d->tile != 4 && d->tile != 6 && (d->tile < 16 || d->tile > 1024 || d->tile & (d->tile - 1)))
        return CCONV_ERROR_ALGORITHM;
    if (d->rank < 0) return CCONV_ERROR_ALGORITHM;
    if (d->batch < 0 || d->batch > LARGEST || d->in_channels < 1 || d->in_channels > LARGEST || d->out_channels < 1
        || d->out_channels > LARGEST || d->interleave < 1 || !(d->low <= d->high))
        return CCONV_ERROR_SIZE;
    if (d->groups < 1 || d->in_channels % d->groups || d->out_channels % d->groups) return CCONV_ERROR_GROUPS;
    for (a = 0; a < 3; a++) {
        const int64_t n = d->input[a], k = d->kernel[a], s = d->stride[a], dil = d->dilation[a], before = d->before[a], after = d->after[a];
        const int64_t length = cconv_output_length(n, k, s, dil, before, after);
        if (length < 0) return CCONV_ERROR_SIZE;
        if (n == 0 && (before || after) && d->border != CCONV_CONSTANT) return CCONV_ERROR_BORDER;
        if (a == 2 && d->interleave > 1
            && (s != 1 || n % d->interleave || dil % d->interleave || before % d->interleave || after % d->interleave))
            return CCONV_ERROR_SIZE;
        if (length == 0) return CCONV_ERROR_EMPTY;
        plan->output[a] = length;
        values = times(values, plan->output[a]);
        taps = times(taps, k);
    }
    values = times(times(values, d->out_channels), most(d->batch, 1));
    taps = times(times(taps, d->in_channels / d->groups), d->out_channels);
    return values > MEMORY || taps > MEMORY ? CCONV_ERROR_SIZE : CCONV_OK;
}

/* The strides of weight axes of length 1 say nothing: as if the axis were there. */
static void tidy_strides(cconv_desc *d, int64_t channels)
{
    const int64_t length[5] = {2, channels, d->kernel[0], d->kernel[1], d->kernel[2]};
    int64_t inner = (int64_t)cconv_type_size(d->weight_type);
    int a = 4;
    while (a > 0 && length[a] == 1) a--;
    if (a > 0) inner = d->weight_stride[a];
    for (a = 4; a > 0; a--) {
        if (length[a] == 1) d->weight_stride[a] = inner;
        inner = (int64_t)((uint64_t)d->weight_stride[a] * (uint64_t)length[a]);       /* of nonsense, nonsense */
    }
}

/* How many bytes of an array lie below element 0, and from it on; the strides of one that is empty must be as good. */
static cconv_status extent_of(const int64_t lengths[5], const int64_t strides[5], cconv_type type, int64_t extent[2])
{
    const int64_t size = (int64_t)cconv_type_size(type);
    int a, empty = 0;
    extent[0] = 0;
    extent[1] = size;
    for (a = 0; a < 5; a++) {
        const int64_t steps = most(lengths[a], 1) - 1, stride = strides[a];
        if (lengths[a] < 0) return CCONV_ERROR_SIZE;
        empty |= lengths[a] == 0;
        if (steps == 0) continue;
        if (stride % size || stride > 8 * MEMORY || stride < -8 * MEMORY || times(stride < 0 ? -stride : stride, steps) > 8 * MEMORY)
            return CCONV_ERROR_STRIDE;
        extent[stride > 0] += stride > 0 ? stride * steps : -stride * steps;
    }
    if (empty) extent[0] = extent[1] = 0;
    return CCONV_OK;
}

static void lengths_of(const cconv_desc *d, const int64_t output[3], int64_t lengths[3][5])
{
    int a;
    lengths[0][0] = lengths[2][0] = d->batch;
    lengths[0][1] = d->in_channels;
    lengths[1][0] = lengths[2][1] = d->out_channels;
    lengths[1][1] = d->in_channels / d->groups;
    for (a = 0; a < 3; a++) {
        lengths[0][2 + a] = d->input[a];
        lengths[1][2 + a] = d->kernel[a];
        lengths[2][2 + a] = output[a];
    }
}

cconv_status cconv_measure_arrays(cconv_plan *plan)
{
    cconv_desc *d = &plan->desc;
    int64_t lengths[3][5];
    cconv_status status;
    lengths_of(d, plan->output, lengths);
    tidy_strides(d, plan->channels);
    status = extent_of(lengths[0], d->input_stride, d->input_type, plan->input_extent);
    if (status == CCONV_OK) status = extent_of(lengths[1], d->weight_stride, d->weight_type, plan->weight_extent);
    if (status == CCONV_OK) status = extent_of(lengths[2], d->output_stride, d->output_type, plan->output_extent);
    cconv_measure_inside(plan);
    return status;
}

cconv_status cconv_weights_extent(const cconv_desc *d, int64_t extent[2])
{
    int64_t lengths[3][5];
    if (d->groups < 1 || (unsigned)d->weight_type >= CCONV_TYPES) return CCONV_ERROR_GROUPS;
    lengths_of(d, d->input, lengths);
    return extent_of(lengths[1], d->weight_stride, d->weight_type, extent);
}

static void dense(const int64_t lengths[5], cconv_type type, int64_t strides[5])
{
    int64_t step = (int64_t)cconv_type_size(type);
    int a;
    for (a = 4; a >= 0; a--) {
        strides[a] = step;
        step = times(step, lengths[a] > 0 ? lengths[a] : 1);
    }
}

cconv_status cconv_desc_dense(cconv_desc *desc)
{
    int64_t lengths[3][5];
    cconv_plan plan;
    cconv_status status;
    if (!desc || desc->size != sizeof *desc) return CCONV_ERROR_DESC;
    if (desc->compute != CCONV_F32 && desc->compute != CCONV_F64) return CCONV_ERROR_TYPE;
    memset(&plan, 0, sizeof plan);
    plan.desc = *desc;
    plan.kernels = cconv_choose_kernels("generic");
    status = cconv_check(&plan);
    if (status != CCONV_OK) return status;
    lengths_of(desc, plan.output, lengths);
    dense(lengths[0], desc->input_type, desc->input_stride);
    dense(lengths[1], desc->weight_type, desc->weight_stride);
    dense(lengths[2], desc->output_type, desc->output_stride);
    return CCONV_OK;
}

int cconv_is_plan(const cconv_plan *plan, int gradient)
{
    return plan && plan->desc.size == sizeof plan->desc && plan->kernels && plan->gradient == gradient;
}

CCONV_INLINE int has(const cconv_buffer *buffer, size_t bytes, size_t align)       /* align is a power of 2, and division slow */
{
    return buffer->data && buffer->first <= buffer->bytes && buffer->bytes - buffer->first >= bytes
           && (((uintptr_t)buffer->data + buffer->first) & (align - 1)) == 0;
}

CCONV_INLINE int holds(const cconv_buffer *buffer, const int64_t extent[2], cconv_type type)
{
    return extent[1] == 0 || (has(buffer, (size_t)extent[1], cconv_type_size(type)) && buffer->first >= (size_t)extent[0]);
}

int cconv_has(const cconv_buffer *buffer, size_t bytes) { return has(buffer, bytes, 1); }
int cconv_holds(const cconv_buffer *buffer, const int64_t extent[2], cconv_type type) { return holds(buffer, extent, type); }

cconv_status cconv_check_run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *b, int gradient)
{
    const cconv_desc *d = &plan->desc;
    size_t size;
    int held;
    if (!cconv_is_plan(plan, gradient) || first < 0 || last < first || last > plan->tasks || !b || b->size != sizeof *b) return CCONV_ERROR_ARGUMENT;
    if (first == last) return CCONV_OK;
    held = holds(&b->input, plan->input_extent, d->input_type) && holds(&b->output, plan->output_extent, d->output_type)
           && has(&b->workspace, plan->workspace_bytes, 1);
    held &= plan->prepacked ? has(&b->weights, plan->packed_bytes, 1) : holds(&b->weights, plan->weight_extent, d->weight_type);
    if (!gradient && b->shared.data) held &= has(&b->shared, plan->shared_bytes, 1);
    if (!gradient && b->bias.data) {
        size = cconv_type_size(d->compute);
        held &= has(&b->bias, (size_t)d->out_channels * size, size);
    }
    return held ? CCONV_OK : CCONV_ERROR_BUFFER;
}

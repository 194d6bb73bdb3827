/* SPDX-License-Identifier: BSD-3-Clause
 *
 * store: the sums of a band, divided, clipped, rounded and written to wherever the output lies; or turned, where they are its
 * values, clipped already (cconv_clip), and the channels of a pixel lie side by side.
 */
#include "impl.h"

void cconv_store_band(const cconv_plan *plan, const cconv_task *task, const char *sums, int64_t pitch, int64_t plane,
                      const char *bias, char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    cconv_store_kernel *store = cconv_of_type(plan)->store[d->output_type];
    int64_t o, r;
    if (plan->channels_last) {
        for (r = 0; r < task->size[1]; r++)
            cconv_of_type(plan)->turn(sums + r * pitch * size, (ptrdiff_t)plane, task->out_count, task->size[2],
                                      output + cconv_output_at(plan, task) + r * d->output_stride[3], (ptrdiff_t)(d->output_stride[4] / size));
        return;
    }
    for (o = 0; o < task->out_count; o++) {
        const int64_t channel = task->group * plan->outputs + task->out_first + o;
        char *to = output + cconv_output_at(plan, task) + o * d->output_stride[1];
        double after = 0;       /* a bias that the divisor must not touch */
        if (bias && d->divisor != 1)
            after = d->compute == CCONV_F32 ? (double)((const float *)(const void *)bias)[channel]
                                            : ((const double *)(const void *)bias)[channel];
        store(sums + o * plane * size, (ptrdiff_t)pitch, to, (ptrdiff_t)d->output_stride[3], (ptrdiff_t)d->output_stride[4],
              task->size[1], task->size[2], d->divisor, after, d->low, d->high);
    }
}

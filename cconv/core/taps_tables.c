/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where the taps of a block lie, in what `taps` reads and in the weights: tables in the workspace, which do not depend on the task.
 */
#include "taps.h"

int64_t cconv_taps_tables_bytes(const cconv_plan *plan)
{
    return (plan->columns + 3 * BLOCK_TAPS) * (int64_t)sizeof(ptrdiff_t) + (int64_t)sizeof(framed) + (int64_t)sizeof(gallery) - (VIEWS - views_of(plan)) * (int64_t)sizeof(view);
}

void cconv_tap_offsets(const cconv_plan *plan, ptrdiff_t *offset)
{
    const cconv_desc *d = &plan->desc;
    const int64_t rows = plan->band[1] + plan->reach[1];
    int64_t c, kd, kh, kw;
    for (c = 0; c < plan->channel_block; c++)
        for (kd = 0; kd < d->kernel[0]; kd++)
            for (kh = 0; kh < d->kernel[1]; kh++)
                for (kw = 0; kw < d->kernel[2]; kw++) {
                    const int64_t slice = (kd * plan->phases[1] + cconv_phase(plan, 1, kh)) * plan->phases[2]
                                          + cconv_phase(plan, 2, kw);
                    *offset++ = (ptrdiff_t)(c * plan->plane + (slice * rows + cconv_entry(plan, 1, kh)) * plan->row_pitch
                                            + cconv_entry(plan, 2, kw));
                }
}

void cconv_taps_steps(const cconv_plan *plan, int64_t step[4])
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    int a;
    for (a = 0; a < 4; a++) step[a] = plan->desc.input_stride[1 + a] / size;
    if (plan->read_in_place) return;
    step[0] = 1;
    step[1] = plan->pixel * plan->plane / plan->desc.kernel[0];
    step[2] = plan->row_pitch;
    step[3] = plan->pixel;
}

/* Where each tap of a block of channels begins, if phases are not taken apart. */
static void offsets_by_steps(const cconv_plan *plan, ptrdiff_t *offset)
{
    const cconv_desc *d = &plan->desc;
    int64_t step[4], c, kd, kh, kw;
    const int64_t slices = plan->read_in_place ? d->dilation[0] : 1;
    cconv_taps_steps(plan, step);
    for (c = 0; c < plan->channel_block; c++)
        for (kd = 0; kd < d->kernel[0]; kd++)
            for (kh = 0; kh < d->kernel[1]; kh++)
                for (kw = 0; kw < d->kernel[2]; kw++)
                    *offset++ = (ptrdiff_t)(c * step[0] + kd * slices * step[1] + kh * d->dilation[1] * step[2]
                                            + kw * d->dilation[2] * step[3]);
}

void cconv_taps_tables(const cconv_plan *plan, char *work)
{
    const cconv_desc *d = &plan->desc;
    const int64_t lanes = cconv_of_type(plan)->lanes, size = (int64_t)cconv_type_size(d->compute);
    const int64_t spaced = plan->read_in_place ? cconv_step(plan->channels, d->input_stride[1] / size, 1) : plan->sums_plane;
    const tables to = tables_of(plan, work);
    int64_t c;
    to.kept->made = 0;
    memset(to.frame, 0, sizeof *to.frame);
    if (by_steps(plan)) offsets_by_steps(plan, to.offset);
    else cconv_tap_offsets(plan, to.offset);
    for (c = 0; c < BLOCK_TAPS; c++) {
        to.spaced[c] = (ptrdiff_t)(c * spaced);
        to.weight[0][c] = (ptrdiff_t)(c * plan->tile);
        to.weight[1][c] = (ptrdiff_t)(c * (plan->form == ACROSS ? lanes : plan->tile - 1));
    }
}

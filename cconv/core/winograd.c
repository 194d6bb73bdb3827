/* SPDX-License-Identifier: BSD-3-Clause
 *
 * winograd: F(4x4, 3x3), the convolution of a 3x3 kernel with 36 instead of 144 multiplications for 4x4
 * outputs (Winograd 1980; Lavin and Gray 2016), with the interpolation points 0, +-1/sqrt2, +-sqrt2 and
 * infinity, whose error is half of that of the usual 0, +-1, +-2.
 *
 * For a band of tiles of 4x4 outputs: the 6x6 inputs of each tile and channel are transformed along both
 * axes; each of the 36 values of all channels is multiplied by its matrix of transformed weights, which the
 * register tile of `taps` does across the output channels; and the 36 sums are transformed back.
 *
 *     V[product][slice][tile]      U[filter][tile of outputs][slice][output]      M[sum][tile][output]
 *
 * Small maps go by F(2x2, 3x3), a stride of 2 by F(2, 2) of the even inputs: 25 products, 9 sums (winograd.inc.h).  A kernel of several
 * slices is one of more channels.
 *
 * A dilation takes the picture apart into phases, each of which is a picture under a dense kernel.  Bands of
 * samples, depths and phases are the units of a task: small ones share the weights that it reads.
 *
 * A value that is not finite, or so large that sums of it might not be, would spoil its whole tile, and not
 * only the outputs that see it: such a band is computed by `taps`, row after row, from the weights
 * as they are given, or once more behind U where they are packed.
 */
#include "winograd.h"

void cconv_winograd_tables(const cconv_plan *plan, char *work)
{
    const int64_t lanes = cconv_of_type(plan)->lanes;
    winograd_tables *t = (winograd_tables *)(void *)work;
    int64_t c;
    for (c = 0; c < BLOCK_TAPS; c++) {
        t->v[c] = (ptrdiff_t)(c * plan->v_pitch);
        t->u[0][c] = (ptrdiff_t)(c * lanes);
        t->u[1][c] = (ptrdiff_t)(c * 2 * lanes);
    }
    t->held = 0;
    t->shared = NULL;
    t->from = work + plan->v_at;
}

void cconv_winograd_take(const char *shared, char *work) { ((winograd_tables *)(void *)work)->shared = shared; }

/* A band of a phase of a sample: a unit. */
typedef struct tile_band {
    cconv_plan plan;                    /* with the descriptor of the phase */
    cconv_task task;                    /* the outputs */
    int64_t rows, columns, first;       /* tiles; the first is the first-th of the task's */
    const char *input;                  /* of the first channel */
    char *output;                       /* of the first sample, channel and position of the phase */
} tile_band;

/* Returns 0 where there is none: some phases are smaller than others.  Their order is that of diagonals, so that phases side by side, which make up
 * a task, are as large as the next. */
static int find_band(const cconv_plan *plan, const cconv_task *task, int64_t unit, const char *input, char *output, tile_band *b)
{
    const cconv_desc *d = &plan->desc;
    const int64_t high = phases_of(plan, 1), wide = phases_of(plan, 2), bands_of[3] = {1, plan->bands[1] / high, plan->bands[2] / wide};
    const int64_t band_at[3] = {0, unit / bands_of[2] % bands_of[1], unit % bands_of[2]};
    int64_t phase[3] = {0, 0, 0};
    int a;
    b->plan = *plan;
    b->task = *task;
    b->input = input;
    b->output = output;
    unit /= bands_of[1] * bands_of[2];
    phase[1] = unit % high;
    phase[2] = (unit / high + phase[1]) % wide;
    unit /= high * wide;
    for (a = 2; a > 0; a--) {
        const int64_t bands = bands_of[a], band = band_at[a], start = start_of(plan, a, phase[a]);
        const int64_t outputs = parts(plan->output[a] - phase[a], d->dilation[a]);
        int64_t last = (band + 1) * plan->band[a];
        b->task.first[a] = band * plan->band[a];
        if (a == 1) {       /* rows of tiles as evenly as can be, for several workers; columns are cut where run_locally expects it */
            const int64_t tiles = parts(outputs, plan->edge);
            b->task.first[a] = parts(band * tiles, bands) * plan->edge;
            last = parts((band + 1) * tiles, bands) * plan->edge;
        }
        b->task.size[a] = least(last, outputs) - b->task.first[a];
        if (b->task.size[a] <= 0) return 0;
        if (start < d->input[a]) b->input += start * d->input_stride[2 + a];
        b->output += phase[a] * d->output_stride[2 + a];
    }
    b->task.od = unit % plan->output[0];
    b->task.n = unit / plan->output[0];
    b->input += b->task.n * d->input_stride[0] + task->group * plan->channels * d->input_stride[1];
    b->plan.desc = cconv_winograd_phase(plan, phase);
    b->rows = parts(b->task.size[1], plan->edge);
    b->columns = parts(b->task.size[2], plan->edge);
    return 1;
}

/* What its results see, as outputs of a 3x3 kernel without a stride.  What else a tile has is 0: what no result sees must not decide their bits. */
static cconv_task seen_by(const tile_band *b)
{
    cconv_task seen = b->task;
    int a;
    for (a = 1; a < 3; a++) {
        seen.first[a] *= b->plan.desc.stride[a];
        seen.size[a] = (b->task.size[a] - 1) * b->plan.desc.stride[a] + 1;
    }
    return seen;
}

/* A slice of the band that will be transformed next, fetched into the cache where its rows lie whole. */
static void fetch_slice(const tile_band *b, const cconv_task *seen, int64_t channel, int64_t depth)
{
    const cconv_desc *d = &b->plan.desc;
    const int64_t first = seen->first[1] - d->before[1], top = most(0, first);
    const int64_t bottom = least(d->input[1], first + seen->size[1] + 2);
    const int64_t bytes = d->input[2] * (int64_t)cconv_type_size(d->input_type);
    const char *row;
    int64_t r, at;
    if (channel >= b->plan.channels || depth < 0 || depth >= d->input[0] || top >= bottom || seen->size[2] + 2 * d->stride[2] < d->input[2]
        || d->input_stride[4] != (int64_t)cconv_type_size(d->input_type))
        return;
    row = b->input + channel * d->input_stride[1] + depth * d->input_stride[2] + top * d->input_stride[3];
    for (r = top; r < bottom; r++, row += d->input_stride[3])
        for (at = 0; at < bytes; at += LINE) PREFETCH(row + at);
}

/* V of channels first to last - 1, which v is of the first of; returns 0 where values are not finite or too large. */
static int transform_input(const tile_band *b, int64_t first, int64_t last, char *work, char *v)
{
    const cconv_plan *plan = &b->plan;
    const cconv_winograd_kernels *kernels = kernels_of(plan);
    const winograd_form *form = form_of(plan);
    const cconv_task seen = seen_by(b);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), step = form->step;
    char *plane = work + plan->planes_at, *dealt = work + plan->panel_at, *half = work + plan->ordered_at;
    double sums[MAX_VECTOR + LINE / sizeof(double)] = {0};
    char *spoilt = cconv_aligned(sums);
    cconv_plan dense = *plan;
    const int64_t together = planes_at_once(plan);
    int64_t k, c, i, r;
    dense.desc.stride[1] = dense.desc.stride[2] = 1;
    memset(plane, 0, (size_t)((together * plan->plane + 2 * SLACK) * size));       /* beyond the rows' ends too */
    for (k = 0; k < plan->desc.kernel[0]; k++) {
        const int64_t depth = seen.od * plan->desc.stride[0] + k * plan->desc.dilation[0] - plan->desc.before[0];
        dense.desc.before[0] = plan->desc.before[0] - k * plan->desc.dilation[0];
        for (c = first; c < last; c++) {
            i = c % together;
            if (i == 0)
                cconv_load_planes(&dense, &seen, b->input + c * plan->desc.input_stride[1], least(together, plan->channels - c), plane, c == first);
            fetch_slice(b, &seen, c + 1, depth);
            for (r = 0; r < (b->rows - 1) * step + form->seen; r++)
                kernels->deal(plane + (i * plan->plane + r * plan->row_pitch) * size, dealt + (r % step * form->dealt * plan->dealt_plane + r / step * b->columns) * size,
                              (ptrdiff_t)plan->dealt_plane, b->columns, cconv_beyond(plan), spoilt);
            kernels->forward(dealt, (ptrdiff_t)plan->dealt_plane, (ptrdiff_t)b->columns, half,
                             v + (((c - first) * plan->desc.kernel[0] + k) * plan->v_pitch + b->first) * size, (ptrdiff_t)plan->v_plane, b->rows * b->columns);
        }
    }
    return cconv_of_type(plan)->within(spoilt, cconv_of_type(plan)->lanes, 1);
}

/* M transformed back, to the output or to where store takes it from: some channels of a row of tiles at a time, so that
 * the output is written in long lines. */
static void transform_output(const tile_band *b, char *to, int64_t to_plane, int64_t to_row, int64_t to_step, char *work)
{
    enum { LINES = 4 };     /* written at a time */
    const cconv_plan *plan = &b->plan;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), pitch = plan->done_pitch, edge = plan->edge, line = b->columns * edge * pitch;
    char *done = work + plan->planes_at;
    const int pixels = to_plane == 1;        /* channels side by side: written as they are */
    int64_t row, t, o, i, r;
    for (row = 0; row < b->rows; row++)
        for (o = 0; o < b->task.out_count; o += pitch) {
            const int64_t n = least(pitch, b->task.out_count - o), rows = least(edge, b->task.size[1] - row * edge);
            for (t = 0; t < b->columns; t++)
                kernels_of(plan)->inverse(work + plan->sums_at + ((b->first + row * b->columns + t) * plan->sums_pitch + o) * size,
                                 (ptrdiff_t)plan->m_plane, work + plan->bias_at + o * size, cconv_clip(plan), work + plan->ordered_at,
                                 done + t * edge * pitch * size, (ptrdiff_t)line, (ptrdiff_t)pitch, n);
            for (r = 0; r < rows && pixels; r++)
                for (i = 0; i < b->task.size[2]; i++)
                    memcpy(to + (o + (row * edge + r) * to_row + i * to_step) * size, done + (r * line + i * pitch) * size, (size_t)(n * size));
            for (i = 0; i < n && !pixels; i += LINES)
                for (r = 0; r < rows; r++)
                    kernels->turn(done + (r * line + i) * size, (ptrdiff_t)pitch, b->task.size[2], least(LINES, n - i),
                                  to + ((o + i) * to_plane + (row * edge + r) * to_row) * size, (ptrdiff_t)to_plane);
        }
}

int cconv_winograd_locally(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias,
                           char *work, char *output)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    int64_t r, tile;
    for (r = 0; r < task->size[1]; r++)
        for (tile = task->tile_first; tile < task->tile_last; tile++) {
            const int64_t first[3] = {task->od, task->first[1] + r, task->first[2]};
            const channel_range outputs = outputs_in(plan, task, tile);
            const int64_t channel = task->group * plan->outputs + outputs.from;
            cconv_task row = *task;
            cconv_plan local;
            row.first[1] += r;
            row.out_first = outputs.from;
            if (cconv_winograd_local(plan, &plan->desc, first, row.size[2], outputs.upto - outputs.from, &local) != CCONV_OK
                || local.workspace_bytes > plan->workspace_bytes
                || cconv_run_tasks(&local, 0, local.tasks, input, weights + channel * (plan->prepacked ? plan->taps * size : plan->desc.weight_stride[0]), bias ? bias + channel * size : NULL,
                                   output + cconv_output_at(plan, &row), work) != CCONV_OK)
                return 0;
        }
    return 1;
}

/* The units that were not transformed; they need the workspace for themselves. */
static int run_spoilt(const cconv_plan *plan, const cconv_task *task, int64_t first, int64_t units, const char *input,
                      const char *weights, const char *bias, char *work, char *output)
{
    const winograd_tables held = *(const winograd_tables *)(const void *)work;
    int64_t i;
    tile_band b;
    for (i = 0; i < units; i++)
        if (held.spoilt >> i & 1 && find_band(plan, task, first + i, input, output, &b) && !cconv_winograd_locally(&b.plan, &b.task, b.input, weights, bias, work, b.output))
            return 0;
    cconv_winograd_tables(plan, work);
    cconv_winograd_take(held.shared, work);
    if (held.tiles == 0) *(winograd_tables *)(void *)work = held;       /* no V, which was written over */
    return 1;
}

/* The output of a unit. */
static void finish(tile_band *b, const char *bias, char *work)
{
    const cconv_plan *plan = &b->plan;
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), *stride = plan->desc.output_stride;
    if (plan->turn_in_place) {
        transform_output(b, b->output + cconv_output_at(plan, &b->task), stride[1] / size, stride[3] / size, stride[4] / size, work);
        return;
    }
    transform_output(b, work + plan->turned_at, plan->sums_plane, plan->band[2], 1, work);
    cconv_store_band(plan, &b->task, work + plan->turned_at, plan->band[2], plan->sums_plane, bias, b->output);
}

/* The units of those tasks that differ in their output channels alone. */
typedef struct unit_range {
    int64_t index, group, first, count;
} unit_range;

static unit_range units_of(const cconv_plan *plan, int64_t index)
{
    const int64_t all = plan->desc.batch * plan->bands[0] * plan->bands[1] * plan->bands[2], blocks = parts(all, plan->units);
    unit_range r;
    r.index = index;
    r.group = index / blocks;
    r.first = index % blocks * (all / blocks) + least(index % blocks, all % blocks);
    r.count = all / blocks + (index % blocks < all % blocks);
    return r;
}

/* What one thread makes here all will read.  A write to a line that another core has read waits for that core to give it up: 3.6 MB took two cores 0.4 ms,
 * or 1.2 where they have a last cache each.  Made in the thread's own workspace and sent past the caches it takes 0.4 in either case. */
void cconv_winograd_prepare(const cconv_plan *plan, int64_t index, const char *input, char *work, char *shared, char *output)
{
    const unit_range units = units_of(plan, index / plan->channel_blocks);
    const int64_t block = index % plan->channel_blocks, first = block * plan->prepared, count = least(plan->prepared, plan->channels - first);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), each = plan->desc.kernel[0] * plan->v_pitch * size;
    char *header = shared + units.index * (v_header(plan) + v_bytes(plan)), *spoilt = header + block * plan->units;
    const struct cconv_kernels *kernels = plan->kernels;
    char *v = header + v_header(plan) + first * each, *made = kernels->send ? work + plan->v_at : v;
    int64_t i, tiles = 0;
    cconv_task task = cconv_no_task();
    tile_band b;
    task.group = units.group;
    for (i = 0; i < units.count; i++) {
        if (!find_band(plan, &task, units.first + i, input, output, &b)) continue;
        b.first = tiles;
        tiles += b.rows * b.columns;
        spoilt[i] = (char)!transform_input(&b, first, first + count, work, made);
    }
    if (!kernels->send) return;
    for (i = 0; i < square(form_of(plan)->seen); i++) kernels->send(made + i * plan->v_plane * size, v + i * plan->v_plane * size, count * each);
    kernels->drain();
}

/* V of some units: shared, or there from the block of output channels before, or made. */
static void find_input(const cconv_plan *plan, const unit_range *units, const char *input, const char *weights, char *work, char *output)
{
    winograd_tables *t = (winograd_tables *)(void *)work;
    const char *shared = t->shared ? t->shared + units->index * (v_header(plan) + v_bytes(plan)) : NULL;
    int64_t i, k;
    int wild, sound = 0;
    cconv_task task = cconv_no_task();
    tile_band b;
    if (t->held == units->index + 1) return;
    wild = !plan->prepacked && cconv_winograd_wild(plan, units->group, weights);
    for (i = 0; i < plan->tiles && plan->prepacked; i++) wild |= weights[units->group * plan->tiles + i];
    task.group = units->group;
    t->held = units->index + 1;
    t->tiles = 0;
    t->spoilt = 0;
    t->from = shared ? shared + v_header(plan) : work + plan->v_at;
    t->cold = shared != NULL;
    for (i = 0; i < units->count; i++) {
        int spoilt = wild;
        if (!find_band(plan, &task, units->first + i, input, output, &b)) continue;
        b.first = t->tiles;
        t->tiles += b.rows * b.columns;
        for (k = 0; k < plan->channel_blocks && shared; k++) spoilt |= shared[k * plan->units + i];
        if (!spoilt && !shared) spoilt = !transform_input(&b, 0, plan->channels, work, work + plan->v_at);
        t->spoilt |= (uint64_t)spoilt << i;
        sound |= !spoilt;
    }
    if (!sound) t->tiles = 0;       /* nothing to multiply */
}

int cconv_winograd_run(const cconv_plan *plan, int64_t index, int64_t count, const char *input, const char *weights, const char *bias,
                       char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const unit_range units = units_of(plan, index / plan->out_blocks);
    winograd_tables *t = (winograd_tables *)(void *)work;
    int64_t i, tiles = 0;
    cconv_task task = cconv_no_task();
    tile_band b;
    task.group = units.group;
    cconv_blocks_of(plan, index % plan->out_blocks, count, &task);
    find_input(plan, &units, input, weights, work, output);
    if (t->tiles > 0) cconv_winograd_multiply(plan, &task, weights, work);
    t->cold = 0;
    memset(work + plan->bias_at, 0, (size_t)((plan->sums_pitch + SLACK) * size));       /* whole vectors of it */
    if (bias && d->divisor == 1)
        memcpy(work + plan->bias_at, bias + (task.group * plan->outputs + task.out_first) * size, (size_t)(task.out_count * size));
    for (i = 0; i < units.count; i++) {
        if (!find_band(plan, &task, units.first + i, input, output, &b)) continue;
        b.first = tiles;
        tiles += b.rows * b.columns;
        if (!(t->spoilt >> i & 1)) finish(&b, bias, work);
    }
    return t->spoilt == 0 || run_spoilt(plan, &task, units.first, units.count, input, plan->prepacked ? weights_of(plan, weights) : weights, bias, work, output);
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * upright: Winograd's algorithm along the height alone, for kernels that winograd.c does not serve, and for few channels, where its
 * transforms would take more than they save.  With the same points, six products make m outputs below each other of r taps, m + r = 7:
 * 3 rows of a kernel cost 6 multiplications instead of 12 for 4 outputs, 5 rows 6 instead of 10 for 2.  A stride takes the rows apart into
 * phases, whose products are added up: 7 rows with a stride of 2 are phases of 4 and 3, and cost 12 instead of 21 for 3 outputs.
 *
 *     V[6][row of tiles][plane][column]      U[tile of outputs][6][term][output]      S[6][...]
 *
 * Each of six sums over terms (channel, phase, column of the kernel) is a convolution by `taps` along rows of V, vectors along them or, where
 * rows are short or the channels of the output lie side by side, across these; S is transformed back while it is in the cache.
 *
 * What is not finite, or too large, goes by `taps`, as in winograd.c.
 */
#include "winograd.h"

#include <math.h>

enum {
    UPRIGHT_BAND = 1 << 16,             /* values of V */
    UPRIGHT_VALUES = 1 << 19,           /* of one row of tiles */
    UPRIGHT_COLUMNS = 512,
    UPRIGHT_VECTORS = 2,                /* of S */
    UPRIGHT_SHARING = 1 << 21           /* multiplications that are worth more tasks */
};

static const double no_sums[MAX_VECTOR * 2] = {0};

/* Taps of the longest phase; rows of outputs of a tile. */
static int64_t phase_taps(const cconv_desc *d) { return parts(d->kernel[1], d->stride[1]); }
static int64_t tile_height(const cconv_desc *d) { return UPRIGHT + 1 - phase_taps(d); }

/* Planes of a channel; terms of a sum; values of U of a group. */
static int64_t planes_of(const cconv_plan *plan) { return plan->phases[0] * plan->phases[1] * plan->phases[2]; }
static int64_t terms_of(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return slices_of(plan) * least(d->kernel[1], d->stride[1]) * d->kernel[2];
}

static int64_t upright_values(const cconv_plan *plan) { return UPRIGHT * terms_of(plan) * cconv_tile_pitch(plan, plan->outputs); }

int cconv_upright_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return phase_taps(d) >= 2 && phase_taps(d) <= 5 && times(d->kernel[1], d->kernel[2]) <= BLOCK_TAPS && d->dilation[1] == 1 && d->dilation[2] == 1
           && (d->tile == 0 || d->tile == UPRIGHT)
           && times(UPRIGHT * slices_of(plan), least(d->kernel[1], d->stride[1]) * least(d->kernel[2], d->stride[2])
                                               * (least(plan->output[2], UPRIGHT_COLUMNS) + d->kernel[2])) <= UPRIGHT_VALUES;
}

/* What a row of tiles takes, in multiplications: those of its vectors, what each call and the transform back take, and turning. */
static double of_vectors(double terms) { return 6 * (terms + 3 + terms / 40) + 24; }

static double row_along(const cconv_plan *plan, int64_t lanes)
{
    return (double)plan->outputs * (double)parts(plan->output[2], lanes) * of_vectors((double)terms_of(plan));
}

static double row_across(const cconv_plan *plan, int64_t lanes)
{
    const double turned = 4 * (double)tile_height(&plan->desc);
    return (double)plan->output[2] * (double)parts(plan->outputs, lanes) * (of_vectors((double)terms_of(plan)) + turned);
}

/* Rows of tiles of a band: their V stays near. */
static int64_t rows_of_tiles(const cconv_plan *plan, int64_t v_pitch)
{
    return least(parts(plan->output[1], tile_height(&plan->desc)), most(1, UPRIGHT_BAND / (UPRIGHT * v_pitch)));
}

/* Measured, as the costs of tiles: what loading and transforming a vector of the input takes, and a term's weight of an output. */
double cconv_upright_cost(const cconv_plan *plan, int64_t lanes)
{
    const double load = 24, pack = 143;
    const cconv_desc *d = &plan->desc;
    const int64_t planes = slices_of(plan) * least(d->kernel[1], d->stride[1]), width = least(plan->output[2], UPRIGHT_COLUMNS);
    const int64_t v_pitch = planes * least(d->kernel[2], d->stride[2]) * (width + d->kernel[2] + 16);
    const double rows = (double)parts(plan->output[1], tile_height(d)), along = row_along(plan, lanes), across = row_across(plan, lanes);
    const double loaded = (double)planes * ((double)plan->output[2] * (double)d->stride[2] / (double)lanes + 1) * load;
    const double weights = (double)terms_of(plan) * (double)plan->outputs;
    const double bytes = 6 * weights * (double)cconv_type_size(d->compute) * ceil(rows / (double)rows_of_tiles(plan, v_pitch));
    return cconv_with_weights(0.9 * rows * ((along < across ? along : across) + loaded), bytes / 2)
           + cconv_with_packing(plan, pack, weights, 6 * weights + (double)plan->taps * (double)plan->outputs);
}

cconv_status cconv_upright_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes, height = tile_height(d);
    const int64_t tiles = parts(plan->output[1], height);
    const int lies = cconv_output_holds_sums(plan), pixels = lies && plan->outputs > 1 && d->output_stride[1] == size;
    int64_t at, bands, samples, values;
    size_t local;
    cconv_status status;
    plan->edge = UPRIGHT;
    plan->upright = 1;
    plan->form = pixels || row_across(plan, lanes) < row_along(plan, lanes) ? ACROSS : ALONG_ROWS;
    plan->write_in_place = lies && (pixels || d->output_stride[4] == size);
    plan->turn_in_place = plan->form == ACROSS && !pixels;
    plan->prepacked = 1;
    plan->channel_block = plan->channels;
    plan->group_block = plan->out_blocks = 1;
    cconv_lay_out_tiles(plan);
    plan->out_block = plan->tiles * plan->tile;
    cconv_lay_out_phases(plan);
    plan->apart[1] = 0;
    plan->cycle[1] = d->stride[1];
    plan->phases[1] = least(d->kernel[1], d->stride[1]);
    plan->reach[1] = phase_taps(d) - 1;

    plan->band[0] = 1;
    plan->band[2] = parts(plan->output[2], parts(plan->output[2], UPRIGHT_COLUMNS));
    plan->row_pitch = up(plan->band[2] + plan->reach[2], 16) + 16;
    plan->v_pitch = plan->channels * planes_of(plan) * plan->row_pitch;
    bands = parts(tiles, rows_of_tiles(plan, plan->v_pitch));
    samples = times(times(d->batch, d->groups), times(plan->output[0], parts(plan->output[2], plan->band[2])));
    if (!plan->alone && times(times(plan->taps, plan->outputs), times(plan->output[1], plan->output[2])) >= UPRIGHT_SHARING && samples < SHARES) {
        while (samples * bands < SHARES && bands < tiles) bands++;
        if (samples * bands % 2 && samples * bands < 2 * SHARES && bands < tiles) bands++;
    }
    plan->band[1] = height * parts(tiles, bands);
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(plan->output[1], plan->band[1]);
    plan->bands[2] = parts(plan->output[2], plan->band[2]);
    plan->tasks = d->batch * d->groups * plan->bands[0] * plan->bands[1] * plan->bands[2];
    plan->packs = d->groups * plan->tiles;
    plan->header = up(plan->packs, 64);     /* a byte for each tile */
    cconv_note_weights(plan);
    plan->stream = plan->write_in_place && !plan->turn_in_place && plan->kernels->drain && cconv_is_large(plan);

    plan->plane = planes_of(plan) * (plan->band[1] + plan->reach[1]) * plan->row_pitch;
    plan->v_plane = up(plan->band[1] / height * plan->v_pitch, 32) + 16;
    plan->sums_pitch = UPRIGHT_VECTORS * lanes;
    plan->m_plane = MAX_TILE * plan->sums_pitch;
    plan->sums_plane = plan->band[1] * plan->band[2];
    values = d->groups * upright_values(plan) + SLACK + d->out_channels * plan->taps;
    plan->packed_bytes = (size_t)(plan->header + values * size) + 64;

    at = up((BLOCK_TAPS * 2 + terms_of(plan)) * (int64_t)sizeof(ptrdiff_t), 64);
    plan->planes_at = (size_t)at;
    at += up((planes_at_once(plan) * plan->plane + plan->row_pitch + 2 * SLACK) * size, 64);
    plan->v_at = (size_t)at;
    at += up((UPRIGHT * plan->v_plane + SLACK) * size, 64);
    plan->bias_at = (size_t)at;
    at += up((plan->out_block + SLACK) * size, 64);
    plan->sums_at = (size_t)at;
    at += up((UPRIGHT * plan->m_plane + SLACK) * size, 64);
    plan->panel_at = (size_t)at;            /* results that are to be turned */
    if (plan->turn_in_place) at += up((height * plan->band[2] * plan->sums_pitch + SLACK) * size, 64);
    plan->turned_at = (size_t)at;
    if (!plan->write_in_place) at += up((plan->out_block * plan->sums_plane + SLACK) * size, 64);
    status = cconv_winograd_local_workspace(plan, &local);
    plan->workspace_bytes = (size_t)most(at + 64, (int64_t)local);
    return status;
}

/* Where terms lie in U, of a tile of either size, and in V. */
void cconv_upright_tables(const cconv_plan *plan, char *work)
{
    const cconv_desc *d = &plan->desc;
    const int64_t lanes = cconv_of_type(plan)->lanes, planes = planes_of(plan);
    ptrdiff_t *at = (ptrdiff_t *)(void *)work;
    int64_t c, p, kw;
    for (c = 0; c < BLOCK_TAPS; c++) {
        at[c] = (ptrdiff_t)(c * plan->tile);
        at[BLOCK_TAPS + c] = (ptrdiff_t)(c * (plan->form == ACROSS ? lanes : plan->tile - 1));
    }
    at += 2 * BLOCK_TAPS;
    for (c = 0; c < plan->channels; c++)
        for (p = 0; p < planes; p += plan->phases[2])
            for (kw = 0; kw < d->kernel[2]; kw++)
                *at++ = (ptrdiff_t)((c * planes + p + cconv_phase(plan, 2, kw)) * plan->row_pitch + cconv_entry(plan, 2, kw));
}

/* As winograd's. */
int cconv_upright_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), group = index / plan->tiles, tile = index % plan->tiles;
    const int64_t first = cconv_tile_first(plan, tile), count = cconv_tile_count(plan, tile), pitch = cconv_tile_pitch(plan, count);
    const int64_t taps = d->kernel[1] * d->kernel[2], terms = terms_of(plan), each = terms / slices_of(plan);
    char *u = packed + plan->header + (group * upright_values(plan) + UPRIGHT * terms * first) * size;
    char *same = packed + plan->header + (d->groups * upright_values(plan) + (group * plan->outputs + first) * plan->taps) * size;
    double ordered[BLOCK_TAPS * MAX_VECTOR];            /* of two vectors of output channels */
    cconv_plan any = *plan;
    int64_t s, o;
    any.must_be_finite = 0;
    for (s = 0; s < slices_of(plan); s++) {
        cconv_order_tile(&any, group, tile, s * taps, taps, weight, (char *)ordered);
        kernels->upright.raise(ordered, d->kernel[1], d->stride[1], phase_taps(d), d->kernel[2] * pitch, u + s * each * pitch * size, (ptrdiff_t)(terms * pitch));
    }
    for (o = 0; o < count; o++)
        cconv_read_taps(plan, weight + (group * plan->outputs + first + o) * d->weight_stride[0], 0, plan->taps, same + o * plan->taps * size);
    return cconv_winograd_note(plan, same, count * plan->taps, packed + index);
}

/* Zeros behind the planes stand for rows that no result of a tile sees: of a phase of fewer taps than the longest the last of each tile, and
 * what is beyond the picture's last results.  They must not decide the bits of others. */
static void lift_plane(const cconv_plan *plan, const cconv_task *task, int64_t phase, char *plane, const char *zeros, char *v, double *spoilt)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), height = tile_height(d), row = plan->row_pitch * size;
    const int fewer = phase + plan->reach[1] * d->stride[1] >= d->kernel[1];
    int64_t t;
    if (fewer) memset(plane + (task->size[1] + plan->reach[1] - 1) * row, 0, (size_t)row);
    for (t = 0; t * height < task->size[1]; t++, plane += height * row, v += plan->v_pitch * size)
        cconv_of_type(plan)->upright.lift(plane, (ptrdiff_t)plan->row_pitch, fewer ? zeros : plane + (UPRIGHT - 1) * row, v, (ptrdiff_t)plan->v_plane,
                                          task->size[2] + plan->reach[2], t ? UPRIGHT - fewer - height : 0, cconv_beyond(plan), spoilt);
}

/* V; returns 0 where values are not finite or too large. */
static int lift_input(const cconv_plan *plan, const cconv_task *task, const char *input, char *work)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), planes = planes_of(plan), together = planes_at_once(plan);
    const int64_t slice = (plan->band[1] + plan->reach[1]) * plan->row_pitch;
    char *loaded = work + plan->planes_at, *v = work + plan->v_at, *zeros = loaded + together * plan->plane * size;
    double spoilt[MAX_VECTOR] = {0};
    int64_t c, p;
    memset(loaded, 0, (size_t)((together * plan->plane + plan->row_pitch + 2 * SLACK) * size));      /* beyond the rows' ends too */
    for (c = 0; c < plan->channels; c++) {
        if (c % together == 0)
            cconv_load_planes(plan, task, input + c * plan->desc.input_stride[1], least(together, plan->channels - c), loaded, c == 0);
        for (p = 0; p < planes; p++)
            lift_plane(plan, task, p / plan->phases[2] % plan->phases[1], loaded + (c % together * plan->plane + p * slice) * size, zeros,
                       v + (c * planes + p) * plan->row_pitch * size, spoilt);
    }
    return kernels->within(spoilt, kernels->lanes, 1);
}

/* A tile of outputs: S of some columns of a row of tiles, and from it the results. */
static void multiply_columns(const cconv_plan *plan, int64_t count, int64_t pitch, const char *u, const char *v, int64_t columns, char *work)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), terms = terms_of(plan);
    const int across = plan->form == ACROSS, wide = (across ? pitch : columns) > kernels->lanes;
    const ptrdiff_t *u_at = (const ptrdiff_t *)(const void *)work + (pitch == plan->tile ? 0 : BLOCK_TAPS);
    const ptrdiff_t *v_at = (const ptrdiff_t *)(const void *)work + 2 * BLOCK_TAPS;
    int64_t product, first;
    for (product = 0; product < UPRIGHT; product++, v += plan->v_plane * size)
        for (first = 0; first < terms; first += BLOCK_TAPS) {
            const int64_t n = least(BLOCK_TAPS, terms - first);
            const char *weights = u + (product * terms + first) * pitch * size, *next = weights + n * pitch * size;
            char *s = work + plan->sums_at + product * plan->m_plane * size;
            const char *before = first ? s : (const char *)no_sums;
            const ptrdiff_t before_pitch = first ? (ptrdiff_t)plan->sums_pitch : 0;
            kernels->taps[across ? columns : count][wide](across ? weights : v, across ? u_at : v_at + first, across ? v : weights, across ? v_at + first : u_at, 1,
                                                          n, NULL, before, before_pitch, s, (ptrdiff_t)plan->sums_pitch, kernels->lanes, 0, next, 0);
        }
}

static void multiply_tiles(const cconv_plan *plan, const cconv_task *task, const char *u, char *to, int64_t to_plane, int64_t to_row, int64_t to_step, char *work)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), terms = terms_of(plan), height = tile_height(&plan->desc);
    const int across = plan->form == ACROSS, turn = plan->turn_in_place;
    const int64_t line = task->size[2] * plan->sums_pitch, pieces = parts(task->size[2], across ? kernels->tile : UPRIGHT_VECTORS * kernels->lanes);
    char *done = work + plan->panel_at;
    int64_t tile, t, piece, r;
    for (tile = 0; tile < plan->tiles; tile++) {
        const int64_t first = cconv_tile_first(plan, tile), count = cconv_tile_count(plan, tile), pitch = cconv_tile_pitch(plan, count);
        for (t = 0; t * height < task->size[1]; t++) {
            const int64_t rows = least(height, task->size[1] - t * height);
            char *y = to + (first * to_plane + t * height * to_row) * size;
            for (piece = 0; piece < pieces; piece++) {
                const int64_t from = across ? piece * task->size[2] / pieces : piece * UPRIGHT_VECTORS * kernels->lanes;
                const int64_t columns = across ? (piece + 1) * task->size[2] / pieces - from : least(UPRIGHT_VECTORS * kernels->lanes, task->size[2] - from);
                multiply_columns(plan, count, pitch, u + UPRIGHT * terms * first * size, work + plan->v_at + (t * plan->v_pitch + from) * size, columns, work);
                kernels->upright.settle[height - 2](work + plan->sums_at, (ptrdiff_t)plan->m_plane, (ptrdiff_t)plan->sums_pitch,
                                                    work + plan->bias_at + first * size, !across,
                                                    turn ? done + from * plan->sums_pitch * size : y + from * to_step * size,
                                                    (ptrdiff_t)(turn ? line : to_row), (ptrdiff_t)(turn ? plan->sums_pitch : across ? to_step : to_plane),
                                                    rows, across ? columns : count, across ? count : columns, plan->stream);
            }
            for (r = 0; r < rows && turn; r++)
                kernels->turn(done + r * line * size, (ptrdiff_t)plan->sums_pitch, task->size[2], count, y + r * to_row * size, (ptrdiff_t)to_plane);
        }
    }
    if (plan->stream) plan->kernels->drain();
}

int cconv_upright_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                      char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), origin[3] = {0, 0, 0}, *stride = d->output_stride;
    const char *values = weights + plan->header;
    int64_t i;
    int wild = 0;
    cconv_task task = cconv_no_task();
    cconv_task_at(plan, index, &task);
    input += task.n * d->input_stride[0] + task.group * plan->channels * d->input_stride[1];
    for (i = 0; i < plan->tiles; i++) wild |= weights[task.group * plan->tiles + i];
    if (wild || !lift_input(plan, &task, input, work)) {
        cconv_plan alone = *plan;
        int done;
        alone.desc = cconv_winograd_phase(plan, origin);
        done = cconv_winograd_locally(&alone, &task, input, values + d->groups * upright_values(plan) * size, bias, work, output);
        cconv_upright_tables(plan, work);
        return done;
    }
    memset(work + plan->bias_at, 0, (size_t)((plan->out_block + SLACK) * size));
    if (bias && d->divisor == 1)
        memcpy(work + plan->bias_at, bias + task.group * plan->outputs * size, (size_t)(plan->outputs * size));
    values += task.group * upright_values(plan) * size;
    if (plan->write_in_place)
        multiply_tiles(plan, &task, values, output + cconv_output_at(plan, &task), stride[1] / size, stride[3] / size, stride[4] / size, work);
    else {
        multiply_tiles(plan, &task, values, work + plan->turned_at, plan->sums_plane, plan->band[2], 1, work);
        cconv_store_band(plan, &task, work + plan->turned_at, plan->band[2], plan->sums_plane, bias, output);
    }
    return 1;
}

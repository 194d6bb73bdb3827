/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where upright serves, what it takes, and how its work is laid out.
 */
#include "upright.h"

#include <math.h>

enum {
    UPRIGHT_BAND = 1 << 16,             /* values of V */
    UPRIGHT_VALUES = 1 << 19,           /* of one line of tiles */
    UPRIGHT_COLUMNS = 512,
    UPRIGHT_OUTPUTS = 64,               /* of a task that others can join: each makes V for itself */
    UPRIGHT_SHARING = 1 << 21           /* multiplications that are worth more tasks */
};

/* Columns of a line of V for each output column, and what comes to them. */
static int64_t columns_of(const cconv_plan *plan, int64_t columns)
{
    return axis_of(&plan->desc) == 1 ? columns + plan->desc.kernel[2] : tiles_along(&plan->desc, columns);
}

/* Lines of V, as far as the descriptor says: those of a plan that is not laid out. */
static int64_t lines_of(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return times(slices_of(plan), phase_count(d) * blocks_of(d) * (axis_of(d) == 1 ? least(d->kernel[2], d->stride[2]) : 1));
}

int cconv_upright_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return phase_taps(d) >= 2 && phase_taps(d) <= UPRIGHT_TAPS && times(d->kernel[1], d->kernel[2]) <= BLOCK_TAPS
           && d->dilation[axis_of(d)] == 1 && (axis_of(d) == 2 || d->dilation[2] == 1) && (d->tile == 0 || d->tile == UPRIGHT)
           && times(UPRIGHT * lines_of(plan), columns_of(plan, least(plan->output[2], UPRIGHT_COLUMNS))) <= UPRIGHT_VALUES;
}

/* Lines of tiles of a band of such columns: their V stays near. */
static int64_t lines_of_band(const cconv_plan *plan, int64_t columns)
{
    const cconv_desc *d = &plan->desc;
    return least(axis_of(d) == 1 ? parts(plan->output[1], tile_size(d)) : plan->output[1],
                 most(1, UPRIGHT_BAND / (UPRIGHT * lines_of(plan) * (columns_of(plan, columns) + 16))));
}

/* Columns of a band: of tiles along the width so many that one line of them stays near, but whole vectors. */
static int64_t columns_of_band(const cconv_plan *plan, int64_t lanes)
{
    const cconv_desc *d = &plan->desc;
    const int64_t tile = tile_size(d), step = UPRIGHT_VECTORS * lanes;
    const int64_t near = least(UPRIGHT_COLUMNS, most(1, 3 * UPRIGHT_BAND / 2 / (UPRIGHT * lines_of(plan)) / step) * step);
    if (axis_of(d) == 1) return parts(plan->output[2], parts(plan->output[2], UPRIGHT_COLUMNS));
    return least(plan->output[2], tile * up(parts(tiles_along(d, plan->output[2]), parts(tiles_along(d, plan->output[2]), near)), step));
}

/* What a vector of outputs of a line of tiles takes, in multiplications: its sums, what each call and the transform back take, and turning. */
static double of_vector(const cconv_desc *d, double terms, int turned)
{
    return 6 * (terms + 3 + terms / 40) + 24 + (double)(turned ? tile_size(d) * (axis_of(d) == 2 && tile_size(d) < 4 ? 20 : 4) : 0);
}

/* What a line of them takes: vectors along it; or across the outputs, whose weights come from a cache for each call. */
static double line_along(const cconv_plan *plan, int64_t lanes)
{
    const cconv_desc *d = &plan->desc;
    const int64_t columns = axis_of(d) == 1 ? plan->output[2] : tiles_along(d, plan->output[2]);
    return (double)plan->outputs * (double)parts(columns, lanes) * of_vector(d, (double)terms_of(plan), axis_of(d) == 2);
}

static double line_across(const cconv_plan *plan, int64_t lanes)
{
    const cconv_desc *d = &plan->desc;
    const int64_t columns = axis_of(d) == 1 ? plan->output[2] : tiles_along(d, plan->output[2]);
    const double terms = (double)terms_of(plan), scalars = (double)parts(columns, parts(columns, MAX_TILE));
    const double loads = (6 * terms * (double)plan->outputs > 1 << 17 ? 5 : 2) / scalars;
    return (double)columns * (double)parts(plan->outputs, lanes) * (of_vector(d, terms, 1) + (loads > 1 ? 6 * terms * (loads - 1) : 0));
}

/* Measured over 500 layers, as the costs of tiles: what a call takes; loading a row, and vectors of it if taken apart or dealt out; lifting a line of
 * V, and a vector of it; a term's weight of an output. */
double cconv_upright_cost(const cconv_plan *plan, int64_t lanes)
{
    const double load = 79, apart = 10, deal = 20, lift = 80, lift_vector = 30, pack = blocks_of(&plan->desc) > 1 ? 180 : 120;
    const cconv_desc *d = &plan->desc;
    const int upright = axis_of(d) == 1;
    const double lines = (double)(upright ? parts(plan->output[1], tile_size(d)) : plan->output[1]);
    const double along = line_along(plan, lanes), across = line_across(plan, lanes), width = (double)plan->output[2];
    const double planes = (double)times(slices_of(plan), phase_count(d) * (upright ? least(d->kernel[2], d->stride[2]) : 1));
    const double loaded = load + ((d->stride[2] > 1 ? apart : 0) + (upright ? 0 : deal)) * width / (double)lanes;
    const int64_t seen = upright ? plan->output[2] + d->kernel[2] / d->stride[2] : tiles_along(d, plan->output[2]);
    const double lifted = (double)blocks_of(d) * (lift + lift_vector * (double)parts(seen, lanes));
    const double weights = (double)terms_of(plan) * (double)plan->outputs, kernels = (double)slices_of(plan) * (double)plan->outputs;
    const int64_t columns = columns_of_band(plan, lanes);
    const double uses = ceil(lines / (double)lines_of_band(plan, columns)) * (double)parts(plan->output[2], columns);
    const double bytes = 6 * weights * (double)cconv_type_size(d->compute) * uses;
    return cconv_with_weights(0.9 * lines * ((along < across ? along : across) + planes * (loaded + lifted)) + (upright ? 0 : 5000), bytes / 2)
           + cconv_with_packing(plan, pack, weights + 0.6 * kernels);
}

/* Bands, enough of them for some workers, and an even number while there are few. */
static void upright_bands(cconv_plan *plan, int64_t lanes)
{
    const cconv_desc *d = &plan->desc;
    const int64_t tile = tile_size(d), step = tile * UPRIGHT_VECTORS * lanes, width = plan->output[2];
    const int64_t lines = axis_of(d) == 1 ? parts(plan->output[1], tile) : plan->output[1];
    const int64_t work = times(times(plan->taps, plan->outputs), times(plan->output[1], width));
    const int shared = !plan->alone && work >= UPRIGHT_SHARING;
    int64_t bands, samples, columns = columns_of_band(plan, lanes);
    bands = parts(lines, lines_of_band(plan, columns));
    samples = times(times(d->batch, d->groups), plan->output[0]);
    while (axis_of(d) == 2 && shared && columns > step && times(samples, times(bands, parts(width, columns))) < SHARES) columns = up(parts(columns, 2), step);
    samples = times(samples, parts(width, columns));
    if (shared && samples > 0 && samples < shares_of(work)) {
        while (samples * bands < shares_of(work) && bands < lines) bands++;
        if (samples * bands % 2 && samples * bands < 2 * SHARES && bands < lines) bands++;
    }
    plan->band[0] = 1;
    plan->band[1] = parts(lines, bands) * (axis_of(d) == 1 ? tile : 1);
    plan->band[2] = columns;
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(plan->output[1], plan->band[1]);
    plan->bands[2] = parts(width, columns);
    plan->tasks = d->batch * d->groups * plan->bands[0] * plan->bands[1] * plan->bands[2];
    cconv_cut_blocks(plan, least(plan->tiles, plan->outputs / UPRIGHT_OUTPUTS));
}

cconv_status cconv_upright_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int axis = axis_of(d);
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes, tile = tile_size(d);
    const int lies = cconv_output_holds_sums(plan), pixels = lies && plan->outputs > 1 && d->output_stride[1] == size;
    int64_t at, values, lines, done;
    size_t local;
    cconv_status status;
    plan->edge = UPRIGHT;
    plan->upright = 1;
    plan->wide = tile;
    plan->columns = UPRIGHT * terms_of(plan) / slices_of(plan);     /* multiplications of a tile */
    plan->form = pixels || line_across(plan, lanes) < line_along(plan, lanes) ? ACROSS : ALONG_ROWS;
    plan->write_in_place = lies && (pixels || d->output_stride[4] == size);
    plan->turn_in_place = !pixels && (plan->form == ACROSS || axis == 2);
    plan->prepacked = 1;
    plan->channel_block = plan->channels;
    plan->group_block = plan->out_blocks = 1;
    cconv_lay_out_tiles(plan);
    plan->out_block = plan->tiles * plan->tile;
    cconv_lay_out_phases(plan);
    plan->apart[axis] = 0;
    plan->cycle[axis] = d->stride[axis];
    plan->phases[axis] = phase_count(d);
    plan->reach[axis] = blocks_of(d) * block_taps(d) - 1;
    upright_bands(plan, lanes);
    plan->packs = d->groups * plan->tiles;
    plan->header = up(plan->packs, 64);     /* a byte for each tile */
    cconv_note_weights(plan);
    plan->stream = plan->write_in_place && !plan->turn_in_place && plan->kernels->drain && cconv_is_large(plan);

    plan->row_pitch = up(plan->band[2] + plan->reach[2] + tile, 16) + 16;
    plan->plane = plan->phases[0] * plan->phases[1] * plan->phases[2] * (plan->band[1] + plan->reach[1]) * plan->row_pitch;
    plan->dealt_plane = axis == 1 ? plan->row_pitch : up(tiles_seen(d, plan->band[2]), 16) + 16;      /* a line of V; along the width of what it is made of, too */
    plan->v_pitch = plan->channels * lines_of_channel(plan) * plan->dealt_plane;
    lines = axis == 1 ? plan->band[1] / tile : plan->band[1];
    plan->v_plane = odd_lines(lines * plan->v_pitch);
    plan->sums_pitch = UPRIGHT_VECTORS * lanes;
    plan->m_plane = MAX_TILE * plan->sums_pitch;
    plan->sums_plane = plan->band[1] * plan->band[2];
    values = d->groups * upright_values(plan) + SLACK + d->out_channels * plan->taps;
    plan->packed_bytes = (size_t)(plan->header + values * size) + 64;

    at = up((BLOCK_TAPS * 2 + terms_of(plan)) * (int64_t)sizeof(ptrdiff_t), 64);
    plan->planes_at = (size_t)at;
    at += up((planes_at_once(plan) * plan->plane + plan->row_pitch + 2 * SLACK) * size, 64);
    plan->ordered_at = (size_t)at;          /* a row dealt out to tiles */
    if (axis == 2) at += up((dealt_rows(d) * plan->dealt_plane + SLACK) * size, 64);
    plan->v_at = (size_t)at;
    at += up((UPRIGHT * plan->v_plane + SLACK) * size, 64);
    plan->bias_at = (size_t)at;
    at += up((plan->out_block + SLACK) * size, 64);
    plan->sums_at = (size_t)at;
    at += up((UPRIGHT * plan->m_plane + SLACK) * size, 64);
    plan->panel_at = (size_t)at;            /* results that are to be turned */
    done = plan->form == ACROSS ? tile * (axis == 1 ? plan->band[2] : tiles_along(d, plan->band[2])) : tile * MAX_TILE;
    if (plan->turn_in_place) at += up((done * plan->sums_pitch + SLACK) * size, 64);
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
    const int upright = axis_of(d) == 1;
    const int64_t lanes = cconv_of_type(plan)->lanes, planes = plan->phases[0] * plan->phases[1] * plan->phases[2], blocks = blocks_of(d);
    ptrdiff_t *at = (ptrdiff_t *)(void *)work;
    int64_t c, p, b, k;
    for (c = 0; c < BLOCK_TAPS; c++) {
        at[c] = (ptrdiff_t)(c * plan->tile);
        at[BLOCK_TAPS + c] = (ptrdiff_t)(c * (plan->form == ACROSS ? lanes : plan->tile - 1));
    }
    at += 2 * BLOCK_TAPS;
    for (c = 0; c < plan->channels; c++)
        for (p = 0; p < planes; p += upright ? plan->phases[2] : 1)
            for (b = 0; b < blocks; b++)
                for (k = 0; k < across_taps(d); k++) {
                    const int64_t plane = c * planes + p + (upright ? cconv_phase(plan, 2, k) : 0);
                    *at++ = (ptrdiff_t)((plane * blocks + b) * plan->dealt_plane + (upright ? cconv_entry(plan, 2, k) : 0));
                }
}

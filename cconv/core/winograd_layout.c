/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where winograd serves, where it pays, and how its work is laid out.
 */
#include "winograd.h"

#include <math.h>

enum {
    ENOUGH_TILES = 56,                  /* of a band: V and M stay near */
    SHARED_TILES = 112,                 /* of a task of several units, for the weights to be used often */
    LEAST_BYTES = 1 << 21,              /* that V and M may have, in any case; as many as the weights; and no more */
    MOST_BYTES = 1 << 23,               /* and of every V, if threads share them */
    FILTER_BYTES = 1 << 21,             /* of the weights that a task transforms for itself */
    LEAST_PREPARED = 8,                 /* channels at once: a band of each unit is found anew */
    MOST_UNITS = 64,                    /* of a task */
    OUTPUTS_OF_TASK = 32,               /* M stays in the second cache, and there are tasks for threads */
    DONE_BYTES = 1 << 16,               /* of outputs that wait to be turned */
    MOST_SLICES = 1 << 20,
    MOST_CHANNELS = 1 << 20,
    LEAST_CHANNELS = 16,                /* input and output, where CCONV_AUTO may choose it; upright, of any input channels */
    LEAST_FAST = 4,                     /* output, where CCONV_FAST may */
};

/* Weights of more bytes come from memory while they are packed, all of them from twice as many on; what each then takes more, in multiplications of
 * a lane.  And what ordering one takes for `taps`. */
static const double FAR_WEIGHTS = 2.2e6, FAR_WEIGHT = 50, ORDERED_WEIGHT = 16;

cconv_desc cconv_winograd_phase(const cconv_plan *plan, const int64_t phase[3])
{
    cconv_desc d = plan->desc;
    int a;
    d.batch = d.groups = 1;
    d.in_channels = plan->channels;
    d.out_channels = plan->outputs;
    for (a = 1; a < 3; a++) {
        const int64_t step = d.dilation[a], start = start_of(plan, a, phase[a]);
        d.before[a] = (start - phase[a] + d.before[a]) / step;
        d.input[a] = d.input[a] > start ? parts(d.input[a] - start, step) : 0;
        d.after[a] = (parts(plan->output[a] - phase[a], step) - 1) * d.stride[a] + d.kernel[a] - d.before[a] - d.input[a];
        /* One alone takes no step; of nonsense the product may be nonsense, but must not overflow. */
        if (d.input[a] > 1) d.input_stride[2 + a] = (int64_t)((uint64_t)d.input_stride[2 + a] * (uint64_t)step);
        if (plan->output[a] > step) d.output_stride[2 + a] = (int64_t)((uint64_t)d.output_stride[2 + a] * (uint64_t)step);
        d.dilation[a] = 1;
    }
    return d;
}

cconv_status cconv_winograd_local(const cconv_plan *plan, const cconv_desc *phase, const int64_t first[3], int64_t columns,
                                  int64_t outputs, cconv_plan *local)
{
    const int64_t size = (int64_t)cconv_type_size(phase->compute);
    const int64_t *k = phase->kernel, stride[5] = {plan->taps * size, plan->kernel * size, k[1] * k[2] * size, k[2] * size, size};
    cconv_desc d = *phase;
    int a;
    d.algorithm = CCONV_TAPS;
    d.weights = CCONV_WEIGHTS_PLAIN;
    if (plan->prepacked) {
        d.weight_type = d.compute;
        memcpy(d.weight_stride, stride, sizeof stride);
    }
    d.out_channels = outputs;
    for (a = 0; a < 3; a++) {
        d.before[a] -= first[a] * d.stride[a];
        d.after[a] = ((a == 2 ? columns : 1) - 1) * d.stride[a] + (d.kernel[a] - 1) * d.dilation[a] + 1 - d.before[a] - d.input[a];
    }
    return cconv_plan_part(local, &d);
}

/* Bands have one width, but for the last of a phase, and phases have two. */
cconv_status cconv_winograd_local_workspace(const cconv_plan *plan, size_t *bytes)
{
    const int64_t origin[3] = {0, 0, 0}, phases = phases_of(plan, 2);
    const int64_t widths[2] = {parts(plan->output[2], phases), plan->output[2] / phases};
    const int64_t columns[3] = {least(plan->band[2], widths[0]), (widths[0] - 1) % plan->band[2] + 1,
                                (widths[1] - 1) % plan->band[2] + 1};
    const int64_t half = plan->out_blocks > plan->tiles ? plan->tile / 2 : 0, last = cconv_tile_count(plan, plan->tiles - 1);
    const int64_t outputs[4] = {cconv_tile_count(plan, 0), last, half ? half : last, last - half};
    const cconv_desc phase = cconv_winograd_phase(plan, origin);
    int i;
    *bytes = 0;
    for (i = 0; i < 12; i++) {
        cconv_plan local;
        const cconv_status status = cconv_winograd_local(plan, &phase, origin, columns[i / 4], outputs[i % 4], &local);
        if (status != CCONV_OK) return status;
        if (local.workspace_bytes > *bytes) *bytes = local.workspace_bytes;
    }
    return CCONV_OK;
}

/* Whether it can by tiles: only a constant border falls apart into phases. */
static int tiles_serve(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int strided = d->stride[1] == 2 && d->stride[2] == 2 && d->dilation[1] == 1 && d->dilation[2] == 1 && d->tile <= 2;
    int a, serves = d->kernel[1] == 3 && d->kernel[2] == 3 && (strided || (d->stride[1] == 1 && d->stride[2] == 1))
                    && (d->tile == 0 || d->tile == 2 || d->tile == 4);
    for (a = 1; a < 3; a++) serves &= d->dilation[a] == 1 || d->border == CCONV_CONSTANT || (d->before[a] <= 0 && d->after[a] <= 0);
    return serves;
}

/* Sums of integers stay exact elsewhere. */
int cconv_winograd_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return d->interleave == 1 && d->weights != CCONV_WEIGHTS_PLAIN && d->input_type >= CCONV_F16 && d->weight_type >= CCONV_F16 && !d->exact
           && slices_of(plan) <= MOST_SLICES && plan->outputs <= MOST_CHANNELS && (tiles_serve(plan) || cconv_upright_serves(plan));
}

/* Multiplications of vectors whose weights come from memory meanwhile. */
double cconv_with_weights(double multiplications, double bytes)
{
    return (multiplications > bytes / 5.5 ? multiplications : bytes / 5.5) + bytes / 30;
}

double cconv_with_packing(const cconv_plan *plan, double each, double weights)
{
    const double size = (double)cconv_type_size(plan->desc.compute), all = (double)plan->taps * (double)plan->outputs, far = all * size / FAR_WEIGHTS - 1;
    if (plan->desc.weights != CCONV_WEIGHTS_EITHER) return 0;
    return (each * weights + FAR_WEIGHT * all * (far < 0 ? 0 : far < 1 ? far : 1)) * size / 64;
}

/* How the tiles of some samples are cut: into bands of block[1] x block[2] of them, `units` of which (or one less) make an input, which several tasks have in
 * common that differ in their output channels alone; so many of these for each group. */
typedef struct tile_cut {
    int64_t block[3], bands[3], units, inputs;
} tile_cut;

static tile_cut cut_tiles(const cconv_plan *plan, int64_t edge, int64_t samples)
{
    const cconv_desc *d = &plan->desc;
    const winograd_form *form = form_for(edge, d->stride[2]);
    const int64_t size = (int64_t)cconv_type_size(d->compute), high = parts(parts(plan->output[1], d->dilation[1]), edge);
    const int64_t wide = parts(parts(plan->output[2], d->dilation[2]), edge);
    const int64_t bytes = size * (square(form->seen) * slices_of(plan) + square(form->sums) * least(plan->outputs, OUTPUTS_OF_TASK));
    const int64_t most_tiles = least(MOST_BYTES, most(LEAST_BYTES, size * d->out_channels * plan->taps)) / bytes;
    const int64_t enough = most(1, least(ENOUGH_TILES, most_tiles)), shared = least(SHARED_TILES, most_tiles);
    int64_t positions, units;
    tile_cut cut;
    cut.block[0] = 1;
    cut.block[2] = parts(wide, parts(wide, enough));
    cut.block[1] = parts(high, parts(high, most(1, enough / cut.block[2])));
    cut.bands[0] = plan->output[0];
    cut.bands[1] = phases_of(plan, 1) * parts(high, cut.block[1]);
    cut.bands[2] = phases_of(plan, 2) * parts(wide, cut.block[2]);
    positions = cut.block[1] * cut.block[2];
    units = samples * cut.bands[0] * cut.bands[1] * cut.bands[2];
    cut.units = 2 * positions > ENOUGH_TILES ? 1 : most(1, least(least(MOST_UNITS, units), shared / positions));
    if (units > 0) cut.units = parts(units, parts(units, cut.units));       /* or one less */
    cut.inputs = parts(units, cut.units);
    return cut;
}

/* Of weights that a task transforms for itself, so many slices at once: all of them where several products are one sum, which are added in their order; and
 * how many values of a filter these are, for a tile of so many output channels. */
static int64_t slices_at_once(const cconv_plan *plan, int64_t edge)
{
    const winograd_form *form = form_for(edge, plan->desc.stride[2]);
    return form->sums == form->seen ? least(slices_of(plan), BLOCK_TAPS) : slices_of(plan);
}

static int64_t filter_step(const cconv_plan *plan, int64_t edge, int64_t tile) { return odd_lines(slices_at_once(plan, edge) * tile); }

/* Whether it does: where each weight serves in one task. */
static int transforms_its_own(const cconv_plan *plan, int64_t edge, int64_t tile, const tile_cut *cut)
{
    const int64_t filters = square(form_for(edge, plan->desc.stride[2])->filters), size = (int64_t)cconv_type_size(plan->desc.compute);
    return plan->desc.weights == CCONV_WEIGHTS_EITHER && cut->inputs == 1 && times(filters * size, filter_step(plan, edge, tile)) <= FILTER_BYTES;
}

/* What the work of one sample takes, in multiplications of vectors, with the weights transformed for it if they are not
 * before.  What transforms take was measured: multiplications of a lane, of a tile's input, by vectors of tiles, or output, and of a kernel. */
static double counted(const cconv_plan *plan, int64_t edge, int64_t lanes)
{
    const cconv_desc *d = &plan->desc;
    const winograd_form *form = form_for(edge, d->stride[2]);
    const double transform = edge == 2 ? 120 : 400, pack = edge == 2 && d->stride[2] == 1 ? 430 : 650;
    const double slices = (double)slices_of(plan), outputs = (double)plan->outputs, each = (double)square(form->seen);
    const double vectors = (double)parts(plan->outputs, lanes);
    const double bytes = (double)square(form->filters) * slices * vectors * (double)(lanes * (int64_t)cconv_type_size(d->compute));
    const double phases = (double)phases_of(plan, 1) * (double)phases_of(plan, 2);
    const int64_t height = parts(plan->output[1], phases_of(plan, 1)), width = parts(plan->output[2], phases_of(plan, 2));
    const int64_t of_phase = times(parts(height, edge), parts(width, edge));
    const double tiles = phases * (double)of_phase, inputs = of_phase < ENOUGH_TILES ? phases * (double)up(of_phase, lanes) : tiles;
    const double scattered = d->dilation[2] > 1 ? 60 * phases * slices * (double)(height + 2) : 0;      /* rows of a phase, value by value */
    const double multiplied = each * tiles * slices * vectors, read = bytes * (1 + floor(tiles / (double)ENOUGH_TILES));
    const tile_cut cut = cut_tiles(plan, edge, 1);
    return (transforms_its_own(plan, edge, 2 * lanes, &cut) ? multiplied + pack * slices * outputs * (double)cconv_type_size(d->compute) / 64
                                                            : cconv_with_weights(multiplied, read) + cconv_with_packing(plan, pack, slices * outputs))
           + scattered + (inputs * slices + tiles * outputs) * transform / (double)lanes;
}

/* The best of those that serve: how many outputs a tile has along an axis, or UPRIGHT; what it takes.  The same with every instruction
 * set, as the bits depend on it. */
static int64_t cheapest(const cconv_plan *plan, double *cost)
{
    const int64_t lanes = plan->desc.compute == CCONV_F32 ? 16 : 8;
    const int few = plan->desc.algorithm == CCONV_AUTO && plan->channels < LEAST_CHANNELS;
    const int tiled = tiles_serve(plan) && !few, strided = plan->desc.stride[2] == 2;
    int64_t edge, best = 0;
    *cost = INFINITY;
    for (edge = 2; edge <= UPRIGHT; edge += 2) {
        const int serves = edge == UPRIGHT ? cconv_upright_serves(plan)
                         : tiled && (edge == 2 || !strided) && (plan->desc.tile == 0 || plan->desc.tile == edge);
        const double takes = !serves ? INFINITY : edge == UPRIGHT ? cconv_upright_cost(plan, lanes) : counted(plan, edge, lanes);
        if (takes < *cost) {
            *cost = takes;
            best = edge;
        }
    }
    return best;
}

/* Whether it is faster than `taps`. */
int cconv_winograd_pays(const cconv_plan *plan)
{
    const int64_t lanes = plan->desc.compute == CCONV_F32 ? 16 : 8;
    const double weights = (double)plan->taps * (double)plan->outputs;
    const double direct = cconv_skipping(plan) * weights * (double)plan->output[1] * (double)plan->output[2] / (double)lanes;
    const double ordered = plan->desc.weights == CCONV_WEIGHTS_EITHER ? ORDERED_WEIGHT * weights / (double)lanes : 0;
    double cost;
    if (plan->outputs < (plan->desc.algorithm == CCONV_AUTO ? LEAST_CHANNELS : LEAST_FAST)) return 0;
    cheapest(plan, &cost);
    return cost < cconv_with_weights(direct, weights * (double)cconv_type_size(plan->desc.compute)) + ordered;
}

/* Blocks of output channels, half of what one thread would take: half a tile, if it is so large. */
static int64_t half_blocks(const cconv_plan *plan)
{
    const int64_t blocks = 2 * plan->out_blocks;
    return blocks <= plan->tiles || (plan->tile == OUTPUTS_OF_TASK && blocks == parts(plan->outputs, plan->tile / 2)) ? blocks : plan->out_blocks;
}

/* Where tasks differ in their output channels alone, threads that share them can share V. */
static void plan_preparations(cconv_plan *plan)
{
    const int64_t inputs = plan->inputs = plan->tasks / plan->out_blocks;
    plan->prepared = up(least(plan->channels, most(LEAST_PREPARED, parts(plan->channels, parts(MOST_SHARES, most(1, inputs))))), planes_at_once(plan));
    plan->channel_blocks = parts(plan->channels, plan->prepared);
    if (plan->out_blocks == 1 || times(inputs, v_header(plan) + v_bytes(plan)) > MOST_BYTES) return;
    plan->preparations = inputs * plan->channel_blocks;
    plan->shared_bytes = (size_t)(inputs * (v_header(plan) + v_bytes(plan)) + 64);
}

cconv_status cconv_winograd_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes;
    double cost;
    const int64_t edge = cheapest(plan, &cost);
    const winograd_form *form = form_for(edge, d->stride[2]);
    const int64_t products = square(form->seen), sums = square(form->sums);
    tile_cut cut;
    int64_t at, positions;
    size_t local;
    cconv_status status;
    int a;
    if (!cconv_winograd_serves(plan)) return CCONV_ERROR_ALGORITHM;
    if (edge == UPRIGHT) return cconv_upright_lay_out(plan);
    cut = cut_tiles(plan, edge, d->batch);
    plan->edge = edge;
    plan->form = ACROSS;
    plan->tile = 2 * lanes;
    plan->tiles = plan->larger_tiles = parts(plan->outputs, plan->tile);
    plan->channel_block = least(plan->channels, BLOCK_TAPS);
    plan->group_block = 1;
    for (a = 0; a < 3; a++) {
        plan->phases[a] = plan->cycle[a] = 1;
        plan->reach[a] = a == 0 ? 0 : 2;
        plan->band[a] = a == 0 ? 1 : edge * cut.block[a];
        plan->bands[a] = cut.bands[a];
    }
    plan->apart[0] = 1;
    plan->units = cut.units;
    plan->tasks = d->groups * cut.inputs;
    positions = cut.block[1] * cut.block[2] * cut.units;
    plan->out_blocks = parts(plan->outputs, OUTPUTS_OF_TASK);
    plan->tasks *= plan->out_blocks;
    plan->out_block = parts(plan->tiles, plan->out_blocks) * plan->tile;
    cconv_cut_blocks(plan, half_blocks(plan));
    cconv_note_weights(plan);
    plan->filter_slices = slices_at_once(plan, edge);
    plan->filter_step = filter_step(plan, edge, least(plan->tile, cconv_tile_pitch(plan, plan->outputs)));
    plan->prepacked = !transforms_its_own(plan, edge, plan->tile, &cut);
    plan->write_in_place = plan->turn_in_place = cconv_output_holds_sums(plan)
                                                 && ((d->output_stride[4] == size && phases_of(plan, 2) == 1) || d->output_stride[1] == size);

    plan->row_pitch = up(cut.block[2] * form->step + 2, 16) + 16;
    plan->plane = (cut.block[1] * form->step + 2) * plan->row_pitch;
    plan->dealt_plane = odd_lines((cut.block[1] + 1) * cut.block[2]);
    plan->v_pitch = positions;
    plan->v_plane = odd_lines(slices_of(plan) * plan->v_pitch);
    plan->sums_pitch = up(plan->out_block, 16);
    plan->done_pitch = least(plan->sums_pitch, up(most(1, DONE_BYTES / (edge * plan->band[2] * size)), 16));
    plan->m_plane = odd_lines(positions * plan->sums_pitch);
    plan->sums_plane = plan->band[1] * plan->band[2];
    plan->packs = d->groups * plan->tiles;
    plan->header = up(plan->packs, 64);     /* a byte for each tile */
    plan->packed_bytes = (size_t)(plan->header + (d->groups * group_values(plan) + SLACK + d->out_channels * plan->taps) * size) + 64;

    at = up((int64_t)sizeof(winograd_tables), 64);
    plan->planes_at = (size_t)at;           /* and outputs that are to be turned */
    at += up(most(planes_at_once(plan) * plan->plane + 2 * SLACK, edge * plan->band[2] * plan->done_pitch + SLACK) * size, 64);
    plan->panel_at = (size_t)at;            /* the rows of a plane dealt out to tiles */
    at += up((form->step * form->dealt * plan->dealt_plane + SLACK) * size, 64);
    plan->ordered_at = (size_t)at;          /* half transformed */
    at += up(2 * products * lanes * size, 64);
    plan->v_at = (size_t)at;
    at += v_bytes(plan);
    plan->bias_at = (size_t)at;
    at += up((plan->sums_pitch + SLACK) * size, 64);
    plan->sums_at = (size_t)at;
    at += up((sums * plan->m_plane + SLACK) * size, 64);
    plan->turned_at = (size_t)at;
    if (!plan->turn_in_place) at += up((plan->out_block * plan->sums_plane + SLACK) * size, 64);
    plan->filters_at = (size_t)at;
    if (!plan->prepacked) at += up((square(form->filters) * plan->filter_step + SLACK) * size, 64);
    status = cconv_winograd_local_workspace(plan, &local);
    plan->workspace_bytes = (size_t)most(at + 64, (int64_t)local);
    plan_preparations(plan);
    return status;
}

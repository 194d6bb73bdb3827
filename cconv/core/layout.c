/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How `taps` and `rows` lay out their work: the phases of the input, the tiles and bands of the output, and
 * the memory of a task.  A pure function of the descriptor.
 *
 * A task is one sample, group (or several small ones), output depth, band of output rows and columns, and
 * block of output channels.  The workspace:
 *     tables   where taps lie in the planes
 *     planes   the input of a block of channels, padded, by phases of the stride
 *     panel    the same once more without gaps between rows
 *     ordered  the weights of a block of taps in the order of their use
 *     bias     of the task's channels, or a vector of each
 *     sums     the results of the band
 *     turned   the same, a row of positions for each channel
 */
#include "sizes.h"

#include <math.h>

enum {
    SUMS_VALUES = 1 << 16,              /* of a task, so that sums and planes stay in an L2 cache */
    PLANE_VALUES = 1 << 15,
    BAND_POSITIONS = 448,
    OUTPUTS = 512,                      /* channels of a task, so that a block of their weights stays there too */
    GROUPS_WORK = 1 << 16,              /* multiplications for which a task takes another group */
    FEW_USES = 2,                       /* tasks that share weights: fewer put them in order themselves */
    WORTH_SHARING = 1 << 21,            /* multiplications of a sample that are cut for several workers */
    OUTPUTS_SHARED = 256,               /* channels that are cut in half for it, at least */
    LEAST_POSITIONS = 112,              /* of a band that is cut for it */
    JOINING_OUTPUTS = 32                /* channels of a task that others can join */
};

/* The phases of the stride that taps use, and how far the last tap reaches in its phase.  Where taps
 * lie so far apart that a band would hold more rows or columns between them than under them, every tap
 * gets a phase of its own; along the depth always.  (job.py knows the rule for rows, as `_apart`.) */
void cconv_lay_out_phases(cconv_plan *plan)
{
    static const int64_t usual_band[3] = {0, 8, TAPS_COLUMNS};
    const cconv_desc *d = &plan->desc;
    int a;
    for (a = 0; a < 3; a++) {
        const int64_t k = d->kernel[a], common = gcd(d->stride[a], d->dilation[a]);
        plan->reach[a] = (k - 1) * d->dilation[a] / d->stride[a];
        plan->apart[a] = a == 0 || k == 1 || d->dilation[a] / common >= plan->output[a]
                         || plan->reach[a] > times(k - 1, least(usual_band[a], plan->output[a]));
        plan->cycle[a] = plan->apart[a] ? k : d->stride[a] / common;
        if (plan->apart[a]) plan->reach[a] = 0;
        plan->phases[a] = least(k, plan->cycle[a]);
    }
}

/* Output channels in tiles: as even as can be, or whole vectors. */
void cconv_lay_out_tiles(cconv_plan *plan)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t outputs = plan->outputs;
    plan->tiles = parts(outputs, kernels->tile);
    plan->tile = parts(outputs, plan->tiles);
    plan->larger_tiles = plan->tiles - (plan->tiles * plan->tile - outputs);
    if (plan->form != ACROSS) return;
    plan->tile = 2 * kernels->lanes;
    plan->tiles = plan->larger_tiles = parts(outputs, plan->tile);
}

static int64_t tasks(int64_t samples, int64_t bands, const cconv_plan *plan) { return times(times(samples, bands), plan->out_blocks); }

/* Bands of rows and columns, such that a task's planes and sums stay in the cache. */
static void cut(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int rows = plan->algorithm == CCONV_ROWS;
    const int64_t outputs = plan->outputs, channels = plan->channels, kernel = plan->kernel;
    const int64_t slices = times(times(plan->phases[0], plan->phases[1]), plan->phases[2]);
    const int64_t width = d->compute == CCONV_F32 ? 2 : 1;
    const int64_t step = plan->apart[1] ? 1 : d->dilation[1] / gcd(d->stride[1], d->dilation[1]);
    const int64_t group_work = times(times(times(kernel, channels), times(outputs, plan->output[0])),
                                     times(plan->output[1], plan->output[2]));
    int64_t columns, height, band, bands, row, samples, uses;
    int64_t sums = SUMS_VALUES * width / 2, planes = PLANE_VALUES * width / 2;

    plan->channel_block = least(channels, most(1, BLOCK_TAPS / kernel));
    plan->group_block = rows ? least(d->groups, GROUPS_WORK / group_work + 1) : 1;
    columns = parts(plan->output[2], parts(plan->output[2], rows ? BAND_COLUMNS : TAPS_COLUMNS));
    plan->band[2] = columns;
    row = columns + (plan->form == ALONG_GAPS ? plan->reach[2] : 0);
    height = plan->output[1];
    /* Enough positions for weights that come from memory to be used often; then as many output
     * channels as the cache holds their sums. */
    band = rows ? most(8 * step, planes / times(plan->channel_block, times(slices, row + plan->reach[2])) - plan->reach[1])
                : parts(most(BAND_POSITIONS, least(BAND_POSITIONS * (plan->form == ALONG_ROWS ? 128 : 32) / outputs, planes / times(plan->channel_block, slices))), row);
    band = least(band, height);
    bands = parts(height, band);
    plan->out_blocks = least(plan->tiles, most(parts(times(outputs, times(band, row)), sums), parts(outputs, OUTPUTS)));
    /* Enough tasks for some workers, and an even number while there are few: by blocks of output channels as long as
     * these are many for what is loaded, then by lower bands. */
    samples = times(d->groups, times(plan->output[0], parts(plan->output[2], columns)));
    if (!plan->alone && group_work >= WORTH_SHARING && samples < SHARES) {
        while (tasks(samples, bands, plan) < SHARES && 2 * plan->out_blocks <= plan->tiles
               && outputs >= OUTPUTS_SHARED * plan->out_blocks)
            plan->out_blocks *= 2;
        while (tasks(samples, bands, plan) < SHARES && times(parts(height, bands + 1), row) >= (rows ? 1 : LEAST_POSITIONS)) bands++;
        if (tasks(samples, bands, plan) % 2 && tasks(samples, bands, plan) < 2 * SHARES && bands < height) bands++;
    }
    band = parts(height, bands);
    plan->band[0] = 1;
    plan->band[1] = parts(height, parts(height, band));
    bands = parts(height, band);
    if (plan->form == ALONG_GAPS && bands > 1 && tasks(samples, bands, plan) >= SHARES)     /* as many bands, of whole vectors */
        for (band = plan->band[1]; band < height && parts(height, band) == bands; band++)
            if (band * row % MAX_VECTOR == 0) {
                plan->band[1] = band;
                break;
            }
    if (rows && parts(height, band) > 1) plan->band[1] = least(height, up(plan->band[1], 8 * step));
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(height, plan->band[1]);
    plan->bands[2] = parts(plan->output[2], plan->band[2]);
    uses = d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2];
    plan->tasks = uses * parts(d->groups, plan->group_block) * plan->out_blocks;
    plan->packs = rows ? 1 : d->groups * plan->tiles;
    plan->prepacked = d->weights == CCONV_WEIGHTS_PACKED || (d->weights == CCONV_WEIGHTS_EITHER && !rows && uses > FEW_USES);
}

/* Whether the output holds sums as they are, whole numbers of values apart. */
int cconv_output_holds_sums(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    return d->output_type == d->compute && d->divisor == 1
           && d->output_stride[1] % size == 0 && d->output_stride[3] % size == 0 && d->output_stride[4] % size == 0;
}

/* Whether results are written past the caches. */
int cconv_is_large(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return times(times(d->batch, d->out_channels), times(plan->output[0], times(plan->output[1], plan->output[2])))
           >= STREAMED / (int64_t)cconv_type_size(d->compute);
}

/* Whether an output may see what lies outside the picture. */
int cconv_meets_border(const cconv_desc *d)
{
    int a;
    for (a = 0; a < 3; a++)
        if (d->before[a] > 0 || d->after[a] > 0) return 1;
    return 0;
}

/* Whether nothing but zeros lies there. */
int cconv_zeros_outside(const cconv_plan *plan)
{
    return !cconv_meets_border(&plan->desc) || (plan->desc.border == CCONV_CONSTANT && plan->desc.border_value == 0);
}

/* Whether vectors along rows without gaps can read an input of one tap where it lies, or copy it as one row for each channel (taps.c). */
static int rows_join(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int a, whole = plan->form == ALONG_GAPS && plan->kernel == 1 && plan->band[2] == plan->output[2] && d->input_type == d->compute;
    for (a = 0; a < 3; a++)
        whole &= d->stride[a] == 1 && d->before[a] == 0 && d->after[a] == 0 && d->input[a] > 0 && d->input_stride[1 + a] % size == 0;
    return whole && d->input_stride[4] == size && d->input_stride[3] == size * d->input[2];
}

/* Whether few outputs see one tap of pixels where they lie, whose vectors are turned on their way into registers (turning.inc.h). */
static int turns(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int a, lie = plan->form != ACROSS && plan->kernel == 1 && plan->channels > 1 && plan->outputs <= TURNING_OUTPUTS && d->input_type == d->compute
                 && d->interleave == 1 && d->input_stride[1] == size && d->input_stride[4] >= times(plan->channels, size)
                 && cconv_of_type(plan)->turning[0];
    for (a = 0; a < 3; a++) lie &= d->before[a] == 0 && d->after[a] <= 0 && d->input_stride[2 + a] % size == 0;
    return lie;
}

/* Channels and positions are so far apart that they fall on different lines of a cache; and in planes no two outputs see the same value, as
 * a copy would otherwise bring together what is read again. */
int cconv_scalars_lie(const cconv_plan *plan, int64_t tile)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), *stride = d->input_stride;
    int a, once = d->kernel[0] == 1, lie = d->input_type == d->compute && d->interleave == 1;
    for (a = 1; a < 3; a++) once &= times(d->kernel[a] - 1, d->dilation[a]) < d->stride[a];
    for (a = 0; a < 3; a++) lie &= d->before[a] == 0 && d->after[a] <= 0 && stride[1 + a] % size == 0 && stride[4] % size == 0;
    return lie && (stride[1] == size ? times(d->stride[2], stride[4]) % 2048 != 0
                                     : once && stride[4] == size && (tile > SMALL_TILE || d->stride[2] == 1) && stride[1] % 512 != 0);
}

/* Whether the input becomes pixels on its way to vectors across output channels, their channels side by side: if not much more than
 * what the taps see lies between them; for one tap only if the channels lie side by side already, and need no turning. */
static int makes_pixels(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), *stride = d->input_stride;
    int a, makes = plan->form == ACROSS && plan->channels > 1 && d->input_type == d->compute && (stride[1] == size || stride[4] == size)
                   && stride[1] % size == 0 && stride[4] % size == 0 && d->interleave == 1;
    for (a = 1; a < 3; a++) makes &= (!plan->apart[a] || (d->kernel[a] == 1 && stride[1] == size)) && d->stride[a] <= d->kernel[a];
    return makes;
}

/* An output whose lines lie in memory as the sums do is written without a copy, and so can `rows` read
 * an input that lies as its planes would. */
static void in_place(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    int a, lies, whole = 1;
    for (a = 1; a < 4; a++) whole &= d->input_stride[a] % size == 0;
    for (a = 0; a < 3; a++) {
        whole &= times(d->kernel[a] - 1, d->dilation[a]) < d->input[a];     /* else no output is free of the border */
        whole &= a == 0 || d->kernel[a] == 1 || !plan->apart[a];
    }
    plan->read_in_place = plan->algorithm == CCONV_ROWS && whole && d->input_type == d->compute
                          && d->input_stride[4] == size && d->input_stride[3] / size >= d->input[2] && d->stride[1] == 1
                          && d->stride[2] == 1 && plan->channel_block == plan->channels;
    plan->turning = plan->algorithm == CCONV_TAPS && turns(plan);
    if (plan->algorithm == CCONV_TAPS) plan->read_in_place = plan->form == ACROSS ? cconv_scalars_lie(plan, cconv_of_type(plan)->tile) : plan->turning || rows_join(plan);
    lies = cconv_output_holds_sums(plan);
    plan->write_in_place = plan->turn_in_place = lies && d->output_stride[4] == size;
    if (plan->form == ACROSS)
        plan->write_in_place = lies && d->output_stride[1] == size;
    else if (plan->form != ALONG_ROWS && plan->band[1] > 1)
        plan->write_in_place &= plan->sums_pitch == plan->band[2] && d->output_stride[3] == plan->sums_pitch * size;
    plan->stream = plan->write_in_place && plan->kernels->drain && cconv_is_large(plan);
}

/* What pack and run ask about the weights.  Dense: taps one step after another, which only a single row of them may do backwards, as
 * times knows no negative steps. */
void cconv_note_weights(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t *k = d->kernel, *stride = d->weight_stride;
    plan->dense_weights = (k[1] == 1 || stride[3] == times(k[2], stride[4])) && (k[0] == 1 || stride[2] == times(k[1] * k[2], stride[4]))
                          && (plan->channels == 1 || stride[1] == times(k[0] * k[1] * k[2], stride[4]));
    plan->must_be_finite = d->border == CCONV_CONSTANT && d->border_value == 0 && cconv_meets_border(d);
}

/* How many input rows or columns a band sees. */
static int64_t band_sees(const cconv_plan *plan, int a)
{
    return (plan->band[a] - 1) * plan->desc.stride[a] + (plan->desc.kernel[a] - 1) * plan->desc.dilation[a] + 1;
}

static cconv_status measure(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int rows = plan->algorithm == CCONV_ROWS;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes;
    const int64_t outputs = plan->outputs;
    int64_t at = 0, positions, tables;

    plan->columns = plan->channel_block * plan->kernel;
    plan->out_block = parts(plan->tiles, plan->out_blocks) * plan->tile;
    plan->row_pitch = plan->band[2] + plan->reach[2];
    if (rows) plan->row_pitch = off_power(up(plan->row_pitch, 16));     /* whole vectors */
    plan->plane = off_power(times(times(plan->phases[0], times(plan->phases[1], plan->phases[2])),
                                  times(plan->band[1] + plan->reach[1], plan->row_pitch)));
    if (makes_pixels(plan)) {
        plan->plane = times(d->kernel[0], times(band_sees(plan, 1), band_sees(plan, 2)));
        plan->pixel = times(plan->channels, plan->plane) <= PLANE_VALUES ? plan->channels : plan->channel_block;     /* all at once if few */
        plan->row_pitch = plan->pixel * band_sees(plan, 2);
    }
    if (times(plan->channel_block, plan->plane) > MEMORY) return CCONV_ERROR_SIZE;
    plan->sums_pitch = plan->form == ALONG_ROWS ? up(plan->band[2], 16) + SLACK / 2
                     : plan->form == ALONG_GAPS ? plan->row_pitch : plan->band[2];
    positions = plan->band[1] * plan->sums_pitch;
    plan->sums_plane = off_power(plan->form == ACROSS ? plan->out_block + 16 : up(positions, 16) + SLACK / 2);

    /* Values of padding behind everything that is read or written by whole vectors. */
    plan->packed_bytes = (size_t)up((d->groups * up(outputs, plan->form == ACROSS ? lanes : 1) * plan->taps + SLACK) * size, 64) + 64;
    plan->tables_at = plan->packed_bytes - 64;
    tables = rows ? (5 * plan->columns + 16) * (int64_t)sizeof(int64_t) : cconv_taps_tables_bytes(plan);
    if (rows) plan->packed_bytes += (size_t)tables;
    at = up(tables, 64);
    plan->planes_at = (size_t)at;
    at += up((most(plan->channel_block, plan->pixel) * plan->plane + SLACK) * size, 64);
    plan->panel_at = (size_t)at;
    if (plan->form == ALONG_PANEL) at += up((least(plan->columns, BLOCK_TAPS) * plan->sums_plane + SLACK) * size, 64);
    plan->ordered_at = (size_t)at;
    at += up((rows ? plan->columns : plan->prepacked ? 0 : BLOCK_TAPS * plan->out_block + SLACK) * size, 64);
    plan->bias_at = (size_t)at;
    if (!rows) at += up((plan->form == ACROSS ? plan->sums_plane + SLACK : plan->out_block * lanes) * size, 64);
    plan->sums_at = (size_t)at;
    at += up(((plan->form == ACROSS ? positions : plan->out_block) * plan->sums_plane + SLACK) * size, 64);
    plan->turned_at = (size_t)at;
    if (plan->form == ACROSS) at += up((positions * plan->out_block + SLACK) * size, 64);
    plan->workspace_bytes = (size_t)at + 64;
    return CCONV_OK;
}

void cconv_cut_blocks(cconv_plan *plan, int64_t blocks)
{
    const int64_t work = times(times(plan->desc.batch, plan->desc.groups),
                               times(times(plan->taps, plan->outputs), times(plan->output[0], times(plan->output[1], plan->output[2]))));
    if (plan->alone || work < WORTH_SHARING) return;
    for (; plan->tasks < shares_of(work) && 2 * plan->out_blocks <= blocks; plan->joined *= 2) {
        plan->out_blocks *= 2;
        plan->tasks *= 2;
    }
}

void cconv_lay_out_bands(cconv_plan *plan, int64_t rows, int64_t columns)
{
    const cconv_desc *d = &plan->desc;
    int a;
    plan->band[0] = 1;
    plan->band[1] = rows;
    plan->band[2] = columns;
    for (a = 0; a < 3; a++) {
        plan->phases[a] = plan->cycle[a] = 1;
        plan->reach[a] = a == 0 ? 0 : (d->kernel[a] - 1) * d->dilation[a];
        plan->bands[a] = parts(plan->output[a], plan->band[a]);
    }
    plan->apart[0] = 1;
    plan->out_blocks = plan->group_block = 1;
    plan->tasks = d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2];
    plan->packs = plan->prepacked = 1;
    cconv_note_weights(plan);
}

cconv_status cconv_lay_out(cconv_plan *plan)
{
    cconv_status status;
    plan->skips = plan->alone ? 0 : cconv_leaves_out(plan);       /* rows alone are laid out alike, wherever they are */
    plan->channels_last = cconv_output_holds_sums(plan) && plan->outputs > 1 && plan->desc.output_stride[1] == (int64_t)cconv_type_size(plan->desc.compute);
    cconv_lay_out_phases(plan);
    plan->deep = plan->algorithm == CCONV_ROWS && cconv_deep_serves(plan) && cconv_deep_lay_out(plan) == CCONV_OK;
    if (plan->deep) return CCONV_OK;
    plan->form = ALONG_ROWS;
    if (plan->algorithm != CCONV_ROWS) cconv_choose_form(plan, cconv_of_type(plan)->lanes, cconv_of_type(plan)->tile, &plan->form);
    cconv_lay_out_tiles(plan);
    cut(plan);
    cconv_note_weights(plan);
    status = measure(plan);
    in_place(plan);
    if (plan->algorithm == CCONV_TAPS) cconv_cut_blocks(plan, least(plan->tiles, plan->outputs / JOINING_OUTPUTS));
    return status;
}

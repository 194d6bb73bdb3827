/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From a descriptor to a plan: everything is checked, an algorithm chosen, the work cut into tasks and
 * the memory counted.  A pure function of the descriptor; nothing is read or written elsewhere.
 *
 * A task is one sample, group (or several small ones), output depth, band of output rows and columns, and
 * block of output channels.  The workspace:
 *     tables   where taps lie in the planes
 *     planes   the input of a block of channels, padded, by phases of the stride
 *     panel    the same once more without gaps between rows
 *     ordered  the weights of a block of taps in the order of their use
 *     bias     of the task's channels
 *     sums     the results of the band
 *     turned   the same, a row of positions for each channel
 */
#include "impl.h"

#include <math.h>
#include <string.h>

#define LARGEST ((int64_t)1 << 61)      /* of a size with its borders: sums of three do not overflow */
#define MEMORY ((int64_t)1 << 56)       /* values of an array or a workspace */

/* What `taps` does besides multiplying, for each sum or value, in multiplications of a vector's lane. */
static const double STORED_SUM = 6, TURNED_SUM = 12, PANEL_LOAD = 8;

enum {
    SUMS_VALUES = 1 << 16,              /* of a task, so that sums and planes stay in an L2 cache */
    PLANE_VALUES = 1 << 15,
    BAND_POSITIONS = 448,
    BAND_COLUMNS = 4096,
    OUTPUTS = 512,                      /* channels of a task, so that a block of their weights stays there too */
    GROUPS_WORK = 1 << 16,              /* multiplications for which a task takes another group */
    FEW_USES = 2,                       /* tasks that share weights: fewer put them in order themselves */
    WORTH_SHARING = 1 << 21,            /* multiplications of a sample that are cut for several workers */
    SHARES = 8,                         /* tasks that they are cut into, at least */
    OUTPUTS_SHARED = 256,               /* channels that are cut in half for it, at least */
    LEAST_POSITIONS = 112,              /* of a band that is cut for it */
    NEAR_VALUES = 1 << 19,              /* of an input that is read where it lies by several tiles, rather than copied */
    FEW_OUTPUTS = 32,                   /* or by a few, of any size */
    WIDE = 512                          /* columns of a picture that `rows` reads where it lies: narrower ones are
                                         * faster copied, line after line, if they are not in the cache */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
static int64_t parts(int64_t n, int64_t size) { return (n + size - 1) / size; }

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) { int64_t r = a % b; a = b; b = r; }
    return a;
}

/* a * b, or LARGEST + 1 where that is exceeded; a and b are at most LARGEST + 1. */
static int64_t times(int64_t a, int64_t b) { return b != 0 && a > LARGEST / b ? LARGEST + 1 : a * b; }

static int64_t kernel_of(const cconv_desc *d) { return d->kernel[0] * d->kernel[1] * d->kernel[2]; }

static cconv_status check(cconv_plan *plan)
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
    if (d->batch < 0 || d->batch > LARGEST || d->in_channels < 1 || d->in_channels > LARGEST || d->out_channels < 1
        || d->out_channels > LARGEST || d->interleave < 1 || !(d->low <= d->high))
        return CCONV_ERROR_SIZE;
    if (d->groups < 1 || d->in_channels % d->groups || d->out_channels % d->groups) return CCONV_ERROR_GROUPS;
    for (a = 0; a < 3; a++) {
        int64_t n = d->input[a], k = d->kernel[a], s = d->stride[a], dil = d->dilation[a], before = d->before[a],
                after = d->after[a], reach;
        if (n < 0 || k < 1 || s < 1 || dil < 1 || before < -LARGEST || after < -LARGEST || n > LARGEST || k > LARGEST
            || s > LARGEST || dil > LARGEST || before > LARGEST || after > LARGEST)
            return CCONV_ERROR_SIZE;
        if (before > LARGEST - n || after > LARGEST - n - before) return CCONV_ERROR_SIZE;
        if (n == 0 && (before || after) && d->border != CCONV_CONSTANT) return CCONV_ERROR_BORDER;
        if (a == 2 && d->interleave > 1
            && (s != 1 || n % d->interleave || dil % d->interleave || before % d->interleave || after % d->interleave))
            return CCONV_ERROR_SIZE;
        reach = times(dil, k - 1);
        if (reach >= n + before + after) return CCONV_ERROR_EMPTY;
        plan->output[a] = (n + before + after - reach - 1) / s + 1;
        values = times(values, plan->output[a]);
        taps = times(taps, k);
    }
    values = times(times(values, d->out_channels), most(d->batch, 1));
    taps = times(times(taps, d->in_channels / d->groups), d->out_channels);
    return values > MEMORY || taps > MEMORY ? CCONV_ERROR_SIZE : CCONV_OK;
}

/* rows: each loaded vector serves several rows of one output channel; taps: several output channels.
 * What was measured: a kernel of one row has no use for `rows` but in being short, and more than a
 * block of taps costs `rows` a pass over its sums. */
static cconv_algorithm choose(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t outputs = d->out_channels / d->groups, taps = times(d->in_channels / d->groups, kernel_of(d));
    if (d->algorithm != CCONV_AUTO) return d->algorithm;
    if (outputs >= 4) return CCONV_TAPS;
    return d->kernel[1] == 1 ? (times(taps, outputs) >= 16 ? CCONV_TAPS : CCONV_ROWS)
                             : (outputs > 1 && taps > BLOCK_TAPS ? CCONV_TAPS : CCONV_ROWS);
}

/* The phases of the stride that taps use, and how far the last tap reaches in its phase.  Where taps
 * lie so far apart that a band would hold more rows or columns between them than under them, every tap
 * gets a phase of its own; along the depth always. */
static void phases(cconv_plan *plan)
{
    static const int64_t usual_band[3] = {0, 8, BAND_COLUMNS / 8};
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

/* How `taps` uses its vectors: what each way takes for one multiplication, the multiplications of empty
 * lanes included; loads and stores are counted in multiplications that they take the time of. */
static int choose_form(const cconv_plan *plan)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t lanes = kernels->lanes, outputs = plan->desc.out_channels / plan->desc.groups;
    const int64_t columns = least(plan->output[2], BAND_COLUMNS / 8);
    const double taps = (double)plan->taps, gaps = (double)plan->reach[2] / (double)columns;
    const double scalars = (double)parts(columns, parts(columns, kernels->tile));
    double cost[4], loads;
    int form, best = 0;
    cost[ALONG_ROWS] = (double)up(columns, lanes) / (double)columns;
    cost[ALONG_GAPS] = 1 + gaps + (gaps > 0 ? STORED_SUM / taps : 0);
    cost[ALONG_PANEL] = gaps > 0 ? 1 + PANEL_LOAD / (double)outputs : 2;     /* without gaps, no copy without them */
    loads = (4 + (double)plan->tile / 2) / (2 * (double)plan->tile);
    for (form = ALONG_ROWS; form <= ALONG_PANEL && loads > 1; form++) cost[form] *= loads;
    loads = (2 + scalars / 2) / (2 * scalars);
    cost[ACROSS] = (double)up(outputs, lanes) / (double)outputs * (loads > 1 ? loads : 1) + TURNED_SUM / taps;
    for (form = 1; form < 4; form++)
        if (cost[form] < cost[best]) best = form;
    return best;
}

/* Output channels in tiles: as even as can be, or whole vectors. */
static void tile(cconv_plan *plan)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t outputs = plan->desc.out_channels / plan->desc.groups;
    plan->taps = plan->desc.in_channels / plan->desc.groups * kernel_of(&plan->desc);
    plan->tiles = parts(outputs, kernels->tile);
    plan->tile = parts(outputs, plan->tiles);
    plan->larger_tiles = plan->tiles - (plan->tiles * plan->tile - outputs);
    plan->form = plan->algorithm == CCONV_ROWS ? ALONG_ROWS : choose_form(plan);
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
    const int64_t outputs = d->out_channels / d->groups, channels = d->in_channels / d->groups, kernel = kernel_of(d);
    const int64_t slices = times(times(plan->phases[0], plan->phases[1]), plan->phases[2]);
    const int64_t width = d->compute == CCONV_F32 ? 2 : 1;
    const int64_t step = plan->apart[1] ? 1 : d->dilation[1] / gcd(d->stride[1], d->dilation[1]);
    const int64_t group_work = times(times(times(kernel, channels), times(outputs, plan->output[0])),
                                     times(plan->output[1], plan->output[2]));
    int64_t columns, height, band, bands, row, samples, uses;
    int64_t sums = SUMS_VALUES * width / 2, planes = PLANE_VALUES * width / 2;

    plan->channel_block = least(channels, most(1, BLOCK_TAPS / kernel));
    plan->group_block = rows ? least(d->groups, GROUPS_WORK / group_work + 1) : 1;
    columns = parts(plan->output[2], parts(plan->output[2], rows ? BAND_COLUMNS : BAND_COLUMNS / 8));
    plan->band[2] = columns;
    row = columns + (plan->form == ALONG_GAPS ? plan->reach[2] : 0);
    height = plan->output[1];
    /* Enough positions for weights that come from memory to be used often; then as many output
     * channels as the cache holds their sums. */
    band = rows ? most(8 * step, planes / times(plan->channel_block, times(slices, row + plan->reach[2])) - plan->reach[1])
                : parts(most(BAND_POSITIONS, least(BAND_POSITIONS * 32 / outputs, planes / times(plan->channel_block, slices))), row);
    band = least(band, height);
    bands = parts(height, band);
    plan->out_blocks = least(plan->tiles, most(parts(times(outputs, times(band, row)), sums), parts(outputs, OUTPUTS)));
    /* Enough tasks for some workers, and an even number while there are few: by blocks of output channels as long as
     * these are many for what is loaded, then by lower bands. */
    samples = times(d->groups, times(plan->output[0], parts(plan->output[2], columns)));
    if (group_work >= WORTH_SHARING && samples < SHARES) {
        while (tasks(samples, bands, plan) < SHARES && 2 * plan->out_blocks <= plan->tiles
               && outputs >= OUTPUTS_SHARED * plan->out_blocks)
            plan->out_blocks *= 2;
        while (tasks(samples, bands, plan) < SHARES && times(parts(height, bands + 1), row) >= (rows ? 1 : LEAST_POSITIONS)) bands++;
        if (tasks(samples, bands, plan) % 2 && tasks(samples, bands, plan) < 2 * SHARES && bands < height) bands++;
    }
    band = parts(height, bands);
    plan->band[0] = 1;
    plan->band[1] = parts(height, parts(height, band));
    if (rows && parts(height, band) > 1) plan->band[1] = least(height, up(plan->band[1], 8 * step));
    plan->bands[0] = plan->output[0];
    plan->bands[1] = parts(height, plan->band[1]);
    plan->bands[2] = parts(plan->output[2], plan->band[2]);
    uses = d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2];
    plan->tasks = uses * parts(d->groups, plan->group_block) * plan->out_blocks;
    plan->prepacked = d->weights == CCONV_WEIGHTS_PACKED || (d->weights == CCONV_WEIGHTS_EITHER && !rows && uses > FEW_USES);
}

/* An output whose lines lie in memory as the sums do is written without a copy, and so does `rows` read
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
    plan->read_in_place = plan->algorithm == CCONV_ROWS && whole && plan->band[2] >= WIDE && d->input_type == d->compute
                          && d->input_stride[4] == size && d->input_stride[3] / size >= d->input[2] && d->stride[1] == 1 && d->stride[2] == 1
                          && plan->channel_block == d->in_channels / d->groups;
    if (plan->algorithm == CCONV_TAPS)      /* one tap over rows without gaps */
        plan->read_in_place = kernel_of(d) == 1 && plan->form == ALONG_GAPS && plan->band[2] == plan->output[2]
                              && d->input_type == d->compute && d->input_stride[4] == size && d->input_stride[1] % size == 0
                              && d->input_stride[3] == size * d->input[2] && d->input_stride[2] % size == 0
                              && d->stride[0] == 1 && d->stride[1] == 1 && d->stride[2] == 1
                              && (d->out_channels / d->groups <= FEW_OUTPUTS
                                  || times(d->in_channels, times(d->input[1], d->input[2])) <= NEAR_VALUES)
                              && !(d->before[0] | d->before[1] | d->before[2] | d->after[0] | d->after[1] | d->after[2]);
    lies = d->output_type == d->compute && d->divisor == 1 && d->low == -INFINITY && d->high == INFINITY
           && d->output_stride[1] % size == 0 && d->output_stride[3] % size == 0 && d->output_stride[4] % size == 0;
    plan->write_in_place = plan->turn_in_place = lies && d->output_stride[4] == size;
    if (plan->form == ACROSS)
        plan->write_in_place = lies && d->output_stride[1] == size;
    else if (plan->form != ALONG_ROWS && plan->band[1] > 1)
        plan->write_in_place &= plan->sums_pitch == plan->band[2] && d->output_stride[3] == plan->sums_pitch * size;
}

/* What pack and run ask about the weights. */
static void weights(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t *k = d->kernel, *stride = d->weight_stride;
    int a;
    plan->dense_weights = (k[1] == 1 || stride[3] == times(k[2], stride[4])) && (k[0] == 1 || stride[2] == times(k[1] * k[2], stride[4]))
                          && (d->in_channels == d->groups || stride[1] == times(k[0] * k[1] * k[2], stride[4]));
    for (a = 0; a < 3; a++)
        plan->must_be_finite |= d->border == CCONV_CONSTANT && d->border_value == 0 && (d->before[a] > 0 || d->after[a] > 0);
}

static cconv_status measure(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int rows = plan->algorithm == CCONV_ROWS;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes;
    const int64_t outputs = d->out_channels / d->groups;
    int64_t at = 0, positions, values;

    plan->columns = plan->channel_block * kernel_of(d);
    plan->out_block = parts(plan->tiles, plan->out_blocks) * plan->tile;
    plan->row_pitch = plan->band[2] + plan->reach[2];
    if (rows) {     /* whole vectors, and rows that do not fall on the same line of a cache */
        plan->row_pitch = up(plan->row_pitch, 16);
        if (plan->row_pitch % 256 == 0) plan->row_pitch += 16;
    }
    plan->plane = times(times(plan->phases[0], times(plan->phases[1], plan->phases[2])),
                        times(plan->band[1] + plan->reach[1], plan->row_pitch));
    if (times(plan->channel_block, plan->plane) > MEMORY) return CCONV_ERROR_SIZE;
    plan->sums_pitch = plan->form == ALONG_ROWS ? up(plan->band[2], 16) + SLACK / 2
                     : plan->form == ALONG_GAPS ? plan->row_pitch : plan->band[2];
    positions = plan->band[1] * plan->sums_pitch;
    plan->sums_plane = plan->form == ACROSS ? plan->out_block + 16 : up(positions, 16) + SLACK / 2;

    /* Values of padding behind everything that is read or written by whole vectors. */
    plan->packed_bytes = (size_t)up((d->groups * up(outputs, plan->form == ACROSS ? lanes : 1) * plan->taps + SLACK) * size, 64) + 64;
    plan->tables_at = plan->packed_bytes - 64;
    values = rows ? 5 * plan->columns + 16 : plan->columns + 3 * BLOCK_TAPS;
    if (rows) plan->packed_bytes += (size_t)(values * (int64_t)sizeof(int64_t));
    at = up(values * (int64_t)sizeof(int64_t), 64);
    plan->planes_at = (size_t)at;
    at += up((plan->channel_block * plan->plane + SLACK) * size, 64);
    plan->panel_at = (size_t)at;
    if (plan->form == ALONG_PANEL) at += up((least(plan->columns, BLOCK_TAPS) * plan->sums_plane + SLACK) * size, 64);
    plan->ordered_at = (size_t)at;
    at += up((rows ? plan->columns : plan->prepacked ? 0 : BLOCK_TAPS * plan->out_block + SLACK) * size, 64);
    plan->bias_at = (size_t)at;
    if (plan->form == ACROSS) at += up((plan->sums_plane + SLACK) * size, 64);
    plan->sums_at = (size_t)at;
    at += up(((plan->form == ACROSS ? positions : plan->out_block) * plan->sums_plane + SLACK) * size, 64);
    plan->turned_at = (size_t)at;
    if (plan->form == ACROSS) at += up((positions * plan->out_block + SLACK) * size, 64);
    plan->workspace_bytes = (size_t)at + 64;
    return CCONV_OK;
}

cconv_status cconv_plan_init(cconv_plan *plan, const cconv_desc *desc)
{
    cconv_status status;
    if (!plan || !desc || desc->size != sizeof *desc) return CCONV_ERROR_DESC;
    memset(plan, 0, sizeof *plan);
    plan->desc = *desc;
    if (desc->compute != CCONV_F32 && desc->compute != CCONV_F64) return CCONV_ERROR_TYPE;
    plan->kernels = cconv_choose_kernels(desc->isa);
    if (!plan->kernels) return CCONV_ERROR_ISA;
    status = check(plan);
    if (status != CCONV_OK) return status;
    plan->algorithm = choose(plan);
    phases(plan);
    tile(plan);
    cut(plan);
    weights(plan);
    status = measure(plan);
    in_place(plan);
    return status;
}

/* Buffers begin wherever the caller's do; what is in them, at a line of the cache. */
static char *aligned(const void *buffer) { return (char *)(((uintptr_t)buffer + 63) & ~(uintptr_t)63); }

cconv_status cconv_pack_weights(const cconv_plan *plan, const void *weight, void *packed)
{
    if (!plan || !weight || !packed) return CCONV_ERROR_ARGUMENT;
    return (plan->algorithm == CCONV_ROWS ? cconv_rows_pack : cconv_taps_pack)(plan, (const char *)weight, aligned(packed))
               ? CCONV_OK : CCONV_ERROR_WEIGHTS;
}

/* The task-th task; output channels fastest, so that workers side by side read the same planes. */
static cconv_task task_at(const cconv_plan *plan, int64_t index)
{
    const int64_t block = index % plan->out_blocks;
    int64_t blocks;
    cconv_task task;
    int a;
    index /= plan->out_blocks;
    task.tile_first = block * plan->tiles / plan->out_blocks;
    task.tile_last = (block + 1) * plan->tiles / plan->out_blocks;
    task.out_first = cconv_tile_first(plan, task.tile_first);
    task.out_count = cconv_tile_first(plan, task.tile_last) - task.out_first;
    for (a = 2; a >= 0; a--) {
        task.first[a] = index % plan->bands[a] * plan->band[a];
        task.size[a] = least(plan->band[a], plan->output[a] - task.first[a]);
        index /= plan->bands[a];
    }
    task.od = task.first[0];
    blocks = parts(plan->desc.groups, plan->group_block);
    task.group = index % blocks * plan->group_block;
    task.group_count = least(plan->group_block, plan->desc.groups - task.group);
    task.n = index / blocks;
    return task;
}

cconv_status cconv_run(const cconv_plan *plan, int64_t first, int64_t last, const void *input, const void *weights,
                       const void *bias, void *output, void *workspace)
{
    const char *from = plan && plan->prepacked ? aligned(weights) : (const char *)weights;
    const int rows = plan && plan->algorithm == CCONV_ROWS;
    char *work = aligned(workspace);
    int64_t index;
    if (!plan || first < 0 || last < first || last > plan->tasks) return CCONV_ERROR_ARGUMENT;
    if (first == last) return CCONV_OK;
    if (!input || !weights || !output || !workspace) return CCONV_ERROR_ARGUMENT;
    (rows ? cconv_rows_tables : cconv_taps_tables)(plan, work);
    for (index = first; index < last; index++) {
        const cconv_task task = task_at(plan, index);
        if (!(rows ? cconv_rows_run : cconv_taps_run)(plan, &task, (const char *)input, from, (const char *)bias, work, (char *)output))
            return CCONV_ERROR_WEIGHTS;
    }
    return CCONV_OK;
}

const char *cconv_isa_name(const cconv_plan *plan) { return plan->kernels->name; }

const char *cconv_strerror(cconv_status status)
{
    switch (status) {
    case CCONV_OK: return "no error";
    case CCONV_ERROR_DESC: return "the descriptor is missing or of another version";
    case CCONV_ERROR_TYPE: return "an unknown type, or one that results cannot be stored as";
    case CCONV_ERROR_BORDER: return "an unknown border, or one that repeats an empty axis";
    case CCONV_ERROR_GROUPS: return "groups do not divide the channels";
    case CCONV_ERROR_SIZE: return "a size, stride, dilation or padding is out of range";
    case CCONV_ERROR_EMPTY: return "an axis of the result would be empty";
    case CCONV_ERROR_ALGORITHM: return "the algorithm is unknown or cannot serve";
    case CCONV_ERROR_ISA: return "the instruction set is unknown or not supported here";
    case CCONV_ERROR_ARGUMENT: return "a pointer is NULL or a range is outside the tasks";
    case CCONV_ERROR_WEIGHTS: return "weights are not finite and must not be multiplied by a border of zeros";
    }
    return "unknown status";
}

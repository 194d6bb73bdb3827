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
 *     V[36][channel][tile]      U[36][tile of outputs][channel][output]      M[36][tile][output]
 *
 * A dilation takes the picture apart into phases, each of which is a picture under a dense kernel.  Bands of
 * samples, depths and phases are the units of a task: small ones share the weights that it reads.
 *
 * A value that is not finite, or so large that sums of it might not be, would spoil its whole tile, and not
 * only the outputs that see it: such a band is computed by `taps`, row after row.  For that the packed
 * weights hold the weights themselves once more, behind U.
 */
#include "sizes.h"

#include <math.h>
#include <string.h>

enum {
    IN = 6, OUT = 4, PRODUCTS = 36, KERNEL = 9,
    ENOUGH_TILES = 56,                  /* of a band: V and M stay near */
    SHARED_TILES = 112,                 /* of a task of several units, for the weights to be used often */
    LEAST_BYTES = 1 << 21,              /* that V and M may have, in any case; as many as the weights; and no more */
    MOST_BYTES = 1 << 23,
    MOST_UNITS = 64,                    /* of a task */
    OUTPUTS_SHARED = 64,                /* that are worth another transform of the input, for several workers */
    DONE_BYTES = 1 << 16,               /* of outputs that wait to be turned */
    MOST_CHANNELS = 1 << 20,
    LEAST_CHANNELS = 16,                /* input and output, where it may be chosen */
    TRANSFORM = 528, PACK = 1000,       /* multiplications of a lane, of a tile's input or output, and of a kernel */
    BYTES_READ = 16                     /* of U with each multiplication of a vector */
};

/* At the workspace's beginning: where the taps of a block of channels lie in V and in U, for both widths of a tile; and
 * what V holds, if anything. */
typedef struct tables {
    ptrdiff_t v[BLOCK_TAPS], u[2][BLOCK_TAPS];
    int64_t held, tiles;        /* 1 + the index of the units and group; how many tiles they have */
    uint64_t spoilt;            /* a bit for each unit that is not among them */
} tables;

static const double zeros[MAX_VECTOR * 2];

/* What values may be so that no sum of them overflows on the way. */
static double limit_of(const cconv_plan *plan) { return plan->desc.compute == CCONV_F32 ? 0x1p60 : 0x1p500; }

static int64_t phases_of(const cconv_plan *plan, int a) { return least(plan->desc.dilation[a], plan->output[a]); }

/* The first input that a phase of the dilation sees, border aside. */
static int64_t start_of(const cconv_plan *plan, int a, int64_t phase)
{
    const int64_t step = plan->desc.dilation[a];
    return ((phase - plan->desc.before[a]) % step + step) % step;
}

/* The convolution of one phase of the dilation, one sample and one group: a dense kernel. */
static cconv_desc desc_of(const cconv_plan *plan, const int64_t phase[3])
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
        d.after[a] = parts(plan->output[a] - phase[a], step) + 2 - d.before[a] - d.input[a];
        if (d.input[a] > 1) d.input_stride[2 + a] *= step;      /* one alone takes no step, and the product could overflow */
        if (plan->output[a] > step) d.output_stride[2 + a] *= step;
        d.dilation[a] = 1;
    }
    return d;
}

/* The plan by `taps` for `columns` results of one row of a phase, for `outputs` channels. */
static cconv_status local_plan(const cconv_plan *plan, const cconv_desc *phase, const int64_t first[3], int64_t columns, int64_t outputs,
                               cconv_plan *local)
{
    const int64_t size = (int64_t)cconv_type_size(phase->compute);
    const int64_t stride[5] = {plan->taps * size, KERNEL * size, KERNEL * size, 3 * size, size};
    cconv_desc d = *phase;
    int a;
    d.algorithm = CCONV_TAPS;
    d.weights = CCONV_WEIGHTS_PLAIN;
    d.weight_type = d.compute;
    memcpy(d.weight_stride, stride, sizeof stride);
    d.out_channels = outputs;
    for (a = 0; a < 3; a++) {
        d.before[a] -= first[a] * d.stride[a];
        d.after[a] = (a == 2 ? columns : 1) + d.kernel[a] - 1 - d.before[a] - d.input[a];
    }
    return cconv_plan_init(local, &d);
}

/* What such plans take at most: bands have one width, but for the last of a phase, and phases have two. */
static cconv_status local_workspace(const cconv_plan *plan, size_t *bytes)
{
    const int64_t origin[3] = {0, 0, 0}, phases = phases_of(plan, 2);
    const int64_t widths[2] = {parts(plan->output[2], phases), plan->output[2] / phases};
    const int64_t columns[3] = {least(plan->band[2], widths[0]), (widths[0] - 1) % plan->band[2] + 1, (widths[1] - 1) % plan->band[2] + 1};
    const int64_t outputs[2] = {cconv_tile_count(plan, 0), cconv_tile_count(plan, plan->tiles - 1)};
    const cconv_desc phase = desc_of(plan, origin);
    int i;
    *bytes = 0;
    for (i = 0; i < 6; i++) {
        cconv_plan local;
        const cconv_status status = local_plan(plan, &phase, origin, columns[i / 2], outputs[i % 2], &local);
        if (status != CCONV_OK) return status;
        if (local.workspace_bytes > *bytes) *bytes = local.workspace_bytes;
    }
    return CCONV_OK;
}

/* Whether it can: sums of integers stay exact elsewhere, and only a constant border falls apart into phases. */
int cconv_winograd_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    int a, serves = d->kernel[0] == 1 && d->kernel[1] == 3 && d->kernel[2] == 3 && d->stride[1] == 1 && d->stride[2] == 1
                    && d->interleave == 1 && d->weights != CCONV_WEIGHTS_PLAIN && d->input_type >= CCONV_F16 && d->weight_type >= CCONV_F16
                    && plan->channels <= MOST_CHANNELS && plan->outputs <= MOST_CHANNELS;
    for (a = 1; a < 3; a++) serves &= d->dilation[a] == 1 || d->border == CCONV_CONSTANT || (d->before[a] <= 0 && d->after[a] <= 0);
    return serves;
}

/* Values of U for one product of a group: an odd number of lines, since 36 are written side by side. */
static int64_t product_values(const cconv_plan *plan)
{
    return up(plan->channels * cconv_tile_pitch(plan, plan->outputs), 32) + 16;
}

static int64_t group_values(const cconv_plan *plan) { return PRODUCTS * product_values(plan); }

/* Whether it is faster than `taps`, in multiplications of vectors: for one sample, with the weights transformed for it if
 * they are not before.  What transforms take was measured. */
int cconv_winograd_pays(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const double lanes = cconv_of_type(plan)->lanes, channels = (double)plan->channels, outputs = (double)plan->outputs;
    const double vectors = (double)parts(plan->outputs, cconv_of_type(plan)->lanes), positions = (double)plan->output[1] * (double)plan->output[2];
    const double bytes = PRODUCTS * channels * vectors * lanes * (double)cconv_type_size(d->compute);
    double tiles = 1, multiplied, transformed, read, packed;
    int a;
    for (a = 1; a < 3; a++)
        tiles *= (double)(phases_of(plan, a) * parts(parts(plan->output[a], phases_of(plan, a)), OUT));
    if (plan->channels < LEAST_CHANNELS || plan->outputs < LEAST_CHANNELS) return 0;
    multiplied = PRODUCTS * tiles * channels * vectors;
    transformed = tiles * (channels + outputs) * TRANSFORM / lanes;
    read = bytes * (1 + floor(tiles / ENOUGH_TILES)) / BYTES_READ;
    packed = d->weights == CCONV_WEIGHTS_EITHER ? channels * outputs * PACK / lanes : 0;
    return multiplied + transformed + read + packed < KERNEL * positions * channels * outputs / lanes;
}

cconv_status cconv_winograd_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes;
    int64_t tiles[3], block[3], most_tiles, shared, at, positions, units;
    size_t local;
    cconv_status status;
    int a;
    if (!cconv_winograd_serves(plan)) return CCONV_ERROR_ALGORITHM;
    plan->form = ACROSS;
    plan->tile = 2 * lanes;
    plan->tiles = plan->larger_tiles = parts(plan->outputs, plan->tile);
    plan->prepacked = 1;
    plan->channel_block = least(plan->channels, BLOCK_TAPS);
    plan->group_block = 1;
    for (a = 0; a < 3; a++) {
        plan->phases[a] = plan->cycle[a] = 1;
        plan->reach[a] = a == 0 ? 0 : 2;
        tiles[a] = a == 0 ? 1 : parts(parts(plan->output[a], d->dilation[a]), OUT);
    }
    plan->apart[0] = 1;
    most_tiles = least(MOST_BYTES, most(LEAST_BYTES, size * d->out_channels * plan->taps)) / (PRODUCTS * size * (plan->channels + plan->outputs));
    shared = least(SHARED_TILES, most_tiles);
    most_tiles = most(1, least(ENOUGH_TILES, most_tiles));
    block[2] = parts(tiles[2], parts(tiles[2], most_tiles));
    block[1] = parts(tiles[1], parts(tiles[1], most(1, most_tiles / block[2])));
    positions = block[1] * block[2];
    plan->band[0] = 1;
    plan->bands[0] = plan->output[0];
    for (a = 1; a < 3; a++) {
        plan->band[a] = OUT * block[a];
        plan->bands[a] = phases_of(plan, a) * parts(tiles[a], block[a]);
    }
    units = d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2];
    plan->units = 2 * positions > ENOUGH_TILES ? 1 : most(1, least(least(MOST_UNITS, units), shared / positions));
    plan->tasks = d->groups * parts(units, plan->units);
    positions *= plan->units;
    plan->out_blocks = 1;
    while (plan->tasks * plan->out_blocks < 2 && plan->outputs >= 2 * plan->out_blocks * OUTPUTS_SHARED) plan->out_blocks *= 2;
    plan->tasks *= plan->out_blocks;
    plan->out_block = parts(plan->tiles, plan->out_blocks) * plan->tile;
    cconv_note_weights(plan);
    plan->write_in_place = plan->turn_in_place = cconv_output_holds_sums(plan) && d->output_stride[4] == size
                                                 && phases_of(plan, 2) == 1;

    plan->row_pitch = up(plan->band[2] + 2, 16) + 16;
    plan->plane = (plan->band[1] + 2) * plan->row_pitch;
    plan->dealt_plane = up((block[1] + 1) * block[2], 32) + 16;
    plan->v_pitch = up(positions + 15, 16);     /* whole vectors are written, wherever they begin */
    plan->v_plane = up(plan->channels * plan->v_pitch, 32) + 16;    /* an odd number of lines: 36 are written side by side */
    plan->sums_pitch = up(plan->out_block, 16);
    plan->done_pitch = least(plan->sums_pitch, up(most(1, DONE_BYTES / (OUT * plan->band[2] * size)), 16));
    plan->m_plane = up(positions * plan->sums_pitch, 32) + 16;
    plan->sums_plane = plan->band[1] * plan->band[2];
    plan->packs = d->groups * plan->tiles;
    plan->header = up(plan->packs, 64);     /* a byte for each tile */
    plan->packed_bytes = (size_t)(plan->header + (d->groups * group_values(plan) + SLACK + d->out_channels * plan->taps) * size) + 64;

    at = up((int64_t)sizeof(tables), 64);
    plan->planes_at = (size_t)at;           /* and outputs that are to be turned */
    at += up(most(plan->plane + 2 * SLACK, OUT * plan->band[2] * plan->done_pitch + SLACK) * size, 64);
    plan->panel_at = (size_t)at;            /* the rows of a plane dealt out to tiles */
    at += up((OUT * IN * plan->dealt_plane + SLACK) * size, 64);
    plan->ordered_at = (size_t)at;          /* half transformed */
    at += up(PRODUCTS * lanes * size, 64);
    plan->v_at = (size_t)at;
    at += up((PRODUCTS * plan->v_plane + SLACK) * size, 64);
    plan->bias_at = (size_t)at;
    at += up((plan->sums_pitch + SLACK) * size, 64);
    plan->sums_at = (size_t)at;
    at += up((PRODUCTS * plan->m_plane + SLACK) * size, 64);
    plan->turned_at = (size_t)at;
    if (!plan->turn_in_place) at += up((plan->out_block * plan->sums_plane + SLACK) * size, 64);
    status = local_workspace(plan, &local);
    plan->workspace_bytes = (size_t)most(at + 64, (int64_t)local);
    return status;
}

/* Of a group's weights U, of all the weights themselves. */
static const char *products_of(const cconv_plan *plan, const char *packed, int64_t group)
{
    return packed + plan->header + group * group_values(plan) * (int64_t)cconv_type_size(plan->desc.compute);
}

static const char *weights_of(const cconv_plan *plan, const char *packed) { return products_of(plan, packed, plan->desc.groups); }

/* The weights of a tile: U, themselves, and in the header whether one is too large to be transformed. */
int cconv_winograd_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    enum { AT_ONCE = BLOCK_TAPS / KERNEL };
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), group = index / plan->tiles, tile = index % plan->tiles;
    const int64_t first = cconv_tile_first(plan, tile), count = cconv_tile_count(plan, tile), pitch = cconv_tile_pitch(plan, count);
    char *u = (char *)products_of(plan, packed, group) + first * plan->channels * size;
    char *same = (char *)weights_of(plan, packed) + (group * plan->outputs + first) * plan->taps * size;
    double ordered[AT_ONCE * KERNEL * MAX_VECTOR];      /* of two vectors of output channels */
    int64_t c, o;
    int finite = 1;
    for (c = 0; c < plan->channels; c += AT_ONCE) {
        const int64_t n = least(AT_ONCE, plan->channels - c);
        finite &= cconv_order_tile(plan, group, tile, c * KERNEL, n * KERNEL, weight, (char *)ordered);
        kernels->filter(ordered, n, pitch, u + c * pitch * size, (ptrdiff_t)product_values(plan));
    }
    for (o = 0; o < count; o++)
        cconv_read_taps(plan, weight + (group * plan->outputs + first + o) * d->weight_stride[0], 0, plan->taps, same + o * plan->taps * size);
    packed[index] = (char)!kernels->within(same, count * plan->taps, limit_of(plan));
    return finite;
}

void cconv_winograd_tables(const cconv_plan *plan, char *work)
{
    const int64_t lanes = cconv_of_type(plan)->lanes;
    tables *t = (tables *)(void *)work;
    int64_t c;
    for (c = 0; c < BLOCK_TAPS; c++) {
        t->v[c] = (ptrdiff_t)(c * plan->v_pitch);
        t->u[0][c] = (ptrdiff_t)(c * lanes);
        t->u[1][c] = (ptrdiff_t)(c * 2 * lanes);
    }
    t->held = 0;
}

/* A band of a phase of a sample: a unit. */
typedef struct band {
    cconv_plan plan;                    /* with the descriptor of the phase */
    cconv_task task, whole;             /* the outputs; the same rounded up to whole tiles */
    int64_t rows, columns, first;       /* tiles; the first is the first-th of the task's */
    const char *input;                  /* of the first channel */
    char *output;                       /* of the first sample, channel and position of the phase */
} band;

/* Returns 0 where there is none: some phases are smaller than others. */
static int find_band(const cconv_plan *plan, const cconv_task *task, int64_t unit, const char *input, char *output, band *b)
{
    const cconv_desc *d = &plan->desc;
    int64_t phase[3] = {0, 0, 0};
    int a;
    b->plan = *plan;
    b->task = *task;
    b->input = input;
    b->output = output;
    for (a = 2; a > 0; a--) {
        const int64_t index = unit % plan->bands[a], bands = plan->bands[a] / phases_of(plan, a);
        int64_t start;
        unit /= plan->bands[a];
        phase[a] = index / bands;
        start = start_of(plan, a, phase[a]);
        b->task.first[a] = index % bands * plan->band[a];
        b->task.size[a] = least(plan->band[a], parts(plan->output[a] - phase[a], d->dilation[a]) - b->task.first[a]);
        if (b->task.size[a] <= 0) return 0;
        if (start < d->input[a]) b->input += start * d->input_stride[2 + a];
        b->output += phase[a] * d->output_stride[2 + a];
    }
    b->task.od = unit % plan->output[0];
    b->task.n = unit / plan->output[0];
    b->input += b->task.n * d->input_stride[0] + task->group * plan->channels * d->input_stride[1];
    b->plan.desc = desc_of(plan, phase);
    b->whole = b->task;
    for (a = 1; a < 3; a++) b->whole.size[a] = up(b->task.size[a], OUT);
    b->rows = b->whole.size[1] / OUT;
    b->columns = b->whole.size[2] / OUT;
    return 1;
}

/* A channel of the band that will be transformed next, fetched into the cache where its rows lie whole. */
static void fetch(const band *b, int64_t channel)
{
    const cconv_desc *d = &b->plan.desc;
    const int64_t first = b->task.first[1] - d->before[1], top = most(0, first);
    const int64_t bottom = least(d->input[1], first + b->whole.size[1] + 2), bytes = d->input[2] * (int64_t)cconv_type_size(d->input_type);
    const char *row = b->input + channel * d->input_stride[1] + top * d->input_stride[3];
    int64_t r, at;
    if (channel >= b->plan.channels || d->input[0] != 1 || b->whole.size[2] + 2 < d->input[2]
        || d->input_stride[4] != (int64_t)cconv_type_size(d->input_type))
        return;
    for (r = top; r < bottom; r++, row += d->input_stride[3])
        for (at = 0; at < bytes; at += LINE) PREFETCH(row + at);
}

/* V; returns 0 where values are not finite or too large. */
static int transform_input(const band *b, char *work)
{
    const cconv_plan *plan = &b->plan;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    char *plane = work + plan->planes_at, *dealt = work + plan->panel_at, *half = work + plan->ordered_at;
    char *v = work + plan->v_at + b->first * size;
    const double scale = plan->desc.compute == CCONV_F32 ? 0x1p68 : 0x1p524;    /* overflows where limit_of is passed */
    double spoilt[MAX_VECTOR] = {0};
    int64_t c, r;
    memset(plane, 0, (size_t)((plan->plane + 2 * SLACK) * size));       /* beyond the rows' ends too */
    for (c = 0; c < plan->channels; c++) {
        cconv_load_plane(plan, &b->whole, b->input + c * plan->desc.input_stride[1], plane, c == 0);
        fetch(b, c + 1);
        for (r = 0; r < OUT * b->rows + 2; r++)
            kernels->deal(plane + r * plan->row_pitch * size, dealt + (r % OUT * IN * plan->dealt_plane + r / OUT * b->columns) * size,
                          (ptrdiff_t)plan->dealt_plane, b->columns, scale, spoilt);
        kernels->forward(dealt, (ptrdiff_t)plan->dealt_plane, (ptrdiff_t)b->columns, half, v + c * plan->v_pitch * size,
                         (ptrdiff_t)plan->v_plane, b->rows * b->columns);
    }
    return kernels->within(spoilt, kernels->lanes, 1);
}

/* M, for `tiles` tiles. */
static void multiply(const cconv_plan *plan, const cconv_task *task, int64_t tiles, const char *u, char *work)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), lanes = kernels->lanes;
    const int64_t pieces = parts(tiles, kernels->tile), step = product_values(plan);
    const tables *t = (const tables *)(const void *)work;
    int64_t c, tile, piece;
    int product;
    for (product = 0; product < PRODUCTS; product++) {
        const char *v = work + plan->v_at + product * plan->v_plane * size;
        char *m = work + plan->sums_at + product * plan->m_plane * size;
        for (tile = task->tile_first; tile < task->tile_last; tile++) {
            const int64_t first = cconv_tile_first(plan, tile), pitch = cconv_tile_pitch(plan, cconv_tile_count(plan, tile));
            const int wide = pitch > lanes;
            for (c = 0; c < plan->channels; c += BLOCK_TAPS) {
                const int64_t channels = least(BLOCK_TAPS, plan->channels - c);
                const char *weights = u + (product * step + first * plan->channels + c * pitch) * size;
                const char *next = weights + channels * pitch * size;       /* of this tile, the next, or the next product */
                for (piece = 0; piece < pieces; piece++) {
                    const int64_t at = piece * tiles / pieces, n = (piece + 1) * tiles / pieces - at;
                    char *sums = m + (at * plan->sums_pitch + first - task->out_first) * size;
                    kernels->taps[n][wide](weights, t->u[wide], v + (c * plan->v_pitch + at) * size, t->v, channels, NULL,
                                           c ? sums : (const char *)zeros, c ? (ptrdiff_t)plan->sums_pitch : 0, sums,
                                           (ptrdiff_t)plan->sums_pitch, lanes, piece ? weights : next, piece ? 0 : (ptrdiff_t)pitch);
                }
            }
        }
    }
}

/* M transformed back, to the output or to where store takes it from: some channels of a row of tiles at a time, so that
 * the output is written in long lines. */
static void transform_output(const band *b, char *to, int64_t to_plane, int64_t to_row, char *work)
{
    const cconv_plan *plan = &b->plan;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), pitch = plan->done_pitch, line = b->columns * OUT * pitch;
    char *done = work + plan->planes_at;
    int64_t row, t, o, i, r;
    for (row = 0; row < b->rows; row++)
        for (o = 0; o < b->task.out_count; o += pitch) {
            const int64_t n = least(pitch, b->task.out_count - o), rows = least(OUT, b->task.size[1] - row * OUT);
            for (t = 0; t < b->columns; t++)
                kernels->inverse(work + plan->sums_at + ((b->first + row * b->columns + t) * plan->sums_pitch + o) * size,
                                 (ptrdiff_t)plan->m_plane, work + plan->bias_at + o * size, work + plan->ordered_at,
                                 done + t * OUT * pitch * size, (ptrdiff_t)line, (ptrdiff_t)pitch, n);
            for (i = 0; i < n; i += OUT)
                for (r = 0; r < rows; r++)
                    kernels->turn(done + (r * line + i) * size, (ptrdiff_t)pitch, b->task.size[2], least(OUT, n - i),
                                  to + ((o + i) * to_plane + (row * OUT + r) * to_row) * size, (ptrdiff_t)to_plane);
        }
}

/* The band without sharing anything between outputs. */
static int run_locally(const band *b, const char *weights, const char *bias, char *work)
{
    const cconv_plan *plan = &b->plan;
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute);
    int64_t r, tile;
    for (r = 0; r < b->task.size[1]; r++)
        for (tile = b->task.tile_first; tile < b->task.tile_last; tile++) {
            const int64_t first[3] = {b->task.od, b->task.first[1] + r, b->task.first[2]};
            const int64_t channel = b->task.group * plan->outputs + cconv_tile_first(plan, tile);
            cconv_task row = b->task;
            cconv_plan local;
            row.first[1] += r;
            row.out_first = cconv_tile_first(plan, tile);
            if (local_plan(plan, &plan->desc, first, row.size[2], cconv_tile_count(plan, tile), &local) != CCONV_OK
                || local.workspace_bytes > plan->workspace_bytes
                || cconv_run(&local, 0, local.tasks, b->input, weights + channel * plan->taps * size, bias ? bias + channel * size : NULL,
                             b->output + cconv_output_at(plan, &row), work) != CCONV_OK)
                return 0;
        }
    return 1;
}

/* The units that were not transformed; they need the workspace for themselves. */
static int run_spoilt(const cconv_plan *plan, const cconv_task *task, int64_t first, int64_t units, const char *input,
                      const char *weights, const char *bias, char *work, char *output)
{
    const uint64_t spoilt = ((const tables *)(const void *)work)->spoilt;
    int64_t i;
    band b;
    for (i = 0; i < units; i++)
        if (spoilt >> i & 1 && find_band(plan, task, first + i, input, output, &b) && !run_locally(&b, weights, bias, work)) return 0;
    cconv_winograd_tables(plan, work);
    return 1;
}

/* The output of a unit. */
static void finish(band *b, const char *bias, char *work)
{
    const cconv_plan *plan = &b->plan;
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), *stride = plan->desc.output_stride;
    if (plan->turn_in_place) {
        transform_output(b, b->output + cconv_output_at(plan, &b->task), stride[1] / size, stride[3] / size, work);
        return;
    }
    transform_output(b, work + plan->turned_at, plan->sums_plane, plan->band[2], work);
    cconv_store_band(plan, &b->task, work + plan->turned_at, plan->band[2], plan->sums_plane, bias, b->output);
}

int cconv_winograd_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                       char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), block = index % plan->out_blocks;
    const int64_t all = d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2], blocks = parts(all, plan->units);
    const int64_t first = index / plan->out_blocks % blocks * plan->units, units = least(plan->units, all - first);
    const uint64_t one = 1;
    tables *t = (tables *)(void *)work;
    int64_t i, tiles = 0;
    cconv_task task = {0};
    band b;
    int wild = 0;
    task.group = index / plan->out_blocks / blocks;
    cconv_block_of(plan, block, &task);
    for (i = 0; i < plan->tiles; i++) wild |= weights[task.group * plan->tiles + i];
    for (i = 0; i < units && t->held != index / plan->out_blocks + 1; i++) {
        if (i == 0) t->tiles = 0, t->spoilt = 0;
        if (!find_band(plan, &task, first + i, input, output, &b)) continue;
        b.first = t->tiles;
        if (wild || !transform_input(&b, work)) t->spoilt |= one << i;
        else t->tiles += b.rows * b.columns;
    }
    t->held = index / plan->out_blocks + 1;
    multiply(plan, &task, t->tiles, products_of(plan, weights, task.group), work);
    memset(work + plan->bias_at, 0, (size_t)((plan->sums_pitch + SLACK) * size));       /* whole vectors of it */
    if (bias && d->divisor == 1)
        memcpy(work + plan->bias_at, bias + (task.group * plan->outputs + task.out_first) * size, (size_t)(task.out_count * size));
    for (i = 0; i < units; i++) {
        if (t->spoilt >> i & 1 || !find_band(plan, &task, first + i, input, output, &b)) continue;
        b.first = tiles;
        tiles += b.rows * b.columns;
        finish(&b, bias, work);
    }
    return t->spoilt == 0 || run_spoilt(plan, &task, first, units, input, weights_of(plan, weights), bias, work, output);
}

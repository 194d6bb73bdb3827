/* SPDX-License-Identifier: BSD-3-Clause
 *
 * upright: Winograd's algorithm along one axis alone, for kernels that winograd.c does not serve, and for few channels, where its
 * transforms would take more than they save: along the height, or along the width of kernels of one row.  With the same points, six
 * products make m neighbouring outputs of r taps, m + r = 7: 3 taps cost 6 multiplications instead of 12 for 4 outputs, 5 taps 6 instead of 10
 * for 2.  A stride takes the taps apart into phases, and more than 5 of them (4 along the width) are taken in blocks of 3 or 4, whose products are added up: 7
 * rows with a stride of 2 are phases of 4 and 3, and 7 with a stride of 1 blocks of 4 and 3: 12 multiplications instead of 21 for 3 outputs.
 *
 *     V[6][line of tiles][plane][block][column]      U[tile of outputs][6][term][output]      S[6][...]
 *
 * Each of six sums over terms (channel, phase, block, column of the kernel) is a convolution by `taps` along lines of V, vectors along them or,
 * where they are short or the channels of the output lie side by side, across these; S is transformed back while it is in the cache.  Along
 * the width a line of V has a column for each tile of a row, whose values are dealt out to as many rows as a tile has outputs; results are dealt back.
 *
 * What is not finite, or too large, goes by `taps`, as in winograd.c.
 */
#include "upright.h"

#include <math.h>

static const double no_sums[MAX_VECTOR * 2] = {0};

/* As winograd's. */
int cconv_upright_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), group = index / plan->tiles, tile = index % plan->tiles;
    const int64_t first = cconv_tile_first(plan, tile), count = cconv_tile_count(plan, tile), pitch = cconv_tile_pitch(plan, count);
    const int64_t taps = d->kernel[1] * d->kernel[2], terms = terms_of(plan), each = terms / slices_of(plan), at_once = BLOCK_TAPS / taps;
    char *u = packed + plan->header + (group * upright_values(plan) + UPRIGHT * terms * first) * size;
    char *same = packed + plan->header + (d->groups * upright_values(plan) + (group * plan->outputs + first) * plan->taps) * size;
    double ordered[BLOCK_TAPS * MAX_VECTOR];            /* of two vectors of output channels */
    cconv_plan any = *plan;
    int64_t s, o;
    any.must_be_finite = 0;
    for (s = 0; s < slices_of(plan); s++) {
        if (s % at_once == 0)
            cconv_order_tile(&any, group, tile, s * taps, least(at_once, slices_of(plan) - s) * taps, weight, (char *)ordered);
        kernels->upright.raise((char *)ordered + s % at_once * taps * pitch * size, d->kernel[axis_of(d)], d->stride[axis_of(d)], block_taps(d), blocks_of(d), across_taps(d) * pitch,
                               u + s * each * pitch * size, (ptrdiff_t)(terms * pitch));
    }
    for (o = 0; o < count; o++)
        cconv_read_taps(plan, weight + (group * plan->outputs + first + o) * d->weight_stride[0], 0, plan->taps, same + o * plan->taps * size);
    return cconv_winograd_note(plan, same, count * plan->taps, packed + index);
}

/* What of a band goes where. */
typedef struct lifting {
    const cconv_plan *plan;
    const cconv_task *task;
    const char *zeros;                  /* a row of them */
    char *dealt;
    char *spoilt;
} lifting;

/* The blocks of a line of tiles: input i of a tile lies at rows + i * row, or, dealt out, in one of as many rows as the tile has outputs,
 * some columns later.  Zeros stand for what no result sees, which must not decide the bits of others.  `seen`: inputs of the first block that
 * were looked at before. */
static void lift_line(const lifting *of, const char *rows, int64_t row, int64_t taps, int64_t columns, int64_t seen, char *v)
{
    const cconv_plan *plan = of->plan;
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), tile = plan->wide, each = UPRIGHT + 1 - tile;
    const int64_t turn = axis_of(d) == 1 ? INT64_MAX : tile;
    const void *x[UPRIGHT];
    int64_t first = 0, i, at = 0;               /* of a block; of its first input: in which row */
    for (; first <= plan->reach[axis_of(d)]; first += each, v += plan->dealt_plane * size) {
        const int64_t inputs = first < taps ? tile - 1 + least(each, taps - first) : 0;
        const char *next = rows;
        int64_t here = at;
        for (i = 0; i < UPRIGHT; i++) {
            x[i] = i < inputs ? next + here * row : of->zeros;
            if (i + 1 == each) at = here + 1, rows = next;
            if (++here == turn) here = 0, next += size;
        }
        if (at == turn) at = 0, rows += size;
        cconv_of_type(plan)->upright.lift(x, v, (ptrdiff_t)plan->v_plane, columns, first ? UPRIGHT - each : seen, cconv_beyond(plan), of->spoilt);
    }
}

/* A plane of a phase. */
static void lift_plane(const lifting *of, int64_t phase, char *plane, char *v)
{
    const cconv_plan *plan = of->plan;
    const cconv_desc *d = &plan->desc;
    const cconv_task *task = of->task;
    const int64_t size = (int64_t)cconv_type_size(d->compute), tile = plan->wide, row = plan->row_pitch * size;
    const int64_t taps = taps_of_phase(d, phase), length = task->size[axis_of(d)] + taps - 1, all = task->size[axis_of(d)] + plan->reach[axis_of(d)];
    int64_t t;
    if (axis_of(d) == 1) {
        const int64_t seen = least(taps, UPRIGHT + 1 - tile) - 1;
        memset(plane + length * row, 0, (size_t)((all - length) * row));
        for (t = 0; t * tile < task->size[1]; t++, plane += tile * row, v += plan->v_pitch * size)
            lift_line(of, plane, row, taps, task->size[2] + plan->reach[2], t ? seen : 0, v);
        return;
    }
    for (t = 0; t < task->size[1]; t++, plane += row, v += plan->v_pitch * size) {
        memset(plane + length * size, 0, (size_t)((all - length) * size));
        cconv_of_type(plan)->turn(plane, (ptrdiff_t)tile, tiles_seen(d, task->size[2]), dealt_rows(d), of->dealt, (ptrdiff_t)plan->dealt_plane);
        lift_line(of, of->dealt, plan->dealt_plane * size, taps, tiles_along(d, task->size[2]), 0, v);
    }
}

/* V; returns 0 where values are not finite or too large. */
static int lift_input(const cconv_plan *plan, const cconv_task *task, const char *input, char *work)
{
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int axis = axis_of(&plan->desc);
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), together = planes_at_once(plan);
    const int64_t planes = plan->phases[0] * plan->phases[1] * plan->phases[2], slice = (plan->band[1] + plan->reach[1]) * plan->row_pitch;
    char *loaded = work + plan->planes_at, *v = work + plan->v_at;
    double sums[MAX_VECTOR + LINE / sizeof(double)] = {0};
    char *spoilt = cconv_aligned(sums);
    const lifting of = {plan, task, loaded + together * plan->plane * size, work + plan->ordered_at, spoilt};
    int64_t c, p;
    memset(loaded, 0, (size_t)((together * plan->plane + plan->row_pitch + 2 * SLACK) * size));      /* beyond the rows' ends too */
    if (axis == 2) memset(work + plan->ordered_at, 0, (size_t)((dealt_rows(&plan->desc) * plan->dealt_plane + SLACK) * size));
    for (c = 0; c < plan->channels; c++) {
        if (c % together == 0)
            cconv_load_planes(plan, task, input + c * plan->desc.input_stride[1], least(together, plan->channels - c), loaded, c == 0);
        for (p = 0; p < planes; p++)
            lift_plane(&of, axis == 1 ? p / plan->phases[2] % plan->phases[1] : p % plan->phases[2], loaded + (c % together * plan->plane + p * slice) * size,
                       v + (c * planes + p) * blocks_of(&plan->desc) * plan->dealt_plane * size);
    }
    return kernels->within(spoilt, kernels->lanes, 1);
}

/* A tile of outputs: S of some columns of a line of tiles. */
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
                                                          n, before, before_pitch, (ptrdiff_t)kernels->lanes, s, (ptrdiff_t)plan->sums_pitch, kernels->lanes, 0, NULL, next, 0);
        }
}

/* Where results go: of a channel, a row and a column, in values. */
typedef struct place {
    char *y;
    int64_t plane, row, step;
} place;

/* What S makes: `outputs` of each tile, m or, of the last one of a row, fewer. */
static void settle_columns(const cconv_plan *plan, const char *s, const char *bias, char *y, int64_t y_output, int64_t y_column, int64_t y_channel, int64_t outputs,
                           int64_t columns, int64_t count, int stream)
{
    const int across = plan->form == ACROSS;
    cconv_of_type(plan)->upright.settle[tile_size(&plan->desc) - 2](s, (ptrdiff_t)plan->m_plane, (ptrdiff_t)plan->sums_pitch, bias, !across, cconv_clip(plan), y, (ptrdiff_t)y_output,
                                                                 (ptrdiff_t)(across ? y_column : y_channel), outputs, across ? columns : count,
                                                                 across ? count : columns, stream);
}

/* The results of a piece of a line of tiles along the width, from its tile `from` on, of `width` outputs of the line; they are turned when all of
 * a line are there where vectors run across channels. */
static void settle_row(const cconv_plan *plan, int64_t count, const char *bias, int64_t from, int64_t columns, int64_t width, const place *to, char *work)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), tile = tile_size(&plan->desc), pitch = plan->sums_pitch;
    const int64_t whole = least(columns, width / tile - from), left = whole < columns ? width % tile : 0;
    const char *s = work + plan->sums_at;
    char *done = work + plan->panel_at;
    int64_t o, i;
    if (plan->form == ACROSS) {
        const int64_t step = plan->turn_in_place ? pitch : to->step;
        char *y = (plan->turn_in_place ? done : to->y) + from * tile * step * size;
        settle_columns(plan, s, bias, y, step, tile * step, 1, tile, whole, count, plan->stream);
        if (left) settle_columns(plan, s + whole * pitch * size, bias, y + whole * tile * step * size, step, tile * step, 1, left, 1, count, plan->stream);
        return;
    }
    settle_columns(plan, s, bias, done, pitch, 1, tile * pitch, tile, columns, count, 0);
    for (o = 0; o < count; o++, done += tile * pitch * size) {
        char *y = to->y + (o * to->plane + from * tile * to->step) * size;
        cconv_of_type(plan)->turn(done, (ptrdiff_t)pitch, tile, whole, y, (ptrdiff_t)tile);
        for (i = 0; i < left; i++) memcpy(y + (whole * tile + i) * size, done + (i * pitch + whole) * size, (size_t)size);
    }
}

static void multiply_tiles(const cconv_plan *plan, const cconv_task *task, const char *u, const place *all, char *work)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), terms = terms_of(plan), tile = tile_size(d);
    const int across = plan->form == ACROSS, upright = axis_of(d) == 1, turn = plan->turn_in_place && across;
    const int64_t width = upright ? task->size[2] : tiles_along(d, task->size[2]), lines = upright ? parts(task->size[1], tile) : task->size[1];
    const int64_t row = width * plan->sums_pitch, pieces = parts(width, across ? kernels->tile : UPRIGHT_VECTORS * kernels->lanes);
    char *done = work + plan->panel_at;
    int64_t index, t, piece, r;
    for (index = task->tile_first; index < task->tile_last; index++) {
        const int64_t first = cconv_tile_first(plan, index), count = cconv_tile_count(plan, index), pitch = cconv_tile_pitch(plan, count);
        const char *bias = work + plan->bias_at + first * size;
        place to = *all;
        to.y += (first - task->out_first) * to.plane * size;
        for (t = 0; t < lines; t++, to.y += (upright ? tile : 1) * to.row * size) {
            const int64_t rows = upright ? least(tile, task->size[1] - t * tile) : 1;
            for (piece = 0; piece < pieces; piece++) {
                const int64_t from = across ? piece * width / pieces : piece * UPRIGHT_VECTORS * kernels->lanes;
                const int64_t columns = across ? (piece + 1) * width / pieces - from : least(UPRIGHT_VECTORS * kernels->lanes, width - from);
                multiply_columns(plan, count, pitch, u + UPRIGHT * terms * first * size, work + plan->v_at + (t * plan->v_pitch + from) * size, columns, work);
                if (!upright)
                    settle_row(plan, count, bias, from, columns, task->size[2], &to, work);
                else if (turn)
                    settle_columns(plan, work + plan->sums_at, bias, done + from * plan->sums_pitch * size, row, plan->sums_pitch, 1, rows, columns, count, 0);
                else
                    settle_columns(plan, work + plan->sums_at, bias, to.y + from * to.step * size, to.row, to.step, to.plane, rows, columns, count, plan->stream);
            }
            for (r = 0; r < rows && turn; r++)
                kernels->turn(done + r * row * size, (ptrdiff_t)plan->sums_pitch, task->size[2], count, to.y + r * to.row * size, (ptrdiff_t)to.plane);
        }
    }
    if (plan->stream) plan->kernels->drain();
}

int cconv_upright_run(const cconv_plan *plan, int64_t index, int64_t count, const char *input, const char *weights, const char *bias,
                      char *work, char *output)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), origin[3] = {0, 0, 0}, *stride = d->output_stride;
    const char *values = weights + plan->header;
    int64_t i;
    int wild = 0;
    cconv_task task = cconv_no_task();
    cconv_tasks_at(plan, index, count, &task);
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
    if (plan->write_in_place) {
        const place to = {output + cconv_output_at(plan, &task), stride[1] / size, stride[3] / size, stride[4] / size};
        multiply_tiles(plan, &task, values, &to, work);
    } else {
        const place to = {work + plan->turned_at, plan->sums_plane, plan->band[2], 1};
        multiply_tiles(plan, &task, values, &to, work);
        cconv_store_band(plan, &task, work + plan->turned_at, plan->band[2], plan->sums_plane, bias, output);
    }
    return 1;
}

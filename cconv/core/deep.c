/* SPDX-License-Identifier: BSD-3-Clause
 *
 * deep: what `rows` does, for one kernel per channel where the channels of a pixel lie side by side, in the input and the
 * output: vectors run across channels.  Small planes are turned for it, some channels at a time, and results turned back (`turned`).
 * Taps are added in the order of `rows`, so the bits are the same.
 *
 * Runs of taps are made of lines, either side by side or below each other, whichever makes fewer; the kernel takes outputs that lie
 * along such lines, so that a vector is loaded once for several of them.  A border of zeros is not there: what lies outside is not
 * read, and a line that does is read from a pixel of zeros.  Other borders make a padded copy of the band.
 */
#include "sizes.h"

#include <math.h>

enum { BAND_VALUES = 1 << 16, TASK_VALUES = 1 << 19, FEWEST = 4, FEWEST_ALONG = 32, FEWEST_TURNED = 16, TURNED_COLUMNS = 16, TURNED_SHARED = 1 << 21,
       FEWEST_SLIDING = 2 };

/* Whether planes should be turned: small ones of which `rows` would fill no more than half of a vector; or which it would take apart by a stride, where it
 * does not read them in place; or by a dilation, if it would not fill a vector either. */
static int turned(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), lanes = cconv_of_type(plan)->lanes, width = plan->output[2];
    const int strided = d->stride[1] > 1 && d->stride[2] > 1, dilated = d->dilation[1] > 1 && d->dilation[2] > 1;
    return (2 * width <= lanes || (strided && !cconv_near_halves(plan)) || (dilated && width < lanes))
           && d->kernel[2] > 1 && cconv_zeros_outside(plan) && d->groups >= FEWEST_TURNED && d->input_stride[4] == size
           && d->input_stride[1] % size == 0 && d->output_stride[4] == size && width <= TURNED_COLUMNS && d->input[2] <= 4 * TURNED_COLUMNS
           && times(d->input[1], d->input[2]) <= BAND_VALUES / FEWEST_TURNED;
}

static int pixels_lie(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    return d->input_stride[1] == size && d->input_stride[4] == times(d->groups, size) && d->output_stride[1] == size;
}

int cconv_deep_serves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    return d->groups == d->in_channels && d->groups == d->out_channels && d->groups >= FEWEST && d->kernel[0] == 1 && d->interleave == 1
           && plan->taps <= BLOCK_TAPS && d->input_type == d->compute && cconv_output_holds_sums(plan) && (pixels_lie(plan) || turned(plan))
           && times(plan->taps, d->groups) <= MEMORY / 64;
}

static int64_t pitch_of(const cconv_plan *plan) { return up(plan->desc.groups, MAX_VECTOR); }

/* How many input rows or columns some positions see. */
static int64_t seen(const cconv_plan *plan, int a, int64_t positions)
{
    return (positions - 1) * plan->desc.stride[a] + (plan->desc.kernel[a] - 1) * plan->desc.dilation[a] + 1;
}

typedef struct line {
    int64_t row, column, taps;
} line;

typedef struct deep_tables {
    cconv_order order;
    line lines[BLOCK_TAPS];
    int64_t run[BLOCK_TAPS + 1];        /* lines of each run */
    int64_t apart;                      /* taps of a line: in coordinates */
    int64_t phases;                     /* how many outputs further one sees what the next tap, or the next but one, saw */
    int along;                          /* the axis of the lines */
    int pairs;                          /* 3x3 neighbours: outputs in two rows at a time */
} deep_tables;

/* The taps in lines along an axis; returns how many. */
static int64_t find_lines(const cconv_plan *plan, deep_tables *t, int along)
{
    const int64_t next = along == 1 ? plan->cycle[1] : 1, *row = t->order.row, *column = t->order.column;
    int64_t count = 0, tap = 0, common, r;
    for (r = 0; t->order.run[r] > 0; r++) {
        const int64_t end = tap + t->order.run[r], before = count;
        for (; tap < end; tap++) {
            line *last = count > before ? &t->lines[count - 1] : NULL;
            if (last && row[tap] == last->row + (along == 1 ? last->taps * next : 0)
                && column[tap] == last->column + (along == 2 ? last->taps : 0)) {
                last->taps++;
            } else {
                const line first = {row[tap], column[tap], 1};
                t->lines[count++] = first;
            }
        }
        t->run[r] = count - before;
    }
    t->run[r] = 0;
    t->along = along;
    t->apart = next * plan->desc.dilation[along];
    common = gcd(t->apart, plan->desc.stride[along]);
    t->phases = plan->desc.stride[along] <= 2 * common ? t->apart / common : 1;
    return count;
}

static void make_tables(const cconv_plan *plan, deep_tables *t)
{
    const cconv_desc *d = &plan->desc;
    int64_t below;
    cconv_rows_order(plan, &t->order);
    below = find_lines(plan, t, 1);
    if (below < find_lines(plan, t, 2)) find_lines(plan, t, 1);
    t->pairs = t->along == 2 && d->kernel[1] == 3 && d->kernel[2] == 3 && d->dilation[1] == 1 && d->dilation[2] == 1
               && d->stride[1] == d->stride[2] && d->stride[1] <= 2 && t->run[0] == (d->stride[1] == 1 ? 3 : 1)
               && t->run[1] == (d->stride[1] == 1 ? 0 : 2);
}

/* Where nothing is copied, a band ends only so that there are enough of them, and across the lines. */
static void bands_in_place(const cconv_plan *plan, int pairs, int64_t *along, int64_t *across, int64_t samples)
{
    const int64_t outputs = *along, others = *across, groups = plan->desc.groups;
    *across = least(others, most(1, TASK_VALUES / times(outputs, groups)));
    if (!plan->alone && samples < SHARES) *across = least(*across, parts(others, SHARES));
    *across = parts(others, parts(others, *across));
    if (pairs) *across = up(*across, 2);
    *along = least(outputs, most(FEWEST_ALONG, TASK_VALUES / times(*across, groups)));
    if (!plan->alone && samples * others < SHARES) *along = least(*along, up(most(parts(outputs, SHARES), FEWEST_ALONG), 8));
}

static cconv_status bands_of_copies(const cconv_plan *plan, int64_t groups, int64_t *rows, int64_t *columns, int64_t samples)
{
    const cconv_desc *d = &plan->desc;
    const double reach = (double)d->dilation[1] * (double)(d->kernel[1] - 1) + (double)d->dilation[2] * (double)(d->kernel[2] - 1);
    if (reach * (double)groups > (double)BAND_VALUES * 16 || (double)d->stride[2] * (double)groups > (double)BAND_VALUES)
        return CCONV_ERROR_ALGORITHM;       /* `rows` takes what lies between taps apart */
    *columns = least(*columns, most(4, BAND_VALUES / 4 / times(d->stride[2], groups)));
    *columns = parts(plan->output[2], parts(plan->output[2], *columns));
    *rows = least(*rows, most(4, BAND_VALUES / times(d->stride[1], times(seen(plan, 2, *columns), groups))));
    if (!plan->alone && samples < SHARES) *rows = least(*rows, most(1, parts(plan->output[1], SHARES)));
    *rows = parts(plan->output[1], parts(plan->output[1], *rows));
    return times(seen(plan, 1, *rows), times(seen(plan, 2, *columns), groups)) > BAND_VALUES * 64 ? CCONV_ERROR_ALGORITHM : CCONV_OK;
}

/* Channels that are turned at a time: as many as stay near, and fewer where several workers should have some. */
static int64_t turned_at_once(const cconv_plan *plan, int64_t samples)
{
    const cconv_desc *d = &plan->desc;
    const int64_t near = BAND_VALUES / (d->input[1] * d->input[2] + 1), work = times(times(plan->taps, d->groups), times(plan->output[1], plan->output[2]));
    int64_t blocks = parts(d->groups, most(FEWEST_TURNED, near));
    if (!plan->alone && work >= TURNED_SHARED && samples > 0) blocks = most(blocks, least(d->groups / FEWEST_TURNED, parts(SHARES, samples)));
    return parts(d->groups, blocks);
}

cconv_status cconv_deep_lay_out(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), samples = d->batch * plan->output[0];
    const int turn = !pixels_lie(plan);
    const int64_t block = turn ? turned_at_once(plan, samples) : d->groups;
    deep_tables t;
    int64_t a;
    make_tables(plan, &t);
    memcpy(plan->band, plan->output, sizeof plan->band);
    plan->band[0] = 1;
    plan->read_in_place = cconv_zeros_outside(plan);
    if (turn) plan->band[1] = plan->output[1];
    else if (plan->read_in_place) bands_in_place(plan, t.pairs, &plan->band[t.along], &plan->band[3 - t.along], samples);
    else if (bands_of_copies(plan, block, &plan->band[1], &plan->band[2], samples) != CCONV_OK) return CCONV_ERROR_ALGORITHM;
    plan->turn_in_place = turn;          /* the planes, and then the results */
    plan->group_block = plan->pixel = block;
    for (a = 0; a < 3; a++) plan->bands[a] = parts(plan->output[a], plan->band[a]);
    plan->out_blocks = 1;
    plan->tasks = samples * parts(d->groups, plan->group_block) * plan->bands[1] * plan->bands[2];
    plan->packs = 1;
    plan->prepacked = d->weights != CCONV_WEIGHTS_PLAIN;
    plan->row_pitch = plan->read_in_place ? 0 : up(seen(plan, 2, plan->band[2]) * plan->pixel, MAX_VECTOR);
    plan->plane = plan->read_in_place ? pitch_of(plan) : seen(plan, 1, plan->band[1]) * plan->row_pitch;
    cconv_note_weights(plan);
    plan->packed_bytes = (size_t)((plan->taps * pitch_of(plan) + MAX_VECTOR) * size) + 64;       /* a few channels are read as a whole vector */
    plan->planes_at = (size_t)up((int64_t)sizeof(deep_tables), 64);
    plan->panel_at = plan->planes_at + (size_t)up((plan->plane + SLACK) * size, 64);      /* planes that were turned */
    plan->ordered_at = plan->panel_at + (size_t)(plan->turn_in_place ? up((d->input[1] * d->input[2] * plan->pixel + SLACK) * size, 64) : 0);
    plan->sums_at = plan->ordered_at + plan->packed_bytes;          /* results that are to be turned */
    plan->workspace_bytes = plan->sums_at + (size_t)(plan->turn_in_place ? up((plan->band[1] * plan->band[2] * plan->pixel + SLACK) * size, 64) : 0) + 64;
    return CCONV_OK;
}

/* And a pixel of zeros. */
void cconv_deep_tables(const cconv_plan *plan, char *work)
{
    make_tables(plan, (deep_tables *)(void *)work);
    if (plan->read_in_place) memset(work + plan->planes_at, 0, (size_t)pitch_of(plan) * cconv_type_size(plan->desc.compute));
}

/* The weights: for each tap those of `count` channels. */
static int order_weights(const cconv_plan *plan, const cconv_order *order, const char *weight, int64_t count, char *out)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), pitch = pitch_of(plan);
    int64_t i;
    int finite = 1;
    for (i = 0; i < plan->taps; i++, out += pitch * size) {
        memset(out, 0, (size_t)(pitch * size));
        kernels->load[d->weight_type](weight + order->row[i] * d->weight_stride[3] + order->column[i] * d->weight_stride[4], 0,
                                      (ptrdiff_t)d->weight_stride[0], out, 0, 1, count);
        finite &= !plan->must_be_finite || kernels->within(out, count, INFINITY);
    }
    return finite;
}

int cconv_deep_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed)
{
    cconv_order order;
    (void)index;
    cconv_rows_order(plan, &order);
    return order_weights(plan, &order, weight, plan->desc.groups, packed);
}

/* Where a band's outputs see what: the picture, or a copy of its part. */
typedef struct sight {
    const char *x;                      /* coordinates 0, 0 */
    int64_t limit[3], first[3];         /* how many coordinates there are; that of the band's first output */
    ptrdiff_t step[3];                  /* bytes from one to the next */
    ptrdiff_t y_step[3];                /* and from one output */
} sight;

/* What the lines of a kernel see from outputs `first` on of the axis of the lines, at place v of the other axis. */
static cconv_deep_line *see(const cconv_plan *plan, const deep_tables *t, const sight *at, cconv_deep_sums *sums, cconv_deep_line *to,
                            const line *from, int64_t first, int64_t v)
{
    const cconv_desc *d = &plan->desc;
    const int along = t->along, across = 3 - along;
    const int64_t place[3] = {0, from->row, from->column}, size = (int64_t)cconv_type_size(d->compute);
    const int64_t there = at->first[across] + v * d->stride[across] + place[across] * d->dilation[across];
    const int outside = !at->x || there < 0 || there >= at->limit[across];
    const ptrdiff_t step = outside ? 0 : at->step[along];
    to->index = at->first[along] + first * d->stride[along] + place[along] * d->dilation[along];
    to->x = outside ? (const char *)sums->zeros : at->x + there * at->step[across] + to->index * step;
    to->tap_step = step / (ptrdiff_t)size * (ptrdiff_t)t->apart;
    to->out_step = step / (ptrdiff_t)size * (ptrdiff_t)sums->stride;
    to->taps = from->taps;
    sums->lowest = least(sums->lowest, to->index);
    sums->highest = most(sums->highest, to->index + (to->taps - 1) * t->apart);
    return to + 1;
}

/* Outputs `first` to `last` - 1 of the axis of the lines, for every place of the other axis: by phases, if one has enough of them. */
static void run_lines(const cconv_plan *plan, const cconv_task *task, const deep_tables *t, const sight *at, cconv_deep_sums *sums,
                      cconv_deep_line *lines, int64_t first, int64_t last, char *y)
{
    const cconv_desc *d = &plan->desc;
    const cconv_type_kernels *kernels = cconv_of_type(plan);
    const int64_t size = (int64_t)cconv_type_size(d->compute), channels = task->group_count;
    const ptrdiff_t step = at->y_step[3 - t->along], y_along = at->y_step[t->along];
    const int64_t phases = t->phases <= (last - first) / FEWEST_SLIDING ? t->phases : 1;
    int64_t v = 0, count, i, r, phase;
    sums->stride = phases * d->stride[t->along];
    sums->y_step = (ptrdiff_t)phases * y_along / (ptrdiff_t)size;
    y += first * y_along;
    for (; v < task->size[3 - t->along]; v += count, y += count * step) {
        const line *from = t->lines;
        cconv_deep_line *to = lines;
        count = t->pairs && kernels->deep_pair[0] && channels >= kernels->lanes && task->size[3 - t->along] - v > 1 ? 2 : 1;
        if (count == 2) {
            for (r = 0; r < d->stride[1] + 3; r++) {
                const line whole = {r, 0, 3};
                to = see(plan, t, at, sums, to, &whole, first, v);
            }
            kernels->deep_pair[d->stride[1] - 1](sums, y, step / (ptrdiff_t)size, last - first, channels);
        } else {
            for (phase = 0; phase < phases; phase++, from = t->lines, to = lines) {
                sums->lowest = INT64_MAX;
                sums->highest = INT64_MIN;
                for (r = 0; t->run[r] > 0; r++)
                    for (i = 0; i < t->run[r]; i++) to = see(plan, t, at, sums, to, from++, first + phase, v);
                kernels->deep(sums, y + phase * y_along, parts(last - first - phase, phases), channels);
            }
        }
    }
}

/* The planes of a task as pixels. */
static const char *turn_planes(const cconv_plan *plan, const cconv_task *task, const char *from, char *pixels)
{
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute), width = d->input[2], joined = d->input_stride[3] == width * size ? d->input[1] : 1;
    int64_t r;
    for (r = 0; r < d->input[1]; r += joined)
        cconv_of_type(plan)->turn(from + r * d->input_stride[3], (ptrdiff_t)(d->input_stride[1] / size), task->group_count, joined * width,
                                  pixels + r * width * plan->pixel * size, (ptrdiff_t)plan->pixel);
    return pixels;
}

int cconv_deep_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work, char *output)
{
    enum { STRIP = 8 };                 /* rows of a phase, whose inputs stay in the cache */
    const cconv_desc *d = &plan->desc;
    const int64_t size = (int64_t)cconv_type_size(d->compute);
    const deep_tables *t = (const deep_tables *)(const void *)work;
    char *plane = work + plan->planes_at, *ordered = work + plan->ordered_at, *y;
    cconv_task task;
    cconv_deep_line lines[BLOCK_TAPS];
    cconv_deep_sums sums = {lines, t->run, t->apart, 0, 0, 0, 0, plane, NULL, bias, cconv_clip(plan), 0, 0};
    sight at;
    int64_t r, strip;
    int a;
    cconv_task_at(plan, index, &task);
    task.out_first = 0;
    input += task.n * d->input_stride[0] + task.group * d->input_stride[1];
    if (!plan->prepacked && !order_weights(plan, &t->order, weights + task.group * d->weight_stride[0], task.group_count, ordered)) return 0;
    if (plan->read_in_place) {
        const int64_t depth = task.od * d->stride[0] - d->before[0];
        at.x = depth < 0 || depth >= d->input[0] ? NULL : input + depth * d->input_stride[2];
        for (a = 1; a < 3; a++) {
            at.limit[a] = d->input[a];
            at.first[a] = task.first[a] * d->stride[a] - d->before[a];
            at.step[a] = (ptrdiff_t)(!plan->turn_in_place ? d->input_stride[2 + a] : plan->pixel * size * (a == 1 ? d->input[2] : 1));
        }
        if (plan->turn_in_place && at.x) at.x = turn_planes(plan, &task, at.x, work + plan->panel_at);
    } else {
        cconv_load_pixels(plan, &task, input, task.group_count, plane);
        at.x = plane;
        for (a = 1; a < 3; a++) {
            at.limit[a] = seen(plan, a, task.size[a]);
            at.first[a] = 0;
            at.step[a] = (ptrdiff_t)((a == 1 ? plan->row_pitch : plan->pixel) * size);
        }
    }
    for (a = 1; a < 3; a++)
        at.y_step[a] = (ptrdiff_t)(!plan->turn_in_place ? d->output_stride[2 + a] : plan->pixel * size * (a == 1 ? task.size[2] : 1));
    sums.limit = at.limit[t->along];
    sums.w = plan->prepacked ? weights + task.group * size : ordered;
    sums.w_pitch = (ptrdiff_t)pitch_of(plan);
    sums.bias = bias ? bias + task.group * size : NULL;
    output += cconv_output_at(plan, &task);
    y = plan->turn_in_place ? work + plan->sums_at : output;
    strip = least(times(STRIP, t->phases), task.size[1]);
    if (t->along == 2) run_lines(plan, &task, t, &at, &sums, lines, 0, task.size[2], y);
    else for (r = 0; r < task.size[1]; r += strip) run_lines(plan, &task, t, &at, &sums, lines, r, least(r + strip, task.size[1]), y);
    for (r = 0; r < task.size[1] && plan->turn_in_place; r++)
        cconv_of_type(plan)->turn(y + r * at.y_step[1], (ptrdiff_t)plan->pixel, task.size[2], task.group_count, output + r * d->output_stride[3],
                                  (ptrdiff_t)(d->output_stride[1] / size));
    return 1;
}

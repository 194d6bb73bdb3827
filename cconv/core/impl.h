/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the core: what its files share, file by file.
 */
#ifndef CCONV_IMPL_H
#define CCONV_IMPL_H

#include "kernels.h"

CCONV_INLINE size_t cconv_type_size(cconv_type type)
{
    static const unsigned char sizes[CCONV_TYPES] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};
    return sizes[type];
}

/* Buffers begin wherever the caller's do; what is in them, at a line of the cache. */
CCONV_INLINE char *cconv_aligned(const void *buffer) { return (char *)(((uintptr_t)buffer + LINE - 1) & ~(uintptr_t)(LINE - 1)); }

/* Whether sums are of integers: exact ways only. */
CCONV_INLINE int cconv_exact(const cconv_desc *d) { return d->exact || (d->input_type < CCONV_F16 && d->weight_type < CCONV_F16); }

/* What values may be so that no sum of them overflows on the way through winograd or fft. */
CCONV_INLINE double cconv_limit(const cconv_plan *plan) { return plan->desc.compute == CCONV_F32 ? 0x1p60 : 0x1p500; }

/* What overflows where a value, multiplied by it, is beyond that. */
CCONV_INLINE double cconv_beyond(const cconv_plan *plan) { return plan->desc.compute == CCONV_F32 ? 0x1p68 : 0x1p524; }

/* Where tap k of axis a lies in the planes: in which phase, and at which entry of it.  Taps k and
 * k + cycle share a phase; with wide dilations none do (layout.c). */
CCONV_INLINE int64_t cconv_phase(const cconv_plan *plan, int a, int64_t k)
{
    return k % plan->cycle[a];
}

CCONV_INLINE int64_t cconv_entry(const cconv_plan *plan, int a, int64_t k)
{
    const int64_t s = plan->desc.stride[a];
    if (plan->apart[a]) return 0;
    return s == 1 ? k * plan->desc.dilation[a] : k * plan->desc.dilation[a] / s;     /* division is slow */
}

/* From a position to the next where nothing is copied: one alone takes no step, and the product could overflow. */
CCONV_INLINE int64_t cconv_step(int64_t positions, int64_t stride, int64_t between) { return positions > 1 ? stride * between : 0; }

/* How `taps` uses its vectors: along the positions of a row; or of all rows and the gaps between them;
 * or of all rows in a panel without gaps; or across the output channels. */
enum { ALONG_ROWS, ALONG_GAPS, ALONG_PANEL, ACROSS };

/* The first output channel of a tile: those of a group are cut into `tiles`, of which the first
 * `larger_tiles` have plan->tile channels and the others one less, or the last what is left. */
CCONV_INLINE int64_t cconv_tile_first(const cconv_plan *plan, int64_t tile)
{
    const int64_t outputs = plan->outputs, smaller = tile - plan->larger_tiles;
    const int64_t first = tile * plan->tile - (smaller > 0 ? smaller : 0);
    return first < outputs ? first : outputs;
}

CCONV_INLINE const cconv_type_kernels *cconv_of_type(const cconv_plan *plan)
{
    return plan->desc.compute == CCONV_F32 ? plan->kernels->f32 : plan->kernels->f64;
}

/* Whether `near` serves a stride of 2, whose phases it takes apart in registers. */
CCONV_INLINE int cconv_near_halves(const cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    const int64_t k = d->kernel[1];
    return (k == 3 || (k == 5 && cconv_of_type(plan)->near_tall)) && d->kernel[2] == k && d->stride[1] == 2 && d->stride[2] == 2
           && d->dilation[1] == 1 && d->dilation[2] == 1;
}

typedef struct cconv_task {
    int64_t n, group, group_count, od;
    int64_t tile_first, tile_last, out_first, out_count;    /* the block of output channels */
    int64_t first[3], size[3];          /* the band: first output position and size along D (1), H, W */
} cconv_task;

CCONV_INLINE cconv_task cconv_no_task(void)
{
    cconv_task task;
    memset(&task, 0, sizeof task);
    return task;
}

/* plan.c: the index-th task, and so many from it on as one: they differ in their output channels alone; which these are, of blocks of them. */
CCONV_HIDDEN void cconv_task_at(const cconv_plan *plan, int64_t index, cconv_task *task);
CCONV_HIDDEN void cconv_tasks_at(const cconv_plan *plan, int64_t index, int64_t count, cconv_task *task);
CCONV_HIDDEN void cconv_blocks_of(const cconv_plan *plan, int64_t block, int64_t count, cconv_task *task);

/* What kernels clip complete sums to where the output holds sums as they are, else NULL.  `store` clips in any case, but for channels_last. */
CCONV_INLINE const void *cconv_clip(const cconv_plan *plan) { return plan->clips ? &plan->clip : NULL; }

/* Where the task's first output lies, in bytes. */
CCONV_INLINE int64_t cconv_output_at(const cconv_plan *plan, const cconv_task *task)
{
    const int64_t *stride = plan->desc.output_stride;
    const int64_t channel = task->group * plan->outputs + task->out_first;
    return task->n * stride[0] + channel * stride[1] + task->od * stride[2] + task->first[1] * stride[3] + task->first[2] * stride[4];
}

/* The planes of a channel; `fresh`: a constant border is not there yet. */
CCONV_HIDDEN void cconv_load_plane(const cconv_plan *plan, const cconv_task *task, const char *channel, char *plane, int fresh);
/* Those of neighbouring channels. */
CCONV_HIDDEN void cconv_load_planes(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t channels, char *planes,
                                    int fresh);
/* The pixels that the band sees, border included, in rows, of each so many channels side by side. */
CCONV_HIDDEN void cconv_load_pixels(const cconv_plan *plan, const cconv_task *task, const char *channel, int64_t channels, char *pixels);
CCONV_HIDDEN void cconv_store_band(const cconv_plan *plan, const cconv_task *task, const char *sums, int64_t pitch, int64_t plane,
                                   const char *bias, char *output);

/* costs.c: the taps of an axis, from[0] to from[1] - 1, that some of its outputs `first` to `last` see in the picture; others see zeros.  How many
 * of the products do, for the plan. */
CCONV_HIDDEN void cconv_taps_inside(const cconv_plan *plan, int a, int64_t first, int64_t last, int64_t from[2]);
CCONV_HIDDEN void cconv_measure_inside(cconv_plan *plan);

/* costs.c: where along an axis outputs begin to see the first tap of the kernel, and cease to see the last one; whether `taps` leaves out what no
 * output sees (2: and cuts rows of outputs at these edges); what multiplications take then. */
CCONV_HIDDEN void cconv_edges(const cconv_plan *plan, int a, int64_t edge[2]);
CCONV_HIDDEN int cconv_leaves_out(const cconv_plan *plan);
CCONV_HIDDEN double cconv_skipping(const cconv_plan *plan);

/* layout.c: whether scalars of a whole picture can be read where they lie, by tiles of so many, and should. */
CCONV_HIDDEN int cconv_scalars_lie(const cconv_plan *plan, int64_t tile);

/* costs.c: the best form of taps and what it takes; whether taps takes less time than rows. */
CCONV_HIDDEN double cconv_choose_form(const cconv_plan *plan, int64_t lanes, int64_t most, int *best);
CCONV_HIDDEN int cconv_taps_pay(const cconv_plan *plan);

/* layout.c: where threads need more tasks, those of a band in up to so many blocks of output channels; who takes several of them joins them. */
CCONV_HIDDEN void cconv_cut_blocks(cconv_plan *plan, int64_t blocks);

/* layout.c: bands of so many rows and columns of one channel's results, a task each, with weights that are packed. */
CCONV_HIDDEN void cconv_lay_out_bands(cconv_plan *plan, int64_t rows, int64_t columns);

/* layout.c: the phases of the stride that taps use, where they lie. */
CCONV_HIDDEN void cconv_lay_out_phases(cconv_plan *plan);

/* layout.c: the output channels of plan->form in tiles. */
CCONV_HIDDEN void cconv_lay_out_tiles(cconv_plan *plan);

/* layout.c: the rest of a plan by taps or rows that has been checked; parts of it that winograd.c shares. */
CCONV_HIDDEN cconv_status cconv_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_note_weights(cconv_plan *plan);
CCONV_HIDDEN int cconv_output_holds_sums(const cconv_plan *plan);
CCONV_HIDDEN int cconv_meets_border(const cconv_desc *d);
CCONV_HIDDEN int cconv_zeros_outside(const cconv_plan *plan);
CCONV_HIDDEN int cconv_is_large(const cconv_plan *plan);

/* weights.c: how many output channels a tile has, how many weights of a tap lie side by side (up to a whole
 * vector), where those of a tile begin among the weights of `taps` taps of all tiles, and taps first to
 * first + n - 1 of it in order (0 if some must be finite and are not); those of one output channel as they are. */
CCONV_HIDDEN int64_t cconv_tile_count(const cconv_plan *plan, int64_t tile);
CCONV_HIDDEN int64_t cconv_tile_pitch(const cconv_plan *plan, int64_t count);
CCONV_HIDDEN int64_t cconv_tile_place(const cconv_plan *plan, int64_t group, int64_t tile, int64_t taps);
CCONV_HIDDEN int cconv_order_outputs(const cconv_plan *plan, int64_t output, int64_t count, int64_t first, int64_t n, const char *weight, char *out);
CCONV_HIDDEN int cconv_order_tile(const cconv_plan *plan, int64_t group, int64_t tile, int64_t first, int64_t n, const char *weight,
                                  char *out);
CCONV_HIDDEN void cconv_read_taps(const cconv_plan *plan, const char *weight, int64_t first, int64_t n, char *out);

/* taps_tables.c, rows_layout.c: make tables in the workspace; weights.c, rows.c: put weights in order; taps.c, rows.c: compute and store a band.  The last
 * two return 0 where weights must be finite and are not. */
CCONV_HIDDEN int64_t cconv_taps_tables_bytes(const cconv_plan *plan);
CCONV_HIDDEN void cconv_taps_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_taps_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_taps_run(const cconv_plan *plan, int64_t index, int64_t count, const char *input, const char *weights, const char *bias,
                                char *work, char *output);
CCONV_HIDDEN cconv_status cconv_rows_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_rows_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_rows_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_rows_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                char *work, char *output);

/* rows.c: in which order `rows` adds up to BLOCK_TAPS taps of a channel, and how many at a time; 0 ends. */
typedef struct cconv_order {
    int64_t taps, row[BLOCK_TAPS], column[BLOCK_TAPS], run[BLOCK_TAPS + 1];
} cconv_order;

CCONV_HIDDEN void cconv_rows_order(const cconv_plan *plan, cconv_order *order);

/* deep.c: whether it serves for `rows`; the rest of a plan, CCONV_ERROR_ALGORITHM where `rows` is better; the same three. */
CCONV_HIDDEN int cconv_deep_serves(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_deep_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_deep_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_deep_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_deep_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                                char *output);

/* taps_tables.c: where each tap of a block of channels begins in their planes. */
CCONV_HIDDEN void cconv_tap_offsets(const cconv_plan *plan, ptrdiff_t *offset);

/* gradient.c: the rest of a plan; so many channels of an array, in planes of the type of the sums. */
CCONV_HIDDEN cconv_status cconv_gradient_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_load_window(const cconv_plan *plan, cconv_type type, const char *from, const int64_t *stride, int64_t channels, int64_t rows,
                                    int64_t columns, int64_t pitch, int64_t plane, char *to);

/* gradient_near.c: whether it serves; the same. */
CCONV_HIDDEN int cconv_near_gradient_serves(const cconv_plan *plan);
CCONV_HIDDEN void cconv_near_gradient_lay_out(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_near_input_lay_out(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_near_gradient_run(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *grad, char *weight,
                                                  char *work);

/* gradient_outer.c: the same; tasks of it, CCONV_ERROR_WEIGHTS where a result is not finite. */
CCONV_HIDDEN cconv_status cconv_outer_lay_out(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_outer_run(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *grad, char *weight,
                                          char *work);

/* check.c: a plan's descriptor; the extents of its arrays; those of weights alone. */
CCONV_HIDDEN cconv_status cconv_check(cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_measure_arrays(cconv_plan *plan);

CCONV_HIDDEN cconv_status cconv_weights_extent(const cconv_desc *desc, int64_t extent[2]);

/* check.c: whether it is a plan for this kind of run; a buffer has so many bytes from element 0 on; or holds an array; whether a run may begin. */
CCONV_HIDDEN int cconv_is_plan(const cconv_plan *plan, int gradient);
CCONV_HIDDEN int cconv_has(const cconv_buffer *buffer, size_t bytes);
CCONV_HIDDEN int cconv_holds(const cconv_buffer *buffer, const int64_t extent[2], cconv_type type);
CCONV_HIDDEN cconv_status cconv_check_run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers, int gradient);

CCONV_INLINE char *cconv_element(const cconv_buffer *buffer) { return buffer->data ? (char *)buffer->data + buffer->first : NULL; }

/* plan.c: cconv_run, of what has been checked. */
CCONV_HIDDEN cconv_status cconv_run_tasks(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *weights,
                                          const char *bias, char *output, char *workspace);

/* plan.c: a plan for a part of a task: not to be shared by workers. */
CCONV_HIDDEN cconv_status cconv_plan_part(cconv_plan *plan, const cconv_desc *desc);

/* The convolution of a task's outputs by `rows`, on its own: one kernel, whose weights lie in order in the type of the sums. */
CCONV_HIDDEN cconv_desc cconv_part_desc(const cconv_plan *plan, const cconv_task *task);

/* The same, run; its workspace, in the plan's. */
CCONV_HIDDEN int cconv_run_part(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias,
                                char *work, char *output);
CCONV_HIDDEN cconv_status cconv_part_workspace(cconv_plan *plan);

/* box.c: whether it can serve, and does so for these weights; what it takes for a vector of outputs; the rest of a plan; the
 * last two of what stands below. */
CCONV_HIDDEN int cconv_box_serves(const cconv_plan *plan);
CCONV_HIDDEN int cconv_is_box(const cconv_desc *desc, const char *weights);
CCONV_HIDDEN double cconv_box_cost(const cconv_desc *desc);
CCONV_HIDDEN cconv_status cconv_box_lay_out(cconv_plan *plan);
CCONV_HIDDEN int cconv_box_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_box_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                               char *output);

/* integer.c: whether it can serve, and does so for these weights; what it takes for a vector of outputs; the rest of
 * a plan; the last three of what stands below. */
CCONV_HIDDEN int cconv_integer_serves(const cconv_plan *plan);
CCONV_HIDDEN int cconv_is_integer(const cconv_desc *desc, const char *weights);
CCONV_HIDDEN double cconv_integer_cost(const cconv_desc *desc);
CCONV_HIDDEN cconv_status cconv_integer_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_integer_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_integer_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_integer_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                   char *work, char *output);

/* fft.c: whether it can serve, what it takes for a vector of outputs; the rest of a plan; the last two of what stands below. */
CCONV_HIDDEN int cconv_fft_serves(const cconv_plan *plan);
CCONV_HIDDEN double cconv_fft_cost(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_fft_lay_out(cconv_plan *plan);
CCONV_HIDDEN int cconv_fft_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_fft_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
                               char *output);

/* separable.c: whether it can serve, which is where it is faster; what it or `rows` takes for a vector of outputs; the rest of
 * a plan; the last two. */
CCONV_HIDDEN double cconv_separable_cost(const cconv_plan *plan);
CCONV_HIDDEN int cconv_separable_serves(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_separable_lay_out(cconv_plan *plan);
CCONV_HIDDEN int cconv_separable_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_separable_run(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias,
                                     char *work, char *output);

/* winograd.c: whether it can serve, and is the fastest; the rest of a plan; the same three. */
CCONV_HIDDEN int cconv_winograd_serves(const cconv_plan *plan);
CCONV_HIDDEN int cconv_winograd_pays(const cconv_plan *plan);
CCONV_HIDDEN cconv_status cconv_winograd_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_winograd_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN void cconv_winograd_prepare(const cconv_plan *plan, int64_t index, const char *input, char *work, char *shared, char *output);
CCONV_HIDDEN void cconv_winograd_take(const char *shared, char *work);
CCONV_HIDDEN int cconv_winograd_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_winograd_run(const cconv_plan *plan, int64_t index, int64_t count, const char *input, const char *weights, const char *bias,
                                    char *work, char *output);

/* upright.c, a part of winograd: whether it can serve, what it takes in multiplications of vectors; the rest of a plan; the same three. */
CCONV_HIDDEN int cconv_upright_serves(const cconv_plan *plan);
CCONV_HIDDEN double cconv_upright_cost(const cconv_plan *plan, int64_t lanes);
CCONV_HIDDEN cconv_status cconv_upright_lay_out(cconv_plan *plan);
CCONV_HIDDEN void cconv_upright_tables(const cconv_plan *plan, char *work);
CCONV_HIDDEN int cconv_upright_pack(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
CCONV_HIDDEN int cconv_upright_run(const cconv_plan *plan, int64_t index, int64_t count, const char *input, const char *weights, const char *bias,
                                   char *work, char *output);

#endif

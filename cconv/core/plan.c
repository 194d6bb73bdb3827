/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From a descriptor that check.c has found right to a plan: an algorithm is chosen, the work laid out; then its tasks
 * are run.  Planning is a pure function of the descriptor; nothing is read or written elsewhere.
 */
#include "sizes.h"

#include <math.h>

/* rows: each loaded vector serves several rows of one output channel; taps: several output channels. */
static cconv_algorithm choose(const cconv_plan *plan)
{
    const cconv_algorithm wanted = plan->desc.algorithm;
    if (wanted >= CCONV_ROWS) return wanted;
    if (cconv_integer_serves(plan)) return CCONV_INTEGER;
    if (wanted != CCONV_DIRECT && cconv_winograd_serves(plan) && cconv_winograd_pays(plan)) return CCONV_WINOGRAD;
    if (wanted == CCONV_FAST && cconv_fft_serves(plan) && cconv_fft_cost(plan) < cconv_separable_cost(plan)) return CCONV_FFT;
    if (cconv_box_serves(plan)) return CCONV_BOX;
    if (cconv_separable_serves(plan)) return CCONV_SEPARABLE;
    return (plan->outputs > 1 || plan->channels > 1) && cconv_taps_pay(plan) ? CCONV_TAPS : CCONV_ROWS;
}

/* What an algorithm does. */
typedef struct way {
    cconv_status (*lay_out)(cconv_plan *plan);
    void (*tables)(const cconv_plan *plan, char *work);       /* or NULL */
    int (*pack)(const cconv_plan *plan, int64_t index, const char *weight, char *packed);
    int (*run)(const cconv_plan *plan, int64_t index, const char *input, const char *weights, const char *bias, char *work,
               char *output);                                 /* or, of several tasks at once, */
    int (*run_joined)(const cconv_plan *plan, int64_t index, int64_t count, const char *input, const char *weights, const char *bias,
                      char *work, char *output);
} way;

static const way *way_of(const cconv_plan *plan)
{
    static const way rows = {cconv_rows_lay_out, cconv_rows_tables, cconv_rows_pack, cconv_rows_run, NULL};
    static const way taps = {cconv_lay_out, cconv_taps_tables, cconv_taps_pack, NULL, cconv_taps_run};
    static const way winograd = {cconv_winograd_lay_out, cconv_winograd_tables, cconv_winograd_pack, NULL, cconv_winograd_run};
    static const way box = {cconv_box_lay_out, NULL, cconv_box_pack, cconv_box_run, NULL};
    static const way integer = {cconv_integer_lay_out, cconv_integer_tables, cconv_integer_pack, cconv_integer_run, NULL};
    static const way fft = {cconv_fft_lay_out, NULL, cconv_fft_pack, cconv_fft_run, NULL};
    static const way separable = {cconv_separable_lay_out, NULL, cconv_separable_pack, cconv_separable_run, NULL};
    static const way upright = {cconv_upright_lay_out, cconv_upright_tables, cconv_upright_pack, NULL, cconv_upright_run};
    static const way deep = {cconv_lay_out, cconv_deep_tables, cconv_deep_pack, cconv_deep_run, NULL};
    static const way *const ways[CCONV_ALGORITHMS] = {NULL, NULL, NULL, &rows, &taps, &winograd, &separable, &fft, &box, &integer};
    return plan->deep ? &deep : plan->upright ? &upright : ways[plan->algorithm];
}

/* What kernels clip to: in the type of the sums. */
static void note_clip(cconv_plan *plan)
{
    const cconv_desc *d = &plan->desc;
    plan->clips = cconv_output_holds_sums(plan) && (d->low > -INFINITY || d->high < INFINITY);
    if (d->compute == CCONV_F32) {
        plan->clip.f32[0] = (float)d->low;
        plan->clip.f32[1] = (float)d->high;
    } else {
        plan->clip.f64[0] = d->low;
        plan->clip.f64[1] = d->high;
    }
}

/* A plan but for its layout. */
static cconv_status begin(cconv_plan *plan, const cconv_desc *desc)
{
    cconv_status status;
    int a;
    if (!plan || !desc || desc->size != sizeof *desc) return CCONV_ERROR_DESC;
    memset(plan, 0, sizeof *plan);
    plan->desc = *desc;
    if (desc->compute != CCONV_F32 && desc->compute != CCONV_F64) return CCONV_ERROR_TYPE;
    plan->kernels = cconv_choose_kernels(desc->isa);
    if (!plan->kernels) return CCONV_ERROR_ISA;
    status = cconv_check(plan);
    if (status != CCONV_OK) return status;
    for (a = 0; a < 3; a++)
        if (desc->kernel[a] == 1 && desc->interleave == 1) plan->desc.dilation[a] = 1;     /* of one tap, says nothing */
    plan->outputs = desc->out_channels / desc->groups;
    plan->channels = desc->in_channels / desc->groups;
    plan->kernel = desc->kernel[0] * desc->kernel[1] * desc->kernel[2];
    plan->taps = plan->channels * plan->kernel;
    status = cconv_measure_arrays(plan);
    if (status != CCONV_OK) return status;
    plan->plane_type = desc->compute;
    plan->joined = 1;
    note_clip(plan);
    return CCONV_OK;
}

/* A plan that was laid out, if there can be as much memory. */
static cconv_status within_memory(const cconv_plan *plan, cconv_status status)
{
    if (status == CCONV_OK && ((uint64_t)plan->workspace_bytes > LARGEST || (uint64_t)plan->shared_bytes > LARGEST || (uint64_t)plan->packed_bytes > LARGEST)) return CCONV_ERROR_SIZE;
    return status;
}

static cconv_status make(cconv_plan *plan, const cconv_desc *desc, int alone)
{
    const cconv_status status = begin(plan, desc);
    if (status != CCONV_OK) return status;
    plan->alone = alone;
    plan->algorithm = choose(plan);
    return within_memory(plan, way_of(plan)->lay_out(plan));
}

cconv_status cconv_plan_init(cconv_plan *plan, const cconv_desc *desc) { return make(plan, desc, 0); }
cconv_status cconv_plan_part(cconv_plan *plan, const cconv_desc *desc) { return make(plan, desc, 1); }

cconv_status cconv_plan_weight_gradient(cconv_plan *plan, const cconv_desc *desc)
{
    const cconv_status status = begin(plan, desc);
    if (status != CCONV_OK) return status;
    if (desc->weight_type != desc->compute) return CCONV_ERROR_TYPE;
    plan->gradient = CCONV_WEIGHT_GRADIENT;
    plan->algorithm = CCONV_TAPS;
    return within_memory(plan, cconv_gradient_lay_out(plan));
}

cconv_status cconv_plan_input_gradient(cconv_plan *plan, const cconv_desc *desc)
{
    const cconv_status status = begin(plan, desc);
    if (status != CCONV_OK) return status;
    plan->gradient = CCONV_INPUT_GRADIENT;
    plan->algorithm = CCONV_ROWS;
    return within_memory(plan, cconv_near_input_lay_out(plan));
}

cconv_desc cconv_part_desc(const cconv_plan *plan, const cconv_task *task)
{
    const int64_t size = (int64_t)cconv_type_size(plan->desc.compute), *k = plan->desc.kernel;
    cconv_desc d = plan->desc;
    int a;
    d.algorithm = CCONV_ROWS;
    d.weights = CCONV_WEIGHTS_PLAIN;
    d.weight_type = d.compute;
    d.rank = 0;
    d.batch = 1;
    d.weight_stride[4] = size;
    d.weight_stride[3] = k[2] * size;
    d.weight_stride[2] = k[1] * d.weight_stride[3];
    d.weight_stride[0] = d.weight_stride[1] = plan->kernel * size;
    for (a = 0; a < 3; a++) {
        const int64_t count = a == 0 ? 1 : task->size[a], first = a == 0 ? task->od : task->first[a];
        d.before[a] -= first * d.stride[a];
        d.after[a] = (count - 1) * d.stride[a] + (k[a] - 1) * d.dilation[a] + 1 - d.before[a] - d.input[a];
    }
    return d;
}

int cconv_run_part(const cconv_plan *plan, const cconv_task *task, const char *input, const char *weights, const char *bias, char *work,
                   char *output)
{
    const cconv_desc desc = cconv_part_desc(plan, task);
    cconv_plan part;
    return cconv_plan_part(&part, &desc) == CCONV_OK
           && cconv_run_tasks(&part, 0, part.tasks, input + task->n * desc.input_stride[0], weights, bias,
                              output + cconv_output_at(plan, task), work) == CCONV_OK;
}

cconv_status cconv_part_workspace(cconv_plan *plan)
{
    int i;
    for (i = 0; i < 4; i++) {           /* bands have two heights and two widths */
        cconv_task task = cconv_no_task();
        cconv_desc desc;
        cconv_plan part;
        cconv_status status;
        task.size[1] = i & 1 ? (plan->output[1] - 1) % plan->band[1] + 1 : least(plan->band[1], plan->output[1]);
        task.size[2] = i & 2 ? (plan->output[2] - 1) % plan->band[2] + 1 : least(plan->band[2], plan->output[2]);
        desc = cconv_part_desc(plan, &task);
        status = cconv_plan_part(&part, &desc);
        if (status != CCONV_OK) return status;
        if (part.workspace_bytes > plan->workspace_bytes) plan->workspace_bytes = part.workspace_bytes;
    }
    return CCONV_OK;
}

cconv_status cconv_pack_weights(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffer *weights, const cconv_buffer *packed)
{
    int64_t index;
    int finite = 1;
    if (!cconv_is_plan(plan, 0) || !weights || !packed || first < 0 || last < first || last > plan->packs) return CCONV_ERROR_ARGUMENT;
    if (first == last) return CCONV_OK;
    if (!cconv_holds(weights, plan->weight_extent, plan->desc.weight_type) || !cconv_has(packed, plan->packed_bytes))
        return CCONV_ERROR_BUFFER;
    for (index = first; index < last; index++)
        finite &= way_of(plan)->pack(plan, index, cconv_element(weights), cconv_aligned(cconv_element(packed)));
    return finite ? CCONV_OK : CCONV_ERROR_WEIGHTS;
}

void cconv_blocks_of(const cconv_plan *plan, int64_t block, int64_t count, cconv_task *task)
{
    const int64_t blocks = plan->out_blocks, half = plan->tile / 2;
    task->tile_first = task->out_first = 0;
    task->tile_last = plan->tiles;
    task->out_count = plan->outputs;
    if (blocks == 1) return;
    task->tile_first = block * plan->tiles / blocks;
    if (blocks > plan->tiles) {         /* each half a tile */
        task->tile_last = parts(block + count, 2);
        task->out_first = block * half;
        task->out_count = least(plan->outputs, (block + count) * half) - task->out_first;
        return;
    }
    task->tile_last = (block + count) * plan->tiles / blocks;
    task->out_first = cconv_tile_first(plan, task->tile_first);
    task->out_count = cconv_tile_first(plan, task->tile_last) - task->out_first;
}

/* The last digit of an index whose digits count to n, taken off it; most axes have one digit only, and division is slow. */
static int64_t digit(int64_t *index, int64_t n)
{
    const int64_t all = *index;
    if (n == 1) return 0;
    *index = all / n;
    return all % n;
}

/* Output channels fastest, so that workers side by side read the same planes. */
void cconv_tasks_at(const cconv_plan *plan, int64_t index, int64_t count, cconv_task *task)
{
    const int64_t groups = plan->desc.groups, block = plan->group_block;
    int a;
    if (plan->tasks == 1) {         /* all there is: finding that out digit by digit was a seventh of what a small picture's call does beside its kernel */
        task->tile_first = task->out_first = task->od = task->group = task->n = 0;
        task->tile_last = plan->tiles;
        task->out_count = plan->outputs;
        task->group_count = groups;
        for (a = 0; a < 3; a++) {
            task->first[a] = 0;
            task->size[a] = plan->output[a];
        }
        return;
    }
    cconv_blocks_of(plan, digit(&index, plan->out_blocks), count, task);
    for (a = 2; a >= 0; a--) {
        task->first[a] = digit(&index, plan->bands[a]) * plan->band[a];
        task->size[a] = least(plan->band[a], plan->output[a] - task->first[a]);
    }
    task->od = task->first[0];
    task->group = digit(&index, block == 1 ? groups : parts(groups, block)) * block;
    task->group_count = least(block, groups - task->group);
    task->n = index;
}

void cconv_task_at(const cconv_plan *plan, int64_t index, cconv_task *task) { cconv_tasks_at(plan, index, 1, task); }

/* Tasks from this one on, before the last, that are run together. */
static int64_t joined_at(const cconv_plan *plan, int64_t index, int64_t last)
{
    return least(last - index, plan->joined - index % plan->joined);
}

CCONV_INLINE cconv_status run_tasks(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *weights, const char *bias,
                             char *output, char *workspace, const char *shared, int continued)
{
    const char *from = plan->prepacked ? cconv_aligned(weights) : weights;
    char *work = cconv_aligned(workspace);
    const way *const way = way_of(plan);
    int64_t index, count;
    if (way->tables && !plan->tabled && !continued) way->tables(plan, work);
    if (shared && plan->preparations && !continued) cconv_winograd_take(cconv_aligned(shared), work);
    for (index = first; index < last; index += count) {
        count = plan->joined == 1 ? 1 : joined_at(plan, index, last);
        if (way->run ? !way->run(plan, index, input, from, bias, work, output)
                     : !way->run_joined(plan, index, count, input, from, bias, work, output)) return CCONV_ERROR_WEIGHTS;
    }
    return CCONV_OK;
}

cconv_status cconv_run_tasks(const cconv_plan *plan, int64_t first, int64_t last, const char *input, const char *weights, const char *bias,
                             char *output, char *workspace)
{
    return run_tasks(plan, first, last, input, weights, bias, output, workspace, NULL, 0);
}

cconv_status cconv_run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers)
{
    const cconv_status status = cconv_check_run(plan, first, last, buffers, 0);
    if (status != CCONV_OK || first == last) return status;
    return run_tasks(plan, first, last, cconv_element(&buffers->input), cconv_element(&buffers->weights),
                           buffers->bias.data ? cconv_element(&buffers->bias) : NULL, cconv_element(&buffers->output),
                           cconv_element(&buffers->workspace), buffers->shared.data ? cconv_element(&buffers->shared) : NULL, buffers->continued);
}

cconv_status cconv_prepare(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers)
{
    cconv_status status;
    int64_t index;
    if (!cconv_is_plan(plan, 0) || first < 0 || last < first || last > plan->preparations) return CCONV_ERROR_ARGUMENT;
    status = cconv_check_run(plan, 0, plan->tasks, buffers, 0);
    if (status == CCONV_OK && first < last && !buffers->shared.data) status = CCONV_ERROR_BUFFER;
    for (index = first; index < last && status == CCONV_OK; index++)
        cconv_winograd_prepare(plan, index, cconv_element(&buffers->input), cconv_aligned(cconv_element(&buffers->workspace)),
                               cconv_aligned(cconv_element(&buffers->shared)), cconv_element(&buffers->output));
    return status;
}

const char *cconv_isa_name(const cconv_plan *plan) { return plan && plan->kernels ? plan->kernels->name : ""; }
const char *cconv_version(void) { return CCONV_VERSION; }
int cconv_abi(void) { return CCONV_ABI; }

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
    case CCONV_ERROR_STRIDE: return "a stride is no multiple of its element's size, or reaches too far";
    case CCONV_ERROR_BUFFER: return "a buffer is missing, too small or not aligned";
    case CCONV_ERROR_WEIGHTS: return "weights are not finite and must not be multiplied by a border of zeros";
    }
    return "unknown status";
}

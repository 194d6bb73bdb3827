/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For core_test.c: descriptors of any nonsense, each of which must be answered by a status, or by a plan that is right.  What is right
 * is computed here in 128 bits, from the descriptor alone.
 */

static int64_t nonsense_number(void)
{
    static const int exponents[] = {0, 1, 2, 4, 15, 16, 31, 32, 40, 50, 55, 56, 57, 59, 60, 61, 62};
    const int64_t power = INT64_C(1) << exponents[pick(0, 16)];
    switch (pick(0, 9)) {
    case 0: return (int64_t)draw();
    case 1: return -power;
    case 2: return chance(2) ? INT64_MAX : INT64_MIN;
    case 3: return pick(-2, 40);
    case 4: return pick(0, INT64_MAX - 1) >> (power & 31);
    default: return power + pick(-1, 1);
    }
}

/* One that makes sense, often to one algorithm in particular. */
static cconv_desc sense(void)
{
    static const cconv_algorithm of_products[] = {CCONV_SEPARABLE, CCONV_FFT, CCONV_BOX, CCONV_DIRECT, CCONV_FAST};
    const int kind = (int)pick(0, 7);
    test t = kind == 0 ? for_winograd() : kind == 1 ? low_rank() : kind == 2 ? small_integers() : kind == 3 ? side_by_side() : plain();
    cconv_desc *d = &t.d;
    int a;
    d->weights = (cconv_weights)pick(0, 2);
    if (kind == 0) d->algorithm = chance(2) ? CCONV_WINOGRAD : CCONV_AUTO;
    if (kind == 1) d->algorithm = of_products[pick(0, 4)], d->rank = d->algorithm == CCONV_BOX || chance(4) ? CCONV_BOX_RANK : pick(1, 4);
    if (kind == 2) d->algorithm = chance(2) ? CCONV_INTEGER : CCONV_AUTO, d->rank = CCONV_INTEGER_RANK;
    if (kind == 3) d->algorithm = CCONV_ROWS;
    if (kind > 3) d->algorithm = (cconv_algorithm)pick(0, CCONV_TAPS), d->rank = chance(2) ? 0 : chance(2) ? pick(1, 4) : CCONV_BOX_RANK;
    if (kind == 4) for (a = 0; a < 3; a++) d->kernel[a] = pick(1, 2), d->before[a] = d->after[a] = (INT64_C(1) << pick(0, 60)) - 1;
    if (kind > 5) for (a = 0; a < 3; a++) d->input[a] = pick(9, 40), d->kernel[a] = pick(1, 4);
    if (kind == 7) d->groups = pick(1, 3), d->in_channels = d->groups * pick(1, 40), d->out_channels = d->groups * pick(1, 40);
    if (d->algorithm > CCONV_TAPS && !chance(8)) d->weights = CCONV_WEIGHTS_PACKED;
    cconv_desc_dense(d);
    if (kind == 3 && chance(2)) {           /* channels side by side */
        const int64_t size = (int64_t)size_of[d->compute];
        d->input_stride[1] = d->output_stride[1] = size;
        d->input_stride[4] = d->output_stride[4] = d->groups * size;
        d->input_stride[3] = d->output_stride[3] = 64 * d->groups * size;
    }
    return *d;
}

/* A descriptor with some fields replaced. */
static cconv_desc nonsense(void)
{
    static const double reals[] = {0, -1, 1e300, NAN, INFINITY, -INFINITY, 0.5, 300};
    static const char *const names[] = {"", "avx", "generic", "avx2", "nonsense", NULL};
    cconv_desc d = sense();
    int64_t *const blocks[] = {d.input, d.kernel, d.stride, d.dilation, d.before, d.after};
    int64_t *const single[] = {&d.batch, &d.in_channels, &d.out_channels, &d.groups, &d.interleave};
    int i;
    for (i = (int)pick(0, chance(2) ? 2 : 8); i > 0; i--) {
        const int64_t number = nonsense_number(), axis = pick(0, 2);
        if (!chance(4)) blocks[pick(0, 5)][axis] = number;
        else if (chance(2)) *single[pick(0, 4)] = number;
        else (chance(2) ? d.input_stride : chance(2) ? d.weight_stride : d.output_stride)[pick(0, 4)] = number;
    }
    if (chance(30)) d.batch = 0;
    if (chance(40)) d.compute = (cconv_type)pick(0, 20);
    if (chance(40)) d.input_type = (cconv_type)draw(), d.weight_type = (cconv_type)pick(0, 20);
    if (chance(40)) d.output_type = (cconv_type)draw(), d.border = (cconv_border)pick(0, 9);
    if (chance(40)) d.low = reals[pick(0, 7)], d.high = reals[pick(0, 7)], d.divisor = reals[pick(0, 7)], d.border_value = reals[pick(0, 7)];
    if (chance(20)) d.algorithm = (cconv_algorithm)(chance(2) ? (int64_t)draw() : pick(0, CCONV_ALGORITHMS - 1));
    if (chance(40)) d.isa = names[pick(0, 5)];
    if (chance(20)) d.weights = (cconv_weights)(chance(2) ? (int64_t)draw() : pick(0, 2));
    if (chance(40)) d.tile = nonsense_number();
    if (chance(40)) d.rank = nonsense_number();
    if (chance(2)) cconv_desc_dense(&d);        /* so that no stride is out of the way; where it fails, all is as it was */
    if (chance(1000)) d.size--;
    return d;
}

/* Whether the descriptor is one that no plan may be made for, whatever the algorithm. */
static int senseless(const cconv_desc *d)
{
    int a;
    if (d->size != sizeof *d || (d->compute != CCONV_F32 && d->compute != CCONV_F64)) return 1;
    if ((unsigned)d->input_type >= CCONV_TYPES || (unsigned)d->weight_type >= CCONV_TYPES) return 1;
    if ((unsigned)d->output_type > CCONV_I16 && d->output_type != d->compute) return 1;
    if ((unsigned)d->border >= CCONV_BORDERS || (unsigned)d->algorithm >= CCONV_ALGORITHMS || (unsigned)d->weights > CCONV_WEIGHTS_EITHER) return 1;
    if (d->batch < 0 || d->in_channels < 1 || d->out_channels < 1 || d->groups < 1 || d->interleave < 1 || d->rank < 0) return 1;
    if (d->in_channels % d->groups || d->out_channels % d->groups || !(d->low <= d->high)) return 1;
    if (d->isa && strcmp(d->isa, "generic") && strcmp(d->isa, "avx2") && strcmp(d->isa, "avx512") && strcmp(d->isa, "neon")) return 1;
    for (a = 0; a < 3; a++) {
        if (d->input[a] < 0 || d->kernel[a] < 1 || d->stride[a] < 1 || d->dilation[a] < 1) return 1;
        if ((wide)d->input[a] + d->before[a] + d->after[a] <= (wide)d->dilation[a] * (d->kernel[a] - 1)) return 1;
    }
    return 0;
}

/* The memory of an array, below element 0 and from it on. */
static void extent(const int64_t lengths[5], const int64_t strides[5], cconv_type type, wide bytes[2])
{
    int a;
    bytes[0] = 0, bytes[1] = (wide)size_of[type];
    for (a = 0; a < 5; a++) {
        const wide reach = lengths[a] > 1 ? (wide)strides[a] * (lengths[a] - 1) : 0;
        bytes[reach > 0] += reach > 0 ? reach : -reach;
    }
    for (a = 0; a < 5; a++) if (lengths[a] == 0) bytes[0] = bytes[1] = 0;
}

static void check_extents(const cconv_desc *d, const cconv_plan *plan)
{
    const int64_t lengths[3][5] = {{d->batch, d->in_channels, d->input[0], d->input[1], d->input[2]},
                                   {d->out_channels, d->in_channels / d->groups, d->kernel[0], d->kernel[1], d->kernel[2]},
                                   {d->batch, d->out_channels, plan->output[0], plan->output[1], plan->output[2]}};
    wide bytes[2];
    extent(lengths[0], d->input_stride, d->input_type, bytes);
    if (bytes[0] != plan->input_extent[0] || bytes[1] != plan->input_extent[1]) fail("the extent of the input");
    extent(lengths[1], d->weight_stride, d->weight_type, bytes);
    if (bytes[0] != plan->weight_extent[0] || bytes[1] != plan->weight_extent[1]) fail("the extent of the weights");
    extent(lengths[2], d->output_stride, d->output_type, bytes);
    if (bytes[0] != plan->output_extent[0] || bytes[1] != plan->output_extent[1]) fail("the extent of the output");
}

/* The shape, and that tasks and memory are what they can be and did not overflow on the way. */
static void check_plan(const cconv_desc *d, const cconv_plan *plan)
{
    const size_t at[] = {plan->v_at, plan->planes_at, plan->panel_at, plan->ordered_at, plan->bias_at, plan->sums_at, plan->turned_at};
    const wide size = (wide)size_of[d->compute], most_bytes = (wide)1 << 61;
    const int by_planes = (plan->algorithm == CCONV_ROWS || plan->algorithm == CCONV_TAPS) && !plan->deep;
    wide results = (wide)d->batch * d->out_channels, taps = d->in_channels / d->groups;
    int a;
    if (senseless(d)) fail("nonsense was accepted");
    for (a = 0; a < 3; a++) {
        const wide room = (wide)d->input[a] + d->before[a] + d->after[a] - (wide)d->dilation[a] * (d->kernel[a] - 1);
        if (plan->output[a] != (int64_t)((room - 1) / d->stride[a] + 1)) fail("the shape of the result");
        if (cconv_output_length(d->input[a], d->kernel[a], d->stride[a], d->dilation[a], d->before[a], d->after[a]) != plan->output[a])
            fail("cconv_output_length");
        if (plan->band[a] < 1 || plan->bands[a] < 1) fail("a band of nothing");
        if (by_planes && (plan->band[a] > plan->output[a] || plan->bands[a] != (plan->output[a] - 1) / plan->band[a] + 1)) fail("bands");
        results *= plan->output[a], taps *= d->kernel[a];
    }
    if (plan->tasks < 0 || plan->tasks > results || (plan->tasks == 0) != (d->batch == 0)) fail("the number of tasks");
    if (plan->joined < 1 || (plan->joined & (plan->joined - 1)) != 0 || plan->tasks % plan->joined != 0 || plan->out_blocks % plan->joined != 0) fail("the number of tasks that are joined");
    if (plan->preparations && (cconv_preparing_pays(plan, 1) || cconv_preparing_pays(plan, plan->inputs) || !cconv_preparing_pays(plan, plan->inputs + 1)
                               || (plan->inputs > 2 && cconv_preparing_pays(plan, 2))))
        fail("preparing pays for one thread, or where each has as many inputs, or does not for many");
    if (plan->algorithm == CCONV_WINOGRAD && !plan->upright && plan->tasks > 0) {
        const wide units = (wide)d->batch * plan->bands[0] * plan->bands[1] * plan->bands[2], ranges = plan->tasks / plan->out_blocks / d->groups;
        if (plan->units != (units + ranges - 1) / ranges) fail("some tasks have more units than they need");
    }
    if (plan->packs < 1 || (wide)plan->packs > (wide)d->out_channels + 1) fail("the number of packs");
    if (plan->prepacked != 0 && plan->prepacked != 1) fail("prepacked");
    if (plan->packed_bytes < 1 || (wide)plan->packed_bytes > most_bytes || plan->workspace_bytes < 1 || (wide)plan->workspace_bytes > most_bytes)
        fail("the memory");
    if (by_planes && (wide)plan->packed_bytes < (wide)d->out_channels * taps * size) fail("packed weights are more than their memory");
    for (a = 0; a < (int)(sizeof at / sizeof *at); a++) if (at[a] > plan->workspace_bytes) fail("a part of the workspace lies outside");
    if (by_planes && (wide)plan->planes_at + (wide)(plan->pixel > plan->channel_block ? plan->pixel : plan->channel_block) * plan->plane * size > (wide)plan->workspace_bytes)
        fail("planes lie outside");
    if (by_planes && plan->pixel) {     /* rows of pixels */
        const wide rows = (wide)(plan->band[1] - 1) * d->stride[1] + (wide)(d->kernel[1] - 1) * d->dilation[1] + 1;
        if ((wide)plan->plane * plan->pixel < rows * plan->row_pitch) fail("pixels overflowed");
    } else if (by_planes && (wide)plan->plane < (wide)plan->phases[1] * plan->phases[2] * plan->row_pitch * (plan->band[1] + plan->reach[1]))
        fail("planes overflowed");
    check_extents(d, plan);
}

/* Strides in C order, and that a plan which was right is so with them. */
static void check_dense(const cconv_desc *d, cconv_status planned)
{
    const int64_t *shape[3] = {d->input, d->kernel, NULL};
    cconv_desc dense = *d;
    const cconv_status status = cconv_desc_dense(&dense);
    int i, a;
    if (status != CCONV_OK && planned == CCONV_OK) fail("cconv_desc_dense refuses what a plan can be made for");
    if (status != CCONV_OK) {
        if (memcmp(&dense, d, sizeof dense)) fail("cconv_desc_dense failed and wrote");
        return;
    }
    for (i = 0; i < 2; i++) {
        const int64_t *stride = i ? dense.weight_stride : dense.input_stride;
        wide step = (wide)size_of[i ? d->weight_type : d->input_type];
        for (a = 4; a > 1 && step < (wide)1 << 61; a--) {
            if (stride[a] != step) fail("strides of cconv_desc_dense");
            step *= shape[i][a - 2] > 0 ? shape[i][a - 2] : 1;
        }
    }
}

/* Buffers of a few bytes: nothing beyond them may be looked at, and no run may begin. */
static void check_buffers(const cconv_desc *d, const cconv_plan *plan)
{
    static double few[32];
    const cconv_buffer tiny = cconv_memory(few, (size_t)pick(0, (int64_t)sizeof few));
    const cconv_buffers b = {sizeof b, tiny, tiny, chance(2) ? tiny : held(NULL, 0, 0), tiny, tiny, chance(2) ? tiny : held(NULL, 0, 0), 0};
    const int rank = cconv_rank(d, &tiny);
    if (rank < 0 || (rank > 4 && rank != CCONV_BOX_RANK && rank != CCONV_INTEGER_RANK)) fail("the rank");
    if (!plan) return;
    if (rank && plan->weight_extent[1] > (int64_t)tiny.bytes) fail("a rank of weights that are not there");
    if (plan->tasks > 0 && cconv_run(plan, plan->tasks - 1, plan->tasks, &b) != CCONV_ERROR_BUFFER) fail("a run with too little memory");
    if (plan->preparations && cconv_prepare(plan, 0, 1, &b) != CCONV_ERROR_BUFFER) fail("preparations with too little memory");
    if (plan->packed_bytes > tiny.bytes && cconv_pack_weights(plan, 0, 1, &tiny, &tiny) != CCONV_ERROR_BUFFER) fail("weights were packed into too little memory");
}

static void check_gradient_plan(cconv_desc *d)
{
    cconv_plan plan;
    d->weight_type = d->compute;
    if (cconv_plan_weight_gradient(&plan, d) != CCONV_OK) return;
    if (senseless(d) || plan.tasks < 1 || (wide)plan.tasks > (wide)d->out_channels * (d->in_channels / d->groups) * d->kernel[0] * d->kernel[1] * d->kernel[2])
        fail("the number of the gradient's tasks");
    if (plan.workspace_bytes < 1 || (wide)plan.workspace_bytes > (wide)1 << 61 || plan.planes_at > plan.workspace_bytes || plan.sums_at > plan.workspace_bytes)
        fail("the gradient's memory");
    check_extents(d, &plan);
    if (cconv_plan_input_gradient(&plan, d) != CCONV_OK) return;
    if ((wide)plan.tasks > (wide)d->batch * d->groups * d->input[1] || plan.workspace_bytes < 1 || plan.workspace_bytes > 4096) fail("the plan of an input's gradient");
    check_extents(d, &plan);
}

/* Returns whether a plan could be made. */
static int check_descriptor(void)
{
    cconv_desc d = nonsense();
    cconv_plan plan;
    cconv_status status;
    current = &d;
    status = cconv_plan_init(&plan, &d);
    if (!strcmp(cconv_strerror(status), "unknown status")) fail("no status");
    if (status == CCONV_OK) check_plan(&d, &plan);
    check_dense(&d, status);
    if (status == CCONV_OK || chance(16)) check_buffers(&d, status == CCONV_OK ? &plan : NULL);
    check_gradient_plan(&d);
    current = NULL;
    return status == CCONV_OK;
}

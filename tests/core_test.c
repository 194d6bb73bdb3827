/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Proves of the core alone, without Python: for every instruction set of this CPU and every algorithm
 *     - results agree with a naive sum in long double, within 16 eps (sum |w||x| + |bias|), or what longer sums
 *       cannot exceed, those of winograd and fft within 16 eps (max |x| sum |w| + |bias|), or 24 without fused
 *       multiply-add; integers are exact where the sums are, and else as near as that bound lets them be;
 *     - not one byte outside a buffer is touched: each lies flush against a page that may not be
 *       accessed, once after it and once before it; gaps between the elements of the output stay;
 *     - the bits depend neither on the place, nor on what memory held before, nor on how the tasks are
 *       cut and ordered, nor on the batch, nor on the instruction set (those with fused multiply-add);
 *     - the gradient with respect to the weights likewise;
 *     - cconv_plan_init answers to any nonsense with a status, and to the rest with the right shape.
 *
 *     core_test [SEED [SHARE]]    SHARE: only every SHARE-th case; exit status 1 on a failure
 *     core_test --list            the instruction sets of this CPU
 *     core_test --digest ISA      a line for each algorithm and type, to be compared between machines
 */
#define _DEFAULT_SOURCE
#include "core_reference.h"

/* The values in C order, every NaN alike; then nothing but the values may have been written. */
static void collect(const test *t, char *output, int pattern, int64_t skip, int64_t n, unsigned char *out)
{
    const int64_t size = (int64_t)size_of[t->y.type];
    int64_t i;
    for (i = 0; i < n; i++) {
        char *p = output + y_at[skip + i];
        memcpy(out + i * size, p, (size_t)size);
        if (t->y.type >= CCONV_F16 && isnan(decode(t->y.type, p))) memset(out + i * size, 0xff, (size_t)size);
    }
    for (i = 0; i < n; i++) memset(output + y_at[skip + i], pattern, (size_t)size);
    if (t->y.bytes && (output[0] != (char)pattern || memcmp(output, output + 1, (size_t)t->y.bytes - 1)))
        fail("a byte between the elements of the output was written");
}

/* One run. sample: of which one of the batch the plan is, or -1; cut: the tasks in ranges in any order,
 * the workspace at any address. */
static void run(const test *t, const cconv_plan *plan, int at_end, int sample, int cut, unsigned char *out)
{
    const cconv_desc *d = &t->d;
    const int64_t compute = (int64_t)size_of[d->compute], shift = sample < 0 ? 0 : sample, n = count_of(&t->y) / (d->batch ? d->batch : 1);
    const int pattern = at_end ? 0xff : 0x7b, odd = cut ? (int)pick(1, 63) : 0;
    char *x = place(INPUT, t->x.bytes, (int64_t)size_of[t->x.type], at_end), *y = place(OUTPUT, t->y.bytes, (int64_t)size_of[t->y.type], at_end);
    char *w = place(WEIGHT, t->w.bytes, (int64_t)size_of[t->w.type], at_end), *b = place(BIAS, compute * d->out_channels, compute, at_end);
    char *packed = place(PACKED, (int64_t)plan->packed_bytes, 8, at_end);
    char *work = place(WORK, (int64_t)plan->workspace_bytes + odd, 1, at_end);
    int64_t ends[9] = {0}, parts = cut ? pick(1, 8) : 1, i;
    const cconv_buffer plain_weights = held(w, t->w.bytes, t->w.first), target = held(packed, (int64_t)plan->packed_bytes, 0);
    cconv_buffers memory = {sizeof memory, held(x, t->x.bytes, t->x.first + shift * d->input_stride[0]), plan->prepacked ? target : plain_weights,
                            held(t->bias ? b : NULL, compute * d->out_channels, 0),
                            held(y, t->y.bytes, t->y.first + shift * d->output_stride[0]),
                            held(work, (int64_t)plan->workspace_bytes + odd, odd)};
    memcpy(x, x_image, (size_t)t->x.bytes), memcpy(w, w_image, (size_t)t->w.bytes), memcpy(b, b_image, (size_t)(compute * d->out_channels));
    memset(y, pattern, (size_t)t->y.bytes), memset(packed, pattern, plan->packed_bytes), memset(work, pattern, plan->workspace_bytes + (size_t)odd);
    ends[parts] = plan->packs;
    for (i = 1; i < parts; i++) ends[i] = pick(ends[i - 1], plan->packs);
    for (i = parts - 1; i >= 0 && plan->prepacked; i--)
        if (cconv_pack_weights(plan, ends[i], ends[i + 1], &plain_weights, &target) != CCONV_OK) fail("cconv_pack_weights");
    for (i = 1; i < parts; i++) ends[i] = pick(ends[i - 1], plan->tasks);
    ends[parts] = plan->tasks;
    for (i = parts - 1; i >= 0; i--)
        if (cconv_run(plan, ends[i], ends[i + 1], &memory) != CCONV_OK) fail("cconv_run");
    for (i = 0; i < odd; i++) if ((unsigned char)work[i] != pattern) fail("bytes before the workspace were written");
    collect(t, y, pattern, shift * n, sample < 0 ? n * d->batch : n, out);
    if (sample >= 0 || !t->x.bytes || !t->y.bytes) return;
    spoil(&memory);
    if (cconv_run(plan, 0, plan->tasks, &memory) != CCONV_ERROR_BUFFER) fail("a buffer that is too small was used");
    collect(t, y, pattern, 0, 0, out);
}

static cconv_plan plan_of(const cconv_desc *d)
{
    cconv_plan plan;
    const cconv_status status = cconv_plan_init(&plan, d);
    if (status != CCONV_OK) fail(cconv_strerror(status));
    return plan;
}

/* Whether winograd must serve. */
static int fit_for_winograd(const cconv_desc *d)
{
    const int whole = d->before[1] <= 0 && d->before[2] <= 0 && d->after[1] <= 0 && d->after[2] <= 0;
    return d->kernel[0] == 1 && d->kernel[1] == 3 && d->kernel[2] == 3 && d->stride[1] == 1 && d->stride[2] == 1 && d->interleave == 1
           && d->input_type >= CCONV_F16 && d->weight_type >= CCONV_F16 && d->tile <= 4
           && ((d->dilation[1] == 1 && d->dilation[2] == 1) || d->border == CCONV_CONSTANT || whole);
}

static int fit_for_fft(const cconv_desc *d)
{
    return d->in_channels == 1 && d->out_channels == 1 && d->kernel[0] == 1 && d->kernel[1] > 1 && d->kernel[1] <= 512 && d->stride[1] == 1
           && d->stride[2] == 1 && d->dilation[1] == 1 && d->interleave <= 1024 && (d->kernel[2] - 1) * d->dilation[2] <= 1024
           && (d->input_type >= CCONV_F16 || d->weight_type >= CCONV_F16) && (d->tile == 0 || (d->tile >= 16 && d->tile >= d->kernel[1]));
}

/* Those that serve some weights only. */
static int by_rank(cconv_algorithm a) { return a == CCONV_SEPARABLE || a == CCONV_BOX || a == CCONV_INTEGER; }

/* What cconv_rank says, where it must say something. */
static int64_t rank_of(const test *t)
{
    const cconv_desc *d = &t->d;
    const cconv_type finest = d->compute == CCONV_F32 ? CCONV_F32 : CCONV_F64;
    const cconv_buffer weights = held((char *)w_image, t->w.bytes, t->w.first), short_of_one = held((char *)w_image, t->w.bytes - 1, t->w.first);
    const int rank = cconv_rank(d, &weights);
    const int one = d->in_channels == 1 && d->out_channels == 1 && d->kernel[0] * d->kernel[1] > 1 && d->kernel[2] > 1;
    int64_t i;
    if (cconv_rank(d, &short_of_one)) fail("a buffer that is too small was looked into");
    if (t->products != 1 || !one || d->algorithm != CCONV_SEPARABLE || rank > 0 || d->stride[2] > 8) return rank;
    for (i = 0; i < count_of(&t->w); i++)
        if (ws[i] != 0 && (t->exact || d->weight_type >= finest)) fail("a product is not found");
    return rank;
}

/* One descriptor, with each algorithm and instruction set. */
static void check(test *t)
{
    cconv_desc *d = &t->d;
    const int last = (int)d->batch - 1;
    const char *fused[CCONV_ALGORITHMS] = {NULL};
    int i, a;
    current = d, d->isa = NULL, d->algorithm = CCONV_AUTO;
    if (!prepare(t)) fail("the test's own case is too large");
    const size_t bytes = (size_t)count_of(&t->y) * size_of[d->output_type];
    reference(t);
    for (i = 0; cconv_isa_list(i); i++)
        for (a = CCONV_ROWS; a < CCONV_ALGORITHMS; a++) {
            const int winograd = a == CCONV_WINOGRAD, separable = a == CCONV_SEPARABLE, fft = a == CCONV_FFT;
            const int packed = winograd || fft || by_rank((cconv_algorithm)a), mixing = winograd || fft;
            const int64_t tile = d->tile;
            cconv_plan plan, alone;
            d->isa = cconv_isa_list(i), d->algorithm = (cconv_algorithm)a, d->weights = CCONV_WEIGHTS_PACKED;
            d->rank = by_rank(d->algorithm) ? rank_of(t) : 0;
            if (packed && cconv_plan_init(&plan, d) == CCONV_ERROR_ALGORITHM) {
                if (winograd && fit_for_winograd(d)) fail("winograd does not serve");
                if (fft && fit_for_fft(d)) fail("fft does not serve");
                if (by_rank(d->algorithm) && d->rank > 0) fail("separable does not serve");
                d->tile = tile;
                continue;
            }
            cases++, plan = plan_of(d);
            if (mixing) d->tile = plan.edge;      /* which what comes with the weights decides, too */
            if (memcmp(plan.output, t->y.shape + 2, sizeof plan.output)) fail("the shape of the result");
            run(t, &plan, 1, -1, 0, got);
            compare(t, got, (d->rank < 2 || !separable || t->exact) && !mixing ? 0 : strcmp(d->isa, "generic") ? 16 : 24);   /* which rounds products */
            d->weights = packed ? CCONV_WEIGHTS_PACKED : CCONV_WEIGHTS_PLAIN, plan = plan_of(d);
            run(t, &plan, 0, -1, 0, again);
            if (memcmp(got, again, bytes)) fail("other bits at another place, with weights that are not packed");
            d->weights = CCONV_WEIGHTS_EITHER, plan = plan_of(d);
            run(t, &plan, chance(2), -1, 1, again);
            if (memcmp(got, again, bytes)) fail("other bits when cut into tasks");
            if (last > 0) {
                const int64_t batch = d->batch;
                d->batch = 1, alone = plan_of(d), d->batch = batch;
                run(t, &alone, 1, last, 0, again);
                if (memcmp(got + bytes / (size_t)batch * (size_t)last, again, bytes / (size_t)batch)) fail("other bits without the batch");
            }
            d->algorithm = (cconv_algorithm)pick(CCONV_AUTO, CCONV_FAST), d->rank = rank_of(t), plan = plan_of(d);
            if ((int)plan.algorithm == a) {
                cases++, run(t, &plan, 1, -1, 0, again);
                if (memcmp(got, again, bytes)) fail("other bits with CCONV_AUTO");
            } else if (plan.algorithm < CCONV_ROWS || (plan.algorithm == CCONV_WINOGRAD && d->algorithm == CCONV_DIRECT)
                       || (plan.algorithm == CCONV_FFT && d->algorithm != CCONV_FAST)) fail("the choice");
            d->algorithm = (cconv_algorithm)a, d->tile = tile, d->rank = 0;
            if (!strcmp(d->isa, "generic")) continue;
            if (fused[a] && memcmp(kept[a], got, bytes)) fail("other bits than with the other instruction set");
            fused[a] = d->isa, memcpy(kept[a], got, bytes);
        }
}

static test plain(void)
{
    static const cconv_type outputs[] = {CCONV_U8, CCONV_I8, CCONV_U16, CCONV_I16};
    test t = {.d = {.size = sizeof(cconv_desc), .batch = 1, .in_channels = 1, .out_channels = 1, .groups = 1, .input = {1, 1, 1},
                    .kernel = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .interleave = 1, .divisor = 1,
                    .low = -INFINITY, .high = INFINITY}};
    cconv_desc *d = &t.d;
    int i;
    d->compute = chance(3) ? CCONV_F64 : CCONV_F32;
    d->input_type = chance(2) ? d->compute : (cconv_type)pick(0, CCONV_TYPES - 1);
    d->weight_type = chance(2) ? d->compute : (cconv_type)pick(0, CCONV_TYPES - 1);
    d->output_type = chance(3) ? outputs[pick(0, 3)] : d->compute;
    d->border = (cconv_border)pick(0, CCONV_BORDERS - 1);
    d->batch = chance(4) ? pick(2, 3) : 1;
    t.exact = chance(3), t.special = !t.exact && chance(4), t.bias = chance(2);
    d->border_value = chance(3) ? 0 : t.exact ? (double)pick(-5, 5) : (double)pick(-999, 999) / 64;
    if (chance(5)) d->divisor = (double[]){3, 256, -2, 0.5, 9.75}[pick(0, 4)];
    if (chance(5)) d->low = (double)pick(-60, 20) / 2, d->high = d->low + (double)pick(0, 99);
    for (i = 0; i < 3; i++) t.layout[i] = chance(2) ? 0 : (int)pick(1, i == 1 ? 1 : 2);
    if (chance(12)) t.layout[0] = 3;
    return t;
}

/* The input along an axis such that the result has `out` positions. */
static void give(test *t, int a, int64_t out)
{
    cconv_desc *d = &t->d;
    int64_t n, unit = a == 2 ? d->interleave : 1;
    if (unit > 1) d->stride[2] = 1, d->dilation[2] *= unit, d->before[2] *= unit, d->after[2] *= unit;
    n = (out - 1) * d->stride[a] + d->dilation[a] * (d->kernel[a] - 1) + 1 + pick(0, d->stride[a] - 1);
    if (n <= d->before[a] + d->after[a]) d->before[a] = d->after[a] = 0;
    n -= d->before[a] + d->after[a];
    d->input[a] = (n + unit - 1) / unit * unit;
    if (chance(8)) n = unit * pick(1, 9), d->before[a] -= n, d->input[a] += n;     /* cropped, or less of a border */
    if (chance(8)) n = unit * pick(1, 9), d->after[a] -= n, d->input[a] += n;
}

/* Kernel, stride, dilation and padding of an axis. */
static void window(test *t, int a, int64_t k, int64_t s, int64_t dilation, int64_t pad)
{
    cconv_desc *d = &t->d;
    d->kernel[a] = k, d->stride[a] = s, d->dilation[a] = dilation;
    d->before[a] = chance(2) ? pick(0, pad) : 0, d->after[a] = chance(2) ? pick(0, pad) : 0;
}

static void channels(test *t, int64_t in, int64_t out)
{
    cconv_desc *d = &t->d;
    d->in_channels = in, d->out_channels = out, d->groups = 1;
    if (chance(6)) d->groups = pick(2, 3), d->in_channels *= d->groups, d->out_channels *= d->groups;
    else if (chance(8)) d->groups = d->in_channels = out;
}

/* Arguments drawn from left to right, whatever the compiler: a seed means the same everywhere. */
static int64_t drawn[4];
#define window(t, a, k, s, dil, pad) \
    (drawn[0] = (k), drawn[1] = (s), drawn[2] = (dil), drawn[3] = (pad), window(t, a, drawn[0], drawn[1], drawn[2], drawn[3]))
#define channels(t, in, out) (drawn[0] = (in), drawn[1] = (out), channels(t, drawn[0], drawn[1]))

static int64_t work_of(const test *t)
{
    const cconv_desc *d = &t->d;
    int64_t work = d->batch * d->out_channels * d->in_channels / d->groups;
    int a;
    for (a = 0; a < 3; a++)
        work *= d->kernel[a] * ((d->input[a] + d->before[a] + d->after[a] - d->dilation[a] * (d->kernel[a] - 1) - 1) / d->stride[a] + 1);
    return work;
}

static test random_case(int64_t most_work)
{
    for (;;) {
        test t = plain();
        const int axes = (int)pick(1, 3);
        int a;
        if (chance(6)) t.d.interleave = chance(3) ? 4 : 3;
        channels(&t, pick(1, chance(2) ? 3 : 20), pick(1, chance(2) ? 4 : 30));
        for (a = 3 - axes; a < 3; a++) {
            window(&t, a, pick(1, chance(3) ? 9 : 4), chance(2) ? 1 : pick(1, 3), chance(2) ? 1 : pick(1, chance(4) ? 40 : 4), chance(2) ? 3 : 12);
            give(&t, a, pick(1, chance(3) ? 70 : 20));
        }
        if (chance(30)) t.d.batch = 0;
        if (work_of(&t) <= most_work && t.d.batch * t.d.in_channels * t.d.input[0] * t.d.input[1] * t.d.input[2] <= MOST / 4) return t;
    }
}

/* Taps and steps far apart, borders far out, and sizes at which tasks are cut or nothing is left. */
static test odd_case(int i)
{
    static const int64_t far[] = {9, 50, 513, 5000, INT64_C(1) << 20, INT64_C(1) << 40, INT64_C(1) << 58};
    test t = plain();
    cconv_desc *d = &t.d;
    const int64_t away = far[pick(0, 6)];
    const int a = (int)pick(0, 2);
    channels(&t, pick(1, 4), pick(1, 4));
    window(&t, 1, pick(1, 3), 1, 1, 2), give(&t, 1, pick(1, 20));
    window(&t, 2, pick(1, 3), 1, 1, 2), give(&t, 2, pick(1, 40));
    switch (i % 10) {
    case 0: window(&t, 1, 15, 1, 1, 7), give(&t, 1, pick(1, 20)), window(&t, 2, 15, 1, 1, 7), give(&t, 2, pick(1, 40)); break;
    case 1: a ? (window(&t, 2, 40, 1, 1, 12), give(&t, 2, pick(1, 99))) : (window(&t, 1, 40, 1, 1, 12), give(&t, 1, pick(1, 60))); break;
    case 2: case 3:     /* all but a few positions lie on the border */
        d->kernel[a] = pick(2, 3), d->dilation[a] = away, d->stride[a] = pick(1, 2), d->input[a] = pick(1, 9);
        d->before[a] = (d->kernel[a] - 1) * away / (chance(2) ? 1 : 2), d->after[a] = (d->kernel[a] - 1) * away - d->before[a] + pick(0, 5);
        break;
    case 4: d->dilation[a] = away, d->stride[a] = chance(2) ? 1 : away - 1, d->kernel[a] = 1; break;
    case 5: d->kernel[a] = pick(2, 4), d->stride[a] = far[pick(0, 3)], d->dilation[a] = far[pick(0, 3)];
        if (d->dilation[a] * (d->kernel[a] - 1) > 2000) d->dilation[a] = 7;
        channels(&t, 1, pick(1, 3)), give(&t, 1, pick(1, 5)), give(&t, 2, pick(1, 9)), d->batch = 1;
        d->before[a] = d->after[a] = 3, give(&t, a, pick(1, 3)); break;
    case 6: d->border = CCONV_CONSTANT, d->batch = pick(0, 1), d->input[a] = 0, d->before[a] = d->after[a] = d->kernel[a]; break;
    case 7: channels(&t, pick(1, 2), 1), give(&t, 2, pick(500, 9000)); break;
    case 8: channels(&t, pick(13, 30), pick(16, 27)), give(&t, 1, pick(3, 30)), give(&t, 2, pick(3, 34)); break;
    default: d->kernel[1] = d->kernel[2] = 3, channels(&t, pick(1, 9), pick(20, 40)), give(&t, 1, pick(5, 60)), give(&t, 2, pick(2, 40));
    }
    return t;
}

/* 3x3, floats: for winograd. */
static test three_by_three(void)
{
    test t = plain();
    const int64_t dilation = chance(3) ? pick(2, 4) : 1;
    channels(&t, pick(1, chance(4) ? 140 : 9), pick(1, chance(2) ? 9 : 40));
    window(&t, 1, 3, 1, dilation, 3), window(&t, 2, 3, 1, chance(4) ? pick(1, 5) : dilation, 3);
    if (dilation > 1 && !chance(4)) t.d.border = CCONV_CONSTANT;
    if (chance(6)) window(&t, 0, 1, pick(1, 2), 1, 1), give(&t, 0, pick(1, 3));
    if (t.d.input_type < CCONV_F16) t.d.input_type = t.d.compute;
    if (t.d.weight_type < CCONV_F16) t.d.weight_type = t.d.compute;
    if (chance(2)) t.special = 0;
    t.d.tile = 2 * pick(0, 2);
    give(&t, 1, pick(1, chance(3) ? 60 : 20)), give(&t, 2, pick(1, chance(3) ? 70 : 20));
    if (chance(20)) give(&t, 2, pick(250, 300));
    return t;
}

/* One kernel of few products: for separable. */
static test low_rank(void)
{
    test t = plain();
    const int wide = chance(8);
    t.products = chance(3) ? BOX : chance(3) ? (int)pick(2, 3) : 1;
    if (chance(6)) t.d.interleave = 3;
    if (chance(4)) t.d.tile = 16 << pick(0, 3);
    if (chance(4)) window(&t, 0, pick(1, 3), pick(1, 2), pick(1, 2), 2), give(&t, 0, pick(1, 3));
    window(&t, 1, pick(1, chance(3) ? 21 : 9), chance(3) ? 2 : 1, chance(3) ? 2 : 1, 12);
    window(&t, 2, pick(1, chance(3) ? 35 : 9), chance(3) ? pick(2, 3) : 1, chance(3) ? pick(2, 3) : 1, 12);
    if (t.products == BOX && !chance(4)) {
        window(&t, 1, pick(2, chance(3) ? 40 : 9), 1, 1, 12), window(&t, 2, pick(2, chance(3) ? 40 : 9), 1, 1, 12);
    }
    if (chance(2)) t.d.input_type = t.d.compute, t.special = t.special && chance(2);
    if (chance(2)) t.d.weight_type = t.d.compute;
    give(&t, 1, pick(1, wide ? 4 : 40)), give(&t, 2, wide ? pick(500, 4200) : pick(1, 70));
    return t;
}

/* Small whole numbers over 8 bits: for integer. */
static test small_integers(void)
{
    static const cconv_type outputs[] = {CCONV_U8, CCONV_U8, CCONV_U8, CCONV_I8, CCONV_U16, CCONV_I16};
    test t = plain();
    t.exact = 1, t.special = 0, t.bias = chance(6), t.small = (int)pick(1, chance(2) ? 1 : 7);
    t.d.input_type = CCONV_U8, t.d.output_type = outputs[pick(0, 5)];
    t.d.border_value = (double)pick(0, 255), t.d.divisor = chance(3) ? (double)(1 << pick(0, 8)) : 1;
    if (chance(5)) t.d.low = (double)pick(-50, 300) / 2, t.d.high = t.d.low + (double)pick(0, 300) / 2;
    if (chance(2)) t.d.weight_type = t.d.compute;
    if (chance(4)) t.d.interleave = 3;
    window(&t, 1, pick(1, chance(3) ? 11 : 5), 1, chance(4) ? 3 : 1, 12), window(&t, 2, pick(1, chance(3) ? 11 : 5), 1, chance(4) ? 2 : 1, 12);
    if (chance(6)) window(&t, 0, 1, pick(1, 2), 1, 1), give(&t, 0, pick(1, 3));
    give(&t, 1, pick(1, 40)), give(&t, 2, pick(1, chance(3) ? 300 : 70));
    return t;
}

/* A kernel for each channel, and the channels side by side: for what stands in for rows there. */
static test side_by_side(void)
{
    test t = plain();
    channels(&t, 1, 1);
    t.d.groups = t.d.in_channels = t.d.out_channels = pick(4, chance(3) ? 70 : 20);
    t.d.input_type = t.d.output_type = t.d.compute, t.layout[0] = t.layout[2] = 2, t.d.interleave = 1;
    t.d.divisor = chance(9) ? 3 : 1;
    window(&t, 1, pick(1, chance(4) ? 9 : 4), pick(1, 3), pick(1, 3), 12), window(&t, 2, pick(1, chance(4) ? 9 : 4), pick(1, 3), pick(1, 3), 12);
    if (chance(6)) window(&t, 0, 1, pick(1, 2), 1, 1), give(&t, 0, pick(1, 3));
    give(&t, 1, pick(1, 20)), give(&t, 2, pick(1, 30));
    return t;
}

static void boundaries(int share)
{
    static const int64_t widths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 97}, ins[] = {1, 2, 3, 13, 14, 15, 30};
    int i;
    for (i = (int)pick(0, share - 1); i < 19 * 18 + 27 * 7 + 9 * 3 * 4 + 60 + 250 + 300 + 200 + 150 + 200; i += share) {
        int j = i;
        test t = plain();
        if (i < 19 * 18) {              /* width x height of the result */
            t.d.interleave = chance(6) ? 3 : 1;
            channels(&t, pick(1, 2), pick(1, 7));
            window(&t, 1, pick(1, 4), chance(3) ? 2 : 1, 1, 12), window(&t, 2, pick(1, 4), chance(3) ? 2 : 1, 1, 12);
            give(&t, 1, i / 19 + 1), give(&t, 2, widths[i % 19]);
        } else if ((j -= 19 * 18) < 27 * 7) {
            channels(&t, ins[j / 27], j % 27 + 1);
            window(&t, 1, pick(1, 3), 1, 1, 2), window(&t, 2, pick(1, 3), 1, 1, 2);
            give(&t, 1, pick(1, 9)), give(&t, 2, pick(1, 20));
        } else if ((j -= 27 * 7) < 9 * 3 * 4) {
            channels(&t, pick(1, 3), pick(1, 5));
            window(&t, 1, j % 9 + 1, j / 9 % 3 + 1, j / 27 + 1, 12), window(&t, 2, pick(1, 9), pick(1, 3), pick(1, 4), 12);
            give(&t, 1, pick(1, 20)), give(&t, 2, pick(1, 40));
            if (chance(3)) window(&t, 0, pick(1, 3), pick(1, 3), pick(1, 4), 3), give(&t, 0, pick(1, 3));
        } else if ((j -= 9 * 3 * 4) < 60) {     /* wide enough to be read where it lies */
            channels(&t, pick(1, 2), pick(1, 3)), t.layout[0] = 0, t.d.input_type = t.d.compute;
            if (chance(2)) t.special = 0;
            window(&t, 1, pick(1, 9), 1, pick(1, chance(3) ? 3 : 1), 12), window(&t, 2, pick(1, 9), 1, pick(1, chance(3) ? 3 : 1), 12);
            give(&t, 1, pick(1, 40)), give(&t, 2, pick(512, 600));
        } else if ((j -= 60) < 250) {
            do t = three_by_three(); while (work_of(&t) > ALONE || !prepare(&t));
        } else if ((j -= 250) < 300) {
            do t = low_rank(); while (work_of(&t) > 4 * ALONE || !prepare(&t));
        } else if ((j -= 300) < 200) {
            do t = small_integers(); while (work_of(&t) > 4 * ALONE || !prepare(&t));
        } else if ((j -= 200) < 150) {
            do t = side_by_side(); while (work_of(&t) > 4 * ALONE || !prepare(&t));
        } else {
            j -= 150;
            do t = odd_case(j); while (!prepare(&t));     /* again, if larger than the test's buffers */
        }
        check(&t);
    }
}

#include "core_gradient.h"

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

/* A descriptor with some fields replaced; where it is accepted, the shape must be right. */
static void nonsense(const test *base)
{
    static const double reals[] = {0, -1, 1e300, NAN, INFINITY, -INFINITY, 0.5, 300};
    static const char *const names[] = {"", "avx", "generic", "avx2", "nonsense", NULL};
    cconv_desc d = base->d;
    int64_t *const blocks[] = {d.input, d.kernel, d.stride, d.dilation, d.before, d.after};
    int64_t *const single[] = {&d.batch, &d.in_channels, &d.out_channels, &d.groups, &d.interleave};
    cconv_plan plan;
    cconv_status status;
    int i, a;
    if (chance(2)) d.in_channels = d.groups = d.out_channels = 1;
    if (chance(4)) for (a = 0; a < 3; a++) d.kernel[a] = pick(1, 2), d.before[a] = d.after[a] = (INT64_C(1) << pick(0, 60)) - 1;
    if (chance(2)) d.border = CCONV_CONSTANT;
    for (i = (int)pick(0, 8); i > 0; i--) {
        const int64_t number = nonsense_number(), axis = pick(0, 2);
        if (!chance(4)) blocks[pick(0, 5)][axis] = number;
        else if (chance(2)) *single[pick(0, 4)] = number;
        else (chance(2) ? d.input_stride : chance(2) ? d.weight_stride : d.output_stride)[pick(0, 4)] = number;
    }
    if (chance(40)) d.compute = (cconv_type)pick(0, 20);
    if (chance(40)) d.input_type = (cconv_type)draw(), d.weight_type = (cconv_type)pick(0, 20);
    if (chance(40)) d.output_type = (cconv_type)draw(), d.border = (cconv_border)pick(0, 9);
    if (chance(40)) d.low = reals[pick(0, 7)], d.high = reals[pick(0, 7)], d.divisor = reals[pick(0, 7)], d.border_value = reals[pick(0, 7)];
    d.algorithm = (cconv_algorithm)(chance(40) ? (int64_t)draw() : pick(0, CCONV_ALGORITHMS - 1));
    if (chance(4)) d.kernel[0] = 1, d.kernel[1] = d.kernel[2] = 3, d.stride[1] = d.stride[2] = 1, d.algorithm = CCONV_WINOGRAD;
    d.isa = chance(40) ? names[pick(0, 5)] : NULL;
    d.weights = (cconv_weights)(chance(40) ? (int64_t)draw() : pick(0, 2));
    d.tile = chance(40) ? nonsense_number() : 0;
    d.rank = !chance(4) ? 0 : chance(4) ? nonsense_number() : chance(2) ? pick(1, 4) : CCONV_BOX_RANK;
    if (chance(4)) d.in_channels = d.out_channels = d.groups = 1, d.algorithm = (cconv_algorithm)pick(CCONV_SEPARABLE, CCONV_INTEGER);
    if (chance(1000)) d.size--;
    current = &d;
    status = cconv_plan_init(&plan, &d);
    if (!strcmp(cconv_strerror(status), "unknown status")) fail("no status");
    if (status != CCONV_OK) { current = NULL; return; }
    for (a = 0; a < 3; a++) {
        const wide room = (wide)d.input[a] + d.before[a] + d.after[a] - (wide)d.dilation[a] * (d.kernel[a] - 1);
        if (room < 1 || d.kernel[a] < 1 || plan.output[a] != (int64_t)((room - 1) / d.stride[a] + 1)) fail("nonsense was accepted");
    }
    if (plan.tasks < 0 || (plan.tasks == 0) != (d.batch == 0) || (int64_t)plan.packed_bytes < 1 || (int64_t)plan.workspace_bytes < 1)
        fail("numbers of the plan overflowed");
    d.weight_type = d.compute;
    status = cconv_plan_weight_gradient(&plan, &d);
    if (status == CCONV_OK && (plan.tasks < 1 || (int64_t)plan.workspace_bytes < 1)) fail("numbers of the gradient's plan overflowed");
    current = NULL;
}

static uint64_t digested(uint64_t hash, const unsigned char *bytes, size_t n)     /* FNV-1a */
{
    for (; n > 0; n--) hash = (hash ^ *bytes++) * UINT64_C(0x100000001b3);
    return hash;
}

static void digest_gradients(const char *isa)
{
    uint64_t hash[2] = {0};
    int i;
    for (i = 0; i < 200; i++) {
        cconv_plan plan;
        state = (uint64_t)i;
        test t = for_gradient(i);
        t.special = 0, t.d.isa = isa, t.d.weight_type = t.d.compute, current = &t.d;
        if (!prepare(&t)) continue;
        fill_array(&t, &t.y, 0, g_image, gs);
        if (cconv_plan_weight_gradient(&plan, &t.d) != CCONV_OK || run_gradient(&t, &plan, i & 1, 0, got) != CCONV_OK) fail("a gradient");
        hash[t.d.compute == CCONV_F64] = digested(hash[t.d.compute == CCONV_F64], got, (size_t)count_of(&t.w) * size_of[t.w.type]);
    }
    printf("gradient f32 %016" PRIx64 " f64 %016" PRIx64 "\n", hash[0], hash[1]);
}

static int digest(const char *isa)
{
    uint64_t hash[CCONV_ALGORITHMS][2][CCONV_TYPES] = {{{0}}};
    int i, a, f64, type;
    for (i = 0; i < 800; i++) {
        state = (uint64_t)i;
        test t = i % 8 == 2 ? small_integers() : i % 4 == 2 ? low_rank() : i % 4 > 1 ? random_case(40000) : i % 4 ? three_by_three() : odd_case(i / 4);
        if (i % 4 < 3 && work_of(&t) > 400000) continue;
        if (i % 3 == 0) t.exact = 0;
        t.d.isa = isa, current = &t.d;
        if (!prepare(&t)) fail("the test's own case is too large");
        for (a = CCONV_ROWS; a < CCONV_ALGORITHMS; a++) {
            uint64_t *h = &hash[a][t.d.compute == CCONV_F64][t.d.output_type];
            t.d.algorithm = (cconv_algorithm)a, t.d.weights = CCONV_WEIGHTS_PACKED;
            if (a == CCONV_WINOGRAD && !fit_for_winograd(&t.d)) continue;
            t.d.rank = by_rank(t.d.algorithm) ? rank_of(&t) : 0;
            if (by_rank(t.d.algorithm) && !t.d.rank) continue;
            if (a == CCONV_FFT && !fit_for_fft(&t.d)) continue;
            const cconv_plan plan = plan_of(&t.d);
            run(&t, &plan, i & 1, -1, 0, got);
            *h = digested(*h ? *h : UINT64_C(0xcbf29ce484222325), got, (size_t)count_of(&t.y) * size_of[t.y.type]);
        }
    }
    digest_gradients(isa);
    for (a = CCONV_ROWS; a < CCONV_ALGORITHMS; a++) for (f64 = 0; f64 < 2; f64++) for (type = 0; type < CCONV_TYPES; type++)
        if (hash[a][f64][type]) printf("%s f%d type %d %016" PRIx64 "\n", algorithm_names[a], f64 ? 64 : 32, type, hash[a][f64][type]);
    return 0;
}

int main(int argc, char **argv)
{
    const int share = argc > 2 && atoi(argv[2]) > 0 ? atoi(argv[2]) : 1;
    const long randoms = 700 / share, descriptors = 300000 / share;
    long i;
    signal(SIGABRT, on_signal);
    struct sigaction fault = {.sa_handler = on_signal};
    sigaction(SIGSEGV, &fault, NULL), sigaction(SIGBUS, &fault, NULL);
    if (argc == 3 && !strcmp(argv[1], "--digest")) return digest(argv[2]);
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (i = 0; cconv_isa_list((int)i); i++) puts(cconv_isa_list((int)i));
        return 0;
    }
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    printf("seed %" PRIu64 "\n", seed), fflush(stdout);
    state = seed;
    for (i = 0; i < descriptors; i++) {
        const test t = plain();
        nonsense(&t);
    }
    boundaries(share);
    for (i = 0; i < randoms; i++) {
        test t = random_case(ALONE);
        while (!prepare(&t)) t = random_case(ALONE);      /* larger than the test's buffers */
        check(&t);
        t = i % 4 == 0 ? three_by_three() : i % 4 == 1 ? odd_case((int)(i / 4)) : i % 4 == 2 ? for_gradient((int)(i / 4)) : random_case(ALONE);
        check_gradient(&t);
    }
    printf("%ld cases, %ld descriptors, seed %" PRIu64 ", worst error %.3g eps, of winograd %.3g\n", cases, descriptors, seed, worst, worst_mixed);
    return 0;
}

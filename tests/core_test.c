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
 *     core_test --descriptors N SEED      N descriptors of nonsense, and nothing else
 *     core_test --list            the instruction sets of this CPU
 *     core_test --digest ISA      a line for each algorithm and type, to be compared between machines
 */
#define _DEFAULT_SOURCE
#include "core_reference.h"
#include "core_cases.h"

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
                            held(work, (int64_t)plan->workspace_bytes + odd, odd), {0}, 0};
    memcpy(x, x_image, (size_t)t->x.bytes), memcpy(w, w_image, (size_t)t->w.bytes), memcpy(b, b_image, (size_t)(compute * d->out_channels));
    memset(y, pattern, (size_t)t->y.bytes), memset(packed, pattern, plan->packed_bytes), memset(work, pattern, plan->workspace_bytes + (size_t)odd);
    ends[parts] = plan->packs;
    for (i = 1; i < parts; i++) ends[i] = pick(ends[i - 1], plan->packs);
    for (i = parts - 1; i >= 0 && plan->prepacked; i--)
        if (cconv_pack_weights(plan, ends[i], ends[i + 1], &plain_weights, &target) != CCONV_OK) fail("cconv_pack_weights");
    if (plan->preparations && cconv_prepare(plan, 0, 1, &memory) != CCONV_ERROR_BUFFER) fail("prepared into nothing");
    if (plan->preparations && cut && pick(0, 2)) {
        char *shared = place(SHARED, (int64_t)plan->shared_bytes + odd, 1, at_end);
        memory.shared = held(shared, (int64_t)plan->shared_bytes + odd, odd);
        memset(shared, pattern, plan->shared_bytes + (size_t)odd);
        for (i = 1; i < parts; i++) ends[i] = pick(ends[i - 1], plan->preparations);
        ends[parts] = plan->preparations;
        for (i = parts - 1; i >= 0; i--)
            if (cconv_prepare(plan, ends[i], ends[i + 1], &memory) != CCONV_OK) fail("cconv_prepare");
        for (i = 0; i < odd; i++) if ((unsigned char)shared[i] != pattern) fail("bytes before what is shared were written");
        prepared++;
    }
    joined += plan->joined > 1 && parts > 1;
    for (i = 1; i < parts; i++) ends[i] = pick(ends[i - 1], plan->tasks);
    ends[parts] = plan->tasks;
    for (i = parts - 1; i >= 0; i--) {
        if (cconv_run(plan, ends[i], ends[i + 1], &memory) != CCONV_OK) fail("cconv_run");
        memory.continued = ends[i] < ends[i + 1] && pick(0, 1);
    }
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

/* Results past the caches, as those of an output that is too large for a test.  Some ways and instruction sets never do. */
static cconv_plan streaming(cconv_plan plan)
{
    const int ways = plan.algorithm == CCONV_ROWS || plan.algorithm == CCONV_TAPS || (plan.upright && !plan.turn_in_place);
    if (!ways || plan.deep || !plan.write_in_place || !strcmp(cconv_isa_name(&plan), "generic") || !strcmp(cconv_isa_name(&plan), "neon")) return plan;
    plan.stream = 1, streamed++;
    return plan;
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
            plan = streaming(plan), run(t, &plan, chance(2), -1, 1, again);
            if (memcmp(got, again, bytes)) fail("other bits past the caches");
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

static void boundaries(int share)
{
    static const int64_t widths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 97}, ins[] = {1, 2, 3, 13, 14, 15, 30};
    int i;
    for (i = (int)pick(0, share - 1); i < 19 * 18 + 27 * 7 + 9 * 3 * 4 + 60 + 250 + 300 + 200 + 150 + 100 + 40 + 100 + 200; i += share) {
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
            do t = for_winograd(); while (work_of(&t) > ALONE || !prepare(&t));
        } else if ((j -= 250) < 300) {
            do t = low_rank(); while (work_of(&t) > 4 * ALONE || !prepare(&t));
        } else if ((j -= 300) < 200) {
            do t = small_integers(); while (work_of(&t) > 4 * ALONE || !prepare(&t));
        } else if ((j -= 200) < 150) {
            do t = side_by_side(); while (work_of(&t) > 4 * ALONE || !prepare(&t));
        } else if ((j -= 150) < 100) {
            do t = bordered(); while (work_of(&t) > 4 * ALONE || !prepare(&t));
        } else if ((j -= 100) < 40) {
            do t = many_outputs(); while (work_of(&t) < 2 * ALONE || work_of(&t) > 8 * ALONE || !prepare(&t));
        } else if ((j -= 40) < 100) {
            do t = lined_up(); while (work_of(&t) > 8 * ALONE || !prepare(&t));
        } else {
            j -= 100;
            do t = odd_case(j); while (!prepare(&t));     /* again, if larger than the test's buffers */
        }
        check(&t);
    }
}

#include "core_gradient.h"
#include "core_descriptors.h"

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
    for (i = 0; i < 1000; i++) {
        state = (uint64_t)i;
        test t = i % 8 == 2 ? small_integers() : i % 4 == 2 ? low_rank() : i % 40 == 3 ? bordered() : i % 40 == 23 ? side_by_side() : i % 4 > 1 ? random_case(40000) : i % 4 ? for_winograd() : odd_case(i / 4);
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

static int check_descriptors(long n, uint64_t from)
{
    long i, plans = 0;
    state = seed = from;
    for (i = 0; i < n; i++) plans += check_descriptor();
    printf("%ld descriptors, of which %ld made a plan, seed %" PRIu64 "\n", n, plans, seed);
    return n < 1 || plans < n / 100;
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
    if (argc == 4 && !strcmp(argv[1], "--descriptors")) return check_descriptors(atol(argv[2]), strtoull(argv[3], NULL, 0));
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    printf("seed %" PRIu64 "\n", seed), fflush(stdout);
    state = seed;
    for (i = 0; i < descriptors; i++) check_descriptor();
    boundaries(share);
    for (i = 0; i < randoms; i++) {
        test t = random_case(ALONE);
        while (!prepare(&t)) t = random_case(ALONE);      /* larger than the test's buffers */
        check(&t);
        do t = i % 4 == 0 ? for_winograd() : i % 4 == 1 ? odd_case((int)(i / 4)) : i % 4 == 2 ? for_gradient((int)(i / 4)) : random_case(ALONE);
        while (work_of(&t) > 64 * ALONE);       /* by the reference, perhaps under an emulator */
        check_gradient(&t);
        t = odd_case(4);        /* one position: a stride of any size */
        check_gradient(&t);
        t = for_gradient(3);
        check_input_gradient(&t);
    }
    if ((!prepared || !joined) && share == 1) fail("no run was prepared, or none of tasks that are joined");
    printf("%ld cases, %ld of them prepared, %ld joined, %ld past the caches, %ld descriptors, seed %" PRIu64 ", worst error %.3g eps, of winograd %.3g\n", cases, prepared, joined, streamed, descriptors, seed, worst, worst_mixed);
    return 0;
}

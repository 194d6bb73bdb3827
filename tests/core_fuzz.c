/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For libFuzzer: what its bytes say is drawn where core_test.c draws at random, so that each input is a descriptor (of nonsense, which
 * must be answered by a status or a right plan; or a small one of sense), its layouts and its data.  A small one is run by every algorithm
 * that serves, and its gradient, and compared with the naive sums.  Every buffer is a piece of heap of just its size, so that
 * AddressSanitizer sees what is read or written beyond.
 *
 *     clang -std=c11 -O1 -fsanitize=fuzzer,address,undefined -Icconv/core tests/core_fuzz.c cconv/core/[a-z]*.c -lm     (not cconv.c)
 *     ./a.out -max_total_time=60 -max_len=512
 *
 * `bash .ci/fuzz SECONDS` does that.  A finding is written to a file; ./a.out FILE runs it again.
 */
#define _DEFAULT_SOURCE
#define END_OF_TEST abort()
#include "core_reference.h"
#include "core_cases.h"
#include "core_gradient.h"
#include "core_descriptors.h"

enum { WORK_LIMIT = 20000, VALUES_LIMIT = 4000, BYTES_LIMIT = 1 << 17 };

/* A piece of heap, of which `odd` bytes come before the buffer: how many the core skips, to begin at a line of the cache, depends on it. */
static char *piece(size_t bytes, size_t odd)
{
    void *p;
    if (posix_memalign(&p, 64, bytes + odd)) abort();
    return (char *)p;
}

static char *pattern(size_t bytes)
{
    char *p = piece(bytes, 0);
    memset(p, 0x7b, bytes);
    return p;
}

static void *copy_of(const unsigned char *image, int64_t bytes)
{
    void *p = piece((size_t)bytes, 0);
    memcpy(p, image, (size_t)bytes);
    return p;
}

/* The results of an array in C order; nothing between them may have been written. */
static void take_results(const array *a, const char *from, unsigned char *out)
{
    const int64_t n = count_of(a), size = (int64_t)size_of[a->type];
    char *rest = pattern((size_t)a->bytes);
    int64_t i;
    memcpy(rest, from, (size_t)a->bytes);
    for (i = 0; i < n; i++) {
        memcpy(out + i * size, from + where(a, i), (size_t)size);
        memset(rest + where(a, i), 0x7b, (size_t)size);
    }
    for (i = 0; i < a->bytes; i++) if (rest[i] != 0x7b) fail("a byte between the results was written");
    free(rest);
}

/* All tasks, in up to three ranges from the last to the first, each with a workspace of its own. */
static cconv_status run_ranges(const cconv_plan *plan, cconv_buffers *b,
                               cconv_status (*run)(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers))
{
    const int64_t parts = pick(1, 3), odd = pick(0, 63);
    int64_t i;
    cconv_status status = CCONV_OK;
    for (i = parts; i > 0 && status == CCONV_OK; i--) {
        char *work = piece(plan->workspace_bytes, (size_t)odd);
        b->workspace = cconv_memory(work + odd, plan->workspace_bytes);
        status = run(plan, plan->tasks * (i - 1) / parts, plan->tasks * i / parts, b);
        free(work);
    }
    return status;
}

static void run_plan(const test *t, const cconv_plan *plan, unsigned char *out)
{
    const int64_t bias_bytes = (int64_t)size_of[t->d.compute] * t->d.out_channels, odd = pick(0, 63);
    char *x = copy_of(x_image, t->x.bytes), *w = copy_of(w_image, t->w.bytes), *bias = copy_of(b_image, bias_bytes);
    char *packed = piece(plan->packed_bytes, (size_t)odd), *y = pattern((size_t)t->y.bytes);
    cconv_buffers b = {sizeof b, held(x, t->x.bytes, t->x.first), held(w, t->w.bytes, t->w.first), held(t->bias ? bias : NULL, bias_bytes, 0),
                       held(y, t->y.bytes, t->y.first), {0}, {0}, 0};
    const cconv_buffer to = cconv_memory(packed + odd, plan->packed_bytes);
    if (plan->prepacked && cconv_pack_weights(plan, 0, plan->packs, &b.weights, &to) != CCONV_OK) fail("cconv_pack_weights");
    if (plan->prepacked) b.weights = to;
    if (run_ranges(plan, &b, cconv_run) != CCONV_OK) fail("cconv_run");
    take_results(&t->y, y, out);
    free(x), free(w), free(bias), free(packed), free(y);
}

static void try_algorithm(test *t, cconv_algorithm algorithm)
{
    cconv_desc *d = &t->d;
    const int mixes = algorithm == CCONV_WINOGRAD || algorithm == CCONV_FFT, packs = mixes || by_rank(algorithm);
    const int64_t tile = d->tile;
    cconv_plan plan;
    cconv_status status;
    d->algorithm = algorithm, d->weights = packs ? CCONV_WEIGHTS_PACKED : (cconv_weights)pick(0, 2);
    d->rank = by_rank(algorithm) || algorithm < CCONV_ROWS ? rank_of(t) : 0;
    status = cconv_plan_init(&plan, d);
    if (status == CCONV_OK) {
        const int by_products = plan.algorithm == CCONV_SEPARABLE, mixed = plan.algorithm == CCONV_WINOGRAD || plan.algorithm == CCONV_FFT;
        check_plan(d, &plan);
        if (mixed) d->tile = plan.edge;
        d->algorithm = plan.algorithm;      /* compare knows what each may do */
        run_plan(t, &plan, got);
        compare(t, got, (d->rank < 2 || !by_products || t->exact) && !mixed ? 0 : strcmp(d->isa, "generic") ? 16 : 24);
    } else if (!packs || (algorithm == CCONV_WINOGRAD && fit_for_winograd(d)) || (algorithm == CCONV_FFT && fit_for_fft(d))
               || (by_rank(algorithm) && d->rank > 0)) fail("an algorithm does not serve");
    d->tile = tile;
}

static void try_gradient(test *t)
{
    cconv_desc *d = &t->d;
    cconv_plan plan;
    cconv_status status;
    int finite;
    d->weight_type = d->compute, d->algorithm = CCONV_AUTO;
    if (d->interleave > 1 || !prepare(t)) return;
    fill_array(t, &t->y, 0, g_image, gs);
    finite = gradient_reference(t);
    if (cconv_plan_weight_gradient(&plan, d) != CCONV_OK) fail("cconv_plan_weight_gradient");
    {
        char *x = copy_of(x_image, t->x.bytes), *g = copy_of(g_image, t->y.bytes), *w = pattern((size_t)t->w.bytes);
        cconv_buffers b = {sizeof b, held(x, t->x.bytes, t->x.first), held(w, t->w.bytes, t->w.first), {0}, held(g, t->y.bytes, t->y.first), {0}, {0}, 0};
        status = run_ranges(&plan, &b, cconv_run_weight_gradient);
        if (status != CCONV_OK && (finite || status != CCONV_ERROR_WEIGHTS)) fail(cconv_strerror(status));
        take_results(&t->w, w, got);
        if (status == CCONV_OK) compare_gradient(t, got);
        free(x), free(g), free(w);
    }
}

/* Small enough to be run some thousand times in a second. */
static int is_small(const test *t)
{
    const cconv_desc *d = &t->d;
    const wide input = (wide)d->batch * d->in_channels * d->input[0] * d->input[1] * d->input[2];
    wide border = 0;
    int a;
    for (a = 0; a < 3; a++) border += (wide)d->kernel[a] * ((wide)d->input[a] + d->before[a] + d->after[a]) / d->stride[a];
    return input <= VALUES_LIMIT && border <= MOST && work_of(t) <= WORK_LIMIT;
}

static test drawn_case(void)
{
    switch (pick(0, 6)) {
    case 0: return for_winograd();
    case 1: return low_rank();
    case 2: return small_integers();
    case 3: return side_by_side();
    case 4: return odd_case((int)pick(0, 9));
    case 5: return for_gradient((int)pick(0, 3));
    default: return random_case(WORK_LIMIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int a, sets = 0;
    test t;
    wanted = data, wanted_left = size, state = size;
    if (chance(4)) {
        check_descriptor();
        return 0;
    }
    t = drawn_case();
    if (!is_small(&t) || !prepare(&t) || t.x.bytes > BYTES_LIMIT || t.y.bytes > BYTES_LIMIT || t.w.bytes > BYTES_LIMIT) return 0;
    while (cconv_isa_list(sets)) sets++;
    current = &t.d;
    t.d.isa = cconv_isa_list((int)pick(0, sets - 1));
    reference(&t);
    for (a = 0; a < CCONV_ALGORITHMS; a++) try_algorithm(&t, (cconv_algorithm)a);
    try_gradient(&t);
    current = NULL;
    return 0;
}

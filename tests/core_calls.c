/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a call of the core costs beside its kernels, and that it allocates nothing:
 *
 *     core_calls                  plans, ranks, packs and runs with each algorithm, type and instruction set while malloc and its
 *                                 kin are counted; exit status 1 if any of them is called
 *     core_calls --time [MOST]    64x64 float32, 3x3: cconv_run beside its kernels alone; exit status 1 where the call without a border
 *                                 takes more than MOST times as long
 *
 * The kernels' own time is that of the very calls that cconv_run made: the plan is handed a table of kernels that note their
 * arguments, and these calls are repeated, over the data that the run left where it read it.  Both are timed in turn, a hundred
 * at a time, and the least counts.
 */
#define _DEFAULT_SOURCE
#include "impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* glibc's own, under the names that stay when a program brings its malloc. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *p);

static long calls;

void *malloc(size_t size) { calls++; return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { calls++; return __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { calls++; return __libc_realloc(p, size); }
void *memalign(size_t align, size_t size) { calls++; return __libc_memalign(align, size); }
void *aligned_alloc(size_t align, size_t size) { calls++; return __libc_memalign(align, size); }
int posix_memalign(void **p, size_t align, size_t size) { calls++; return !(*p = __libc_memalign(align, size)); }
void free(void *p) { calls++; __libc_free(p); }

static void fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\n", what);
    exit(1);
}

enum { ROOM = 1 << 22 };
static double input[1 << 16], weights[1 << 16], output[1 << 16], packed[ROOM / 8], work[ROOM / 8];

/* One descriptor from beginning to end; returns whether the algorithm serves. */
static int whole_life(cconv_desc *d)
{
    cconv_plan plan;
    cconv_buffers b = {sizeof b, cconv_memory(input, sizeof input), cconv_memory(weights, sizeof weights), cconv_memory(weights, sizeof weights),
                       cconv_memory(output, sizeof output), cconv_memory(work, sizeof work), {0}, 0};
    const cconv_buffer to = cconv_memory(packed, sizeof packed);
    if (cconv_desc_dense(d) != CCONV_OK) fail("cconv_desc_dense");
    d->rank = cconv_rank(d, &b.weights);
    if (cconv_plan_init(&plan, d) != CCONV_OK) return 0;
    if (plan.workspace_bytes > sizeof work || plan.packed_bytes > sizeof packed) fail("the test's own case is too large");
    if (plan.prepacked && cconv_pack_weights(&plan, 0, plan.packs, &b.weights, &to) != CCONV_OK) fail("cconv_pack_weights");
    if (plan.prepacked) b.weights = to;
    if (cconv_run(&plan, 0, plan.tasks, &b) != CCONV_OK) fail("cconv_run");
    d->weight_type = d->compute;
    if (d->output_type == d->compute && d->interleave == 1) {
        b.weights = b.output, b.output = cconv_memory(weights, sizeof weights);
        if (cconv_plan_weight_gradient(&plan, d) != CCONV_OK || plan.workspace_bytes > sizeof work) fail("cconv_plan_weight_gradient");
        if (cconv_run_weight_gradient(&plan, 0, plan.tasks, &(cconv_buffers){sizeof b, b.input, cconv_memory(packed, sizeof packed), {0}, b.weights, b.workspace, {0}, 0}))
            fail("cconv_run_weight_gradient");
    }
    return 1;
}

static void count_allocations(void)
{
    static const int64_t channels[][3] = {{1, 1, 1}, {3, 8, 1}, {20, 20, 1}, {12, 12, 12}};    /* in, out, groups */
    long served[CCONV_ALGORITHMS] = {0}, before = calls;
    int i, a, c, type, f64, k;
    free(malloc(1));
    if (calls != before + 2) fail("this test does not see allocations");
    for (i = 0; i < (int)(sizeof weights / sizeof *weights); i++) ((float *)(void *)weights)[i] = ((float *)(void *)weights)[i + (1 << 16)] = 1;
    before = calls;
    for (i = 0; cconv_isa_list(i); i++)
        for (a = 0; a < CCONV_ALGORITHMS; a++)
            for (c = 0; c < 4; c++) for (f64 = 0; f64 < 2; f64++) for (type = 0; type < CCONV_TYPES; type++) for (k = 3; k < 8; k += 4) {
                cconv_desc d;
                cconv_desc_init(&d, f64 ? CCONV_F64 : CCONV_F32);
                d.isa = cconv_isa_list(i), d.algorithm = (cconv_algorithm)a;
                d.weights = a > CCONV_TAPS ? CCONV_WEIGHTS_PACKED : (cconv_weights)(type % 3);
                d.input_type = (cconv_type)type, d.output_type = type == CCONV_U8 ? CCONV_U8 : d.compute;
                d.input[1] = 21, d.input[2] = 37, d.kernel[1] = d.kernel[2] = k;
                d.before[1] = d.before[2] = d.after[1] = d.after[2] = type % 2 ? k / 2 : 0;
                d.border = (cconv_border)(type % CCONV_BORDERS);
                d.in_channels = channels[c][0], d.out_channels = channels[c][1], d.groups = channels[c][2];
                served[a] += whole_life(&d);
                if (calls != before) fail("the core allocated memory");
            }
    printf("plans that were made and run with no allocation, by algorithm:");
    for (a = 0; a < CCONV_ALGORITHMS; a++) printf(" %ld", served[a]);
    putchar('\n');
    for (a = 0; a < CCONV_ALGORITHMS; a++) if (!served[a]) fail("an algorithm did not serve anything");
}

/* The calls of some kernels, noted by what stands in for them. */
enum { DOWN, NEAR, LOAD };
typedef struct call {
    int kernel;
    const void *x, *w, *bias;
    void *y;
    ptrdiff_t x_step, y_step, x_row;
    const ptrdiff_t *offset, *w_at;
    int64_t rows, n;
    int ends, stream;
    cconv_near at;
} call;

static call noted[4096];
static int count;
static cconv_down_kernel *down;
static cconv_near_kernel *near;
static cconv_load_kernel *load;

static void repeat(const call *c)
{
    if (c->kernel == DOWN) down(c->x, c->x_step, c->offset, c->rows, c->n, c->w, c->w_at, c->bias, c->y, c->y_step, c->ends, c->stream, NULL);
    else if (c->kernel == NEAR) near(&c->at, 1, c->y, c->y_step, c->rows, c->n);
    else load((const char *)c->x, c->x_row, c->x_step, c->y, c->y_step, c->rows, c->n);
}

static void note(call c)
{
    if (count == sizeof noted / sizeof *noted) fail("more calls of kernels than the test holds");
    noted[count++] = c;
    repeat(&c);
}

static void note_down(const void *x, ptrdiff_t x_step, const ptrdiff_t *offset, int64_t rows, int64_t n, const void *w, const ptrdiff_t *w_at,
                      const void *bias, void *y, ptrdiff_t y_step, int ends, int stream, const void *clip)
{
    if (clip) fail("nothing is to be clipped");
    note((call){DOWN, x, w, bias, y, x_step, y_step, 0, offset, w_at, rows, n, ends, stream, {0}});
}

static void note_near(const cconv_near *at, int64_t stride, void *y, ptrdiff_t y_row, int64_t rows, int64_t columns)
{
    if (stride != 1) fail("another stride");
    note((call){NEAR, NULL, NULL, NULL, y, 0, y_row, 0, NULL, NULL, rows, columns, 0, 0, *at});
}

static void note_load(const char *x, ptrdiff_t x_row, ptrdiff_t x_step, void *y, ptrdiff_t y_row, int64_t rows, int64_t n)
{
    note((call){LOAD, x, NULL, NULL, y, x_step, y_row, x_row, NULL, NULL, rows, n, 0, 0, {0}});
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void keep_least(double *least, double since)
{
    const double each = (now() - since) / 100;
    if (each < *least) *least = each;
}

/* Nanoseconds of a call, of its kernels and of those that multiply; border: of one value on each side. */
static double time_call(const char *isa, int border, int pack)
{
    double whole = 1e9, kernels = 1e9, multiply = 1e9, since;
    cconv_desc d;
    cconv_plan plan, watched;
    cconv_buffers b = {sizeof b, cconv_memory(input, sizeof input), cconv_memory(weights, sizeof weights), {0}, cconv_memory(output, sizeof output),
                       cconv_memory(work, sizeof work), {0}, 0};
    const cconv_buffer to = cconv_memory(packed, sizeof packed);
    struct cconv_kernels table;
    cconv_type_kernels f32;
    int round, i, k;
    cconv_desc_init(&d, CCONV_F32);
    d.isa = isa;
    d.weights = pack ? CCONV_WEIGHTS_PACKED : CCONV_WEIGHTS_PLAIN;
    d.input[1] = d.input[2] = 64, d.kernel[1] = d.kernel[2] = 3;
    d.before[1] = d.before[2] = d.after[1] = d.after[2] = border;
    if (cconv_desc_dense(&d) || cconv_plan_init(&plan, &d) || plan.tasks != 1 || plan.workspace_bytes > sizeof work) fail("the plan");
    if (pack && (plan.packed_bytes > sizeof packed || cconv_pack_weights(&plan, 0, plan.packs, &b.weights, &to))) fail("cconv_pack_weights");
    if (pack) b.weights = to;
    table = *plan.kernels, f32 = *table.f32, table.f32 = &f32;
    down = f32.down[2][2], f32.down[2][2] = note_down;
    near = f32.near, f32.near = note_near;
    load = f32.load[CCONV_F32], f32.load[CCONV_F32] = note_load;
    watched = plan, watched.kernels = &table, count = 0;
    if (cconv_run(&watched, 0, 1, &b) || count == 0) fail("the run that is watched");
    for (round = 0; round < 3000; round++) {
        for (since = now(), i = 0; i < 100; i++) cconv_run(&plan, 0, 1, &b);
        keep_least(&whole, since);
        for (since = now(), i = 0; i < 100; i++) for (k = 0; k < count; k++) repeat(&noted[k]);
        keep_least(&kernels, since);
        for (since = now(), i = 0; i < 100; i++) for (k = 0; k < count; k++) if (noted[k].kernel != LOAD) repeat(&noted[k]);
        keep_least(&multiply, since);
    }
    printf("64x64 3x3 %-7s %-12s %s: %6.1f ns, its kernels %6.1f, those that multiply %6.1f: %.3f of its kernels', %.3f of these\n", isa,
           border ? "border of 1" : "no border", pack ? "packed" : "plain ", whole, kernels, multiply, whole / kernels, whole / multiply);
    return whole / multiply;
}

int main(int argc, char **argv)
{
    const double most = argc > 2 ? atof(argv[2]) : 1e9;
    int i, failed = 0;
    if (argc < 2) {
        count_allocations();
        return 0;
    }
    for (i = 0; i < 1 << 12; i++) ((float *)(void *)input)[i] = (float)(i % 17), ((float *)(void *)weights)[i] = (float)(i % 9 - 3);
    for (i = 0; cconv_isa_list(i); i++) {
        const double plain = time_call(cconv_isa_list(i), 0, 0), pack = time_call(cconv_isa_list(i), 0, 1);
        failed |= plain > most || pack > most;
        time_call(cconv_isa_list(i), 1, 0);
    }
    if (failed) fprintf(stderr, "FAILED: a call takes more than %.2f times as long as its kernel\n", most);
    return failed;
}

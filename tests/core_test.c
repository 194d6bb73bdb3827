/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Proves of the core alone, without Python: for every instruction set of this CPU and every algorithm
 *     - results agree with a naive sum in long double, within 16 eps (sum |w||x| + |bias|); integers are
 *       exact where the sums are, and else as near as that bound lets them be;
 *     - not one byte outside a buffer is touched: each lies flush against a page that may not be
 *       accessed, once after it and once before it; gaps between the elements of the output stay;
 *     - the bits depend neither on the place, nor on what memory held before, nor on how the tasks are
 *       cut and ordered, nor on the batch, nor on the instruction set (those with fused multiply-add);
 *     - cconv_plan_init answers to any nonsense with a status, and to the rest with the right shape.
 *
 *     core_test [SEED [SHARE]]    SHARE: only every SHARE-th case; exit status 1 on a failure
 *     core_test --list            the instruction sets of this CPU
 *     core_test --digest ISA      a line for each algorithm and type, to be compared between machines
 */
#define _DEFAULT_SOURCE
#include "cconv.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { INPUT, WEIGHT, PACKED, BIAS, OUTPUT, WORK, SLOTS };
enum { MOST = 1 << 22, ARENA = 1 << 26, ALONE = 1 << 20 };
__extension__ typedef __int128 wide;

typedef struct array {
    int64_t shape[5], stride[5], first, bytes;      /* first: from the lowest byte to element 0 */
    cconv_type type;
} array;

typedef struct test {
    cconv_desc d;
    int bias, exact, special, layout[3];
    array x, w, y;
} test;

static const size_t size_of[CCONV_TYPES] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};
static const char *const algorithm_names[] = {"auto", "rows", "taps"};
static const cconv_desc *current;
static uint64_t state, seed;
static char *arena[SLOTS];
static unsigned char x_image[MOST * 8], w_image[MOST * 8], b_image[1 << 12], got[MOST * 8], again[MOST * 8], kept[2][MOST * 8];
static double xs[MOST], ws[MOST], bs[512], magnitude[MOST], worst;
static long double sums[MOST];
static int64_t y_at[MOST];      /* where the elements of the output lie */
static long cases;

/* A sanitizer that ends the program does so with a signal, so that the descriptor is shown. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1"; }
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

static uint64_t draw(void)      /* splitmix64 */
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int64_t pick(int64_t low, int64_t high) { return low + (int64_t)(draw() % (uint64_t)(high - low + 1)); }
static int chance(int in) { return draw() % (uint64_t)in == 0; }

static void show(const char *name, const int64_t *v, int n)
{
    int i;
    fprintf(stderr, " %s", name);
    for (i = 0; i < n; i++) fprintf(stderr, "%c%" PRId64, i ? ',' : '=', v[i]);
}

static void show_current(void)
{
    const cconv_desc *d = current;
    if (!d) return;
    fprintf(stderr, "seed %" PRIu64 ": isa=%s algorithm=%d compute=%d types=%d,%d,%d batch=%" PRId64 " channels=%" PRId64
            ",%" PRId64 " groups=%" PRId64 " interleave=%" PRId64 " border=%d value=%g divisor=%g clip=%g,%g",
            seed, d->isa ? d->isa : "best", (int)d->algorithm, (int)d->compute, (int)d->input_type, (int)d->weight_type,
            (int)d->output_type, d->batch, d->in_channels, d->out_channels, d->groups, d->interleave, (int)d->border,
            d->border_value, d->divisor, d->low, d->high);
    show("input", d->input, 3), show("kernel", d->kernel, 3), show("stride", d->stride, 3), show("dilation", d->dilation, 3);
    show("before", d->before, 3), show("after", d->after, 3), show("input_stride", d->input_stride, 5);
    show("weight_stride", d->weight_stride, 5), show("output_stride", d->output_stride, 5);
    fputc('\n', stderr);
}

static void on_signal(int number)   /* shown; then the fault happens again, for whoever is next */
{
    show_current();
    signal(number, SIG_DFL);
    if (number == SIGABRT) abort();
}

static void fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\n", what);
    show_current();
    exit(1);
}

/* An arena of which both neighbours may not be accessed; a buffer lies at its end or at its start. */
static char *place(int slot, int64_t bytes, int64_t align, int at_end)
{
    const int64_t page = sysconf(_SC_PAGESIZE);
    if (!arena[slot]) {
        char *p = mmap(NULL, (size_t)(ARENA + 2 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED || mprotect(p, (size_t)page, PROT_NONE) || mprotect(p + page + ARENA, (size_t)page, PROT_NONE))
            fail("mmap");
        arena[slot] = p + page;
    }
    if (bytes > ARENA) fail("a buffer is larger than the test's arena");
    return at_end ? arena[slot] + (ARENA - bytes) / align * align : arena[slot];
}

/* Strides. kind 0: C order; 1: any order, gaps, reversed axes; 2: channels last; 3: an axis repeated. */
static void lay_out(array *a, int kind)
{
    int order[5] = {4, 3, 2, 1, 0}, i;
    const int64_t size = (int64_t)size_of[a->type];
    int64_t step = size;
    if (kind == 2) order[0] = 1, order[1] = 4, order[2] = 3, order[3] = 2;
    for (i = 4; kind == 1 && i > 0; i--) {
        const int j = (int)pick(0, i), swap = order[i];
        order[i] = order[j], order[j] = swap;
    }
    a->first = 0, a->bytes = size;
    for (i = 0; i < 5; i++) {
        const int axis = order[i];
        const int64_t n = a->shape[axis];
        if (kind == 1 && chance(3)) step += size * pick(1, 3);
        a->stride[axis] = kind == 1 && chance(3) ? -step : step;
        if (kind == 3 && i == 3) a->stride[axis] = 0;
        if (n == 1 && kind == 1) a->stride[axis] = pick(-1000000000, 1000000000);   /* of no importance */
        if (n == 0) a->bytes = 0;
        if (n < 2 || a->stride[axis] == 0) continue;
        if (a->bytes) a->bytes += step * (n - 1);
        if (a->stride[axis] < 0) a->first += step * (n - 1);
        step *= n;
    }
    if (!a->bytes) a->first = 0;
}

static int64_t count_of(const array *a) { return a->shape[0] * a->shape[1] * a->shape[2] * a->shape[3] * a->shape[4]; }

/* The byte at which the i-th element in C order lies. */
static int64_t where(const array *a, int64_t i)
{
    int64_t at = a->first;
    int axis;
    for (axis = 4; axis >= 0; axis--) at += i % a->shape[axis] * a->stride[axis], i /= a->shape[axis];
    return at;
}

static double half_value(unsigned h)
{
    const int e = (int)(h >> 10 & 31), m = (int)(h & 1023);
    const double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

static double decode(cconv_type type, const void *p)
{
    union { uint8_t u8; int8_t i8; uint16_t u16; int16_t i16; uint32_t u32; int32_t i32; uint64_t u64; int64_t i64; float f; double d; } u;
    memcpy(&u, p, size_of[type]);
    switch (type) {
    case CCONV_U8: return u.u8;
    case CCONV_I8: return u.i8;
    case CCONV_U16: return u.u16;
    case CCONV_I16: return u.i16;
    case CCONV_U32: return u.u32;
    case CCONV_I32: return u.i32;
    case CCONV_U64: return (double)u.u64;
    case CCONV_I64: return (double)u.i64;
    case CCONV_F16: return half_value(u.u16);
    case CCONV_F32: return u.f;
    default: return u.d;
    }
}

/* A random value; exact: a small integer, which sums keep. */
static void random_value(const test *t, cconv_type type, int weight, unsigned char *out)
{
    const int integer = type < CCONV_F16, is_signed = !integer || (type & 1);
    int64_t v = is_signed ? pick(-4, 4) : pick(0, 8);
    int64_t shift;
    double real = (double)v;
    uint16_t half = 0;
    if (!t->exact && integer) shift = size_of[type] < 8 ? 0 : weight ? 30 : pick(0, 40), v = (int64_t)(draw() >> shift);
    if (!t->exact) real = (double)pick(-(1 << 24), 1 << 24), real = ldexp(real, -(int)pick(20, 26));
    if (t->special && !weight && chance(40)) real = chance(2) ? NAN : chance(2) ? INFINITY : -INFINITY;
    if (type == CCONV_F16) {
        if (!isfinite(real)) half = isnan(real) ? 0x7e00 : 0x7c00;
        else if (!t->exact) half = (uint16_t)(draw() % 0x7c00);
        else if (real != 0) half = (uint16_t)(((ilogb(real) + 15) << 10) + (int)(ldexp(fabs(real), 10 - ilogb(real)) - 1024));
        if (signbit(real)) half |= 0x8000;
        memcpy(out, &half, 2);
    } else if (type == CCONV_F32) {
        const float f = (float)real;
        memcpy(out, &f, 4);
    } else if (type == CCONV_F64) {
        memcpy(out, &real, 8);
    } else {
        union { uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64; } u;
        u.u64 = (uint64_t)v;
        if (size_of[type] == 1) u.u8 = (uint8_t)v;
        if (size_of[type] == 2) u.u16 = (uint16_t)v;
        if (size_of[type] == 4) u.u32 = (uint32_t)v;
        memcpy(out, &u, size_of[type]);
    }
}

static void fill_array(const test *t, const array *a, int weight, unsigned char *image, double *values)
{
    const int64_t n = count_of(a);
    int64_t i;
    for (i = 0; i < n; i++) random_value(t, a->type, weight, image + where(a, i));
    for (i = 0; i < n; i++) values[i] = decode(a->type, image + where(a, i));
}

/* Arrays for the descriptor; its strides are set. */
static int prepare(test *t)
{
    cconv_desc *d = &t->d;
    array bias;
    int64_t outputs = d->batch * d->out_channels;
    int a;
    for (a = 0; a < 3; a++) {
        const int64_t room = d->input[a] + d->before[a] + d->after[a] - d->dilation[a] * (d->kernel[a] - 1);
        t->x.shape[2 + a] = d->input[a], t->w.shape[2 + a] = d->kernel[a];
        t->y.shape[2 + a] = (room + d->stride[a] - 1) / d->stride[a];
        if (room < 1) return 0;
        outputs *= t->y.shape[2 + a];
    }
    t->x.shape[0] = t->y.shape[0] = d->batch, t->x.shape[1] = d->in_channels;
    t->w.shape[0] = t->y.shape[1] = d->out_channels, t->w.shape[1] = d->in_channels / d->groups;
    t->x.type = d->input_type, t->w.type = d->weight_type, t->y.type = d->output_type;
    lay_out(&t->x, t->layout[0]), lay_out(&t->w, t->layout[1]), lay_out(&t->y, t->layout[2]);
    if (t->x.bytes > MOST * 8) lay_out(&t->x, 0);       /* gaps may not fit where the values do */
    if (t->y.bytes > MOST * 8) lay_out(&t->y, 0);
    memcpy(d->input_stride, t->x.stride, sizeof t->x.stride);
    memcpy(d->weight_stride, t->w.stride, sizeof t->w.stride);
    memcpy(d->output_stride, t->y.stride, sizeof t->y.stride);
    if (outputs > MOST || count_of(&t->x) > MOST || t->x.bytes > MOST * 8 || t->y.bytes > MOST * 8) return 0;
    for (a = 0; a < outputs; a++) y_at[a] = where(&t->y, a);
    fill_array(t, &t->x, 0, x_image, xs);
    fill_array(t, &t->w, 1, w_image, ws);
    bias = (array){{1, 1, 1, 1, d->out_channels}, {0, 0, 0, 0, (int64_t)size_of[d->compute]}, 0, 0, d->compute};
    fill_array(t, &bias, 1, b_image, bs);
    return 1;
}

/* Which of n values stands at coordinate i, or -1: a walk from the nearest one; what a step does that
 * would leave the picture is what the border is.  All borders repeat themselves after 2 n (n - 1). */
static int64_t border_source(int64_t i, int64_t n, cconv_border border)
{
    int64_t at = i < 0 ? 0 : n - 1, step = i < 0 ? -1 : 1, left;
    if (i >= 0 && i < n) return i;
    if (border == CCONV_CONSTANT) return -1;
    if (border == CCONV_EDGE || n == 1) return at;
    for (left = (i < 0 ? -i : i - (n - 1)) % (2 * n * (n - 1)); left > 0; left--) {
        if (at + step >= 0 && at + step < n) at += step;
        else if (border == CCONV_WRAP) at = step > 0 ? 0 : n - 1;
        else if (border == CCONV_SYMMETRIC) step = -step;
        else step = -step, at += step;
    }
    return at;
}

/* An axis: which input coordinate tap k of position o reads, at [o * kernel + k]. */
static void axis_table(const test *t, int a, int64_t *out)
{
    const cconv_desc *d = &t->d;
    const int64_t pixel = a == 2 ? d->interleave : 1;
    int64_t o, k;
    for (o = 0; o < t->y.shape[2 + a]; o++)
        for (k = 0; k < d->kernel[a]; k++) {
            const int64_t i = o * d->stride[a] + k * d->dilation[a] - d->before[a];
            const int64_t which = (i % pixel + pixel) % pixel;
            const int64_t p = border_source((i - which) / pixel, d->input[a] / pixel, d->border);
            *out++ = p < 0 ? -1 : p * pixel + which;
        }
}

static void reference(const test *t)
{
    static int64_t table[3][MOST];
    const cconv_desc *d = &t->d;
    const int64_t *in = d->input, *k = d->kernel, channels = d->in_channels / d->groups;
    int64_t n, o, od, oh, ow, c, kd, kh, kw, at = 0;
    for (c = 0; c < 3; c++) axis_table(t, (int)c, table[c]);
    for (n = 0; n < d->batch; n++) for (o = 0; o < d->out_channels; o++)
    for (od = 0; od < t->y.shape[2]; od++) for (oh = 0; oh < t->y.shape[3]; oh++) for (ow = 0; ow < t->y.shape[4]; ow++) {
        const double *w = ws + o * channels * k[0] * k[1] * k[2];
        long double sum = 0;
        double bound = 0;
        for (c = 0; c < channels; c++) for (kd = 0; kd < k[0]; kd++) for (kh = 0; kh < k[1]; kh++) {
            const int64_t z = table[0][od * k[0] + kd], y = table[1][oh * k[1] + kh];
            const int64_t channel = n * d->in_channels + o / (d->out_channels / d->groups) * channels + c;
            const int64_t row = ((channel * in[0] + z) * in[1] + y) * in[2];      /* only where z and y are not -1 */
            for (kw = 0; kw < k[2]; kw++, w++) {
                const int64_t x = table[2][ow * k[2] + kw];
                const double v = x < 0 || y < 0 || z < 0 ? d->border_value : xs[row + x];
                sum += (long double)*w * v;
                bound += fabs(*w * v);
            }
        }
        sums[at] = sum, magnitude[at++] = bound;
    }
}

static double clipped(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

/* What is stored for v: clipped, and for integers rounded half to even within their range. */
static double stored(const cconv_desc *d, double v)
{
    static const double lowest[] = {0, -128, 0, -32768}, highest[] = {255, 127, 65535, 32767};
    if (d->output_type >= CCONV_F32) return clipped(v, d->low, d->high);
    return rint(clipped(clipped(isnan(v) ? 0 : v, d->low, d->high), lowest[d->output_type], highest[d->output_type]));
}

static void compare(const test *t, const unsigned char *results)
{
    const cconv_desc *d = &t->d;
    const int f32 = d->compute == CCONV_F32, integer = d->output_type < CCONV_F16;
    const double eps = f32 ? FLT_EPSILON : DBL_EPSILON, tiny = f32 ? FLT_MIN : DBL_MIN, limit = f32 ? 0x1p24 : 0x1p53;
    const int64_t n = count_of(&t->y), plane = t->y.shape[2] * t->y.shape[3] * t->y.shape[4];
    int64_t i;
    for (i = 0; i < n; i++) {
        const double b = t->bias ? bs[i / plane % d->out_channels] : 0, y = decode(d->output_type, results + i * (int64_t)size_of[d->output_type]);
        const int exact = t->exact && magnitude[i] + fabs(b) < limit && (d->divisor == 1 || integer);
        const long double v = d->divisor == 1 ? sums[i] + b : exact ? (double)sums[i] / d->divisor + b : sums[i] / d->divisor + b;
        const double full = magnitude[i] / fabs(d->divisor) + fabs(b), bound = exact ? 0 : 16 * eps * full + tiny;
        int good;
        if (isnan(v) && !integer) good = isnan(y);
        else if (isnan(v) || isinf(v) || exact) good = y == stored(d, (double)v);
        else if (integer) good = y >= stored(d, (double)(v - bound)) && y <= stored(d, (double)(v + bound));
        else {
            const long double target = v < d->low ? d->low : v > d->high ? d->high : v;
            good = fabsl(y - target) <= bound;
            if (full > 1e-3 && fabsl(y - target) / (eps * full) > worst) worst = (double)(fabsl(y - target) / (eps * full));
        }
        if (good) continue;
        fprintf(stderr, "result %" PRId64 " is %.17g, not %.17Lg within %g\n", i, y, v, bound);
        fail("a result is wrong");
    }
}

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
    const char *weights = plan->prepacked ? packed : w + t->w.first;
    memcpy(x, x_image, (size_t)t->x.bytes), memcpy(w, w_image, (size_t)t->w.bytes), memcpy(b, b_image, (size_t)(compute * d->out_channels));
    memset(y, pattern, (size_t)t->y.bytes), memset(packed, pattern, plan->packed_bytes), memset(work, pattern, plan->workspace_bytes + (size_t)odd);
    if (plan->prepacked && cconv_pack_weights(plan, w + t->w.first, packed) != CCONV_OK) fail("cconv_pack_weights");
    for (i = 1; i < parts; i++) ends[i] = pick(ends[i - 1], plan->tasks);
    ends[parts] = plan->tasks;
    for (i = parts - 1; i >= 0; i--)
        if (cconv_run(plan, ends[i], ends[i + 1], x + t->x.first + shift * d->input_stride[0], weights, t->bias ? b : NULL,
                      y + t->y.first + shift * d->output_stride[0], work + odd) != CCONV_OK)
            fail("cconv_run");
    for (i = 0; i < odd; i++) if ((unsigned char)work[i] != pattern) fail("bytes before the workspace were written");
    collect(t, y, pattern, shift * n, sample < 0 ? n * d->batch : n, out);
}

static cconv_plan plan_of(const cconv_desc *d)
{
    cconv_plan plan;
    const cconv_status status = cconv_plan_init(&plan, d);
    if (status != CCONV_OK) fail(cconv_strerror(status));
    return plan;
}

/* One descriptor, with each algorithm and instruction set. */
static void check(test *t)
{
    cconv_desc *d = &t->d;
    const int last = (int)d->batch - 1;
    const char *fused[2] = {NULL, NULL};
    int i, a;
    current = d, d->isa = NULL, d->algorithm = CCONV_AUTO;
    if (!prepare(t)) fail("the test's own case is too large");
    const size_t bytes = (size_t)count_of(&t->y) * size_of[d->output_type];
    reference(t);
    for (i = 0; cconv_isa_list(i); i++)
        for (a = 0; a < 2; a++) {
            cconv_plan plan, alone;
            d->isa = cconv_isa_list(i), d->algorithm = a ? CCONV_TAPS : CCONV_ROWS, d->weights = CCONV_WEIGHTS_PACKED, cases++;
            plan = plan_of(d);
            if (memcmp(plan.output, t->y.shape + 2, sizeof plan.output)) fail("the shape of the result");
            run(t, &plan, 1, -1, 0, got);
            compare(t, got);
            d->weights = CCONV_WEIGHTS_PLAIN, plan = plan_of(d);
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
            d->algorithm = CCONV_AUTO, plan = plan_of(d), d->algorithm = a ? CCONV_TAPS : CCONV_ROWS;
            if (plan.algorithm == d->algorithm) {
                cases++, run(t, &plan, 1, -1, 0, again);
                if (memcmp(got, again, bytes)) fail("other bits with CCONV_AUTO");
            } else if (plan.algorithm != (a ? CCONV_ROWS : CCONV_TAPS)) fail("CCONV_AUTO chose no algorithm");
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

static void boundaries(int share)
{
    static const int64_t widths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 97}, ins[] = {1, 2, 3, 13, 14, 15, 30};
    int i;
    for (i = (int)pick(0, share - 1); i < 19 * 18 + 27 * 7 + 9 * 3 * 4 + 60 + 200; i += share) {
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
        } else {
            do t = odd_case(j); while (!prepare(&t));     /* again, if larger than the test's buffers */
        }
        check(&t);
    }
}

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
    d.algorithm = (cconv_algorithm)(chance(40) ? (int64_t)draw() : pick(0, 2));
    d.isa = chance(40) ? names[pick(0, 5)] : NULL;
    d.weights = (cconv_weights)(chance(40) ? (int64_t)draw() : pick(0, 2));
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
    current = NULL;
}

static uint64_t digested(uint64_t hash, const unsigned char *bytes, size_t n)     /* FNV-1a */
{
    for (; n > 0; n--) hash = (hash ^ *bytes++) * UINT64_C(0x100000001b3);
    return hash;
}

static int digest(const char *isa)
{
    uint64_t hash[2][2][CCONV_TYPES] = {{{0}}};
    int i, a, f64, type;
    for (i = 0; i < 240; i++) {
        state = (uint64_t)i;
        test t = i % 4 ? random_case(40000) : odd_case(i / 4);
        if (i % 4 == 0 && work_of(&t) > 400000) continue;
        if (i % 3 == 0) t.exact = 0;
        t.d.isa = isa, current = &t.d;
        if (!prepare(&t)) fail("the test's own case is too large");
        for (a = 0; a < 2; a++) {
            uint64_t *h = &hash[a][t.d.compute == CCONV_F64][t.d.output_type];
            t.d.algorithm = a ? CCONV_TAPS : CCONV_ROWS;
            const cconv_plan plan = plan_of(&t.d);
            run(&t, &plan, i & 1, -1, 0, got);
            *h = digested(*h ? *h : UINT64_C(0xcbf29ce484222325), got, (size_t)count_of(&t.y) * size_of[t.y.type]);
        }
    }
    for (a = 0; a < 2; a++) for (f64 = 0; f64 < 2; f64++) for (type = 0; type < CCONV_TYPES; type++)
        if (hash[a][f64][type]) printf("%s f%d type %d %016" PRIx64 "\n", algorithm_names[a + 1], f64 ? 64 : 32, type, hash[a][f64][type]);
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
    }
    printf("%ld cases, %ld descriptors, seed %" PRIu64 ", worst error %.3g eps\n", cases, descriptors, seed, worst);
    return 0;
}

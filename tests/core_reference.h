/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For core_test.c: random numbers, buffers between pages that may not be accessed, arrays of every type in
 * every memory order, and the naive convolution that results are compared with.
 */
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

#ifndef END_OF_TEST
#define END_OF_TEST exit(1)
#endif

enum { INPUT, WEIGHT, PACKED, BIAS, OUTPUT, WORK, SHARED, SLOTS };
enum { MOST = 1 << 22, ARENA = 1 << 26, ALONE = 1 << 20 };
__extension__ typedef __int128 wide;

typedef struct array {
    int64_t shape[5], stride[5], first, bytes;      /* first: from the lowest byte to element 0 */
    cconv_type type;
} array;

enum { BOX = 4 };          /* all weights are the same */

typedef struct test {
    cconv_desc d;
    int bias, exact, special, layout[3];
    int products;       /* of a column and a row, that the kernel is a sum of, or 0; or BOX */
    int small;          /* 1 and the power of 2 that small whole weights are over; or 0 */
    array x, w, y;
} test;

static const size_t size_of[CCONV_TYPES] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8};
static const char *const algorithm_names[] = {"auto", "direct", "fast", "rows", "taps", "winograd", "separable", "fft", "box", "integer"};
static const cconv_desc *current;
static uint64_t state, seed;
static char *arena[SLOTS];
static unsigned char x_image[MOST * 8], w_image[MOST * 8], b_image[1 << 12], got[MOST * 8], again[MOST * 8], kept[CCONV_ALGORITHMS][MOST * 8];
static double xs[MOST], ws[MOST], bs[512], magnitude[MOST], mixed[512], largest, worst, worst_mixed;
static long double sums[MOST];
static int64_t y_at[MOST];      /* where the elements of the output lie */
static long cases, prepared, joined, streamed;

/* A sanitizer that ends the program does so with a signal, so that the descriptor is shown. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1"; }
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

/* What a fuzzer wants to be drawn next, two bytes at a time. */
static const unsigned char *wanted;
static size_t wanted_left;

static uint64_t draw(void)      /* splitmix64 */
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    if (wanted_left > 1) {
        z = ((uint64_t)wanted[0] | (uint64_t)wanted[1] << 8) * UINT64_C(0x0001000100010001);
        wanted += 2, wanted_left -= 2;
        return z;
    }
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
    END_OF_TEST;
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

static cconv_buffer held(char *data, int64_t bytes, int64_t first)
{
    const cconv_buffer buffer = {data, (size_t)bytes, (size_t)first};
    return buffer;
}

/* A run that must be refused: one of its buffers is a byte too short, begins elsewhere, or is not there. */
static void spoil(cconv_buffers *b)
{
    cconv_buffer *const which[] = {&b->input, &b->weights, &b->output, &b->workspace, &b->shared};
    cconv_buffer *const one = which[pick(0, b->shared.data ? 4 : 3)];
    const int how = (int)pick(0, 2);
    if (how == 0 && one->bytes > 0) one->bytes--;
    else if (how == 1) one->first++;
    else if (one == &b->shared) one->bytes--;       /* it need not be there */
    else one->data = NULL;
}

/* Strides. kind 0: C order; 1: any order, gaps, reversed axes; 2: channels last; 3: an axis repeated; 5: all but the first axis reversed. */
static void lay_out(array *a, int kind)
{
    int order[5] = {4, 3, 2, 1, 0}, i;
    const int64_t size = (int64_t)size_of[a->type];
    int64_t step = size;
    if (kind == 2 || kind == 4) order[0] = 1, order[1] = 4, order[2] = 3, order[3] = 2;
    for (i = 4; kind == 1 && i > 0; i--) {
        const int j = (int)pick(0, i), swap = order[i];
        order[i] = order[j], order[j] = swap;
    }
    a->first = 0, a->bytes = size;
    for (i = 0; i < 5; i++) {
        const int axis = order[i];
        const int64_t n = a->shape[axis];
        if (kind == 1 && chance(3)) step += size * pick(1, 3);
        a->stride[axis] = (kind == 1 && chance(3)) || (kind == 5 && axis > 0) ? -step : step;
        if ((kind == 3 && i == 3) || (kind == 4 && axis == 3)) a->stride[axis] = 0;
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

static void encode(cconv_type type, double real, int64_t v, unsigned char *out)
{
    uint16_t half = 0;
    if (type == CCONV_F16) {
        if (!isfinite(real)) half = isnan(real) ? 0x7e00 : 0x7c00;
        else if (fabs(real) < 0x1p-14) half = (uint16_t)ldexp(fabs(real), 24);
        else half = (uint16_t)(((ilogb(real) + 15) << 10) + (int)(ldexp(fabs(real), 10 - ilogb(real)) - 1024));
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

/* A random value; exact: a small integer, which sums keep. */
static void random_value(const test *t, cconv_type type, int weight, unsigned char *out)
{
    const int integer = type < CCONV_F16, is_signed = !integer || (type & 1);
    int64_t v = is_signed ? pick(-4, 4) : pick(0, 8);
    int64_t shift;
    double real = (double)v;
    if (!t->exact && integer) shift = size_of[type] < 8 ? 0 : weight ? 30 : pick(0, 40), v = (int64_t)(draw() >> shift);
    if (!t->exact) real = (double)pick(-(1 << 24), 1 << 24), real = ldexp(real, -(int)pick(20, 26));
    if (!t->exact && type == CCONV_F16) real = half_value((unsigned)(draw() % 0x7c00));
    if (t->special && !weight && chance(40)) real = chance(2) ? NAN : chance(2) ? INFINITY : -INFINITY;
    if (t->small) {
        v = weight ? pick(is_signed ? -4 : 0, 5) : (int64_t)(draw() & 255);
        real = weight && !integer ? ldexp((double)v, 1 - t->small) : (double)v;
    }
    encode(type, real, v, out);
}

/* The kernel as products of columns and rows: of small integers, or as near as its type can be. */
static void fill_products(const test *t, const array *a, unsigned char *image, double *values)
{
    static double column[3][MOST], row[3][MOST];
    const int integer = a->type < CCONV_F16, whole = t->exact || integer, low = integer && !(a->type & 1) ? 0 : -2;
    const int64_t n = count_of(a), width = a->shape[4];
    int64_t i;
    int p;
    if (t->products == BOX) {
        const double value = whole ? (double)pick(1, 3) : ldexp((double)pick(-(1 << 20), 1 << 20), -20);
        for (i = 0; i < n; i++) encode(a->type, value, (int64_t)value, image + where(a, i));
        for (i = 0; i < n; i++) values[i] = decode(a->type, image + where(a, i));
        return;
    }
    for (p = 0; p < t->products; p++) {
        for (i = 0; i < n / width; i++) column[p][i] = whole ? (double)pick(low, 3) : ldexp((double)pick(-(1 << 20), 1 << 20), -20);
        for (i = 0; i < width; i++) row[p][i] = whole ? (double)pick(low, 3) : ldexp((double)pick(-(1 << 20), 1 << 20), -20);
    }
    for (i = 0; i < n; i++) {
        double sum = 0;
        for (p = 0; p < t->products; p++) sum += column[p][i / width] * row[p][i % width];
        encode(a->type, sum, (int64_t)sum, image + where(a, i));
        values[i] = decode(a->type, image + where(a, i));
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
    if (t->products) fill_products(t, &t->w, w_image, ws);
    else fill_array(t, &t->w, 1, w_image, ws);
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
    largest = fabs(d->border_value);
    for (c = 0; c < count_of(&t->x); c++) if (isfinite(xs[c]) && fabs(xs[c]) > largest) largest = fabs(xs[c]);
    for (o = 0; o < d->out_channels; o++)
        for (mixed[o] = 0, c = 0; c < channels * k[0] * k[1] * k[2]; c++) mixed[o] += fabs(ws[o * channels * k[0] * k[1] * k[2] + c]);
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

/* mixing: 0, or the error that is allowed, in eps, to an algorithm whose outputs share work with their neighbours.
 * The others are allowed 16 or, if that is more, what a sum of so many taps in blocks of 128 cannot exceed: small
 * taps that are all alike, after large ones, are all rounded in the same direction. */
static void compare(const test *t, const unsigned char *results, int mixing)
{
    const cconv_desc *d = &t->d;
    const int f32 = d->compute == CCONV_F32, integer = d->output_type < CCONV_F16;
    const double eps = f32 ? FLT_EPSILON : DBL_EPSILON, tiny = f32 ? FLT_MIN : DBL_MIN, limit = f32 ? 0x1p24 : 0x1p53;
    const int64_t n = count_of(&t->y), plane = t->y.shape[2] * t->y.shape[3] * t->y.shape[4];
    const int64_t taps = d->in_channels / d->groups * d->kernel[0] * d->kernel[1] * d->kernel[2];
    const int factors = t->small > 1 && d->algorithm == CCONV_SEPARABLE;      /* of weights that are no whole numbers */
    const double proven = 2 + (double)(taps < 128 ? taps : 128) / 2 + (double)(taps / 128), allowed = mixing ? mixing : fmax(16, proven);
    int64_t i;
    for (i = 0; i < n; i++) {
        const int64_t o = i / plane % d->out_channels;
        const double b = t->bias ? bs[o] : 0, y = decode(d->output_type, results + i * (int64_t)size_of[d->output_type]);
        const int exact = !mixing && t->exact && !factors && magnitude[i] + fabs(b) < limit && (d->divisor == 1 || integer);
        const long double v = d->divisor == 1 ? sums[i] + b : exact ? (double)sums[i] / d->divisor + b : sums[i] / d->divisor + b;
        const double full = (mixing ? largest * mixed[o] : magnitude[i]) / fabs(d->divisor) + fabs(b), bound = exact ? 0 : allowed * eps * full + tiny;
        int good;
        if (isnan(v) && !integer) good = isnan(y);
        else if (isnan(v) || isinf(v) || exact) good = y == stored(d, (double)v);
        else if (integer) good = y >= stored(d, (double)(v - bound)) && y <= stored(d, (double)(v + bound));
        else {
            const long double target = v < d->low ? d->low : v > d->high ? d->high : v;
            good = fabsl(y - target) <= bound;
            double *const most = mixing ? &worst_mixed : &worst;
            if (full > 1e-3 && fabsl(y - target) / (eps * full) > *most) *most = (double)(fabsl(y - target) / (eps * full));
        }
        if (good) continue;
        fprintf(stderr, "result %" PRId64 " is %.17g, not %.17Lg within %g\n", i, y, v, bound);
        fail("a result is wrong");
    }
}

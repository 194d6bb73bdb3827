/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For core_test.c and core_fuzz.c: descriptors of all kinds, drawn at random, and which algorithms must serve them.
 */

/* Whether winograd must serve: by tiles; or along one axis, for what is not too large. */
static int fit_for_tiles(const cconv_desc *d)
{
    const int whole = d->before[1] <= 0 && d->before[2] <= 0 && d->after[1] <= 0 && d->after[2] <= 0;
    const int dense = d->dilation[1] == 1 && d->dilation[2] == 1, strided = d->stride[1] == 2 && d->stride[2] == 2 && dense && d->tile <= 2;
    return d->kernel[1] == 3 && d->kernel[2] == 3 && ((d->stride[1] == 1 && d->stride[2] == 1) || strided) && d->tile <= 4
           && (dense || d->border == CCONV_CONSTANT || whole);
}

static int fit_for_upright(const cconv_desc *d)
{
    const int a = d->kernel[1] == 1 ? 2 : 1;
    const int64_t s = d->stride[a], taps = (d->kernel[a] + s - 1) / s, across = a == 1 ? (d->stride[2] < d->kernel[2] ? d->stride[2] : d->kernel[2]) : 1;
    return taps >= 2 && taps <= 16 && d->kernel[1] * d->kernel[2] <= 128 && d->dilation[a] == 1 && (a == 2 || d->kernel[2] == 1 || d->dilation[2] == 1)
           && (d->tile == 0 || d->tile == 6) && d->in_channels / d->groups * d->kernel[0] * (s < d->kernel[a] ? s : d->kernel[a]) * (taps > 5 ? (taps + 2) / 3 : 1)
              * (d->input[2] + d->before[2] + d->after[2] + 32) * across < 80000;
}

static int fit_for_winograd(const cconv_desc *d)
{
    return d->interleave == 1 && d->input_type >= CCONV_F16 && d->weight_type >= CCONV_F16 && (fit_for_tiles(d) || fit_for_upright(d));
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

/* From below and above, or one of them. */
static void clip(cconv_desc *d)
{
    d->low = (double)pick(-60, 20) / 2, d->high = d->low + (double)pick(0, 99);
    if (chance(3)) d->low = 0, d->high = INFINITY;
    else if (chance(3)) d->low = -INFINITY;
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
    if (chance(4)) clip(d);
    for (i = 0; i < 3; i++) t.layout[i] = chance(2) ? 0 : (int)pick(1, i == 1 ? 1 : 2);
    if (t.layout[1] && chance(4)) t.layout[1] = 5;
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
    case 4:             /* one tap, or one position: what lies between it and the next says nothing */
        if (chance(2)) d->dilation[a] = away, d->kernel[a] = 1;
        if (chance(2)) d->stride[a] = INT64_MAX / 4 - pick(0, 9);
        break;
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

/* Of which `taps` leaves out what lies on a border of zeros: enough products that it pays. */
static test bordered(void)
{
    test t = plain();
    int a;
    t.d.border = CCONV_CONSTANT, t.d.border_value = 0, t.d.batch = 1;
    if (!chance(8)) t.special = 0;
    if (!chance(4)) t.d.input_type = t.d.output_type = t.d.compute, t.layout[0] = chance(2) ? 0 : 2;
    t.d.in_channels = pick(20, 70), t.d.out_channels = pick(17, 70);
    for (a = chance(6) ? 0 : 1; a < 3; a++) {
        cconv_desc *d = &t.d;
        d->kernel[a] = pick(a == 2 ? 2 : 1, a ? 4 : 2), d->stride[a] = chance(4) ? 2 : 1, d->dilation[a] = chance(3) ? pick(2, 6) : 1;
        d->input[a] = a == 0 ? pick(1, 2) : a == 1 ? pick(3, 12) : pick(3, 24);
        d->before[a] = pick(0, 2) * d->dilation[a], d->after[a] = pick(0, (d->kernel[a] - 1) * d->dilation[a] + 2);
    }
    return t;
}

static test few_rows(void)
{
    test t = plain();
    const int64_t stride = chance(2) ? 1 : pick(2, 4), most = chance(2) ? 40 : 9;
    const int a = chance(3) ? 2 : 1;            /* or one row of few columns */
    channels(&t, pick(1, chance(4) ? 70 : 9), pick(1, most));
    window(&t, a, pick(2, chance(2) ? 5 : 16) * stride - pick(0, stride - 1), stride, 1, 3);
    window(&t, 3 - a, a == 1 ? pick(1, 6) : 1, chance(2) ? 1 : pick(2, 4), a == 1 ? 1 : pick(1, 3), 3);
    if (chance(4)) window(&t, 0, pick(1, 3), pick(1, 2), pick(1, 2), 2), give(&t, 0, pick(1, 3));
    if (t.d.input_type < CCONV_F16) t.d.input_type = t.d.compute;
    if (t.d.weight_type < CCONV_F16) t.d.weight_type = t.d.compute;
    if (chance(2)) t.special = 0;
    if (chance(2)) t.d.tile = 6;
    give(&t, 1, pick(1, chance(3) ? 40 : 12)), give(&t, 2, pick(1, chance(3) ? 50 : 20));
    if (chance(20)) give(&t, 2, pick(500, 530));
    return t;
}

static test three_by_three(void)
{
    test t = plain();
    const int64_t dilation = chance(3) ? pick(2, 4) : 1;
    if (chance(3)) channels(&t, pick(1, chance(4) ? 40 : 9), pick(64, 140));
    else channels(&t, pick(1, chance(4) ? 140 : 9), pick(1, chance(2) ? 9 : 40));
    window(&t, 1, 3, 1, dilation, 3), window(&t, 2, 3, 1, chance(4) ? pick(1, 5) : dilation, 3);
    if (dilation > 1 && !chance(4)) t.d.border = CCONV_CONSTANT;
    if (chance(4)) window(&t, 1, 3, 2, 1, 3), window(&t, 2, 3, 2, 1, 3);
    if (chance(4)) window(&t, 0, pick(1, 3), pick(1, 2), pick(1, 2), 2), give(&t, 0, pick(1, 3));
    if (t.d.input_type < CCONV_F16) t.d.input_type = t.d.compute;
    if (t.d.weight_type < CCONV_F16) t.d.weight_type = t.d.compute;
    if (chance(2)) t.special = 0;
    t.d.tile = 2 * pick(0, 3);
    give(&t, 1, pick(1, chance(3) ? 60 : 20)), give(&t, 2, pick(1, chance(3) ? 70 : 20));
    if (chance(20)) give(&t, 2, pick(250, 300));
    return t;
}

/* Output channels, and work, enough for tasks that are joined. */
static test many_outputs(void)
{
    test t = plain();
    int a;
    t.d.in_channels = pick(12, 60), t.d.out_channels = pick(64, 280), t.d.groups = 1, t.d.batch = 1;
    for (a = 1; a < 3; a++) window(&t, a, chance(3) ? 1 : 3, chance(4) ? 2 : 1, 1, 2), give(&t, a, pick(3, 14));
    if (t.d.input_type < CCONV_F16 && chance(2)) t.d.input_type = t.d.compute;
    if (t.d.weight_type < CCONV_F16 && chance(2)) t.d.weight_type = t.d.compute;
    return t;
}

/* Planes of results that begin with a line of a cache each, where depths, or bands of rows, do not end with one. */
static test lined_up(void)
{
    test t = plain();
    const int64_t depths = (int64_t)1 << pick(0, 2), kernel = pick(1, 3);
    int64_t rows, columns;
    int a;
    t.d.output_type = t.d.compute, t.d.divisor = 1, t.layout[2] = 0;
    t.d.in_channels = pick(1, 24), t.d.out_channels = pick(2, 70), t.d.groups = 1, t.d.batch = 1;
    do rows = pick(3, 30), columns = pick(3, 60); while (depths * rows * columns % 16 || columns % 16 == 0);
    for (a = 0; a < 3; a++) window(&t, a, a == 0 && depths == 1 ? 1 : kernel, 1, 1, 1);
    give(&t, 0, depths), give(&t, 1, rows), give(&t, 2, columns);
    return t;
}

/* Floats, for winograd. */
static test for_winograd(void) { return chance(2) ? few_rows() : three_by_three(); }

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

/* One tap of few outputs, and the channels side by side: for `turning`. */
static test pixels(void)
{
    test t = plain();
    channels(&t, pick(2, chance(3) ? 300 : 40), pick(1, 5));
    if (chance(3)) clip(&t.d);
    t.d.groups = 1, t.d.interleave = 1, t.d.input_type = t.d.compute, t.layout[0] = 2, t.layout[2] = chance(2) ? 2 : 0;
    if (t.d.in_channels < t.d.out_channels) t.d.in_channels = t.d.out_channels;
    if (!chance(4)) t.d.output_type = t.d.compute;
    window(&t, 1, 1, chance(4) ? 2 : 1, 1, 0), window(&t, 2, 1, chance(4) ? 2 : 1, 1, 0);
    if (chance(6)) window(&t, 0, 1, pick(1, 2), 1, 0), give(&t, 0, pick(1, 3));
    give(&t, 1, pick(1, 12)), give(&t, 2, pick(1, 50));
    if (chance(6)) give(&t, 1, pick(1, 60)), give(&t, 2, 1), t.layout[0] = 4;      /* the same row again and again */
    return t;
}

/* A kernel for each channel, and the channels side by side, or planes that are turned to be so: for what stands in for rows there. */
static test side_by_side(void)
{
    test t = plain();
    if (chance(5)) return pixels();
    if (chance(3)) clip(&t.d);
    channels(&t, 1, 1);
    t.d.groups = t.d.in_channels = t.d.out_channels = pick(4, chance(3) ? 70 : 20);
    t.d.input_type = t.d.output_type = t.d.compute, t.layout[0] = t.layout[2] = chance(2) ? 0 : 2, t.d.interleave = 1;
    t.d.divisor = chance(9) ? 3 : 1;
    window(&t, 1, pick(1, chance(4) ? 9 : 4), pick(1, 3), pick(1, 3), 12), window(&t, 2, pick(1, chance(4) ? 9 : 4), pick(1, 3), pick(1, 3), 12);
    if (chance(2)) {        /* planes that `near` reads where they lie */
        const int64_t k = 3 + 2 * pick(0, 2), stride = chance(2) ? 2 : 1;
        window(&t, 1, k, stride, 1, 5), window(&t, 2, k, stride, 1, 5);
        t.d.border = CCONV_CONSTANT, t.d.border_value = 0, t.layout[0] = t.layout[2] = 0;
    }
    if (chance(6)) window(&t, 0, 1, pick(1, 2), 1, 1), give(&t, 0, pick(1, 3));
    give(&t, 1, pick(1, 20)), give(&t, 2, pick(1, !chance(3) ? 30 : chance(4) ? 180 : 75));
    return t;
}

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For core_test.c: the gradients with respect to the weights and the input, compared with a naive sum in long double.  The test's output is
 * the gradient that comes, its weights, or its input, are those that go.
 */

static unsigned char g_image[MOST * 8];
static double gs[MOST];

/* sums and magnitude of every weight; whether every value that came is finite. */
static int gradient_reference(const test *t)
{
    static int64_t table[3][MOST];
    const cconv_desc *d = &t->d;
    const int64_t *in = d->input, *k = d->kernel, *size = t->y.shape + 2, channels = d->in_channels / d->groups;
    int64_t n, o, c, kd, kh, kw, od, oh, ow, at = 0;
    int finite = isfinite(d->border_value);
    for (c = 0; c < 3; c++) axis_table(t, (int)c, table[c]);
    for (c = 0; c < count_of(&t->x); c++) finite &= isfinite(xs[c]) != 0;
    for (c = 0; c < count_of(&t->y); c++) finite &= isfinite(gs[c]) != 0;
    for (o = 0; o < d->out_channels; o++) for (c = 0; c < channels; c++)
    for (kd = 0; kd < k[0]; kd++) for (kh = 0; kh < k[1]; kh++) for (kw = 0; kw < k[2]; kw++) {
        long double sum = 0;
        double bound = 0;
        for (n = 0; n < d->batch; n++) for (od = 0; od < size[0]; od++) for (oh = 0; oh < size[1]; oh++) {
            const double *g = gs + (((n * d->out_channels + o) * size[0] + od) * size[1] + oh) * size[2];
            const int64_t z = table[0][od * k[0] + kd], y = table[1][oh * k[1] + kh];
            const int64_t channel = n * d->in_channels + o / (d->out_channels / d->groups) * channels + c;
            const int64_t row = ((channel * in[0] + z) * in[1] + y) * in[2];      /* only where z and y are not -1 */
            for (ow = 0; ow < size[2]; ow++) {
                const int64_t x = table[2][ow * k[2] + kw];
                const double v = x < 0 || y < 0 || z < 0 ? d->border_value : xs[row + x];
                sum += (long double)g[ow] * v;
                bound += fabs(g[ow] * v);
            }
        }
        sums[at] = sum, magnitude[at++] = bound;
    }
    return finite;
}

/* The same of the input, where a border repeats none of it. */
static void input_reference(const test *t)
{
    static int64_t table[3][MOST];
    const cconv_desc *d = &t->d;
    const int64_t *in = d->input, *k = d->kernel, *size = t->y.shape + 2, channels = d->in_channels / d->groups;
    int64_t n, o, c, kd, kh, kw, od, oh, ow;
    for (c = 0; c < 3; c++) axis_table(t, (int)c, table[c]);
    for (c = 0; c < count_of(&t->x); c++) sums[c] = magnitude[c] = 0;
    for (n = 0; n < d->batch; n++) for (o = 0; o < d->out_channels; o++) for (c = 0; c < channels; c++)
    for (od = 0; od < size[0]; od++) for (oh = 0; oh < size[1]; oh++) for (ow = 0; ow < size[2]; ow++)
    for (kd = 0; kd < k[0]; kd++) for (kh = 0; kh < k[1]; kh++) for (kw = 0; kw < k[2]; kw++) {
        const int64_t z = table[0][od * k[0] + kd], y = table[1][oh * k[1] + kh], x = table[2][ow * k[2] + kw];
        const int64_t channel = n * d->in_channels + o / (d->out_channels / d->groups) * channels + c;
        const double v = gs[(((n * d->out_channels + o) * size[0] + od) * size[1] + oh) * size[2] + ow]
                         * ws[(((o * channels + c) * k[0] + kd) * k[1] + kh) * k[2] + kw];
        if (x < 0 || y < 0 || z < 0) continue;
        sums[((channel * in[0] + z) * in[1] + y) * in[2] + x] += v;
        magnitude[((channel * in[0] + z) * in[1] + y) * in[2] + x] += fabs(v);
    }
}

static cconv_status run_gradient(const test *t, const cconv_plan *plan, int at_end, int cut, unsigned char *out)
{
    const int of_input = plan->gradient == CCONV_INPUT_GRADIENT;
    const array *a = of_input ? &t->w : &t->x, *to = of_input ? &t->x : &t->w;
    const int64_t size = (int64_t)size_of[to->type], n = count_of(to);
    const int pattern = at_end ? 0xff : 0x7b, odd = cut ? (int)pick(1, 63) : 0;
    char *x = place(INPUT, a->bytes, (int64_t)size_of[a->type], at_end), *g = place(WEIGHT, t->y.bytes, (int64_t)size_of[t->y.type], at_end);
    char *w = place(OUTPUT, to->bytes, size, at_end), *work = place(WORK, (int64_t)plan->workspace_bytes + odd, 1, at_end);
    int64_t ends[9] = {0}, parts = cut ? pick(1, 8) : 1, i;
    cconv_status status = CCONV_OK, (*const run)(const cconv_plan *, int64_t, int64_t, const cconv_buffers *)
        = of_input ? cconv_run_input_gradient : cconv_run_weight_gradient;
    const cconv_buffer read = held(x, a->bytes, a->first), written = held(w, to->bytes, to->first);
    cconv_buffers memory = {sizeof memory, of_input ? written : read, of_input ? read : written, held(NULL, 0, 0),
                            held(g, t->y.bytes, t->y.first), held(work, (int64_t)plan->workspace_bytes + odd, odd), {0}, 0};
    memcpy(x, of_input ? w_image : x_image, (size_t)a->bytes), memcpy(g, g_image, (size_t)t->y.bytes);
    memset(w, pattern, (size_t)to->bytes), memset(work, pattern, plan->workspace_bytes + (size_t)odd);
    for (i = 1; i < parts; i++) ends[i] = pick(ends[i - 1], plan->tasks);
    ends[parts] = plan->tasks;
    for (i = parts - 1; i >= 0; i--) {
        const cconv_status part = run(plan, ends[i], ends[i + 1], &memory);
        if (part != CCONV_OK) status = part;
    }
    for (i = 0; i < n; i++) {
        memcpy(out + i * size, w + where(to, i), (size_t)size);
        memset(w + where(to, i), pattern, (size_t)size);
    }
    spoil(&memory);
    if (t->x.bytes && t->y.bytes && run(plan, 0, plan->tasks, &memory) != CCONV_ERROR_BUFFER)
        fail("a buffer that is too small was used");
    if (w[0] != (char)pattern || memcmp(w, w + 1, (size_t)to->bytes - 1)) fail("a byte between the results was written");
    return status;
}

static void compare_gradient(const test *t, const unsigned char *results)
{
    const int f32 = t->d.compute == CCONV_F32;
    const double eps = f32 ? FLT_EPSILON : DBL_EPSILON, tiny = f32 ? FLT_MIN : DBL_MIN;
    const int64_t positions = count_of(&t->y) / t->d.out_channels, lane = positions / (f32 ? 16 : 8) + 1;
    /* A lane's sum, four or three times two of them, and what bands and samples add. */
    const double allowed = fmax(16, 4 + (double)(lane < 256 ? lane : 256) / 2 + (double)positions / 64);
    int64_t i;
    for (i = 0; i < count_of(&t->w); i++) {
        const double y = decode(t->w.type, results + i * (int64_t)size_of[t->w.type]);
        const double bound = t->exact && magnitude[i] < (f32 ? 0x1p24 : 0x1p53) ? 0 : allowed * eps * magnitude[i] + tiny;
        if (fabsl(y - sums[i]) <= bound) continue;
        fprintf(stderr, "gradient %" PRId64 " is %.17g, not %.17Lg within %g\n", i, y, sums[i], bound);
        fail("a gradient is wrong");
    }
}

/* One descriptor, with each instruction set. */
static void check_gradient(test *t)
{
    static unsigned char kept_gradient[MOST * 8];
    cconv_desc *d = &t->d;
    const char *fused = NULL;
    int i, finite;
    d->weight_type = d->compute, d->isa = NULL, d->algorithm = CCONV_AUTO;
    if (d->interleave > 1 || !prepare(t) || t->w.bytes > MOST * 8) return;
    current = d;
    fill_array(t, &t->y, 0, g_image, gs);
    finite = gradient_reference(t);
    for (i = 0; cconv_isa_list(i); i++) {
        const size_t bytes = (size_t)(count_of(&t->w) * (int64_t)size_of[t->w.type]);
        cconv_plan plan;
        cconv_status status;
        d->isa = cconv_isa_list(i);
        if (cconv_plan_weight_gradient(&plan, d) != CCONV_OK) fail("cconv_plan_weight_gradient");
        const cconv_buffers none = {sizeof none, {0}, {0}, {0}, {0}, {0}, {0}, 0};
        if (cconv_run(&plan, 0, plan.tasks, &none) != CCONV_ERROR_ARGUMENT) fail("a gradient's plan was run");
        cases++;
        status = run_gradient(t, &plan, 1, 0, got);
        if (status != CCONV_OK && (finite || status != CCONV_ERROR_WEIGHTS)) fail(cconv_strerror(status));
        if (status == CCONV_OK) compare_gradient(t, got);
        if (run_gradient(t, &plan, 0, 1, again) != status) fail("another status at another place");
        if (status != CCONV_OK) continue;
        if (memcmp(got, again, bytes)) fail("other bits of the gradient when cut into tasks");
        if (!strcmp(d->isa, "generic")) continue;
        if (fused && memcmp(kept_gradient, got, bytes)) fail("other bits of the gradient than with the other instruction set");
        fused = d->isa, memcpy(kept_gradient, got, bytes);
    }
}

/* The gradient of the input, where it has a way of its own. */
static void check_input_gradient(test *t)
{
    static unsigned char kept_gradient[MOST * 8];
    cconv_desc *d = &t->d;
    const char *fused = NULL;
    int i, finite = 1;
    d->input_type = d->weight_type = d->output_type = d->compute, d->isa = NULL, d->algorithm = CCONV_AUTO;
    if (d->interleave > 1 || t->layout[0] == 3 || !prepare(t) || t->x.bytes > MOST * 8) return;
    current = d;
    fill_array(t, &t->y, 0, g_image, gs);
    for (i = 0; i < count_of(&t->w); i++) finite &= isfinite(ws[i]) != 0;
    for (i = 0; cconv_isa_list(i); i++) {
        const double eps = d->compute == CCONV_F32 ? FLT_EPSILON : DBL_EPSILON, tiny = d->compute == CCONV_F32 ? FLT_MIN : DBL_MIN;
        const size_t size = size_of[d->compute];
        cconv_plan plan;
        cconv_status status;
        int64_t j;
        d->isa = cconv_isa_list(i);
        status = cconv_plan_input_gradient(&plan, d);
        if (status == CCONV_ERROR_ALGORITHM) continue;
        if (status != CCONV_OK) fail("cconv_plan_input_gradient");
        input_reference(t);
        cases++;
        status = run_gradient(t, &plan, 1, 0, got);
        if (status != (finite || plan.tasks == 0 ? CCONV_OK : CCONV_ERROR_WEIGHTS)) fail(cconv_strerror(status));
        if (run_gradient(t, &plan, 0, 1, again) != status) fail("another status at another place");
        if (status != CCONV_OK) continue;
        for (j = 0; j < count_of(&t->x); j++) {
            const double y = decode(d->compute, got + j * (int64_t)size);
            if (isfinite(magnitude[j]) ? fabsl(y - sums[j]) > 16 * eps * magnitude[j] + tiny : isfinite(y)) {
                fprintf(stderr, "%" PRId64 " is %.17g, not %.17Lg\n", j, y, sums[j]);
                fail("a gradient of the input is wrong");
            }
        }
        if (memcmp(got, again, (size_t)count_of(&t->x) * size)) fail("other bits of the gradient when cut into tasks");
        if (fused && memcmp(kept_gradient, got, (size_t)count_of(&t->x) * size)) fail("other bits of the gradient than with the other instruction set");
        fused = d->isa, memcpy(kept_gradient, got, (size_t)count_of(&t->x) * size);
    }
}

/* Of one tap over planes that are read where they lie, of rows longer than a band, of many samples, of a 3x3 kernel for each channel. */
static test for_gradient(int i)
{
    test t = plain();
    cconv_desc *d = &t.d;
    channels(&t, pick(1, 20), pick(1, 20));
    if (i % 4 == 3) {
        const int64_t stride = pick(1, 2), large = chance(8);
        d->in_channels = d->out_channels = d->groups = large ? 2 : pick(1, 40), d->batch = pick(1, 3);
        window(&t, 1, 3, stride, 1, 3), window(&t, 2, 3, stride, 1, 3);
        give(&t, 1, pick(1, large ? 90 : 20)), give(&t, 2, chance(40) ? pick(4000, 4500) : pick(1, large ? 300 : 40));
        if (chance(6)) window(&t, 0, 1, pick(1, 2), 1, 1), give(&t, 0, pick(1, 3));
        if (!chance(4)) d->border = CCONV_CONSTANT, d->border_value = 0;
        if (chance(2)) d->output_type = d->input_type = d->compute, t.layout[0] = t.layout[2] = 0;
    } else if (i % 4 == 0) {
        d->input[1] = pick(8, 70), d->input[2] = pick(64, 100), d->input[0] = pick(1, 2);
        d->output_type = d->input_type = d->compute, t.layout[0] = t.layout[2] = chance(4) ? 2 : 0;
    } else if (i % 4 == 1) {
        window(&t, 2, pick(1, 4), pick(1, 2), pick(1, 2), 3), give(&t, 2, pick(2000, 3000));
        d->in_channels = d->out_channels = d->groups;
    } else {
        d->batch = pick(10, 40);
        window(&t, 1, pick(1, 3), 1, 1, 2), give(&t, 1, pick(1, 9));
        window(&t, 2, pick(1, 3), 1, 1, 2), give(&t, 2, pick(1, 9));
    }
    return t;
}

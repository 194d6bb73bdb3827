/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Three copies of the core in one program.  Compiled once for each copy, with the CCONV_PREFIX that it has and COPY as the name of
 * what runs it; and once with MAIN, which runs them in turn: each must give the right results, and its functions must be its own.
 */
#include "cconv.h"

enum { OUTPUTS = 6, HEIGHT = 19, WIDTH = 23, RESULTS = OUTPUTS * HEIGHT * WIDTH, COPIES = 3 };

typedef cconv_status run_of_copy(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);

#ifndef MAIN

/* A 3x3 layer from one channel to six; returns this copy's cconv_run, or NULL. */
run_of_copy *COPY(const float *picture, const float *kernel, float *results);
run_of_copy *COPY(const float *picture, const float *kernel, float *results)
{
    static double work[1 << 16];
    cconv_buffers b = {sizeof b, cconv_memory(picture, HEIGHT * WIDTH * sizeof *picture), cconv_memory(kernel, OUTPUTS * 9 * sizeof *kernel),
                       {0}, cconv_memory(results, RESULTS * sizeof *results), cconv_memory(work, sizeof work), {0}, 0};
    cconv_desc d;
    cconv_plan plan;
    cconv_desc_init(&d, CCONV_F32);
    d.input[1] = HEIGHT, d.input[2] = WIDTH, d.kernel[1] = d.kernel[2] = 3, d.out_channels = OUTPUTS;
    d.before[1] = d.before[2] = d.after[1] = d.after[2] = 1, d.border = CCONV_EDGE;
    if (cconv_desc_dense(&d) || cconv_plan_init(&plan, &d) || cconv_run(&plan, 0, plan.tasks, &b)) return NULL;
    return cconv_run;
}

#else

#include <stdio.h>

run_of_copy *run_plain(const float *picture, const float *kernel, float *results);
run_of_copy *run_mylib(const float *picture, const float *kernel, float *results);
run_of_copy *run_other(const float *picture, const float *kernel, float *results);

static int64_t inside(int64_t i, int64_t n) { return i < 0 ? 0 : i < n ? i : n - 1; }

int main(void)
{
    static float picture[HEIGHT * WIDTH], kernel[OUTPUTS * 9], results[COPIES][RESULTS];
    run_of_copy *own[COPIES];
    int64_t i, j, n, o;
    int round;
    for (i = 0; i < HEIGHT * WIDTH; i++) picture[i] = (float)(i * 7 % 31);
    for (i = 0; i < OUTPUTS * 9; i++) kernel[i] = (float)(i * 5 % 11 - 4);
    for (round = 0; round < 4; round++) {
        own[0] = run_plain(picture, kernel, results[0]);
        own[1] = run_mylib(picture, kernel, results[1]);
        own[2] = run_other(picture, kernel, results[2]);
        if (!own[0] || !own[1] || !own[2] || own[0] == own[1] || own[1] == own[2] || own[0] == own[2]) return puts("copies have met"), 1;
        for (n = 0; n < COPIES; n++) for (o = 0; o < OUTPUTS; o++) for (i = 0; i < HEIGHT; i++) for (j = 0; j < WIDTH; j++) {
            float *result = &results[n][(o * HEIGHT + i) * WIDTH + j], sum = 0;     /* whole numbers: exact */
            int64_t k;
            for (k = 0; k < 9; k++) sum += kernel[o * 9 + k] * picture[inside(i + k / 3 - 1, HEIGHT) * WIDTH + inside(j + k % 3 - 1, WIDTH)];
            if (*result != sum) return printf("copy %d: %g, not %g\n", (int)n, *result, sum), 1;
            *result = -1;
        }
    }
    printf("%d copies side by side\n", COPIES);
    return 0;
}

#endif

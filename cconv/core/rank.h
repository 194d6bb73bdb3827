/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to rank.c, which finds the products that a kernel is the sum of, and separable.c, which runs them.
 */
#ifndef CCONV_RANK_H
#define CCONV_RANK_H

#include "sizes.h"

enum {
    MOST_TAPS = 512,                    /* of a column (KD x KH), of a row (KW) */
    MOST_RANK = 4
};

typedef struct products {
    int64_t column, row;                /* taps */
    int rank, whole;
    double columns[MOST_RANK][MOST_TAPS], rows[MOST_RANK][MOST_TAPS];
} products;

/* What a vector of outputs takes in multiplications, measured: by `rows`, and by way of this many products. */
CCONV_HIDDEN double cconv_direct_cost(double column, double row);
CCONV_HIDDEN double cconv_rank_cost(int rank, double column, double row);

/* Whether the kernel's shape is such that products can serve, whatever the weights are; the kernel as at most `most`
 * products, 0 if it is not. */
CCONV_HIDDEN int cconv_fits_products(const cconv_desc *d);
CCONV_HIDDEN int cconv_factor(const cconv_desc *d, const char *weights, int most, products *p);

#endif

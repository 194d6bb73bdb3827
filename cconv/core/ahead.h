/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the core: what will be read soon is fetched into the cache while something else is computed.
 */
#ifndef CCONV_AHEAD_H
#define CCONV_AHEAD_H

#include "impl.h"

/* What the next block of work will read, a few lines with each tile of this one: rows of `bytes` bytes, `step`
 * bytes apart. */
typedef struct ahead {
    const char *row;
    int64_t step, rows, bytes, at, lines;       /* at: in the row; lines: with each tile */
} ahead;

CCONV_INLINE void fetch(ahead *a)
{
    int64_t i;
    for (i = 0; i < a->lines && a->rows > 0; i++) {
        PREFETCH(a->row + a->at);
        a->at += LINE;
        if (a->at < a->bytes) continue;
        a->at = 0;
        a->row += a->step;
        a->rows--;
    }
}

CCONV_INLINE ahead fetching(const char *row, int64_t step, int64_t rows, int64_t bytes, int64_t tiles)
{
    const ahead a = {row, step, rows, bytes, 0, (rows * ((bytes + LINE - 1) / LINE) + tiles - 1) / tiles};
    return a;
}

#endif

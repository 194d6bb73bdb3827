/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Private to the core: what will be read soon is fetched into the cache while something else is computed.
 */
#ifndef CCONV_AHEAD_H
#define CCONV_AHEAD_H

#include "sizes.h"

/* What the next block of work will read, a few lines with each tile of this one: rows of `bytes` bytes, `step`
 * bytes apart. */
typedef struct ahead {
    const char *row;
    int64_t step, rows, bytes, at, lines;       /* at: in the row; lines: with each tile */
    int far;                                    /* into the second cache: it is read more than once, and more than the first one holds */
} ahead;

CCONV_INLINE void fetch(ahead *a)
{
    int64_t i;
    for (i = 0; i < a->lines && a->rows > 0; i++) {
        if (a->far) PREFETCH_FAR(a->row + a->at);
        else PREFETCH(a->row + a->at);
        a->at += LINE;
        if (a->at < a->bytes) continue;
        a->at = 0;
        a->row += a->step;
        a->rows--;
    }
}

CCONV_INLINE ahead fetching(const char *row, int64_t step, int64_t rows, int64_t bytes, int64_t tiles)
{
    const ahead a = {row, step, rows, bytes, 0, (rows * ((bytes + LINE - 1) / LINE) + tiles - 1) / tiles, 0};
    return a;
}

/* Rows first to first + n - 1, of `rows` there are, of each of `count` channels, with a number of tiles. */
CCONV_INLINE ahead rows_ahead(const char *channel, int64_t channel_stride, int64_t count, int64_t row_stride, int64_t first, int64_t n, int64_t rows,
                        int64_t tiles)
{
    const int64_t from = most(first, 0), to = least(first + n, rows);
    if (to <= from || row_stride <= 0) return fetching(NULL, 0, 0, 0, 1);
    return fetching(channel + from * row_stride, channel_stride, count, (to - from) * row_stride, tiles);
}

/* Fetches what `rows` rows of the output will be written to. */
CCONV_INLINE void open_lines(const char *row, int64_t rows, int64_t step, int64_t bytes)
{
    int64_t at;
    for (; rows > 0; rows--, row += step)
        for (at = 0; at < bytes; at += LINE) PREFETCH(row + at);
}

/* What a call that leaves out taps did not fetch of its share. */
CCONV_INLINE void fetch_rest(const char *next, int64_t step, int64_t taps, int64_t all, int lines)
{
    for (; step > 0 && taps < all; taps++) {
        PREFETCH_FAR(next + taps * step);
        if (lines > 1) PREFETCH_FAR(next + taps * step + LINE);
    }
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Squares of values turned, for the instruction sets of x86; included after their target is set.
 */

CCONV_INLINE void ISA(turn_floats)(const float *p, ptrdiff_t pitch, float *q, ptrdiff_t q_pitch)
{
    __m128 a = _mm_loadu_ps(p), b = _mm_loadu_ps(p + pitch), c = _mm_loadu_ps(p + 2 * pitch), d = _mm_loadu_ps(p + 3 * pitch);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(q, a);
    _mm_storeu_ps(q + q_pitch, b);
    _mm_storeu_ps(q + 2 * q_pitch, c);
    _mm_storeu_ps(q + 3 * q_pitch, d);
}

CCONV_INLINE void ISA(turn_doubles)(const double *p, ptrdiff_t pitch, double *q, ptrdiff_t q_pitch)
{
    const __m128d a = _mm_loadu_pd(p), b = _mm_loadu_pd(p + pitch);
    _mm_storeu_pd(q, _mm_unpacklo_pd(a, b));
    _mm_storeu_pd(q + q_pitch, _mm_unpackhi_pd(a, b));
}

/* Four columns of eight rows, as vectors; rows that lie four apart share one on the way. */
CCONV_INLINE void ISA(eight_floats)(const float *p, ptrdiff_t pitch, __m256 v[4])
{
#define ROWS(i) _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p + (i) * pitch)), _mm_loadu_ps(p + ((i) + 4) * pitch), 1)
    const __m256 a = ROWS(0), b = ROWS(1), c = ROWS(2), d = ROWS(3);
#undef ROWS
    const __m256 ab = _mm256_unpacklo_ps(a, b), cd = _mm256_unpacklo_ps(c, d), more_ab = _mm256_unpackhi_ps(a, b), more_cd = _mm256_unpackhi_ps(c, d);
    v[0] = _mm256_shuffle_ps(ab, cd, 0x44);
    v[1] = _mm256_shuffle_ps(ab, cd, 0xee);
    v[2] = _mm256_shuffle_ps(more_ab, more_cd, 0x44);
    v[3] = _mm256_shuffle_ps(more_ab, more_cd, 0xee);
}

/* Two columns of four rows. */
CCONV_INLINE void ISA(four_doubles)(const double *p, ptrdiff_t pitch, __m256d v[2])
{
#define ROWS(i) _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p + (i) * pitch)), _mm_loadu_pd(p + ((i) + 2) * pitch), 1)
    const __m256d a = ROWS(0), b = ROWS(1);
#undef ROWS
    v[0] = _mm256_unpacklo_pd(a, b);
    v[1] = _mm256_unpackhi_pd(a, b);
}

/* Eight by eight. */
CCONV_INLINE void ISA(turn_more_floats)(const float *p, ptrdiff_t pitch, float *q, ptrdiff_t q_pitch)
{
    int half;
    for (half = 0; half < 2; half++, p += 4, q += 4 * q_pitch) {
        __m256 v[4];
        ISA(eight_floats)(p, pitch, v);
        _mm256_storeu_ps(q, v[0]);
        _mm256_storeu_ps(q + q_pitch, v[1]);
        _mm256_storeu_ps(q + 2 * q_pitch, v[2]);
        _mm256_storeu_ps(q + 3 * q_pitch, v[3]);
    }
}

/* Four by four. */
CCONV_INLINE void ISA(turn_more_doubles)(const double *p, ptrdiff_t pitch, double *q, ptrdiff_t q_pitch)
{
    int half;
    for (half = 0; half < 2; half++, p += 2, q += 2 * q_pitch) {
        __m256d v[2];
        ISA(four_doubles)(p, pitch, v);
        _mm256_storeu_pd(q, v[0]);
        _mm256_storeu_pd(q + q_pitch, v[1]);
    }
}

/* Until what was written past the caches is seen by other threads. */
static void ISA(drain)(void) { _mm_sfence(); }

/* A copy whose whole lines are written past the caches. */
static void ISA(send)(const char *x, char *y, int64_t bytes)
{
    int64_t i = (int64_t)((0 - (uintptr_t)y) & (LINE - 1));
    if (i > bytes) i = bytes;
    memcpy(y, x, (size_t)i);
    for (; i + LINE <= bytes; i += LINE) {
        _mm256_stream_si256((__m256i *)(void *)(y + i), _mm256_loadu_si256((const __m256i *)(const void *)(x + i)));
        _mm256_stream_si256((__m256i *)(void *)(y + i + LINE / 2), _mm256_loadu_si256((const __m256i *)(const void *)(x + i + LINE / 2)));
    }
    memcpy(y + i, x + i, (size_t)(bytes - i));
}

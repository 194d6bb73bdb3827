/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Squares of values turned, for the instruction sets of x86; included after their target is set.
 */

CCONV_INLINE void ISA(turn_4_floats)(const float *p, ptrdiff_t pitch, float *q, ptrdiff_t q_pitch)
{
    __m128 a = _mm_loadu_ps(p), b = _mm_loadu_ps(p + pitch), c = _mm_loadu_ps(p + 2 * pitch), d = _mm_loadu_ps(p + 3 * pitch);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(q, a);
    _mm_storeu_ps(q + q_pitch, b);
    _mm_storeu_ps(q + 2 * q_pitch, c);
    _mm_storeu_ps(q + 3 * q_pitch, d);
}

/* Four values of a row, and of that four below it. */
CCONV_INLINE __m256 ISA(two_rows)(const float *p, ptrdiff_t pitch)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * pitch), 1);
}

CCONV_INLINE void ISA(turn_8_floats)(const float *p, ptrdiff_t pitch, float *q, ptrdiff_t q_pitch)
{
    int half;
    for (half = 0; half < 2; half++, p += 4, q += 4 * q_pitch) {
        const __m256 a = ISA(two_rows)(p, pitch), b = ISA(two_rows)(p + pitch, pitch), c = ISA(two_rows)(p + 2 * pitch, pitch);
        const __m256 d = ISA(two_rows)(p + 3 * pitch, pitch), e = _mm256_unpacklo_ps(a, b), f = _mm256_unpackhi_ps(a, b);
        const __m256 g = _mm256_unpacklo_ps(c, d), h = _mm256_unpackhi_ps(c, d);
        _mm256_storeu_ps(q, _mm256_shuffle_ps(e, g, 0x44));
        _mm256_storeu_ps(q + q_pitch, _mm256_shuffle_ps(e, g, 0xee));
        _mm256_storeu_ps(q + 2 * q_pitch, _mm256_shuffle_ps(f, h, 0x44));
        _mm256_storeu_ps(q + 3 * q_pitch, _mm256_shuffle_ps(f, h, 0xee));
    }
}

CCONV_INLINE void ISA(turn_2_doubles)(const double *p, ptrdiff_t pitch, double *q, ptrdiff_t q_pitch)
{
    const __m128d a = _mm_loadu_pd(p), b = _mm_loadu_pd(p + pitch);
    _mm_storeu_pd(q, _mm_unpacklo_pd(a, b));
    _mm_storeu_pd(q + q_pitch, _mm_unpackhi_pd(a, b));
}

CCONV_INLINE void ISA(turn_4_doubles)(const double *p, ptrdiff_t pitch, double *q, ptrdiff_t q_pitch)
{
    int half;
    for (half = 0; half < 2; half++, p += 2, q += 2 * q_pitch) {
        const __m256d a = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + 2 * pitch), 1);
        const __m256d b = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p + pitch)), _mm_loadu_pd(p + 3 * pitch), 1);
        _mm256_storeu_pd(q, _mm256_unpacklo_pd(a, b));
        _mm256_storeu_pd(q + q_pitch, _mm256_unpackhi_pd(a, b));
    }
}

/* Until what was written past the caches is seen by other threads. */
static void ISA(drain)(void) { _mm_sfence(); }

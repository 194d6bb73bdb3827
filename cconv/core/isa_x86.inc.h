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

/* Until what was written past the caches is seen by other threads. */
static void ISA(drain)(void) { _mm_sfence(); }

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels for AVX2 with FMA: 16 registers of 8 float or 4 double.
 */
#include "kernels.h"

#ifdef CCONV_X86
#include <immintrin.h>
#include <math.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("tree-vectorize", "vect-cost-model=dynamic")
#pragma GCC target("avx2,fma")
#endif

#define ACCUMULATORS 12
#define FUSED(a, b, c) fma(a, b, c)

#define ISA(what) what##__avx2
#include "isa_x86.inc.h"

/* A store under a mask takes dozens of cycles on some of these CPUs: parts are written by halves. */
CCONV_INLINE void ISA(store_floats)(float *p, int64_t n, __m256 v)
{
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, part);
}

CCONV_INLINE void ISA(store_doubles)(double *p, int64_t n, __m256d v)
{
    __m128d part = _mm256_castpd256_pd128(v);
    if (n & 2) {
        _mm_storeu_pd(p, part);
        part = _mm256_extractf128_pd(v, 1);
        p += 2;
    }
    if (n & 1) _mm_store_sd(p, part);
}

static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

CCONV_INLINE __m256 ISA(load_floats)(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + 8 - n)));
}

CCONV_INLINE __m256d ISA(load_doubles)(const double *p, int64_t n)
{
    return _mm256_maskload_pd(p, _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + 8 - 2 * n)));
}

CCONV_INLINE __m256i ISA(lanes)(int64_t from, int64_t to)
{
    const __m256i *below = (const __m256i *)(const void *)(ones_then_zeros + 8 - from), *all = (const __m256i *)(const void *)(ones_then_zeros + 8 - to);
    return _mm256_andnot_si256(_mm256_loadu_si256(below), _mm256_loadu_si256(all));
}

CCONV_INLINE __m256 ISA(even_floats)(__m256 u, __m256 v)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(u, v, 0x88)), 0xd8));
}

CCONV_INLINE __m256 ISA(odd_floats)(__m256 u, __m256 v)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(u, v, 0xdd)), 0xd8));
}

CCONV_INLINE __m256 ISA(next_floats)(__m256 u, __m256 v)
{
    const __m256i middle = _mm256_castps_si256(_mm256_permute2f128_ps(u, v, 0x21));
    return _mm256_castsi256_ps(_mm256_alignr_epi8(middle, _mm256_castps_si256(u), 4));
}

CCONV_INLINE __m256 ISA(zip_floats)(__m256 u, __m256 v, int half)
{
    const __m256 low = _mm256_unpacklo_ps(u, v), high = _mm256_unpackhi_ps(u, v);
    return half ? _mm256_permute2f128_ps(low, high, 0x31) : _mm256_permute2f128_ps(low, high, 0x20);
}

CCONV_INLINE __m256d ISA(zip_doubles)(__m256d u, __m256d v, int half)
{
    const __m256d low = _mm256_unpacklo_pd(u, v), high = _mm256_unpackhi_pd(u, v);
    return half ? _mm256_permute2f128_pd(low, high, 0x31) : _mm256_permute2f128_pd(low, high, 0x20);
}

#ifdef __GNUC__
#define KEEP(v) __asm__("" : "+x"(v))
#endif

#define T float
#define V __m256
#define LANES 8
#define NAME(what) what##_f32__avx2
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define STREAM(p, v) _mm256_stream_ps(p, v)
#define SET1(x) _mm256_set1_ps(x)
#define ZERO() _mm256_setzero_ps()
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b) _mm256_add_ps(a, b)
#define RAISED(v, low) _mm256_max_ps(low, v)
#define LOWERED(v, high) _mm256_min_ps(high, v)
#define TILE 6
#define EVENS(u, v) ISA(even_floats)(u, v)
#define ODDS(u, v) ISA(odd_floats)(u, v)
#define ZIP(u, v, half) ISA(zip_floats)(u, v, half)
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define NEXT(u, v) ISA(next_floats)(u, v)
#define MASK __m256i
#define MASK_OF(from, to) ISA(lanes)(from, to)
#define LOAD_UNDER(p, mask) _mm256_maskload_ps(p, mask)
#define LOAD_PART(p, n) ISA(load_floats)(p, n)
#define STORE_PART(p, n, v) ISA(store_floats)(p, n, v)
#define SIDE 4
#define TURN(p, pitch, q, q_pitch) ISA(turn_floats)(p, pitch, q, q_pitch)
#define TURN_MORE(p, pitch, q, q_pitch) ISA(turn_more_floats)(p, pitch, q, q_pitch)
#define COLUMNS(p, pitch, v) ISA(eight_floats)(p, pitch, v)
#define OTHER double
#define ROUNDER 12582912.0f
#include "kernels.inc.h"

#define T double
#define V __m256d
#define LANES 4
#define NAME(what) what##_f64__avx2
#define LOAD(p) _mm256_loadu_pd(p)
#define STORE(p, v) _mm256_storeu_pd(p, v)
#define STREAM(p, v) _mm256_stream_pd(p, v)
#define SET1(x) _mm256_set1_pd(x)
#define ZERO() _mm256_setzero_pd()
#define FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define ADD(a, b) _mm256_add_pd(a, b)
#define RAISED(v, low) _mm256_max_pd(low, v)
#define LOWERED(v, high) _mm256_min_pd(high, v)
#define TILE 6
#define EVENS(u, v) _mm256_permute4x64_pd(_mm256_unpacklo_pd(u, v), 0xd8)
#define ODDS(u, v) _mm256_permute4x64_pd(_mm256_unpackhi_pd(u, v), 0xd8)
#define ZIP(u, v, half) ISA(zip_doubles)(u, v, half)
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define NEXT(u, v) _mm256_shuffle_pd(u, _mm256_permute2f128_pd(u, v, 0x21), 5)
#define MASK __m256i
#define MASK_OF(from, to) ISA(lanes)(2 * (from), 2 * (to))
#define LOAD_UNDER(p, mask) _mm256_maskload_pd(p, mask)
#define LOAD_PART(p, n) ISA(load_doubles)(p, n)
#define STORE_PART(p, n, v) ISA(store_doubles)(p, n, v)
#define SIDE 2
#define TURN(p, pitch, q, q_pitch) ISA(turn_doubles)(p, pitch, q, q_pitch)
#define TURN_MORE(p, pitch, q, q_pitch) ISA(turn_more_doubles)(p, pitch, q, q_pitch)
#define COLUMNS(p, pitch, v) ISA(four_doubles)(p, pitch, v)
#define OTHER float
#define ROUNDER 6755399441055744.0
#include "kernels.inc.h"

#define NAME(what) what##__avx2
#define BYTES 32
#define W __m256i
#define TAPS __m256i
#define BYTES_AT(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE_BYTES(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define WORDS(x) _mm256_set1_epi16((int16_t)(x))
#define PLUS(a, b) _mm256_add_epi16(a, b)
#define AND(a, b) _mm256_and_si256(a, b)
#define RIGHT(v, n) _mm256_srl_epi16(v, _mm_cvtsi32_si128(n))
#define LESS(a, b) _mm256_subs_epu16(a, b)
#define LARGER(a, b) _mm256_max_epu16(a, b)
#define SMALLER(a, b) _mm256_min_epu16(a, b)
#define TAPS_OF(p) _mm256_set1_epi32(cconv_four_bytes(p))
#define TWO_TAPS(a, b, w, low, high) \
    low = PLUS(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), w)), \
    high = PLUS(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), w))
#define NARROWED(low, high) _mm256_packus_epi16(low, high)
#define STORE_WORDS(p, low, high) \
    STORE_BYTES(p, _mm256_permute2x128_si256(low, high, 0x20)), STORE_BYTES((p) + 16, _mm256_permute2x128_si256(low, high, 0x31))
#include "integer.inc.h"

const struct cconv_kernels cconv_kernels__avx2 = {"avx2", &kernels_f32__avx2, &kernels_f64__avx2, integer__avx2, ISA(drain), ISA(send)};

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#undef ISA
#undef ACCUMULATORS
#undef FUSED
#undef KEEP
#endif

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels for AVX-512: 32 registers of 16 float or 8 double.
 */
#include "kernels.h"

#ifdef CCONV_X86
#include <immintrin.h>
#include <math.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("tree-vectorize", "vect-cost-model=dynamic")
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#define ACCUMULATORS 24
#define FUSED(a, b, c) fma(a, b, c)

#define ISA(what) what##__avx512
#include "isa_x86.inc.h"

CCONV_INLINE __m512 ISA(even_floats)(__m512 u, __m512 v)
{
    const __m512i which = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(u, which, v);
}

CCONV_INLINE __m512d ISA(even_doubles)(__m512d u, __m512d v)
{
    return _mm512_permutex2var_pd(u, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), v);
}

CCONV_INLINE __m512 ISA(odd_floats)(__m512 u, __m512 v)
{
    const __m512i which = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(u, which, v);
}

CCONV_INLINE __m512d ISA(odd_doubles)(__m512d u, __m512d v)
{
    return _mm512_permutex2var_pd(u, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), v);
}

CCONV_INLINE __m512 ISA(zip_floats)(__m512 u, __m512 v, int half)
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(u, half ? _mm512_add_epi32(low, _mm512_set1_epi32(8)) : low, v);
}

CCONV_INLINE __m512d ISA(zip_doubles)(__m512d u, __m512d v, int half)
{
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    return _mm512_permutex2var_pd(u, half ? _mm512_add_epi64(low, _mm512_set1_epi64(4)) : low, v);
}

#ifdef __GNUC__
#define KEEP(v) __asm__("" : "+v"(v))
#endif

#define T float
#define V __m512
#define LANES 16
#define NAME(what) what##_f32__avx512
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define STREAM(p, v) _mm512_stream_ps(p, v)
#define SET1(x) _mm512_set1_ps(x)
#define ZERO() _mm512_setzero_ps()
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ADD(a, b) _mm512_add_ps(a, b)
#define RAISED(v, low) _mm512_max_ps(low, v)
#define LOWERED(v, high) _mm512_min_ps(high, v)
#define TILE 14
#define EVENS(u, v) ISA(even_floats)(u, v)
#define ODDS(u, v) ISA(odd_floats)(u, v)
#define ZIP(u, v, half) ISA(zip_floats)(u, v, half)
#define SHIFTED(p, u, v, n) _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(v), _mm512_castps_si512(u), n))
#define NEXT(u, v) _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(v), _mm512_castps_si512(u), 1))
#define MASK __mmask16
#define MASK_OF(from, to) (__mmask16)((1u << (to)) - (1u << (from)))
#define LOAD_UNDER(p, mask) _mm512_maskz_loadu_ps(mask, p)
#define LOAD_PART(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define STORE_PART(p, n, v) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), v)
#define SIDE 4
#define TURN(p, pitch, q, q_pitch) ISA(turn_floats)(p, pitch, q, q_pitch)
#define TURN_MORE(p, pitch, q, q_pitch) ISA(turn_more_floats)(p, pitch, q, q_pitch)
#define HALF cconv_kernels__avx2.f32
#define OTHER double
#define ROUNDER 12582912.0f
#include "kernels.inc.h"

#define T double
#define V __m512d
#define LANES 8
#define NAME(what) what##_f64__avx512
#define LOAD(p) _mm512_loadu_pd(p)
#define STORE(p, v) _mm512_storeu_pd(p, v)
#define STREAM(p, v) _mm512_stream_pd(p, v)
#define SET1(x) _mm512_set1_pd(x)
#define ZERO() _mm512_setzero_pd()
#define FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define ADD(a, b) _mm512_add_pd(a, b)
#define RAISED(v, low) _mm512_max_pd(low, v)
#define LOWERED(v, high) _mm512_min_pd(high, v)
#define TILE 14
#define EVENS(u, v) ISA(even_doubles)(u, v)
#define ODDS(u, v) ISA(odd_doubles)(u, v)
#define ZIP(u, v, half) ISA(zip_doubles)(u, v, half)
#define SHIFTED(p, u, v, n) _mm512_castsi512_pd(_mm512_alignr_epi64(_mm512_castpd_si512(v), _mm512_castpd_si512(u), n))
#define NEXT(u, v) _mm512_castsi512_pd(_mm512_alignr_epi64(_mm512_castpd_si512(v), _mm512_castpd_si512(u), 1))
#define MASK __mmask8
#define MASK_OF(from, to) (__mmask8)((1u << (to)) - (1u << (from)))
#define LOAD_UNDER(p, mask) _mm512_maskz_loadu_pd(mask, p)
#define LOAD_PART(p, n) _mm512_maskz_loadu_pd((__mmask8)((1u << (n)) - 1), p)
#define STORE_PART(p, n, v) _mm512_mask_storeu_pd(p, (__mmask8)((1u << (n)) - 1), v)
#define SIDE 2
#define TURN(p, pitch, q, q_pitch) ISA(turn_doubles)(p, pitch, q, q_pitch)
#define TURN_MORE(p, pitch, q, q_pitch) ISA(turn_more_doubles)(p, pitch, q, q_pitch)
#define HALF cconv_kernels__avx2.f64
#define STORES_OF_HALF
#define OTHER float
#define ROUNDER 6755399441055744.0
#include "kernels.inc.h"

#define NAME(what) what##__avx512
#define BYTES 64
#define W __m512i
#define TAPS __m512i
#define BYTES_AT(p) _mm512_loadu_si512((const __m512i *)(const void *)(p))
#define STORE_BYTES(p, v) _mm512_storeu_si512((__m512i *)(void *)(p), v)
#define WORDS(x) _mm512_set1_epi16((int16_t)(x))
#define PLUS(a, b) _mm512_add_epi16(a, b)
#define AND(a, b) _mm512_and_si512(a, b)
#define RIGHT(v, n) _mm512_srl_epi16(v, _mm_cvtsi32_si128(n))
#define LESS(a, b) _mm512_subs_epu16(a, b)
#define LARGER(a, b) _mm512_max_epu16(a, b)
#define SMALLER(a, b) _mm512_min_epu16(a, b)
#define TAPS_OF(p) _mm512_set1_epi32(cconv_four_bytes(p))
#define TWO_TAPS(a, b, w, low, high) \
    low = PLUS(low, _mm512_maddubs_epi16(_mm512_unpacklo_epi8(a, b), w)), \
    high = PLUS(high, _mm512_maddubs_epi16(_mm512_unpackhi_epi8(a, b), w))
#define NARROWED(low, high) _mm512_packus_epi16(low, high)
#define STORE_WORDS(p, low, high) \
    STORE_BYTES(p, _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high)), \
    STORE_BYTES((p) + 32, _mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high))
#include "integer.inc.h"

const struct cconv_kernels cconv_kernels__avx512 = {"avx512", &kernels_f32__avx512, &kernels_f64__avx512, integer__avx512, ISA(drain), ISA(send)};

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

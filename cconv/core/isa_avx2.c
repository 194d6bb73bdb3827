/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels for AVX2 with FMA: 16 registers of 8 float or 4 double.
 */
#include "impl.h"

#ifdef CCONV_X86
#include <immintrin.h>
#include <math.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define ACCUMULATORS 12

#define T float
#define V __m256
#define LANES 8
#define NAME(what) what##_f32__avx2
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SET1(x) _mm256_set1_ps(x)
#define ZERO() _mm256_setzero_ps()
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b) _mm256_add_ps(a, b)
#define TILE 6
#define ROUNDER 12582912.0f
#include "kernels.inc.h"

#define T double
#define V __m256d
#define LANES 4
#define NAME(what) what##_f64__avx2
#define LOAD(p) _mm256_loadu_pd(p)
#define STORE(p, v) _mm256_storeu_pd(p, v)
#define SET1(x) _mm256_set1_pd(x)
#define ZERO() _mm256_setzero_pd()
#define FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define ADD(a, b) _mm256_add_pd(a, b)
#define TILE 6
#define ROUNDER 6755399441055744.0
#include "kernels.inc.h"

const struct cconv_kernels cconv_kernels__avx2 = {"avx2", &kernels_f32__avx2, &kernels_f64__avx2};

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#endif

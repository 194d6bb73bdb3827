/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels for NEON on 64-bit ARM: 32 registers of 4 float or 2 double.
 */
#include "impl.h"

#ifdef CCONV_ARM64
#include <arm_neon.h>
#include <math.h>

#define ACCUMULATORS 24

#define T float
#define V float32x4_t
#define LANES 4
#define NAME(what) what##_f32__neon
#define LOAD(p) vld1q_f32(p)
#define STORE(p, v) vst1q_f32(p, v)
#define SET1(x) vdupq_n_f32(x)
#define ZERO() vdupq_n_f32(0)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define ADD(a, b) vaddq_f32(a, b)
#define TILE 12
#define ROUNDER 12582912.0f
#include "kernels.inc.h"

#define T double
#define V float64x2_t
#define LANES 2
#define NAME(what) what##_f64__neon
#define LOAD(p) vld1q_f64(p)
#define STORE(p, v) vst1q_f64(p, v)
#define SET1(x) vdupq_n_f64(x)
#define ZERO() vdupq_n_f64(0)
#define FMA(a, b, c) vfmaq_f64(c, a, b)
#define ADD(a, b) vaddq_f64(a, b)
#define TILE 12
#define ROUNDER 6755399441055744.0
#include "kernels.inc.h"

const struct cconv_kernels cconv_kernels__neon = {"neon", &kernels_f32__neon, &kernels_f64__neon};

#endif

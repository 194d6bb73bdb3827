/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels for NEON on 64-bit ARM: 32 registers of 4 float or 2 double.
 */
#include "kernels.h"

#ifdef CCONV_ARM64
#include <arm_neon.h>
#include <math.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("tree-vectorize", "vect-cost-model=dynamic")
#endif

#define ACCUMULATORS 24
#define FUSED(a, b, c) fma(a, b, c)

CCONV_INLINE float32x4_t load_floats(const float *p, int64_t n)
{
    float32x4_t v = vld1q_lane_f32(p, vdupq_n_f32(0), 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

CCONV_INLINE void store_floats(float *p, int64_t n, float32x4_t v)
{
    vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
}

CCONV_INLINE void turn_floats(const float *p, ptrdiff_t pitch, float *q, ptrdiff_t q_pitch)
{
    const float32x4x2_t a = vzipq_f32(vld1q_f32(p), vld1q_f32(p + 2 * pitch));
    const float32x4x2_t b = vzipq_f32(vld1q_f32(p + pitch), vld1q_f32(p + 3 * pitch));
    const float32x4x2_t low = vzipq_f32(a.val[0], b.val[0]), high = vzipq_f32(a.val[1], b.val[1]);
    vst1q_f32(q, low.val[0]);
    vst1q_f32(q + q_pitch, low.val[1]);
    vst1q_f32(q + 2 * q_pitch, high.val[0]);
    vst1q_f32(q + 3 * q_pitch, high.val[1]);
}

CCONV_INLINE void turn_doubles(const double *p, ptrdiff_t pitch, double *q, ptrdiff_t q_pitch)
{
    const float64x2_t a = vld1q_f64(p), b = vld1q_f64(p + pitch);
    vst1q_f64(q, vzip1q_f64(a, b));
    vst1q_f64(q + q_pitch, vzip2q_f64(a, b));
}

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
#define RAISED(v, low) vbslq_f32(vcltq_f32(v, low), low, v)
#define LOWERED(v, high) vbslq_f32(vcgtq_f32(v, high), high, v)
#define TILE 12
#define EVENS(u, v) vuzp1q_f32(u, v)
#define ODDS(u, v) vuzp2q_f32(u, v)
#define ZIP(u, v, half) ((half) ? vzip2q_f32(u, v) : vzip1q_f32(u, v))
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define NEXT(u, v) vextq_f32(u, v, 1)
#define LOAD_PART(p, n) load_floats(p, n)
#define STORE_PART(p, n, v) store_floats(p, n, v)
#define SIDE 4
#define TURN(p, pitch, q, q_pitch) turn_floats(p, pitch, q, q_pitch)
#define OTHER double
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
#define RAISED(v, low) vbslq_f64(vcltq_f64(v, low), low, v)
#define LOWERED(v, high) vbslq_f64(vcgtq_f64(v, high), high, v)
#define TILE 12
#define EVENS(u, v) vuzp1q_f64(u, v)
#define ODDS(u, v) vuzp2q_f64(u, v)
#define ZIP(u, v, half) ((half) ? vzip2q_f64(u, v) : vzip1q_f64(u, v))
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define NEXT(u, v) vextq_f64(u, v, 1)
#define LOAD_PART(p, n) vcombine_f64(vld1_f64(p), vdup_n_f64(0))    /* n is 1 */
#define STORE_PART(p, n, v) vst1q_lane_f64(p, v, 0)
#define SIDE 2
#define TURN(p, pitch, q, q_pitch) turn_doubles(p, pitch, q, q_pitch)
#define OTHER float
#define ROUNDER 6755399441055744.0
#include "kernels.inc.h"

#define NAME(what) what##__neon
#define BYTES 16
#define W uint16x8_t
#define TAPS uint16x8_t
#define BYTES_AT(p) vld1q_u8(p)
#define STORE_BYTES(p, v) vst1q_u8(p, v)
#define WORDS(x) vdupq_n_u16((uint16_t)(x))
#define PLUS(a, b) vaddq_u16(a, b)
#define AND(a, b) vandq_u16(a, b)
#define RIGHT(v, n) vshlq_u16(v, vdupq_n_s16((int16_t)-(n)))
#define LESS(a, b) vqsubq_u16(a, b)
#define LARGER(a, b) vmaxq_u16(a, b)
#define SMALLER(a, b) vminq_u16(a, b)
#define TAPS_OF(p) vreinterpretq_u16_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(cconv_four_bytes(p)))))
#define BOTH_TAPS(sum, half, a, b, w) vmlaq_laneq_u16(vmlaq_laneq_u16(sum, vmovl_u8(half(a)), w, 0), vmovl_u8(half(b)), w, 1)
#define TWO_TAPS(a, b, w, low, high) low = BOTH_TAPS(low, vget_low_u8, a, b, w), high = BOTH_TAPS(high, vget_high_u8, a, b, w)
#define NARROWED(low, high) vcombine_u8(vmovn_u16(low), vmovn_u16(high))
#define STORE_WORDS(p, low, high) vst1q_u16(p, low), vst1q_u16((p) + 8, high)
#include "integer.inc.h"

const struct cconv_kernels cconv_kernels__neon = {"neon", &kernels_f32__neon, &kernels_f64__neon, integer__neon, NULL, NULL};

#undef ACCUMULATORS
#undef FUSED
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
#endif

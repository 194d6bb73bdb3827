/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels in plain C, for every machine: vectors of 16 bytes, which compilers map to what there is,
 * or single values where the compiler has no vector types.
 */
#include "kernels.h"

#include <math.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("Os")         /* a CPU that has none of the others runs few networks */
#endif

#define SMALL
#define ACCUMULATORS 12
#define FUSED(a, b, c) ((a) * (b) + (c))

#if defined(__GNUC__) || defined(__clang__)
typedef float float_vector __attribute__((vector_size(16)));
typedef double double_vector __attribute__((vector_size(16)));
typedef int32_t float_choice __attribute__((vector_size(16)));
typedef int64_t double_choice __attribute__((vector_size(16)));
#define FLOATS 4
#define DOUBLES 2
CCONV_INLINE float_vector spread_float(float x) { float_vector v = {x, x, x, x}; return v; }
CCONV_INLINE double_vector spread_double(double x) { double_vector v = {x, x}; return v; }
#define choose_float(which, u, v) (float_vector)(((which) & (float_choice)(u)) | (~(which) & (float_choice)(v)))
#define choose_double(which, u, v) (double_vector)(((which) & (double_choice)(u)) | (~(which) & (double_choice)(v)))
#else
typedef float float_vector;
typedef double double_vector;
#define FLOATS 1
#define DOUBLES 1
#define spread_float(x) (x)
#define spread_double(x) (x)
#define choose_float(which, u, v) ((which) ? (u) : (v))
#define choose_double choose_float
#endif

/* Vectors of `count` values of TYPE: at p; the first n at p, then zeros; every other one of two vectors. */
#define DEFINE_LOADS(TYPE, count) \
    CCONV_INLINE TYPE##_vector load_##TYPE(const TYPE *p) { TYPE##_vector v; memcpy(&v, p, sizeof v); return v; } \
    CCONV_INLINE TYPE##_vector load_part_of_##TYPE(const TYPE *p, int64_t n) \
    { \
        TYPE##_vector v = spread_##TYPE(0); \
        memcpy(&v, p, (size_t)n * sizeof *p); \
        return v; \
    } \
    CCONV_INLINE TYPE##_vector every_other_##TYPE(TYPE##_vector u, TYPE##_vector v, int first) \
    { \
        TYPE both[2 * count], taken[count]; \
        int i; \
        memcpy(both, &u, sizeof u); \
        memcpy(both + count, &v, sizeof v); \
        for (i = 0; i < count; i++) taken[i] = both[2 * i + first]; \
        return load_##TYPE(taken); \
    }
DEFINE_LOADS(float, FLOATS)
DEFINE_LOADS(double, DOUBLES)

#define T float
#define V float_vector
#define LANES FLOATS
#define NAME(what) what##_f32__generic
#define LOAD(p) load_float(p)
#define STORE(p, v) do { V stored = (v); memcpy(p, &stored, sizeof stored); } while (0)
#define SET1(x) spread_float(x)
#define ZERO() spread_float(0)
#define FMA(a, b, c) ((a) * (b) + (c))
#define ADD(a, b) ((a) + (b))
#define RAISED(v, low) choose_float((v) < (low), low, v)
#define LOWERED(v, high) choose_float((v) > (high), high, v)
#define TILE 6
#define EVENS(u, v) every_other_float(u, v, 0)
#define ODDS(u, v) every_other_float(u, v, 1)
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define LOAD_PART(p, n) load_part_of_float(p, n)
#define STORE_PART(p, n, v) do { V stored = (v); memcpy(p, &stored, (size_t)(n) * sizeof *(p)); } while (0)
#define SIDE 1
#define TURN(p, pitch, q, q_pitch) (*(q) = *(p))
#define OTHER double
#define ROUNDER 12582912.0f
#include "kernels.inc.h"

#define T double
#define V double_vector
#define LANES DOUBLES
#define NAME(what) what##_f64__generic
#define LOAD(p) load_double(p)
#define STORE(p, v) do { V stored = (v); memcpy(p, &stored, sizeof stored); } while (0)
#define SET1(x) spread_double(x)
#define ZERO() spread_double(0)
#define FMA(a, b, c) ((a) * (b) + (c))
#define ADD(a, b) ((a) + (b))
#define RAISED(v, low) choose_double((v) < (low), low, v)
#define LOWERED(v, high) choose_double((v) > (high), high, v)
#define TILE 6
#define EVENS(u, v) every_other_double(u, v, 0)
#define ODDS(u, v) every_other_double(u, v, 1)
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define LOAD_PART(p, n) load_part_of_double(p, n)
#define STORE_PART(p, n, v) do { V stored = (v); memcpy(p, &stored, (size_t)(n) * sizeof *(p)); } while (0)
#define SIDE 1
#define TURN(p, pitch, q, q_pitch) (*(q) = *(p))
#define OTHER float
#define ROUNDER 6755399441055744.0
#include "kernels.inc.h"

const struct cconv_kernels cconv_kernels__generic = {"generic", &kernels_f32__generic, &kernels_f64__generic, NULL, NULL, NULL};

#undef SMALL
#undef ACCUMULATORS
#undef FUSED
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

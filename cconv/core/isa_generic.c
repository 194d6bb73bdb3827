/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernels in plain C, for every machine: vectors of 16 bytes, which compilers map to what there is,
 * or single values where the compiler has no vector types.
 */
#include "impl.h"

#include <math.h>
#include <string.h>

#define ACCUMULATORS 12

#if defined(__GNUC__) || defined(__clang__)
typedef float float_vector __attribute__((vector_size(16)));
typedef double double_vector __attribute__((vector_size(16)));
#define FLOATS 4
#define DOUBLES 2
#define SPREAD_F32(x) (float_vector){x, x, x, x}
#define SPREAD_F64(x) (double_vector){x, x}
#else
typedef float float_vector;
typedef double double_vector;
#define FLOATS 1
#define DOUBLES 1
#define SPREAD_F32(x) (x)
#define SPREAD_F64(x) (x)
#endif

CCONV_INLINE float_vector load_float(const float *p) { float_vector v; memcpy(&v, p, sizeof v); return v; }
CCONV_INLINE double_vector load_double(const double *p) { double_vector v; memcpy(&v, p, sizeof v); return v; }

CCONV_INLINE float_vector load_part_of_floats(const float *p, int64_t n)
{
    float_vector v = SPREAD_F32(0);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}
CCONV_INLINE double_vector load_part_of_doubles(const double *p, int64_t n)
{
    double_vector v = SPREAD_F64(0);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

CCONV_INLINE float_vector even_floats(float_vector u, float_vector v)
{
    float both[2 * FLOATS], evens[FLOATS];
    int i;
    memcpy(both, &u, sizeof u);
    memcpy(both + FLOATS, &v, sizeof v);
    for (i = 0; i < FLOATS; i++) evens[i] = both[2 * i];
    return load_float(evens);
}

CCONV_INLINE double_vector even_doubles(double_vector u, double_vector v)
{
    double both[2 * DOUBLES], evens[DOUBLES];
    int i;
    memcpy(both, &u, sizeof u);
    memcpy(both + DOUBLES, &v, sizeof v);
    for (i = 0; i < DOUBLES; i++) evens[i] = both[2 * i];
    return load_double(evens);
}

#define T float
#define V float_vector
#define LANES FLOATS
#define NAME(what) what##_f32__generic
#define LOAD(p) load_float(p)
#define STORE(p, v) do { V stored = (v); memcpy(p, &stored, sizeof stored); } while (0)
#define SET1(x) SPREAD_F32(x)
#define ZERO() SPREAD_F32(0)
#define FMA(a, b, c) ((a) * (b) + (c))
#define ADD(a, b) ((a) + (b))
#define TILE 6
#define EVENS(u, v) even_floats(u, v)
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define LOAD_PART(p, n) load_part_of_floats(p, n)
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
#define SET1(x) SPREAD_F64(x)
#define ZERO() SPREAD_F64(0)
#define FMA(a, b, c) ((a) * (b) + (c))
#define ADD(a, b) ((a) + (b))
#define TILE 6
#define EVENS(u, v) even_doubles(u, v)
#define SHIFTED(p, u, v, n) LOAD((p) + (n))
#define LOAD_PART(p, n) load_part_of_doubles(p, n)
#define STORE_PART(p, n, v) do { V stored = (v); memcpy(p, &stored, (size_t)(n) * sizeof *(p)); } while (0)
#define SIDE 1
#define TURN(p, pitch, q, q_pitch) (*(q) = *(p))
#define OTHER float
#define ROUNDER 6755399441055744.0
#include "kernels.inc.h"

const struct cconv_kernels cconv_kernels__generic = {"generic", &kernels_f32__generic, &kernels_f64__generic};

"""THE LOOP for other Cython code: `from cconv cimport loop`.

Arrays in C order without gaps: x (N, C, D, H, W), w (O, C/groups, KD, KH, KW), bias (O,) or NULL, y (N, O, OD, OH, OW), whose sizes
follow from the rest; border: of core/cconv.h.  The GIL is taken to begin with and released while it runs.  Errors are Python's.
int64 sums must fit.  Nothing here will change but by additions.
"""

from libc.stdint cimport int64_t

cdef int correlate_f32(const float *x, const int64_t x_shape[5], const float *w, const int64_t w_shape[5], const float *bias, float *y,
                       const int64_t stride[3], const int64_t dilation[3], const int64_t before[3], const int64_t after[3],
                       int64_t groups, int border, double value) except -1 nogil
cdef int correlate_f64(const double *x, const int64_t x_shape[5], const double *w, const int64_t w_shape[5], const double *bias, double *y,
                       const int64_t stride[3], const int64_t dilation[3], const int64_t before[3], const int64_t after[3],
                       int64_t groups, int border, double value) except -1 nogil
cdef int correlate_i64(const int64_t *x, const int64_t x_shape[5], const int64_t *w, const int64_t w_shape[5], const int64_t *bias, int64_t *y,
                       const int64_t stride[3], const int64_t dilation[3], const int64_t before[3], const int64_t after[3],
                       int64_t groups, int border, int64_t value) except -1 nogil

"""THE LOOP: convolution as a nested loop over typed memoryviews.

    y[n, o, z, r, j] = bias[o] + sum over c, kd, kh, kw of
                       w[o, c, kd, kh, kw] * x[n, c', z*s + kd*d, r*s + kh*d, j*s + kw*d]

with s the stride and d the dilation of each axis, c' the c-th channel of o's group, and x read
through its border.  Pictures and 1-D signals are the same thing with axes of length 1.  This is
the definition that every faster path must agree with.  It knows nothing of words, defaults or
result dtypes: geometry.py and operation.py have settled those before.

Sizes: N batch, C input channels, O output channels, G groups, CG = C/G, OG = O/G,
KD KH KW kernel, OD OH OW output.

How the sum is rounded: taps are added in order, in blocks of BLOCK; the sums of blocks are added
with their rounding errors carried along (Knuth's TwoSum, TAOCP 2, 4.2.2).  So the error of a
result stays below 16 eps * sum |w||x|, however many taps there are.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_WRITE
from libc.stdint cimport int64_t

import numpy as np

cdef extern from *:
    """
    #if defined(__GNUC__) && !defined(__clang__)     /* the inner line is worth vectorising, whatever the flags are */
    #pragma GCC optimize("tree-vectorize", "vect-cost-model=dynamic")
    #endif
    #if defined(__clang__)
    #define CCONV_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define CCONV_COMPILER "gcc " __VERSION__
    #elif defined(_MSC_VER)
    #define CCONV_COMPILER "MSVC"
    #else
    #define CCONV_COMPILER "unknown"
    #endif
    #ifndef CCONV_CHECKED
    #define CCONV_CHECKED 0
    #endif
    """
    const char *CCONV_COMPILER
    bint CCONV_CHECKED

COMPILER = CCONV_COMPILER.decode().strip()
CHECKED = bool(CCONV_CHECKED)       # built with Cython's bounds checks on

ctypedef fused number:
    float
    double
    int64_t

cdef enum:
    BLOCK = 16              # taps summed plainly before their sum goes to the total
    LINES = 4               # taps added in one pass over a row
    PATIENCE = 1 << 26      # multiplications between two looks for Ctrl-C

cdef enum Border:
    CONSTANT                # vvv abcd vvv
    EDGE                    # aaa abcd ddd
    REFLECT                 # dcb abcd cba
    SYMMETRIC               # cba abcd dcb
    WRAP                    # bcd abcd abc

# Every word for a border: numpy.pad's first, then the other libraries' unambiguous ones.
BORDERS = {
    "zeros": CONSTANT, "constant": CONSTANT, "edge": EDGE, "reflect": REFLECT,
    "symmetric": SYMMETRIC, "wrap": WRAP,
    "replicate": EDGE, "nearest": EDGE, "mirror": REFLECT, "circular": WRAP,
    "grid-constant": CONSTANT, "grid-mirror": SYMMETRIC, "grid-wrap": WRAP,
}
CONSTANTS = frozenset([word for word, border in BORDERS.items() if border == CONSTANT])      # a generator expression would bring 9 KB


cdef Py_ssize_t source(Py_ssize_t i, Py_ssize_t n, Border border) noexcept nogil:
    """Which of n values stands at coordinate i of the axis with its border; -1: the constant."""
    cdef Py_ssize_t period
    if 0 <= i < n:
        return i
    if border == CONSTANT:
        return -1
    if border == EDGE or n == 1:
        return 0 if i < 0 else n - 1
    period = n if border == WRAP else 2 * n if border == SYMMETRIC else 2 * n - 2
    i -= period * (i // period)
    if i < 0:                           # C rounds quotients towards zero
        i += period
    return i if i < n else 2 * n - 1 - i if border == SYMMETRIC else period - i


def border_map(Py_ssize_t n, Py_ssize_t before, Py_ssize_t after, str mode):
    """Index map of one padded axis: for each of its before + n + after coordinates the index
    of the value that stands there, or -1 for the constant."""
    if n < 0 or before < 0 or after < 0 or max(n, before, after) > 2**60:
        raise ValueError(f"cannot pad {n} values with {before} before and {after} after")
    if n == 0 and before + after and BORDERS[mode] != CONSTANT:
        raise ValueError(f"cannot extend an empty axis with padding_mode={mode!r}: "
                         "it has no values to repeat; pass padding_mode='zeros'")
    return tap_map(n, before, 0, before + n + after, 1, 1, 1, mode)[0]


def tap_map(Py_ssize_t n, Py_ssize_t before, Py_ssize_t start, Py_ssize_t size, Py_ssize_t k,
            Py_ssize_t s, Py_ssize_t d, str mode):
    """What stands under tap i at output position start + o: (map, step, spread), to be looked up
    as map[o * step + i * spread].

    A map of all coordinates between the first and the last, or of those that taps touch only,
    where they are fewer (wide strides and dilations)."""
    cdef Border border = BORDERS[mode]
    cdef Py_ssize_t length = (size - 1) * s + (k - 1) * d + 1
    cdef bint sparse = size < length // k
    cdef Py_ssize_t i, o
    if (size * k if sparse else length) > 2**56:
        raise MemoryError(f"padding makes an axis of {length} values: too many to index")
    indices = np.empty(size * k if sparse else length, np.intp)
    cdef Py_ssize_t[::1] view = indices
    with nogil:
        if sparse:
            for o in range(size):
                for i in range(k):
                    view[o * k + i] = source((start + o) * s + i * d - before, n, border)
        else:
            for i in range(length):
                view[i] = source(start * s + i - before, n, border)
    return (indices, k, 1) if sparse else (indices, s, d)


@cython.boundscheck(True)       # what it is handed may be shorter than it should be
def correlate(x, w, bias, y, stride, pads, dilation, Py_ssize_t groups, str mode, value,
              start=(0, 0, 0)):
    """Write into y the cross-correlation of x with w plus bias, or a part of it.

    x (N, C, D, H, W), w (O, C/groups, KD, KH, KW), bias (O,) and y (N, O, OD, OH, OW): aligned
    native arrays of one dtype, float32, float64 or int64, with any strides; y must not overlap
    the others.  stride and dilation: three ints; pads: three pairs; value: what a constant
    border holds; start: where in the whole result y[:, :, 0, 0, 0] lies.  int64 sums must fit:
    the caller proves it.
    """
    cdef Py_ssize_t axis
    if mode not in BORDERS:
        raise ValueError(f"mode is {mode!r}; want one of {', '.join(BORDERS)}")
    for name, array, axes in (("x", x, 5), ("w", w, 5), ("bias", bias, 1), ("y", y, 5)):
        if array.ndim != axes:
            raise ValueError(f"{name} has shape {array.shape}: {axes} axes are needed")
    if groups < 1 or w.shape[1] * groups != x.shape[1] or w.shape[0] % groups:
        raise ValueError(f"x {x.shape} and w {w.shape} do not fit {groups} groups")
    if y.shape[:2] != (x.shape[0], w.shape[0]) or bias.shape[0] != w.shape[0]:
        raise ValueError(f"y {y.shape} and bias {bias.shape} do not fit x {x.shape}, w {w.shape}")
    maps, steps = [], np.empty((3, 2), np.intp)
    for axis in range(3):
        n, k, size = x.shape[2 + axis], w.shape[2 + axis], y.shape[2 + axis]
        (before, after), s, d, skip = pads[axis], stride[axis], dilation[axis], start[axis]
        if min(s, d, k, size) < 1 or skip < 0 or (skip + size - 1) * s + (k - 1) * d >= before + n + after:
            raise ValueError(f"axis {axis}: {skip} + {size} positions of {k} taps, stride {s}, dilation "
                             f"{d}, do not fit {before} + {n} + {after} values")
        if before < 0 or after < 0 or (n == 0 and before + after and BORDERS[mode] != CONSTANT):
            raise ValueError(f"axis {axis}: {n} values cannot have a border of {before} and {after}")
        indices, steps[axis, 0], steps[axis, 1] = tap_map(n, before, skip, size, k, s, d, mode)
        maps.append(indices)
    inside = inside_ranges(n, before - skip * s, k, size, s, d)
    # Bytes from one position's value to the next's; where s > n no two lie in the picture, and the
    # product could overflow.
    step = x.strides[4] * min(s, max(n, 1))
    sums = np.empty((3, y.shape[4]), y.dtype)
    # A plain if: the fused-type dispatcher costs more than a small convolution.
    if y.dtype == np.float32:
        run[float](x, w, bias, y, maps[0], maps[1], maps[2], steps, inside, step, groups, value, sums)
    elif y.dtype == np.float64:
        run[double](x, w, bias, y, maps[0], maps[1], maps[2], steps, inside, step, groups, value, sums)
    elif y.dtype == np.int64:
        run[int64_t](x, w, bias, y, maps[0], maps[1], maps[2], steps, inside, step, groups, value, sums)
    else:
        raise TypeError(f"y has dtype {y.dtype}: float32, float64 or int64 is needed")


def inside_ranges(n, before, k, size, s, d):
    """(KW, 2): for each tap along the width, the first and one past the last output position
    at which it lies inside the picture and not on its border; `before` counts from the first."""
    offset = np.arange(k, dtype=np.intp) * d
    first = np.clip(-((offset - before) // s), 0, size)     # ceil((before - offset) / s)
    last = np.clip((before + n - 1 - offset) // s + 1, first, size)
    return np.stack([first, last], axis=1)


cdef int run(const number[:, :, :, :, :] x, const number[:, :, :, :, :] w, const number[:] bias,
             number[:, :, :, :, :] y, const Py_ssize_t[::1] d_map, const Py_ssize_t[::1] h_map,
             const Py_ssize_t[::1] w_map, const Py_ssize_t[:, ::1] steps,
             const Py_ssize_t[:, ::1] inside, Py_ssize_t step, Py_ssize_t G, number value,
             number[:, ::1] sums) except -1:
    """Batch, group, output channel, output position.  All sizes agree and every index is in
    range: `correlate` has proven it."""
    cdef Py_ssize_t N = y.shape[0], OG = y.shape[1] // G
    cdef Py_ssize_t OD = y.shape[2], OH = y.shape[3], OW = y.shape[4]
    cdef Py_ssize_t n, g, o, od, oh, j, work = 0
    cdef Py_ssize_t row_work = OW * w.shape[1] * w.shape[2] * w.shape[3] * w.shape[4]
    cdef number *total = &sums[0, 0]
    cdef number *rest = &sums[1, 0]
    cdef number *part = &sums[2, 0]

    with nogil:
        for n in range(N):
            for g in range(G):
                for o in range(g * OG, (g + 1) * OG):
                    for od in range(OD):
                        for oh in range(OH):
                            for j in range(OW):
                                total[j], rest[j], part[j] = bias[o], 0, 0
                            sum_row(x, w, n, g, o, od, oh, OW, d_map, h_map, w_map,
                                    steps, inside, step, value, total, rest, part)
                            for j in range(OW):
                                # rest is NaN where total is infinite
                                y[n, o, od, oh, j] = total[j] + rest[j] if rest[j] == rest[j] else total[j]
                            work += row_work
                            if work >= PATIENCE:
                                work = 0
                                with gil:
                                    PyErr_CheckSignals()
    return 0


cdef inline int sum_row(const number[:, :, :, :, :] x, const number[:, :, :, :, :] w,
                        Py_ssize_t n, Py_ssize_t g, Py_ssize_t o, Py_ssize_t od, Py_ssize_t oh,
                        Py_ssize_t OW, const Py_ssize_t[::1] d_map, const Py_ssize_t[::1] h_map,
                        const Py_ssize_t[::1] w_map, const Py_ssize_t[:, ::1] steps,
                        const Py_ssize_t[:, ::1] inside, Py_ssize_t step, number value,
                        number *total, number *rest, number *part) except -1 nogil:
    """Input channel, tap: one row of OW output positions, each tap added along the whole row."""
    cdef Py_ssize_t CG = w.shape[1], KD = w.shape[2], KH = w.shape[3], KW = w.shape[4]
    cdef Py_ssize_t SW = steps[2, 0], DW = steps[2, 1]
    cdef Py_ssize_t c, kd, kh, kw, d, h, i, j
    cdef Py_ssize_t first = inside[0, 0], last = inside[KW - 1, 1]  # where no tap meets the border
    cdef number weights[LINES]
    cdef const char *lines[LINES]
    cdef int taps = 0, waiting = 0, right

    if last < first:
        last = first
    for c in range(CG):
        for kd in range(KD):
            d = d_map[od * steps[0, 0] + kd * steps[0, 1]]
            for kh in range(KH):
                h = h_map[oh * steps[1, 0] + kh * steps[1, 1]]
                for kw in range(KW):
                    if d < 0 or h < 0:                      # the whole line is the constant
                        for j in range(OW if value != 0 else 0):
                            part[j] += w[o, c, kd, kh, kw] * value
                    else:
                        for right in range(2):              # left of the inside, then right of it
                            for j in range(last if right else 0, OW if right else first):
                                i = w_map[j * SW + kw * DW]
                                if i >= 0:
                                    part[j] += w[o, c, kd, kh, kw] * x[n, g * CG + c, d, h, i]
                                elif value != 0:
                                    part[j] += w[o, c, kd, kh, kw] * value
                        if first < last:
                            i = w_map[first * SW + kw * DW]
                            weights[waiting] = w[o, c, kd, kh, kw]
                            lines[waiting] = <const char *>&x[n, g * CG + c, d, h, i]
                            waiting += 1
                    taps += 1
                    if waiting == LINES or taps == BLOCK:
                        add_lines(part + first, weights, lines, waiting, step, last - first)
                        waiting = 0
                    if taps == BLOCK:
                        carry(total, rest, part, OW)
                        taps = 0
    add_lines(part + first, weights, lines, waiting, step, last - first)
    carry(total, rest, part, OW)
    return 0


cdef inline void add_lines(number *sums, const number *weights, const char **lines, int taps,
                           Py_ssize_t step, Py_ssize_t count) noexcept nogil:
    """sums[j] += the sum over taps of weights[t] * lines[t][j].  The inner line: LINES taps share
    one load and store of the sums, and it vectorises where the values of x lie together."""
    cdef number w0, w1, w2, w3
    cdef const number *a
    cdef const number *b
    cdef const number *c
    cdef const number *d
    cdef Py_ssize_t j
    cdef int t
    if taps == LINES and step == sizeof(number):
        w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
        a, b = <const number *>lines[0], <const number *>lines[1]
        c, d = <const number *>lines[2], <const number *>lines[3]
        for j in range(count):
            sums[j] = sums[j] + w0 * a[j] + w1 * b[j] + w2 * c[j] + w3 * d[j]
        return
    for t in range(taps):
        w0, a = weights[t], <const number *>lines[t]
        if step == sizeof(number):
            for j in range(count):
                sums[j] += w0 * a[j]
        else:
            for j in range(count):
                sums[j] += w0 * (<const number *>(lines[t] + j * step))[0]


cdef inline void carry(number *total, number *rest, number *part, Py_ssize_t count) noexcept nogil:
    """total + rest += part, exactly but for the rounding of rest; part = 0."""
    cdef Py_ssize_t j
    cdef number grown, came
    for j in range(count):
        grown = total[j] + part[j]
        came = grown - total[j]
        rest[j] += (total[j] - (grown - came)) + (part[j] - came)
        total[j] = grown
        part[j] = 0


# The same for other Cython code (loop.pxd), over plain memory.

cdef array_at(const void *start, tuple shape, dtype):
    """Memory in C order as an array."""
    size = 1
    for n in shape:
        if n < 0:
            raise ValueError(f"a shape is {shape}; want sizes of at least 0")
        size *= n
    if size > 2**56:
        raise OverflowError(f"an array of shape {shape} is too large to be addressed")
    if size == 0:
        return np.empty(shape, dtype)
    if start == NULL:
        raise ValueError(f"an array of shape {shape} is NULL")
    return np.frombuffer(PyMemoryView_FromMemory(<char *>start, size * dtype.itemsize, PyBUF_WRITE), dtype).reshape(shape)


cdef int correlate_at(const void *x, const int64_t *x_shape, const void *w, const int64_t *w_shape, const void *bias, void *y,
                      const int64_t *stride, const int64_t *dilation, const int64_t *before, const int64_t *after, int64_t groups,
                      int border, value, dtype) except -1:
    cdef int a
    words = ("constant", "edge", "reflect", "symmetric", "wrap")
    if not 0 <= border < 5:
        raise ValueError(f"border is {border}; want 0 to 4: {', '.join(words)}")
    sizes = []
    for a in range(3):
        if min(stride[a], dilation[a], w_shape[2 + a]) < 1:
            raise ValueError(f"axis {a}: stride {stride[a]}, dilation {dilation[a]} and kernel {w_shape[2 + a]}; want at least 1")
        padded, reach = <object>x_shape[2 + a] + before[a] + after[a], <object>dilation[a] * (w_shape[2 + a] - 1)
        if reach >= padded:
            raise ValueError(f"axis {a}: nothing is left of {padded} values under {w_shape[2 + a]} taps {dilation[a]} apart")
        sizes.append((padded - reach - 1) // stride[a] + 1)
    images = array_at(x, (x_shape[0], x_shape[1], x_shape[2], x_shape[3], x_shape[4]), dtype)
    kernels = array_at(w, (w_shape[0], w_shape[1], w_shape[2], w_shape[3], w_shape[4]), dtype)
    start = np.zeros(w_shape[0], dtype) if bias == NULL else array_at(bias, (w_shape[0],), dtype)
    result = array_at(y, (x_shape[0], w_shape[0], *sizes), dtype)
    correlate(images, kernels, start, result, (stride[0], stride[1], stride[2]), ((before[0], after[0]), (before[1], after[1]), (before[2], after[2])),
              (dilation[0], dilation[1], dilation[2]), groups, words[border], value)
    return 0


cdef int correlate_f32(const float *x, const int64_t x_shape[5], const float *w, const int64_t w_shape[5], const float *bias, float *y,
                       const int64_t stride[3], const int64_t dilation[3], const int64_t before[3], const int64_t after[3],
                       int64_t groups, int border, double value) except -1 nogil:
    with gil:
        return correlate_at(x, x_shape, w, w_shape, bias, y, stride, dilation, before, after, groups, border, value, np.dtype(np.float32))


cdef int correlate_f64(const double *x, const int64_t x_shape[5], const double *w, const int64_t w_shape[5], const double *bias, double *y,
                       const int64_t stride[3], const int64_t dilation[3], const int64_t before[3], const int64_t after[3],
                       int64_t groups, int border, double value) except -1 nogil:
    with gil:
        return correlate_at(x, x_shape, w, w_shape, bias, y, stride, dilation, before, after, groups, border, value, np.dtype(np.float64))


cdef int correlate_i64(const int64_t *x, const int64_t x_shape[5], const int64_t *w, const int64_t w_shape[5], const int64_t *bias, int64_t *y,
                       const int64_t stride[3], const int64_t dilation[3], const int64_t before[3], const int64_t after[3],
                       int64_t groups, int border, int64_t value) except -1 nogil:
    with gil:
        return correlate_at(x, x_shape, w, w_shape, bias, y, stride, dilation, before, after, groups, border, value, np.dtype(np.int64))

# cython: language_level=3, boundscheck=False, wraparound=False
"""Pictures sharpened and looked at in one loop without the GIL: cconv's C functions, by `cimport`."""

from libc.stdint cimport int8_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cconv cimport engine, loop

engine.import_cconv()           # here, so that a cconv of another ABI is an ImportError and nothing worse


cdef int8_t[9] KERNEL = [0, -1, 0, -1, 5, -1, 0, -1, 0]


cdef int check(engine.cconv_status status) except -1:
    if status != engine.CCONV_OK:
        raise ValueError(engine.strerror(status).decode())
    return 0


def sharpen(const uint8_t[:, :, ::1] pictures, uint8_t[:, :, ::1] out, int64_t[::1] bright, int threshold=255):
    """Put (N, H, W) pictures, sharpened, into `out`, and into `bright` how many pixels of each are at least `threshold`."""
    cdef Py_ssize_t n = pictures.shape[0], size = pictures.shape[1] * pictures.shape[2], i, j
    cdef engine.cconv_desc desc
    cdef engine.cconv_plan plan
    cdef engine.cconv_buffers b
    cdef engine.cconv_buffer weights = engine.cconv_memory(KERNEL, sizeof(KERNEL))
    cdef engine.cconv_status status = engine.CCONV_OK
    cdef const uint8_t *pixels
    cdef int64_t count
    cdef void *packed = NULL
    cdef void *work = NULL

    if out.shape[0] != n or out.shape[1] != pictures.shape[1] or out.shape[2] != pictures.shape[2]:
        raise ValueError("out has another shape than pictures")
    if bright.shape[0] != n:
        raise ValueError("bright needs one number for each picture")
    if n == 0 or size == 0:
        bright[:] = 0
        return
    if &out[0, 0, 0] < &pictures[0, 0, 0] + n * size and &pictures[0, 0, 0] < &out[0, 0, 0] + n * size:
        raise ValueError("out overlaps pictures")       # what the core wants and cannot see

    engine.desc_init(&desc, engine.CCONV_F32)
    desc.input_type = desc.output_type = engine.CCONV_U8
    desc.weight_type = engine.CCONV_I8
    desc.input[1], desc.input[2] = pictures.shape[1], pictures.shape[2]
    desc.kernel[1] = desc.kernel[2] = 3
    desc.before[1] = desc.before[2] = desc.after[1] = desc.after[2] = 1
    desc.border = engine.CCONV_EDGE
    desc.weights = engine.CCONV_WEIGHTS_PACKED
    check(engine.desc_dense(&desc))
    desc.rank = engine.rank(&desc, &weights)            # last, because it looks at all the rest: small whole numbers have a faster way
    check(engine.plan_init(&plan, &desc))

    try:
        packed, work = malloc(plan.packed_bytes), malloc(plan.workspace_bytes)
        if packed == NULL or work == NULL:
            raise MemoryError
        memset(&b, 0, sizeof(b))
        b.size = sizeof(b)
        b.weights = engine.cconv_memory(packed, plan.packed_bytes)
        b.workspace = engine.cconv_memory(work, plan.workspace_bytes)
        check(engine.pack_weights(&plan, 0, plan.packs, &weights, &b.weights))
        with nogil:
            for i in range(n):
                b.input = engine.cconv_memory(&pictures[i, 0, 0], size)
                b.output = engine.cconv_memory(&out[i, 0, 0], size)
                status = engine.run(&plan, 0, plan.tasks, &b)
                if status != engine.CCONV_OK:
                    break
                pixels = &out[i, 0, 0]                  # still in the cache
                count = 0
                for j in range(size):
                    count += pixels[j] >= threshold
                bright[i] = count
        check(status)
    finally:
        free(packed)
        free(work)


def correlate_exactly(const int64_t[:, ::1] x, const int64_t[:, ::1] w, int64_t[:, ::1] out):
    """Put the correlation of x with w, without a border, into `out`: THE LOOP in int64, for sums that floats cannot hold."""
    cdef int64_t[3] ones = [1, 1, 1]
    cdef int64_t[3] none = [0, 0, 0]
    cdef int64_t[5] x_shape = [1, 1, 1, x.shape[0], x.shape[1]]
    cdef int64_t[5] w_shape = [1, 1, 1, w.shape[0], w.shape[1]]
    cdef int64_t rows = engine.output_length(x.shape[0], w.shape[0], 1, 1, 0, 0)
    cdef int64_t columns = engine.output_length(x.shape[1], w.shape[1], 1, 1, 0, 0)
    if rows < 1 or columns < 1:
        raise ValueError("w does not fit into x")
    if out.shape[0] != rows or out.shape[1] != columns:
        raise ValueError(f"out has shape {out.shape[0], out.shape[1]}; the result has {rows, columns}")
    loop.correlate_i64(&x[0, 0], x_shape, &w[0, 0], w_shape, NULL, &out[0, 0], ones, ones, none, none, 1, engine.CCONV_CONSTANT, 0)

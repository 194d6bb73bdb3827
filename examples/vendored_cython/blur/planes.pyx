# cython: language_level=3, boundscheck=False, wraparound=False
"""One kernel over many planes, a thread for each; without OpenMP one after the other."""

from cython.parallel cimport prange, threadid
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from blur._cconv cimport engine

engine.import_cconv()


cdef int check(engine.cconv_status status) except -1:
    if status != engine.CCONV_OK:
        raise ValueError(engine.strerror(status).decode())
    return 0


cdef engine.cconv_status run_plane(const engine.cconv_plan *plan, const engine.cconv_buffer *packed, char *work, const float *plane,
                                   float *out) noexcept nogil:
    """A function of its own, because prange gives each thread variables of its own, but not the fields of a struct."""
    cdef engine.cconv_buffers b
    memset(&b, 0, sizeof(b))
    b.size = sizeof(b)
    b.input = engine.cconv_memory(plane, plan.desc.input[1] * plan.desc.input[2] * sizeof(float))
    b.weights = packed[0]
    b.output = engine.cconv_memory(out, plan.output[1] * plan.output[2] * sizeof(float))
    b.workspace = engine.cconv_memory(work, plan.workspace_bytes)
    return engine.run(plan, 0, plan.tasks, &b)


def correlate(const float[:, :, ::1] planes, const float[:, ::1] kernel, float[:, :, ::1] out, int threads=1):
    """Put planes (N, H, W), each correlated with the kernel, into `out` of the same shape; borders are mirrored."""
    cdef Py_ssize_t n = planes.shape[0], size = planes.shape[1] * planes.shape[2], i
    cdef engine.cconv_desc desc
    cdef engine.cconv_plan plan
    cdef engine.cconv_buffer weights, packed
    cdef engine.cconv_status *statuses = NULL
    cdef void *order = NULL
    cdef char *work = NULL
    cdef int a

    if threads < 1:
        raise ValueError(f"threads is {threads}; want at least 1")
    if out.shape[0] != n or out.shape[1] != planes.shape[1] or out.shape[2] != planes.shape[2]:
        raise ValueError("out has another shape than planes")
    if kernel.shape[0] == 0 or kernel.shape[1] == 0:
        raise ValueError("kernel has no taps")
    if n == 0 or size == 0:
        return
    if &out[0, 0, 0] < &planes[0, 0, 0] + n * size and &planes[0, 0, 0] < &out[0, 0, 0] + n * size:
        raise ValueError("out overlaps planes")         # what the core wants and cannot see
    threads = min(threads, n, 64)

    engine.desc_init(&desc, engine.CCONV_F32)
    for a in range(2):
        desc.input[1 + a], desc.kernel[1 + a] = planes.shape[1 + a], kernel.shape[a]
        desc.before[1 + a], desc.after[1 + a] = (kernel.shape[a] - 1) // 2, kernel.shape[a] // 2
    desc.border = engine.CCONV_REFLECT
    desc.weights = engine.CCONV_WEIGHTS_PACKED
    check(engine.desc_dense(&desc))
    weights = engine.cconv_memory(&kernel[0, 0], kernel.shape[0] * kernel.shape[1] * sizeof(float))
    desc.rank = engine.rank(&desc, &weights)            # a Gaussian is a column times a row, and far cheaper so
    check(engine.plan_init(&plan, &desc))

    try:
        order, work = malloc(plan.packed_bytes), <char *>calloc(threads, plan.workspace_bytes)
        statuses = <engine.cconv_status *>calloc(n, sizeof(engine.cconv_status))
        if order == NULL or work == NULL or statuses == NULL:
            raise MemoryError
        packed = engine.cconv_memory(order, plan.packed_bytes)
        check(engine.pack_weights(&plan, 0, plan.packs, &weights, &packed))
        for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
            statuses[i] = run_plane(&plan, &packed, work + threadid() * plan.workspace_bytes, &planes[i, 0, 0], &out[i, 0, 0])
        for i in range(n):
            check(statuses[i])
    finally:
        free(order)
        free(work)
        free(statuses)

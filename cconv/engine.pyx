"""The bridge from arrays to the C core: buffers to a descriptor, a status to an exception.

It knows no defaults and no words of the vocabularies; operation.py has settled those.
"""

cimport cython
from cpython.buffer cimport (PyBUF_FORMAT, PyBUF_STRIDED, PyBUF_STRIDED_RO, PyBuffer_Release,
                             PyObject_GetBuffer)
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport getenv
from libc.string cimport memset

from threading import main_thread as _main_thread

import numpy as np

from .loop import BORDERS      # numbered as in cconv.h


cdef extern from "core/cconv.h":
    enum: CCONV_WEIGHT_GRADIENT
    enum: CCONV_INPUT_GRADIENT
    cconv_status cconv_plan_init(cconv_plan *, const cconv_desc *) noexcept nogil
    cconv_status cconv_pack_weights(const cconv_plan *, int64_t, int64_t, const cconv_buffer *, const cconv_buffer *) noexcept nogil
    cconv_status cconv_run(const cconv_plan *, int64_t, int64_t, const cconv_buffers *) noexcept nogil
    cconv_status cconv_plan_weight_gradient(cconv_plan *, const cconv_desc *) noexcept nogil
    cconv_status cconv_run_weight_gradient(const cconv_plan *, int64_t, int64_t, const cconv_buffers *) noexcept nogil
    cconv_status cconv_plan_input_gradient(cconv_plan *, const cconv_desc *) noexcept nogil
    cconv_status cconv_run_input_gradient(const cconv_plan *, int64_t, int64_t, const cconv_buffers *) noexcept nogil
    cconv_status cconv_prepare(const cconv_plan *, int64_t, int64_t, const cconv_buffers *) noexcept nogil
    void cconv_desc_init(cconv_desc *, cconv_type) noexcept nogil
    cconv_status cconv_desc_dense(cconv_desc *) noexcept nogil
    int64_t cconv_output_length(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) noexcept nogil
    int cconv_rank(const cconv_desc *, const cconv_buffer *) noexcept nogil
    const char *cconv_strerror(cconv_status) noexcept nogil
    const char *cconv_isa_name(const cconv_plan *) noexcept nogil
    const char *cconv_isa_list(int) noexcept nogil
    int cconv_abi() noexcept nogil

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident()

cdef extern from "<stdint.h>":
    const int64_t INT64_MAX

cdef extern from "crew.h":
    ctypedef enum crew_work:
        CREW_RUN, CREW_PACK, CREW_PREPARE
    ctypedef struct crew_job:
        const cconv_plan *plan
        cconv_buffers own
        crew_work work
        int64_t status

    cconv_status crew_run(const cconv_plan *, int64_t, int64_t, const cconv_buffers *) nogil
    void crew_begin(crew_job *, int64_t, int64_t) nogil
    void crew_hand_out(crew_job *) nogil
    bint crew_call(crew_job *, int64_t)
    bint crew_own(crew_job *, int64_t) nogil
    void crew_stop(crew_job *) nogil
    void crew_wait(crew_job *) nogil
    void crew_forget() nogil

cdef extern from *:
    """
    #define CCONV_NO_IMPORT
    #include "cconv_api.h"
    """
    ctypedef struct cconv_api:
        pass
    const cconv_api CCONV_API_OF_THIS_BUILD


# In the order of cconv.h.
TYPES = {np.dtype(name): i for i, name in enumerate(
    ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"))}
TYPES[np.dtype(bool)] = 0
cdef tuple ALGORITHMS = ("auto", "direct", "fast", "rows", "taps", "winograd", "separable", "fft", "box", "integer")
cdef dict WEIGHTS = {"plain": 0, "packed": 1, "either": 2}
cdef dict CHOICES = {name: i for i, name in enumerate(ALGORITHMS)}

WANTED = {
    "winograd": "float arrays and a kernel of 2 to 16 rows, or of one row and 2 to 16 columns (times the stride), without a dilation, or of 3x3 with a stride of 1 and no padding but a constant's",
    "separable": "one kernel for one channel that is a sum of at most 4 products of a column and a row (of integers: one product), "
                 "without large terms that cancel",
    "box": "one kernel of at least 2x2 for one channel, all values of which are the same, stride 1 and no dilation",
    "integer": "an 8-bit picture, one kernel of at most 128 whole numbers (for uint8 results also such numbers over a power of 2), "
               "sums of which fit into 16 bits, stride 1, and AVX2 or NEON",
    "fft": "one kernel of 2 to 512 rows for one channel, stride 1, no dilation along the rows, and no sums of integers",
}

# Workspaces that the next call may use: what a thread needs is the same from call to call.
cdef list spare = []
cdef list spare_packed = []
SPARE, SPARE_BYTES, PACKED_BYTES = 8, 1 << 24, 1 << 24

cdef enum:
    LOOK = 50000000         # ns between two looks for Ctrl-C

STORED = frozenset(map(np.dtype, ("u1", "i1", "u2", "i2", "f4", "f8")))     # a generator expression would bring 9 KB


cdef object ndarray = np.ndarray

cdef struct Layout:                 # all that a plan knows of an array
    Py_ssize_t ndim
    Py_ssize_t shape[5]
    Py_ssize_t strides[5]
    char format[8]

cdef struct Extent:                 # the memory of an array; its elements are aligned
    Py_ssize_t first, last


cdef bytes describe(object array, Extent *extent, int flags):
    """The layout of a plain array as bytes, or None."""
    cdef Py_buffer b
    cdef Layout layout
    cdef int i
    if type(array) is not ndarray:
        return None
    memset(&layout, 0, sizeof(layout))
    try:
        PyObject_GetBuffer(array, &b, flags | PyBUF_FORMAT)
    except (ValueError, BufferError):   # read-only, or a dtype that no buffer can hold
        return None
    extent.first = extent.last = <Py_ssize_t>b.buf
    layout.ndim = b.ndim
    if b.ndim <= 5 and b.format[0] != 0 and b.format[1] == 0 and extent.first % b.itemsize == 0:
        layout.format[0] = b.format[0]  # one letter: native, no fields
        for i in range(b.ndim):
            layout.shape[i], layout.strides[i] = b.shape[i], b.strides[i]
            if b.strides[i] % b.itemsize or b.shape[i] == 0:
                layout.format[0] = 0
            if b.strides[i] < 0:
                extent.first += (b.shape[i] - 1) * b.strides[i]
            else:
                extent.last += (b.shape[i] - 1) * b.strides[i]
        extent.last += b.itemsize
    PyBuffer_Release(&b)
    if layout.format[0] == 0:
        return None
    return PyBytes_FromStringAndSize(<char *>&layout, sizeof(layout))


cdef bint plain(object value, bint floats):
    """Whether a value equals only values that mean the same: no True that equals 1."""
    kind = type(value)
    if kind is int or kind is str or value is None:
        return True
    if kind is float:
        return floats
    if kind is tuple:
        for item in value:
            if not plain(item, floats):
                return False
        return True
    return False


def call_key(tuple options, tuple reals, dtype, x, w, bias, out):
    """What the plan of a call depends on, to be looked up in a dict; None if that cannot be said.

    `options` hold integers, words and tuples of them, `reals` may hold floats too.
    """
    cdef Extent of_x, of_w, of_bias, of_out
    cdef bytes x_layout, w_layout, bias_layout, out_layout
    cdef const char *isa = getenv("CCONV_ISA")
    if not plain(options, False) or not plain(reals, True):
        return None
    if dtype is not None and type(dtype) is not type and type(dtype) is not str and not isinstance(dtype, np.dtype):
        return None
    x_layout, w_layout = describe(x, &of_x, PyBUF_STRIDED_RO), describe(w, &of_w, PyBUF_STRIDED_RO)
    if x_layout is None or w_layout is None:
        return None
    bias_layout = out_layout = None
    if bias is not None:
        bias_layout = describe(bias, &of_bias, PyBUF_STRIDED_RO)
        if bias_layout is None:
            return None
    if out is not None:
        out_layout = describe(out, &of_out, PyBUF_STRIDED)
        if out_layout is None or meet(of_out, of_x) or meet(of_out, of_w) or bias is not None and meet(of_out, of_bias):
            return None
    return options, reals, dtype, x_layout, w_layout, bias_layout, out_layout, b"" if isa == NULL else <bytes>isa


def layer_key(x, out):
    """The same of a call with weights that stay."""
    cdef Extent of_x, of_out
    cdef const char *isa = getenv("CCONV_ISA")
    x_layout = describe(x, &of_x, PyBUF_STRIDED_RO)
    if x_layout is None:
        return None
    if out is None and isa == NULL:
        return x_layout
    out_layout = None if out is None else describe(out, &of_out, PyBUF_STRIDED)
    if out is not None and (out_layout is None or meet(of_out, of_x)):
        return None
    return x_layout, out_layout, b"" if isa == NULL else <bytes>isa


cdef inline bint meet(Extent a, Extent b):
    return a.first < b.last and b.first < a.last


class NotFinite(ValueError):
    """Weights are not finite, and a border of zeros must not be multiplied by them: the loop skips it."""


class CannotServe(Exception):
    """There is no such plan: the other way must be taken."""


def give_back(packed):
    """The buffer of packed weights that nobody uses any more: the next call may."""
    if not spare_packed and packed.nbytes <= PACKED_BYTES:
        spare_packed.append(packed)


def instruction_sets():
    """The instruction sets of this build that this CPU has, best first."""
    names, i = [], 0
    while cconv_isa_list(i) != NULL:
        names.append(cconv_isa_list(i).decode())
        i += 1
    return tuple(names)


def asked_threads():
    """CCONV_NUM_THREADS in the environment; os.environ takes 20 us where another layer has pushed it out of the caches."""
    cdef const char *asked = getenv("CCONV_NUM_THREADS")
    return None if asked == NULL else (<bytes>asked).decode("utf-8", "surrogateescape")


cpdef int64_t pieces(int64_t size, int64_t threads, double least):
    """Into how many ranges to cut range(size), fewer than 2**31: several for each thread, and as many as asked for."""
    return min(size, max(32 * threads if threads > 1 else 1, <int64_t>min(least, 2.0**31) + 1), <int64_t>0x7fffffff)


def forget_helpers():
    """In a forked child, where they are not."""
    crew_forget()


cdef spare_memory(size_t size):
    """So many bytes, at least."""
    memory = None
    try:
        memory = spare.pop() if spare else None
    except IndexError:                  # another thread, without a lock of the interpreter's, was faster
        pass
    return memory if memory is not None and memory.nbytes >= size else np.empty(size, np.uint8)


@cython.final
@cython.auto_pickle(False)
cdef class _Arrays:
    """The buffers of a run, held until `release`, and a workspace for the plan, if there is one."""
    cdef Py_buffer buffers[6]
    cdef int held
    cdef object work, shared
    cdef cconv_buffers memory

    def __cinit__(self, x, weights, bias, y, Plan plan):
        self.memory.size = sizeof(self.memory)
        self.memory.input = self.hold(x, PyBUF_STRIDED_RO)
        self.memory.weights = self.hold(weights, PyBUF_STRIDED_RO)
        if bias is not None:
            self.memory.bias = self.hold(bias, PyBUF_STRIDED_RO)
        self.memory.output = self.hold(y, PyBUF_STRIDED)
        if plan is None:
            return
        self.work = spare_memory(plan.plan.workspace_bytes)
        self.memory.workspace = self.hold(self.work, PyBUF_STRIDED)
        if plan.plan.gradient == CCONV_WEIGHT_GRADIENT:
            self.memory.weights, self.memory.output = self.memory.output, self.memory.weights
        elif plan.plan.gradient == CCONV_INPUT_GRADIENT:
            self.memory.input, self.memory.output = self.memory.output, self.memory.input

    cdef share(self, Plan plan):
        """With memory for what the threads share."""
        self.shared = spare_memory(plan.plan.shared_bytes)
        self.memory.shared = self.hold(self.shared, PyBUF_STRIDED)

    cdef cconv_buffer hold(self, array, int flags) except *:
        PyObject_GetBuffer(array, &self.buffers[self.held], flags)
        self.held += 1
        return memory_of(&self.buffers[self.held - 1])

    def __dealloc__(self):
        while self.held > 0:
            self.held -= 1
            PyBuffer_Release(&self.buffers[self.held])

    cdef release(self):
        while self.held > 0:
            self.held -= 1
            PyBuffer_Release(&self.buffers[self.held])
        for memory in (self.shared, self.work):     # the last is the next that is taken
            if memory is not None and len(spare) < SPARE and memory.nbytes <= SPARE_BYTES:
                spare.append(memory)
        self.work = self.shared = None


cdef share_job(Plan plan, _Arrays arrays, crew_work work, int64_t parts, int64_t threads):
    """All of this work, in so many parts (fewer than 2**31) that threads take one after the other."""
    cdef crew_job job
    cdef bint done = False
    cdef int64_t patience = LOOK
    memset(&job, 0, sizeof(job))
    job.plan, job.own, job.work = &plan.plan, arrays.memory, work
    crew_begin(&job, parts, min(threads, parts) - 1)
    try:
        crew_hand_out(&job)
        while crew_call(&job, threads - 1):
            continue
        # Signals are the main thread's.  Another must not come back for the interpreter's lock while helpers work on its stack: at the
        # interpreter's end it may not get it, and be gone.
        if PyThread_get_thread_ident() != _main_thread().ident:
            patience = INT64_MAX
        while not done:
            with nogil:
                done = crew_own(&job, patience)
                if done:
                    crew_wait(&job)
            PyErr_CheckSignals()
    finally:
        with nogil:
            crew_stop(&job)             # where a signal ends it
            crew_wait(&job)
    check(<cconv_status>job.status)


@cython.final
@cython.auto_pickle(False)
cdef class Plan:
    """One convolution of 5-axis arrays, decided: which algorithm, in which pieces, with how much memory.

    x (N, C, D, H, W), w (O, C/groups, KD, KH, KW), y (N, O, OD, OH, OW): arrays of which dtype, shape
    and strides are taken.  Raises ValueError with the core's words where it cannot serve.

    gradient: y is the gradient that came; with "weight", w is the weights' that will be `run`'s y, and y its weights; with "input", x is the
    input's that will be its y, and y its x.  CannotServe: no way of its own for the input's.
    """
    cdef cconv_plan plan
    cdef bytes isa_name

    def __init__(self, x, w, y, compute, stride, pads, dilation, int64_t groups, border, double value,
                 double divisor=1.0, double low=-np.inf, double high=np.inf, algorithm="auto", isa=None,
                 int64_t interleave=1, weights="either", int64_t tile=0, bint exact=False, gradient=None):
        cdef cconv_desc desc
        cdef cconv_status status
        cdef int i
        memset(&desc, 0, sizeof(desc))
        desc.size = sizeof(desc)
        desc.compute, desc.input_type = <cconv_type><int>TYPES[compute], <cconv_type><int>TYPES[x.dtype]
        desc.weight_type, desc.output_type = <cconv_type><int>TYPES[w.dtype], <cconv_type><int>TYPES[y.dtype]
        desc.batch, desc.in_channels = x.shape[0], x.shape[1]
        desc.out_channels, desc.groups = w.shape[0], groups
        if x.ndim != 5 or w.ndim != 5 or y.ndim != 5 or x.shape[1] != w.shape[1] * groups:
            raise ValueError(f"x {x.shape} and w {w.shape} do not fit {groups} groups")
        for i in range(3):
            desc.input[i], desc.kernel[i] = x.shape[2 + i], w.shape[2 + i]
            desc.stride[i], desc.dilation[i] = stride[i], dilation[i]
            desc.before[i], desc.after[i] = pads[i]
        for i in range(5):
            desc.input_stride[i], desc.weight_stride[i] = x.strides[i], w.strides[i]
            desc.output_stride[i] = y.strides[i]
        desc.interleave = interleave
        desc.border, desc.border_value = <cconv_border><int>BORDERS[border], value
        desc.divisor, desc.low, desc.high = divisor, low, high
        desc.algorithm, desc.weights = <cconv_algorithm><int>CHOICES[algorithm], <cconv_weights><int>WEIGHTS[weights]
        desc.tile, desc.exact = tile, exact
        self.isa_name = b"" if isa is None else isa.encode()
        desc.isa = NULL if isa is None else <const char *>self.isa_name
        desc.rank = 0 if gradient else rank_of(&desc, w)
        if gradient == "input":
            status = cconv_plan_input_gradient(&self.plan, &desc)
            if status == CCONV_ERROR_ALGORITHM:
                raise CannotServe
        else:
            status = cconv_plan_weight_gradient(&self.plan, &desc) if gradient else cconv_plan_init(&self.plan, &desc)
        if status == CCONV_ERROR_ALGORITHM:
            raise ValueError(f"algorithm={algorithm!r} cannot serve: it wants {WANTED[algorithm]}; pass 'auto'")
        check(status)
        shape = (x.shape[0], w.shape[0], self.plan.output[0], self.plan.output[1], self.plan.output[2])
        if y.shape != shape:
            raise ValueError(f"y has shape {y.shape}; the result has {shape}")

    def pack(self, w):
        """The weights in the order of their use, for a plan that is `prepacked`; NotFinite as `run`."""
        packed = self.room()
        self.pack_part(0, self.plan.packs, w, packed)
        return packed

    def room(self):
        """Memory for them."""
        packed = spare_packed.pop() if spare_packed else None
        return packed if packed is not None and packed.nbytes >= self.plan.packed_bytes else np.empty(self.plan.packed_bytes, np.uint8)

    def pack_part(self, int64_t first, int64_t last, w, packed):
        """Put parts first to last - 1 of `packs` there."""
        cdef _Arrays arrays = _Arrays(w, packed, None, packed, None)
        cdef cconv_status status
        with nogil:
            status = cconv_pack_weights(&self.plan, first, last, &arrays.memory.input, &arrays.memory.output)
        arrays.release()
        check(status)

    def share_packing(self, w, packed, int64_t threads):
        """All of that, as `share` does."""
        cdef _Arrays arrays = _Arrays(w, w, None, packed, None)
        share_job(self, arrays, CREW_PACK, pieces(self.plan.packs, threads, 0), threads)
        arrays.release()

    def run(self, int64_t first, int64_t last, x, weights, bias, y):
        """Tasks first to last - 1 of the arrays that the plan was made for; `weights`: as `prepacked` says, or the gradient that came.

        Raises NotFinite where weights are not and a border of zeros must not be multiplied by them, or a gradient is not.
        """
        cdef _Arrays arrays = _Arrays(x, weights, bias, y, self)
        cdef cconv_status status
        with nogil:
            status = crew_run(&self.plan, first, last, &arrays.memory)
        arrays.release()
        check(status)

    cdef int64_t whole_tasks(self) noexcept:
        """How many tasks the work would be if each were as large as the largest: the last band may be lower or narrower."""
        cdef int64_t held = 1, outputs = 1
        cdef int a
        for a in range(1, 3):
            outputs *= self.plan.output[a]
            held *= self.plan.band[a] * self.plan.bands[a]
        return (self.plan.tasks * outputs + held - 1) // held

    cpdef int64_t ranges(self, int64_t threads, double least):
        """Into how many ranges the tasks are cut, at least so many if what is joined can be: of as many tasks each as let the last range end soonest, where
        half as many take about a tenth longer, all in all, and with "taps" a thirtieth."""
        cdef int64_t joined = self.plan.joined, together = joined, tasks = self.plan.tasks
        cdef double cost = 1, half = 1.1, takes, soonest = INFINITY
        if self.plan.algorithm == CCONV_TAPS and joined > 1:     # a convolution of few tasks, whose bands are set
            half = 1.03
            tasks = self.whole_tasks()
        while joined >= 1:
            takes = cost * joined * ((tasks + joined * threads - 1) // (joined * threads))
            if takes < soonest:
                soonest, together = takes, joined
            if threads == 1:
                break
            joined, cost = joined // 2, half * cost
        return pieces(self.plan.tasks // together, threads, least)

    def share(self, x, weights, bias, y, int64_t threads, double least):
        """All tasks, in `ranges` that threads take one after the other: this one and helpers, as many as that less one if they are to be had."""
        cdef _Arrays arrays = _Arrays(x, weights, bias, y, self)
        if cconv_preparing_pays(&self.plan, threads):
            arrays.share(self)
            share_job(self, arrays, CREW_PREPARE, self.plan.preparations, threads)
        share_job(self, arrays, CREW_RUN, self.ranges(threads, least), threads)
        arrays.release()

    def suits(self, w, double most):
        """Whether the plan would be the same for these weights, of the same layout: the magnitudes for a result add up to `most` at
        the most."""
        if self.plan.gradient:
            return True
        return rank_of(&self.plan.desc, w) == self.plan.desc.rank and (most == INFINITY or largest_sum(&self.plan.desc, w) <= most)

    @property
    def rank(self):
        """How many products of a column and a row the kernel is, where that was looked for; else 0."""
        return self.plan.desc.rank

    @property
    def prepacked(self):
        return bool(self.plan.prepacked)

    @property
    def tasks(self):
        return self.plan.tasks

    @property
    def joined(self):
        """A power of 2: neighbouring tasks that take less time together, as long as there are enough of them for all threads."""
        return self.plan.joined

    @property
    def preparations(self):
        """What threads that share the tasks do together before."""
        return self.plan.preparations

    @property
    def packs(self):
        return self.plan.packs

    @property
    def packing(self):
        """What the packed weights depend on, besides the weights: plans for which it is equal can share them."""
        cdef cconv_plan *p = &self.plan
        return (p.algorithm, p.desc.compute, self.isa, p.form, p.must_be_finite, p.desc.rank, p.edge, p.wide, p.channel_block, p.tiles,
                p.tile, p.larger_tiles, p.packed_bytes, p.deep, p.desc.divisor, p.desc.output_type,
                p.desc.output_stride[4] if p.algorithm == CHOICES["integer"] else 0,        # how it rounds stands beside its weights
                tuple([(p.apart[i], p.cycle[i]) for i in range(3)]))

    @property
    def work(self):
        """Multiplications, or what reading and writing the result costs in them."""
        cdef cconv_desc *d = &self.plan.desc
        cdef double results = <double>d.batch * d.out_channels * self.plan.output[0] * self.plan.output[1] * self.plan.output[2]
        return results * max(8.0, <double>(d.in_channels // d.groups) * d.kernel[0] * d.kernel[1] * d.kernel[2])

    @property
    def algorithm(self):
        return ALGORITHMS[self.plan.algorithm]

    @property
    def tile(self):
        """The size of what shares work: a tile's results along an axis in winograd's algorithm, the rows of fft's; else 0."""
        return self.plan.edge

    @property
    def shared(self):
        """Of winograd's algorithm: the results of a tile along H and W, and the multiplications for them of each pair of channels."""
        cdef cconv_desc *d = &self.plan.desc
        if self.plan.upright and d.kernel[1] > 1:
            return self.plan.wide, 1, self.plan.columns
        if self.plan.upright:
            return 1, self.plan.wide, self.plan.columns
        return self.plan.edge, self.plan.edge, 25 if d.stride[2] == 2 else (self.plan.edge + 2) ** 2

    @property
    def wide(self):
        """The columns of a tile of fft's, where rows are transformed, too; else 0."""
        return self.plan.wide

    @property
    def steps(self):
        """Results along H and W: where parts begin at multiples of these, they have the bits of the whole; None: anywhere."""
        cdef cconv_desc *d = &self.plan.desc
        if self.plan.algorithm == CHOICES["fft"]:
            return self.plan.band[1], self.plan.band[2]
        if self.plan.upright:
            return self.shared[:2]
        if self.plan.algorithm == CHOICES["winograd"]:
            return self.plan.edge * d.dilation[1], self.plan.edge * d.dilation[2]
        return None

    @property
    def isa(self):
        return cconv_isa_name(&self.plan).decode()

    @property
    def workspace_bytes(self):
        return self.plan.workspace_bytes

    @property
    def packed_bytes(self):
        return self.plan.packed_bytes

    @property
    def overhead(self):
        """What a gradient takes for each of its multiplications."""
        return self.plan.overhead

    @property
    def band(self):
        """Output rows and columns of a task."""
        return self.plan.band[1], self.plan.band[2]


cdef cconv_buffer memory_of(const Py_buffer *b) noexcept:
    """The memory that an array's elements lie in."""
    cdef cconv_buffer memory
    cdef Py_ssize_t below = 0, above = b.itemsize, steps
    cdef int i
    for i in range(b.ndim):
        steps = (b.shape[i] - 1) * b.strides[i]
        if b.shape[i] == 0:
            above = 0
        elif steps < 0:
            below -= steps
        else:
            above += steps
    memory.data, memory.first, memory.bytes = <char *>b.buf - below, below, below + above
    return memory


cdef int64_t rank_of(const cconv_desc *desc, w) except -1:
    """What the core says of the weights."""
    cdef Py_buffer b
    cdef cconv_buffer weights
    if desc.in_channels != 1 or desc.out_channels != 1 or desc.kernel[0] * desc.kernel[1] * desc.kernel[2] == 1:
        return 0
    PyObject_GetBuffer(w, &b, PyBUF_STRIDED_RO)
    weights = memory_of(&b)
    rank = cconv_rank(desc, &weights)
    PyBuffer_Release(&b)
    return rank


cdef double largest_sum(const cconv_desc *d, w) except -1:
    """The largest sum of magnitudes of integer weights for one result; exact below 2**53."""
    cdef Py_buffer b
    cdef double total, largest = 0
    cdef int64_t o, c, i, j, k
    cdef const int64_t *stride = d.weight_stride
    PyObject_GetBuffer(w, &b, PyBUF_STRIDED_RO)
    for o in range(d.out_channels):
        total = 0
        for c in range(d.in_channels // d.groups):
            for i in range(d.kernel[0]):
                for j in range(d.kernel[1]):
                    for k in range(d.kernel[2]):
                        total += fabs(integer_at(<const char *>b.buf + o * stride[0] + c * stride[1] + i * stride[2] + j * stride[3]
                                                 + k * stride[4], d.weight_type))
        largest = max(largest, total)
    PyBuffer_Release(&b)
    return largest


cdef inline double integer_at(const char *p, int kind) noexcept nogil:
    if kind == 0:
        return (<const uint8_t *>p)[0]
    if kind == 1:
        return (<const int8_t *>p)[0]
    if kind == 2:
        return (<const uint16_t *>p)[0]
    if kind == 3:
        return (<const int16_t *>p)[0]
    if kind == 4:
        return (<const uint32_t *>p)[0]
    if kind == 5:
        return (<const int32_t *>p)[0]
    return <double>(<const uint64_t *>p)[0] if kind == 6 else <double>(<const int64_t *>p)[0]


cdef check(cconv_status status):
    if status == CCONV_ERROR_WEIGHTS:
        raise NotFinite(cconv_strerror(status).decode())
    if status != CCONV_OK:
        raise ValueError(cconv_strerror(status).decode())


# The same functions for others: through `cimport` (engine.pxd), and through a capsule for C (cconv_api.h).

cdef int abi() noexcept nogil:
    return cconv_abi()

cdef const char *strerror(cconv_status status) noexcept nogil:
    return cconv_strerror(status)

cdef void desc_init(cconv_desc *desc, cconv_type kind) noexcept nogil:
    cconv_desc_init(desc, kind)

cdef cconv_status desc_dense(cconv_desc *desc) noexcept nogil:
    return cconv_desc_dense(desc)

cdef int64_t output_length(int64_t n, int64_t kernel, int64_t stride, int64_t dilation, int64_t before, int64_t after) noexcept nogil:
    return cconv_output_length(n, kernel, stride, dilation, before, after)

cdef cconv_status plan_init(cconv_plan *plan, const cconv_desc *desc) noexcept nogil:
    return cconv_plan_init(plan, desc)

cdef int rank(const cconv_desc *desc, const cconv_buffer *weights) noexcept nogil:
    return cconv_rank(desc, weights)

cdef cconv_status pack_weights(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffer *weights,
                               const cconv_buffer *packed) noexcept nogil:
    return cconv_pack_weights(plan, first, last, weights, packed)

cdef cconv_status run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil:
    return cconv_run(plan, first, last, buffers)

cdef cconv_status plan_weight_gradient(cconv_plan *plan, const cconv_desc *desc) noexcept nogil:
    return cconv_plan_weight_gradient(plan, desc)

cdef cconv_status run_weight_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil:
    return cconv_run_weight_gradient(plan, first, last, buffers)

cdef cconv_status plan_input_gradient(cconv_plan *plan, const cconv_desc *desc) noexcept nogil:
    return cconv_plan_input_gradient(plan, desc)

cdef cconv_status run_input_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil:
    return cconv_run_input_gradient(plan, first, last, buffers)

cdef cconv_status prepare(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil:
    return cconv_prepare(plan, first, last, buffers)


cdef bytes capsule_name = (__name__ + "._C_API").encode()       # lives as long as the capsule
_C_API = PyCapsule_New(<void *>&CCONV_API_OF_THIS_BUILD, capsule_name, NULL)

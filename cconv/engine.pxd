"""What other Cython code may `cimport`: the C core, through the installed module.

    from cconv cimport engine

    engine.import_cconv()                       # once: an ImportError if the installed cconv is another than you compiled with

Nothing is linked: the functions below lead into the module.  They need no GIL, and mean what those of the same names mean in
core/cconv.h, the manual; `loop.pxd` has THE LOOP.  Compile with `include_dirs=[cconv.get_include()]`.  Nothing here will
change but by additions; CCONV_ABI says so.
"""

from libc.stdint cimport int64_t

cdef extern from "core/cconv.h":
    int CCONV_ABI

    ctypedef enum cconv_status:
        CCONV_OK, CCONV_ERROR_DESC, CCONV_ERROR_TYPE, CCONV_ERROR_BORDER, CCONV_ERROR_GROUPS, CCONV_ERROR_SIZE, CCONV_ERROR_EMPTY
        CCONV_ERROR_ALGORITHM, CCONV_ERROR_ISA, CCONV_ERROR_ARGUMENT, CCONV_ERROR_WEIGHTS, CCONV_ERROR_STRIDE, CCONV_ERROR_BUFFER

    ctypedef enum cconv_type:
        CCONV_U8, CCONV_I8, CCONV_U16, CCONV_I16, CCONV_U32, CCONV_I32, CCONV_U64, CCONV_I64, CCONV_F16, CCONV_F32, CCONV_F64

    ctypedef enum cconv_border:
        CCONV_CONSTANT, CCONV_EDGE, CCONV_REFLECT, CCONV_SYMMETRIC, CCONV_WRAP

    ctypedef enum cconv_weights:
        CCONV_WEIGHTS_PLAIN, CCONV_WEIGHTS_PACKED, CCONV_WEIGHTS_EITHER

    ctypedef enum cconv_algorithm:
        CCONV_AUTO, CCONV_DIRECT, CCONV_FAST, CCONV_ROWS, CCONV_TAPS, CCONV_WINOGRAD, CCONV_SEPARABLE, CCONV_FFT, CCONV_BOX, CCONV_INTEGER

    ctypedef struct cconv_desc:
        size_t size
        cconv_type compute, input_type, weight_type, output_type
        int64_t batch, in_channels, out_channels, groups
        int64_t input[3]
        int64_t kernel[3]
        int64_t stride[3]
        int64_t dilation[3]
        int64_t before[3]
        int64_t after[3]
        int64_t interleave
        cconv_border border
        double border_value
        int64_t input_stride[5]
        int64_t weight_stride[5]
        int64_t output_stride[5]
        double divisor, low, high
        cconv_algorithm algorithm
        cconv_weights weights
        int exact
        int64_t rank, tile
        const char *isa

    ctypedef struct cconv_plan:
        cconv_desc desc
        cconv_algorithm algorithm
        int64_t output[3]
        int64_t tasks, packs, preparations, inputs, joined
        size_t packed_bytes, workspace_bytes, shared_bytes
        int prepacked
        # What follows is the engine's own, and not for others to look at.
        int64_t band[3]
        int64_t bands[3]
        int form, must_be_finite, deep, gradient
        int apart[3]
        int64_t cycle[3]
        int upright
        int64_t edge, wide, channel_block, tiles, tile, larger_tiles, columns
        double overhead

    ctypedef struct cconv_buffer:
        void *data
        size_t bytes, first

    ctypedef struct cconv_buffers:
        size_t size
        cconv_buffer input, weights, bias, output, workspace, shared
        int continued

    cconv_buffer cconv_memory(const void *data, size_t bytes) noexcept nogil       # inline: in the header
    bint cconv_preparing_pays(const cconv_plan *plan, int64_t threads) noexcept nogil      # so is this

# Since ABI 1:
cdef int abi() noexcept nogil
cdef const char *strerror(cconv_status status) noexcept nogil
cdef void desc_init(cconv_desc *desc, cconv_type kind) noexcept nogil
cdef cconv_status desc_dense(cconv_desc *desc) noexcept nogil
cdef int64_t output_length(int64_t n, int64_t kernel, int64_t stride, int64_t dilation, int64_t before, int64_t after) noexcept nogil
cdef cconv_status plan_init(cconv_plan *plan, const cconv_desc *desc) noexcept nogil
cdef int rank(const cconv_desc *desc, const cconv_buffer *weights) noexcept nogil
cdef cconv_status pack_weights(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffer *weights,
                               const cconv_buffer *packed) noexcept nogil
cdef cconv_status run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil
cdef cconv_status plan_weight_gradient(cconv_plan *plan, const cconv_desc *desc) noexcept nogil
cdef cconv_status run_weight_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil
cdef cconv_status plan_input_gradient(cconv_plan *plan, const cconv_desc *desc) noexcept nogil
cdef cconv_status run_input_gradient(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil
cdef cconv_status prepare(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers) noexcept nogil

cdef inline int import_cconv() except -1:
    """Compare the header that this was compiled with to the module that is installed."""
    if abi() != CCONV_ABI:
        raise ImportError(f"this module was compiled with cconv's ABI {CCONV_ABI}; the cconv that is installed has {abi()}: build it again")
    return 0

/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cconv from a C extension that does not link with it: the functions of core/cconv.h as a table, which the installed package
 * hands out in a capsule.
 *
 *     #include <Python.h>
 *     #include "cconv_api.h"                      include_dirs=[cconv.get_include()]
 *     ...
 *     if (import_cconv() < 0) return NULL;        in the module's init: ImportError where cconv is missing or another
 *     ...
 *     cconv_run(&plan, 0, plan.tasks, &buffers);  as in core/cconv.h, the manual
 *
 * The table is found once in each file that includes this one.  For another package's private copy, define
 * CCONV_CAPSULE as the name of its capsule before: "mypackage.engine._C_API".
 */
#ifndef CCONV_API_H
#define CCONV_API_H

#include "core/cconv.h"

/* Only grows: what is new stands at the end, and CCONV_ABI counts up (from the first release on). */
typedef struct cconv_api {
    size_t size;            /* sizeof(cconv_api) of the build that is installed */
    int abi;
    const char *(*version)(void);
    const char *(*strerror)(cconv_status status);
    void (*desc_init)(cconv_desc *desc, cconv_type type);
    cconv_status (*desc_dense)(cconv_desc *desc);
    int64_t (*output_length)(int64_t n, int64_t kernel, int64_t stride, int64_t dilation, int64_t before, int64_t after);
    cconv_status (*plan_init)(cconv_plan *plan, const cconv_desc *desc);
    int (*rank)(const cconv_desc *desc, const cconv_buffer *weights);
    cconv_status (*pack_weights)(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffer *weights, const cconv_buffer *packed);
    cconv_status (*run)(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);
    cconv_status (*plan_weight_gradient)(cconv_plan *plan, const cconv_desc *desc);
    cconv_status (*run_weight_gradient)(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);
    const char *(*isa_name)(const cconv_plan *plan);
    const char *(*isa_list)(int i);
    cconv_status (*plan_input_gradient)(cconv_plan *plan, const cconv_desc *desc);
    cconv_status (*run_input_gradient)(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);
    cconv_status (*prepare)(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *buffers);
} cconv_api;

#ifdef CCONV_NO_IMPORT

static const cconv_api CCONV_API_OF_THIS_BUILD = {
    sizeof(cconv_api), CCONV_ABI, cconv_version, cconv_strerror, cconv_desc_init, cconv_desc_dense, cconv_output_length, cconv_plan_init,
    cconv_rank, cconv_pack_weights, cconv_run, cconv_plan_weight_gradient, cconv_run_weight_gradient, cconv_isa_name, cconv_isa_list,
    cconv_plan_input_gradient, cconv_run_input_gradient, cconv_prepare
};

#else

#ifndef CCONV_CAPSULE
#define CCONV_CAPSULE "cconv.engine._C_API"
#endif

static const cconv_api *cconv_table;

/* 0, or -1 with an ImportError set.  Needs the GIL. */
static int import_cconv(void)
{
    const cconv_api *table = (const cconv_api *)PyCapsule_Import(CCONV_CAPSULE, 0);
    if (!table) {
        if (!PyErr_ExceptionMatches(PyExc_ImportError)) {
            PyErr_Clear();
            PyErr_SetString(PyExc_ImportError, CCONV_CAPSULE " is missing: the cconv that is installed is too old; want " CCONV_VERSION);
        }
        return -1;
    }
    if (table->abi != CCONV_ABI || table->size < sizeof *table) {
        PyErr_Format(PyExc_ImportError, "this module was compiled with cconv's ABI %d; the cconv that is installed has %d: build it again",
                     CCONV_ABI, table->abi);
        return -1;
    }
    cconv_table = table;
    return 0;
}

#define cconv_version() (cconv_table->version())
#define cconv_strerror(status) (cconv_table->strerror(status))
#define cconv_desc_init(desc, type) (cconv_table->desc_init(desc, type))
#define cconv_desc_dense(desc) (cconv_table->desc_dense(desc))
#define cconv_output_length(n, kernel, stride, dilation, before, after) \
    (cconv_table->output_length(n, kernel, stride, dilation, before, after))
#define cconv_plan_init(plan, desc) (cconv_table->plan_init(plan, desc))
#define cconv_rank(desc, weights) (cconv_table->rank(desc, weights))
#define cconv_pack_weights(plan, first, last, weights, packed) (cconv_table->pack_weights(plan, first, last, weights, packed))
#define cconv_run(plan, first, last, buffers) (cconv_table->run(plan, first, last, buffers))
#define cconv_plan_weight_gradient(plan, desc) (cconv_table->plan_weight_gradient(plan, desc))
#define cconv_run_weight_gradient(plan, first, last, buffers) (cconv_table->run_weight_gradient(plan, first, last, buffers))
#define cconv_plan_input_gradient(plan, desc) (cconv_table->plan_input_gradient(plan, desc))
#define cconv_run_input_gradient(plan, first, last, buffers) (cconv_table->run_input_gradient(plan, first, last, buffers))
#define cconv_prepare(plan, first, last, buffers) (cconv_table->prepare(plan, first, last, buffers))
#define cconv_isa_name(plan) (cconv_table->isa_name(plan))
#define cconv_isa_list(i) (cconv_table->isa_list(i))

#endif
#endif

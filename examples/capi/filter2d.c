/* SPDX-License-Identifier: BSD-3-Clause
 *
 * filter2d.correlate(picture, kernel, out): float32 arrays of two axes with any strides, the border repeats the edge.
 *
 * A C extension without Cython that uses the installed cconv through its capsule; nothing is linked.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "cconv_api.h"

enum { PICTURE, KERNEL, OUT, ARRAYS };
static const char *const names[ARRAYS] = {"picture", "kernel", "out"};

/* The array's buffer, to be released if this returns 0. */
static int get_view(PyObject *array, Py_buffer *view, int which)
{
    if (PyObject_GetBuffer(array, view, PyBUF_FORMAT | (which == OUT ? PyBUF_STRIDED : PyBUF_STRIDED_RO)) < 0) return -1;
    if (view->ndim == 2 && view->format && strcmp(view->format, "f") == 0) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %d axes and format '%s'; want 2 axes of float32, 'f'", names[which], view->ndim,
                 view->format ? view->format : "B");
    PyBuffer_Release(view);
    return -1;
}

/* The memory that the elements lie in: where a stride is less than 0, it begins below element 0. */
static cconv_buffer memory_of(const Py_buffer *view)
{
    cconv_buffer memory = {view->buf, 0, 0};
    Py_ssize_t below = 0, above = view->itemsize;
    int a;
    for (a = 0; a < view->ndim; a++) {
        const Py_ssize_t reach = (view->shape[a] - 1) * view->strides[a];
        if (view->shape[a] == 0) return memory;
        if (reach < 0) below -= reach;
        else above += reach;
    }
    memory.data = (char *)view->buf - below;
    memory.bytes = (size_t)(below + above);
    memory.first = (size_t)below;
    return memory;
}

/* cconv cannot see whether two arrays overlap, only be wrong where they do. */
static int apart(const cconv_buffer *a, const cconv_buffer *b)
{
    const uintptr_t from_a = (uintptr_t)a->data, from_b = (uintptr_t)b->data;
    return from_a >= from_b + b->bytes || from_b >= from_a + a->bytes;
}

/* What the arrays say. */
static cconv_status describe(cconv_desc *desc, const Py_buffer views[ARRAYS])
{
    cconv_status status;
    int a;
    cconv_desc_init(desc, CCONV_F32);
    for (a = 0; a < 2; a++) {
        desc->input[1 + a] = views[PICTURE].shape[a];
        desc->kernel[1 + a] = views[KERNEL].shape[a];
        desc->before[1 + a] = (views[KERNEL].shape[a] - 1) / 2;
        desc->after[1 + a] = views[KERNEL].shape[a] / 2;
    }
    desc->border = CCONV_EDGE;
    status = cconv_desc_dense(desc);        /* for the axes that are not there */
    for (a = 0; a < 2; a++) {
        desc->input_stride[3 + a] = views[PICTURE].strides[a];
        desc->weight_stride[3 + a] = views[KERNEL].strides[a];
        desc->output_stride[3 + a] = views[OUT].strides[a];
    }
    return status;
}

static PyObject *correlate(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *arrays[ARRAYS], *result = NULL;
    Py_buffer views[ARRAYS];
    cconv_desc desc;
    cconv_plan plan;
    cconv_buffers b = {.size = sizeof b};
    cconv_status status;
    void *work = NULL;
    int held = 0;

    if (!PyArg_ParseTuple(args, "OOO:correlate", &arrays[PICTURE], &arrays[KERNEL], &arrays[OUT])) return NULL;
    for (; held < ARRAYS; held++)
        if (get_view(arrays[held], &views[held], held) < 0) goto done;
    if (views[OUT].shape[0] != views[PICTURE].shape[0] || views[OUT].shape[1] != views[PICTURE].shape[1]) {
        PyErr_Format(PyExc_ValueError, "out is %zd x %zd; the picture is %zd x %zd", views[OUT].shape[0], views[OUT].shape[1],
                     views[PICTURE].shape[0], views[PICTURE].shape[1]);
        goto done;
    }
    b.input = memory_of(&views[PICTURE]);
    b.weights = memory_of(&views[KERNEL]);
    b.output = memory_of(&views[OUT]);
    if (!apart(&b.output, &b.input) || !apart(&b.output, &b.weights)) {
        PyErr_SetString(PyExc_ValueError, "out overlaps what is read");
        goto done;
    }

    status = describe(&desc, views);
    if (status == CCONV_OK) status = cconv_plan_init(&plan, &desc);
    if (status == CCONV_OK) {
        work = PyMem_RawMalloc(plan.workspace_bytes);
        if (!work) {
            PyErr_NoMemory();
            goto done;
        }
        b.workspace = cconv_memory(work, plan.workspace_bytes);
        Py_BEGIN_ALLOW_THREADS
        status = cconv_run(&plan, 0, plan.tasks, &b);
        Py_END_ALLOW_THREADS
    }
    if (status == CCONV_OK) result = Py_NewRef(arrays[OUT]);
    else PyErr_SetString(PyExc_ValueError, cconv_strerror(status));

done:
    PyMem_RawFree(work);
    while (held > 0) PyBuffer_Release(&views[--held]);
    return result;
}

static int start(PyObject *Py_UNUSED(module))
{
    return import_cconv();
}

static PyMethodDef methods[] = {
    {"correlate", correlate, METH_VARARGS, "correlate(picture, kernel, out): writes into out and returns it"},
    {NULL, NULL, 0, NULL}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)start},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL}
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "filter2d", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC PyInit_filter2d(void)
{
    return PyModuleDef_Init(&module);
}

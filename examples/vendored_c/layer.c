/* SPDX-License-Identifier: BSD-3-Clause
 *
 * layer.conv2d(x, weight, bias, out, padding, threads): one layer of a network, with its ReLU, on threads of our own.
 *
 * cconv is compiled in, from a copy under the prefix demo_; it starts no threads, but cuts its work into tasks.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "cconv.h"

#ifndef _WIN32
#include <pthread.h>
#endif

enum { MOST_THREADS = 64 };

/* A range of n things, for one thread. */
typedef void (*body)(void *context, int64_t first, int64_t last, int thread);

typedef struct share {
    body run;
    void *context;
    int64_t first, last;
    int thread;
} share;

#ifndef _WIN32
static void *run_share(void *given)
{
    const share *s = given;
    s->run(s->context, s->first, s->last, s->thread);
    return NULL;
}
#endif

/* Runs [0, n) in as many ranges as there are threads, this one among them.  Where a thread cannot be had, and on Windows, its range is
 * run here. */
static void parallel_for(int64_t n, int threads, body run, void *context)
{
    share shares[MOST_THREADS];
    int i;
#ifndef _WIN32
    pthread_t ids[MOST_THREADS];
    int started[MOST_THREADS] = {0};
#endif
    for (i = 0; i < threads; i++) {
        const int64_t each = n / threads, more = n % threads;
        shares[i] = (share){run, context, i * each + (i < more ? i : more), (i + 1) * each + (i + 1 < more ? i + 1 : more), i};
    }
#ifndef _WIN32
    for (i = 1; i < threads; i++) started[i] = pthread_create(&ids[i], NULL, run_share, &shares[i]) == 0;
    run(context, shares[0].first, shares[0].last, 0);
    for (i = 1; i < threads; i++) {
        if (started[i]) pthread_join(ids[i], NULL);
        else run(context, shares[i].first, shares[i].last, i);
    }
#else
    for (i = 0; i < threads; i++) run(context, shares[i].first, shares[i].last, i);
#endif
}

/* What all threads share; the last two have one element for each. */
typedef struct job {
    const cconv_plan *plan;
    const cconv_buffers *buffers;
    cconv_buffer weights;
    char *work;
    cconv_status status[MOST_THREADS];
} job;

static void pack(void *context, int64_t first, int64_t last, int thread)
{
    job *j = context;
    j->status[thread] = cconv_pack_weights(j->plan, first, last, &j->weights, &j->buffers->weights);
}

static void compute(void *context, int64_t first, int64_t last, int thread)
{
    job *j = context;
    const size_t bytes = j->plan->workspace_bytes;
    cconv_buffers mine = *j->buffers;
    mine.workspace = cconv_memory(j->work + (size_t)thread * bytes, bytes);
    j->status[thread] = cconv_run(j->plan, first, last, &mine);
}

static cconv_status first_error(const job *j, int threads)
{
    int i;
    for (i = 0; i < threads; i++)
        if (j->status[i] != CCONV_OK) return j->status[i];
    return CCONV_OK;
}

enum { X, WEIGHT, BIAS, OUT, ARRAYS };
static const struct { const char *name; int axes; } wanted[ARRAYS] = {{"x", 4}, {"weight", 4}, {"bias", 1}, {"out", 4}};

/* The array's buffer, to be released if this returns 0. */
static int get_view(PyObject *array, Py_buffer *view, int which)
{
    if (PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (which == OUT ? PyBUF_WRITABLE : 0)) < 0) return -1;
    if (view->ndim == wanted[which].axes && view->format && strcmp(view->format, "f") == 0) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %d axes and format '%s'; want %d axes of float32, 'f'", wanted[which].name, view->ndim,
                 view->format ? view->format : "B", wanted[which].axes);
    PyBuffer_Release(view);
    return -1;
}

/* cconv cannot see whether two arrays overlap, only be wrong where they do. */
static int apart(const Py_buffer *a, const Py_buffer *b)
{
    const uintptr_t from_a = (uintptr_t)a->buf, from_b = (uintptr_t)b->buf;
    return from_a >= from_b + (size_t)b->len || from_b >= from_a + (size_t)a->len;
}

/* 0 if the arrays fit together, so that the plan knows their sizes; else -1 with an error set. */
static int fit(const Py_buffer views[ARRAYS])
{
    int i;
    if (views[WEIGHT].shape[1] != views[X].shape[1] || views[BIAS].shape[0] != views[WEIGHT].shape[0]) {
        PyErr_Format(PyExc_ValueError, "x has %zd channels and weight wants %zd; weight has %zd outputs and bias %zd", views[X].shape[1],
                     views[WEIGHT].shape[1], views[WEIGHT].shape[0], views[BIAS].shape[0]);
        return -1;
    }
    for (i = 0; i < OUT; i++)
        if (!apart(&views[i], &views[OUT])) {
            PyErr_Format(PyExc_ValueError, "out overlaps %s", wanted[i].name);
            return -1;
        }
    return 0;
}

static cconv_status make_plan(cconv_plan *plan, const Py_buffer views[ARRAYS], Py_ssize_t padding)
{
    cconv_desc desc;
    cconv_status status;
    int a;
    cconv_desc_init(&desc, CCONV_F32);
    desc.batch = views[X].shape[0];
    desc.in_channels = views[X].shape[1];
    desc.out_channels = views[WEIGHT].shape[0];
    for (a = 1; a < 3; a++) {
        desc.input[a] = views[X].shape[1 + a];
        desc.kernel[a] = views[WEIGHT].shape[1 + a];
        desc.before[a] = desc.after[a] = padding;
    }
    desc.low = 0;                               /* that is the ReLU */
    desc.weights = CCONV_WEIGHTS_PACKED;
    status = cconv_desc_dense(&desc);
    return status == CCONV_OK ? cconv_plan_init(plan, &desc) : status;
}

static PyObject *conv2d(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *arrays[ARRAYS], *result = NULL;
    Py_buffer views[ARRAYS];
    Py_ssize_t padding;
    cconv_plan plan;
    cconv_buffers b = {.size = sizeof b};
    job j = {.plan = &plan, .buffers = &b};
    cconv_status status;
    void *packed = NULL;
    int threads, held = 0;

    if (!PyArg_ParseTuple(args, "OOOOni:conv2d", &arrays[X], &arrays[WEIGHT], &arrays[BIAS], &arrays[OUT], &padding, &threads)) return NULL;
    if (threads < 1 || threads > MOST_THREADS) return PyErr_Format(PyExc_ValueError, "threads is %d; want 1 to %d", threads, MOST_THREADS);
    for (; held < ARRAYS; held++)
        if (get_view(arrays[held], &views[held], held) < 0) goto done;
    if (fit(views) < 0) goto done;
    status = make_plan(&plan, views, padding);
    if (status != CCONV_OK) goto failed;
    if (views[OUT].shape[0] != views[X].shape[0] || views[OUT].shape[1] != views[WEIGHT].shape[0] || views[OUT].shape[2] != plan.output[1]
        || views[OUT].shape[3] != plan.output[2]) {
        PyErr_Format(PyExc_ValueError, "out has the wrong shape; the result has (%zd, %zd, %lld, %lld)", views[X].shape[0], views[WEIGHT].shape[0],
                     (long long)plan.output[1], (long long)plan.output[2]);
        goto done;
    }
    if (threads > plan.tasks) threads = plan.tasks > 0 ? (int)plan.tasks : 1;

    packed = PyMem_RawMalloc(plan.packed_bytes);
    j.work = PyMem_RawCalloc((size_t)threads, plan.workspace_bytes);
    if (!packed || !j.work) {
        PyErr_NoMemory();
        goto done;
    }
    b.input = cconv_memory(views[X].buf, (size_t)views[X].len);
    b.weights = cconv_memory(packed, plan.packed_bytes);
    b.bias = cconv_memory(views[BIAS].buf, (size_t)views[BIAS].len);
    b.output = cconv_memory(views[OUT].buf, (size_t)views[OUT].len);
    j.weights = cconv_memory(views[WEIGHT].buf, (size_t)views[WEIGHT].len);
    Py_BEGIN_ALLOW_THREADS
    parallel_for(plan.packs, threads, pack, &j);
    status = first_error(&j, threads);
    if (status == CCONV_OK) {
        parallel_for(plan.tasks, threads, compute, &j);
        status = first_error(&j, threads);
    }
    Py_END_ALLOW_THREADS
failed:
    if (status == CCONV_OK) result = Py_NewRef(arrays[OUT]);
    else PyErr_SetString(PyExc_ValueError, cconv_strerror(status));

done:
    PyMem_RawFree(packed);
    PyMem_RawFree(j.work);
    while (held > 0) PyBuffer_Release(&views[--held]);
    return result;
}

static PyMethodDef methods[] = {
    {"conv2d", conv2d, METH_VARARGS, "conv2d(x, weight, bias, out, padding, threads): writes into out and returns it"},
    {NULL, NULL, 0, NULL}
};

static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL}
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "layer", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC PyInit_layer(void)
{
    return PyModuleDef_Init(&module);
}

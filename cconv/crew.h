/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For engine.pyx: a run that several threads share.
 *
 * Helpers are threads without Python, each with a seat: a word of memory on which whoever has a run puts its address.  Waking one takes
 * 50 to 100 us, as long as half of a small layer; so a helper that has worked watches its seat for a moment before it sleeps.  Where
 * too few watch, others are woken, to a seat on which the run lies already.  What nobody has begun when the run is over is taken back,
 * so an owner never waits for a helper that has not come.
 *
 * Each thread has a share of the run, neighbours in the order of the tasks, because these have input in common; it takes from its front,
 * and who has none left from the back of whoever has most.  A thread may be stopped or slowed at any time, by others that its core works for.
 */
#ifndef CCONV_CREW_H
#define CCONV_CREW_H

#include <Python.h>

#include "core/cconv.h"

#include <stdlib.h>
#include <time.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define CREW_GET(p) _InterlockedOr64(p, 0)
#define CREW_SET(p, v) ((void)_InterlockedExchange64(p, v))
#define CREW_ADD(p, v) _InterlockedExchangeAdd64(p, v)
#define CREW_SWAP(p, from, to) (_InterlockedCompareExchange64(p, to, from) == (from))
#else
#define CREW_GET(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define CREW_SET(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define CREW_ADD(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)
static inline int crew_swap(volatile int64_t *p, int64_t from, int64_t to)
{
    return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
#define CREW_SWAP(p, from, to) crew_swap(p, from, to)
#endif

#if defined(_MSC_VER) && !defined(__clang__) && (defined(_M_X64) || defined(_M_IX86))
#define CREW_PAUSE() _mm_pause()
#elif defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define CREW_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__) && defined(__GNUC__)
#define CREW_PAUSE() __asm__ volatile("yield")
#else
#define CREW_PAUSE() ((void)0)
#endif

#ifdef _WIN32
#define CREW_YIELD() ((void)0)
#else
#include <sched.h>
#define CREW_YIELD() ((void)sched_yield())
#endif

enum {
    CREW_SEATS = 64,
    CREW_PATIENCE = 300000,             /* ns that a helper watches its seat */
    CREW_PAUSES = 32,                   /* between two looks at the clock */
    CREW_KEPT = 1 << 24,                /* bytes of a workspace that a helper keeps while it sleeps */
};

/* What is done: a range of tasks, of weights to be packed, of preparations. */
typedef enum crew_work { CREW_RUN, CREW_PACK, CREW_PREPARE } crew_work;

/* It, on its owner's stack until `active` is 0. */
typedef struct crew_job {
    const cconv_plan *plan;
    cconv_buffers own;                  /* the owner's; other threads have another workspace; packing: the output takes the weights */
    crew_work work;
    int64_t parts, wanted;              /* helpers that may still be called */
    int64_t shares;
    volatile int64_t left[CREW_SEATS + 1];      /* of each share: the first part * 2^32 + the end */
    volatile int64_t came, active, status;
} crew_job;

/* What stands on a seat: one of these, or the address of a job that nobody has begun. */
enum { CREW_EMPTY, CREW_WATCHED, CREW_WORKING, CREW_STATES };

static struct crew_seat {
    volatile int64_t state;
    void *memory;                       /* its helper's, and how much */
    size_t held;
    PyThread_type_lock bell;            /* on which its helper sleeps; NULL: it has none yet */
    char apart[96];                     /* another line of the cache for the next */
} crew_seats[CREW_SEATS];

static int64_t crew_now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* After a fork: there are no helpers. */
static void crew_forget(void) { memset((void *)crew_seats, 0, sizeof crew_seats); }

/* `parts` pieces of work for an owner and so many helpers. */
static void crew_begin(crew_job *job, int64_t parts, int64_t helpers)
{
    int64_t k;
    job->parts = parts;
    job->wanted = helpers < CREW_SEATS ? helpers : CREW_SEATS;
    job->shares = job->wanted + 1;
    for (k = 0; k < job->shares; k++) job->left[k] = (k * parts / job->shares) << 32 | (k + 1) * parts / job->shares;
}

/* Nobody begins another part. */
static void crew_stop(crew_job *job)
{
    int64_t k;
    for (k = 0; k < job->shares; k++) CREW_SET(&job->left[k], 0);
}

static int64_t crew_count(int64_t left) { return (left & 0xffffffff) - (left >> 32); }

/* The next part for the owner of a share; -1: there is none. */
static int64_t crew_take(crew_job *job, int64_t mine)
{
    for (;;) {
        int64_t from = mine, left = CREW_GET(&job->left[mine]), k;
        if (crew_count(left) > 0) {
            if (CREW_SWAP(&job->left[mine], left, left + ((int64_t)1 << 32))) return left >> 32;
            continue;
        }
        for (k = 0; k < job->shares; k++) {
            const int64_t other = CREW_GET(&job->left[k]);
            if (crew_count(other) > crew_count(left)) from = k, left = other;
        }
        if (crew_count(left) <= 0) return -1;
        if (CREW_SWAP(&job->left[from], left, left - 1)) return (left & 0xffffffff) - 1;
    }
}

/* The job, onto one of the first so many seats if it is in this state: which one, or -1. */
static int crew_put(crew_job *job, int64_t state, int64_t seats)
{
    int i;
    (void)CREW_ADD(&job->active, 1);
    for (i = 0; i < seats && i < CREW_SEATS; i++)
        if (CREW_GET(&crew_seats[i].state) == state && CREW_SWAP(&crew_seats[i].state, state, (int64_t)(uintptr_t)job)) {
            job->wanted--;
            return i;
        }
    (void)CREW_ADD(&job->active, -1);
    return -1;
}

/* Onto the seats that are watched, as long as it wants some. */
static void crew_hand_out(crew_job *job)
{
    while (job->wanted > 0 && crew_put(job, CREW_WATCHED, CREW_SEATS) >= 0) continue;
}

/* A range of tasks, of whatever the plan is for. */
static cconv_status crew_run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *b)
{
    if (plan->gradient == CCONV_WEIGHT_GRADIENT) return cconv_run_weight_gradient(plan, first, last, b);
    if (plan->gradient == CCONV_INPUT_GRADIENT) return cconv_run_input_gradient(plan, first, last, b);
    return cconv_run(plan, first, last, b);
}

static int64_t crew_pieces(const cconv_plan *plan, crew_work work)
{
    return work == CREW_PACK ? plan->packs : work == CREW_PREPARE ? plan->preparations : plan->tasks;
}

static cconv_status crew_do(const crew_job *job, int64_t part, const cconv_buffers *b)
{
    const cconv_plan *plan = job->plan;
    const int64_t all = crew_pieces(plan, job->work), first = part * all / job->parts, last = (part + 1) * all / job->parts;
    if (job->work == CREW_PACK) return cconv_pack_weights(plan, first, last, &b->weights, &b->output);
    if (job->work == CREW_PREPARE) return cconv_prepare(plan, first, last, b);
    return crew_run(plan, first, last, b);
}

/* One part, if there is one left and nothing went wrong. */
static int crew_part(crew_job *job, int64_t mine, cconv_buffers *buffers)
{
    const int64_t part = CREW_GET(&job->status) == CCONV_OK ? crew_take(job, mine) : -1;
    cconv_status status;
    if (part < 0) return 0;
    status = crew_do(job, part, buffers);
    buffers->continued = 1;
    if (status != CCONV_OK) CREW_SET(&job->status, (int64_t)status);
    return 1;
}

/* The owner's share, until all parts are taken (1) or so many ns are over (0). */
static int crew_own(crew_job *job, int64_t most)
{
    const int64_t start = crew_now();
    for (;;) {
        crew_hand_out(job);
        if (!crew_part(job, 0, &job->own)) return 1;
        if (crew_now() - start > most) return 0;
    }
}

/* Until nobody works on it; who has not begun need not. */
static void crew_wait(crew_job *job)
{
    int i;
    for (i = 0; i < CREW_SEATS && CREW_GET(&job->active) > 0; i++)
        if (CREW_SWAP(&crew_seats[i].state, (int64_t)(uintptr_t)job, CREW_WATCHED)) (void)CREW_ADD(&job->active, -1);
    while (CREW_GET(&job->active) > 0) {
        for (i = 0; i < CREW_PAUSES && CREW_GET(&job->active) > 0; i++) CREW_PAUSE();
        if (i == CREW_PAUSES) CREW_YIELD();     /* perhaps to the one that is waited for */
    }
}

/* Works on what lies on the seat, leaves when nothing came for a while. */
static void crew_serve(struct crew_seat *seat)
{
    int64_t since = crew_now();
    int i;
    for (;;) {
        int64_t found = CREW_WATCHED;
        for (i = 0; i < CREW_PAUSES && (found = CREW_GET(&seat->state)) < CREW_STATES; i++) CREW_PAUSE();
        if (found >= CREW_STATES && CREW_SWAP(&seat->state, found, CREW_WORKING)) {
            crew_job *job = (crew_job *)(uintptr_t)found;
            const int64_t came = CREW_ADD(&job->came, 1) + 1, mine = came < job->shares ? came : job->shares - 1;
            cconv_buffers buffers = job->own;
            buffers.continued = 0;
            if (job->work != CREW_PACK && seat->held < job->plan->workspace_bytes) {
                free(seat->memory);
                seat->held = job->plan->workspace_bytes;
                seat->memory = malloc(seat->held);
                if (!seat->memory) seat->held = 0;
            }
            if (job->work != CREW_PACK) buffers.workspace = cconv_memory(seat->memory, seat->held);
            while ((job->work == CREW_PACK || seat->held >= job->plan->workspace_bytes) && crew_part(job, mine, &buffers)) continue;
            CREW_SET(&seat->state, CREW_WATCHED);
            (void)CREW_ADD(&job->active, -1);
            since = crew_now();
        } else if (found < CREW_STATES) {
            const int64_t waited = crew_now() - since;
            if (waited >= 0 && waited <= CREW_PATIENCE) continue;
            if (seat->held > CREW_KEPT) {
                free(seat->memory);
                seat->memory = NULL;
                seat->held = 0;
            }
            if (CREW_SWAP(&seat->state, CREW_WATCHED, CREW_EMPTY)) return;
        }
    }
}

static void crew_help(void *place)
{
    struct crew_seat *const seat = (struct crew_seat *)place;
    for (;;)
        if (PyThread_acquire_lock(seat->bell, WAIT_LOCK)) crew_serve(seat);
}

/* Wakes a helper, of the first so many, to work on it; makes one where a seat has none.  0: all work, or there is no thread to be had. */
static int crew_call(crew_job *job, int64_t helpers)
{
    const int place = job->wanted > 0 ? crew_put(job, CREW_EMPTY, helpers) : -1;
    struct crew_seat *seat;
    if (place < 0) return 0;
    seat = &crew_seats[place];
    if (!seat->bell) {
        PyThread_type_lock bell = PyThread_allocate_lock();
        if (bell) (void)PyThread_acquire_lock(bell, WAIT_LOCK);
        seat->bell = bell;
        if (!bell || PyThread_start_new_thread(crew_help, seat) == PYTHREAD_INVALID_THREAD_ID) {
            if (bell) PyThread_free_lock(bell);
            seat->bell = NULL;
            CREW_SET(&seat->state, CREW_EMPTY);
            (void)CREW_ADD(&job->active, -1);
            return 0;
        }
    }
    PyThread_release_lock(seat->bell);
    return 1;
}

#endif

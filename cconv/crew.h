/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For engine.pyx: a run that several threads share.
 *
 * Waking a thread takes 50 us, and more where an idle core sleeps: as long as half of a small layer.  So a thread that has
 * worked waits for more for a moment, on a seat, before it goes back to its pool; whoever has a run puts it on the seats.  Where
 * there are not enough, a thread of the pool is called to a seat on which the run lies already.  What nobody has begun when the
 * run is over is taken back, so an owner never waits for a thread that has not come.
 */
#ifndef CCONV_CREW_H
#define CCONV_CREW_H

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

enum { CREW_SEATS = 64, CREW_PATIENCE = 300000 /* ns that a thread waits */, CREW_PAUSES = 32 /* between two looks at the clock */ };

/* A run, or weights to be packed, on its owner's stack until `active` is 0. */
typedef struct crew_job {
    const cconv_plan *plan;
    const cconv_buffers *buffers;       /* the workspace is that of each thread; packing: the output takes the weights */
    int packing;
    int64_t parts, wanted;              /* threads besides the owner */
    volatile int64_t next, active, status;
} crew_job;

/* What stands on a seat: one of these, or the address of a job that nobody has begun. */
enum { CREW_EMPTY, CREW_WAITING, CREW_WORKING, CREW_STATES };

static struct crew_seat {
    volatile int64_t state;
    char apart[120];                    /* another line of the cache for the next */
} crew_seats[CREW_SEATS];

static int64_t crew_now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* After a fork: nobody sits there. */
static void crew_forget(void)
{
    int i;
    for (i = 0; i < CREW_SEATS; i++) CREW_SET(&crew_seats[i].state, CREW_EMPTY);
}

/* The job, onto a seat in this state: which one, or -1. */
static int crew_put(crew_job *job, int64_t state)
{
    int i;
    (void)CREW_ADD(&job->active, 1);
    for (i = 0; i < CREW_SEATS; i++)
        if (CREW_GET(&crew_seats[i].state) == state && CREW_SWAP(&crew_seats[i].state, state, (int64_t)(uintptr_t)job)) {
            job->wanted--;
            return i;
        }
    (void)CREW_ADD(&job->active, -1);
    return -1;
}

/* Onto the seats of those who wait, as long as it wants some. */
static void crew_hand_out(crew_job *job)
{
    while (job->wanted > 0 && crew_put(job, CREW_WAITING) >= 0) continue;
}

/* Onto an empty seat, to which a thread must be called: crew_serve(seat); -1: there is none. */
static int crew_reserve(crew_job *job) { return job->wanted > 0 ? crew_put(job, CREW_EMPTY) : -1; }

/* Nobody will come to that seat. */
static void crew_give_up(crew_job *job, int seat)
{
    if (CREW_SWAP(&crew_seats[seat].state, (int64_t)(uintptr_t)job, CREW_EMPTY)) (void)CREW_ADD(&job->active, -1);
}

/* A range of tasks, of whatever the plan is for. */
static cconv_status crew_run(const cconv_plan *plan, int64_t first, int64_t last, const cconv_buffers *b)
{
    if (plan->gradient == CCONV_WEIGHT_GRADIENT) return cconv_run_weight_gradient(plan, first, last, b);
    if (plan->gradient == CCONV_INPUT_GRADIENT) return cconv_run_input_gradient(plan, first, last, b);
    return cconv_run(plan, first, last, b);
}

static cconv_status crew_do(const crew_job *job, int64_t part, const cconv_buffers *b)
{
    const cconv_plan *plan = job->plan;
    const int64_t all = job->packing ? plan->packs : plan->tasks, first = part * all / job->parts, last = (part + 1) * all / job->parts;
    if (job->packing) return cconv_pack_weights(plan, first, last, &b->weights, &b->output);
    return crew_run(plan, first, last, b);
}

/* One part, if there is one left and nothing went wrong. */
static int crew_part(crew_job *job, const cconv_buffers *buffers)
{
    const int64_t part = CREW_ADD(&job->next, 1);
    cconv_status status;
    if (part >= job->parts || CREW_GET(&job->status) != CCONV_OK) return 0;
    status = crew_do(job, part, buffers);
    if (status != CCONV_OK) CREW_SET(&job->status, (int64_t)status);
    return 1;
}

/* The owner's share, until all parts are taken (1) or so many ns are over (0). */
static int crew_own(crew_job *job, const cconv_buffers *buffers, int64_t most)
{
    const int64_t start = crew_now();
    for (;;) {
        crew_hand_out(job);
        if (!crew_part(job, buffers)) return 1;
        if (crew_now() - start > most) return 0;
    }
}

/* Until nobody works on it; who has not begun need not. */
static void crew_wait(crew_job *job)
{
    int i;
    for (i = 0; i < CREW_SEATS && CREW_GET(&job->active) > 0; i++)
        if (CREW_SWAP(&crew_seats[i].state, (int64_t)(uintptr_t)job, CREW_WAITING)) (void)CREW_ADD(&job->active, -1);
    while (CREW_GET(&job->active) > 0) {
        for (i = 0; i < CREW_PAUSES && CREW_GET(&job->active) > 0; i++) CREW_PAUSE();
        if (i == CREW_PAUSES) CREW_YIELD();     /* perhaps to the one that is waited for */
    }
}

/* A thread of the pool: works on what lies on its seat, leaves when nothing came for a while. */
static void crew_serve(int place)
{
    volatile int64_t *const seat = &crew_seats[place].state;
    void *memory = NULL;
    size_t held = 0;
    int64_t since = crew_now();
    int i;
    for (;;) {
        int64_t found = CREW_WAITING;
        for (i = 0; i < CREW_PAUSES && (found = CREW_GET(seat)) < CREW_STATES; i++) CREW_PAUSE();
        if (found >= CREW_STATES && CREW_SWAP(seat, found, CREW_WORKING)) {
            crew_job *job = (crew_job *)(uintptr_t)found;
            cconv_buffers mine = *job->buffers;
            if (!job->packing && held < job->plan->workspace_bytes) {
                free(memory);
                held = job->plan->workspace_bytes;
                memory = malloc(held);
                if (!memory) held = 0;
            }
            if (!job->packing) mine.workspace = cconv_memory(memory, held);
            while ((memory || job->packing) && crew_part(job, &mine)) continue;
            CREW_SET(seat, CREW_WAITING);
            (void)CREW_ADD(&job->active, -1);
            since = crew_now();
        } else if (found < CREW_STATES) {
            const int64_t waited = crew_now() - since;
            if ((waited > CREW_PATIENCE || waited < 0) && CREW_SWAP(seat, CREW_WAITING, CREW_EMPTY)) break;
        }
    }
    free(memory);
}

#endif

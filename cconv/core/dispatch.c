/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which instruction set: what this build has and this CPU and its system support, best first.
 */
#include "kernels.h"


#ifdef CCONV_X86
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
#if defined(_MSC_VER)
    __cpuidex((int *)regs, (int)leaf, (int)subleaf);
#else
    if (!__get_cpuid_count(leaf, subleaf, &regs[0], &regs[1], &regs[2], &regs[3])) memset(regs, 0, 4 * sizeof *regs);
#endif
}

/* Which registers the system saves when it switches tasks (XCR0). */
static uint64_t saved_registers(void)
{
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0));    /* xgetbv */
    return ((uint64_t)high << 32) | low;
#endif
}

enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };
static const uint32_t AVX512VL = UINT32_C(1) << 31;

/* What the CPU has, asked once: cpuid takes microseconds in a virtual machine.  Threads that ask at
 * the same time write the same number. */
enum { ASKED = 1, HAS_AVX2 = 2, HAS_AVX512 = 4 };

static int features(void)
{
    static volatile int known;
    if (!known) {
        uint32_t one[4], seven[4];
        int found = ASKED;
        cpuid(1, 0, one);
        cpuid(7, 0, seven);
        if (one[2] & OSXSAVE) {
            const uint64_t saved = saved_registers();
            if ((one[2] & FMA) && (seven[1] & AVX2) && (saved & 0x6) == 0x6) found |= HAS_AVX2;
            if ((found & HAS_AVX2) && (seven[1] & AVX512F) && (seven[1] & AVX512DQ) && (seven[1] & AVX512BW)
                && (seven[1] & AVX512VL) && (saved & 0xe6) == 0xe6)
                found |= HAS_AVX512;
        }
        known = found;
    }
    return known;
}

static int supported(const struct cconv_kernels *kernels)
{
    if (kernels == &cconv_kernels__avx2) return (features() & HAS_AVX2) != 0;
    if (kernels == &cconv_kernels__avx512) return (features() & HAS_AVX512) != 0;
    return 1;
}
#else
static int supported(const struct cconv_kernels *kernels)
{
    (void)kernels;
    return 1;
}
#endif

static const struct cconv_kernels *const all[] = {
#ifdef CCONV_X86
    &cconv_kernels__avx512, &cconv_kernels__avx2,
#endif
#ifdef CCONV_ARM64
    &cconv_kernels__neon,
#endif
    &cconv_kernels__generic
};

const struct cconv_kernels *cconv_choose_kernels(const char *isa)
{
    size_t i;
    for (i = 0; i < sizeof all / sizeof *all; i++)
        if ((isa == NULL || strcmp(isa, all[i]->name) == 0) && supported(all[i])) return all[i];
    return NULL;
}

const char *cconv_isa_list(int i)
{
    size_t k;
    for (k = 0; k < sizeof all / sizeof *all; k++)
        if (supported(all[k]) && i-- == 0) return all[k]->name;
    return NULL;
}

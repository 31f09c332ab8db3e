/* Lists of numbers as most programs write them, "[0.0123, -1.25, ...]", with AVX2.
 * Python twin: tests/support/oracles/number_read.py (list_of)
 *
 * vm_list reads a number only when the end of the one before is known. Here commas are found first, 64 bytes at a time,
 * so that the numbers between them are independent and the core works on several at once. One digit, a point and up to
 * 19 more digits are then read in one step of 32 bytes. Every other number goes to vm_double; a list that is not taken
 * whole goes to vm_list, which tells what is wrong. */
#ifndef VM_NUMBER_READ_QUICK_H
#define VM_NUMBER_READ_QUICK_H

#include "number_read_lists.h"

#if VM_X86

#define VM_QUICK_ISA "avx2,bmi,popcnt,lzcnt"
/* Bytes searched at a time, and entries for a comma in each of them; the search writes 8 entries at once. */
#define VM_QUICK_BYTES 1024
#define VM_QUICK_ROOM (VM_QUICK_BYTES + 8)

static const uint64_t vm_tens64[20] = {
    1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u, 10000000000u, 100000000000u,
    1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u, 10000000000000000u, 100000000000000000u,
    1000000000000000000u, 10000000000000000000u,
};

/* Write the places of the commas among the n bytes at p. Return their number. */
VM_TARGET(VM_QUICK_ISA)
static inline Py_ssize_t vm_commas(const uint8_t *p, Py_ssize_t n, uint32_t *at)
{
    const __m256i comma = _mm256_set1_epi8(',');
    Py_ssize_t found = 0;
    for (Py_ssize_t i = 0; i < n; i += 64) {
        uint8_t last[64];
        const uint8_t *from = p + i;
        if (n - i < 64) { /* the bytes behind p + n may not be readable */
            memset(last, 0, 64);
            memcpy(last, from, n - i);
            from = last;
        }
        uint32_t low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)from), comma));
        uint32_t high =
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(from + 32)), comma));
        uint64_t mask = low | (uint64_t)high << 32;
        int count = (int)_mm_popcnt_u64(mask);
        for (int done = 0; done < count; done += 8) /* nearly always once */
            for (int k = 0; k < 8; k++) {
                at[found + done + k] = (uint32_t)(i + (Py_ssize_t)_tzcnt_u64(mask));
                mask &= mask - 1;
            }
        found += count;
    }
    return found;
}

/* Read the number in s..e, with blanks around it. Return 0 if there is none. */
static __attribute__((noinline)) int vm_between(const uint8_t *s, const uint8_t *e, int lenient, vm_hard_t hard,
                                                double *out)
{
    s = vm_blank(s, e);
    s = vm_double(s, e, lenient, hard, out);
    return s != NULL && vm_blank(s, e) == e;
}

/* Read the same; the 32 bytes before e are readable. */
VM_TARGET(VM_QUICK_ISA)
static inline __attribute__((always_inline)) int vm_quick(const uint8_t *s, const uint8_t *e, int lenient,
                                                          vm_hard_t hard, double *out)
{
    const uint8_t *q = s + (*s == ' ');
    int negative = *q == '-';
    q += negative;
    Py_ssize_t n = e - q - 2; /* digits behind the point */
    uint64_t whole = (uint8_t)(*q - '0');
    if ((size_t)(n - 1) >= 19 || q[1] != '.' || whole > 9 || (n == 19 && whole))
        return vm_between(s, e, lenient, hard, out);
    const __m256i places = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                            21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    __m256i v = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)(e - 32)), _mm256_set1_epi8('0'));
    v = _mm256_and_si256(v, _mm256_cmpgt_epi8(places, _mm256_set1_epi8((char)(31 - n))));
    __m256i small = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(9)), v);
    if (_mm256_movemask_epi8(small) != -1)
        return vm_between(s, e, lenient, hard, out);
    v = _mm256_maddubs_epi16(v, _mm256_set1_epi16(0x010A));   /* 10 a + b */
    v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00010064));  /* 100 a + b */
    v = _mm256_packus_epi32(v, v);
    v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00012710)); /* 10000 a + b: eight digits */
    uint64_t first = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(v)) >> 32;
    uint64_t rest = (uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(v, 1));
    uint64_t w = first * 10000000000000000u + (rest & 0xFFFFFFFFu) * 100000000u + (rest >> 32) + whole * vm_tens64[n];
    uint64_t bits;
    double d;
    if (n <= 14) /* below 10^15: exact */
        d = (double)(int64_t)w / vm_tens[n];
    else if (!vm_scale_any(w, -n, &d))
        return vm_between(s, e, lenient, hard, out);
    memcpy(&bits, &d, 8);
    bits ^= (uint64_t)negative << 63;
    memcpy(out, &bits, 8);
    return 1;
}

/* Read a list of floats. Return 1 if it was taken whole. `low`: the first readable byte. */
VM_TARGET(VM_QUICK_ISA)
static int vm_list_avx2(const uint8_t *low, const uint8_t *p, const uint8_t *end, int lenient, vm_hard_t hard,
                        float *out, Py_ssize_t dim)
{
    uint32_t at[VM_QUICK_ROOM];
    Py_ssize_t n = 0;
    if (end - p < 3 || !((*p == '[' && end[-1] == ']') || (lenient && *p == '{' && end[-1] == '}')))
        return 0;
    const uint8_t *start = ++p; /* of a number */
    double value;
    end--;
    while (p < end) {
        Py_ssize_t size = end - p < VM_QUICK_BYTES ? end - p : VM_QUICK_BYTES;
        Py_ssize_t found = vm_commas(p, size, at);
        if (found > dim - n)
            return 0;
        for (Py_ssize_t i = 0; i < found; i++) {
            const uint8_t *stop = p + at[i];
            int taken = stop - low < 32 ? vm_between(start, stop, lenient, hard, &value)
                                        : vm_quick(start, stop, lenient, hard, &value);
            if (!taken)
                return 0;
            out[n++] = (float)value;
            start = stop + 1;
        }
        p += size;
    }
    if (n != dim - 1 || !vm_between(start, end, lenient, hard, &value))
        return 0;
    out[n] = (float)value;
    return 1;
}

#endif

static inline int vm_list_quick(const uint8_t *low, const uint8_t *p, const uint8_t *end, int lenient, vm_hard_t hard,
                                float *out, Py_ssize_t dim)
{
#if VM_X86
    if (VM_CPU_HAS("avx2") && VM_CPU_HAS("bmi") && VM_CPU_HAS("popcnt") && VM_CPU_HAS("lzcnt"))
        return vm_list_avx2(low, p, end, lenient, hard, out, dim);
#endif
    return 0;
}

#endif

/* Narrow float32 and float64 to float16, bfloat16 and float32, and find NaN and infinity.
 * Python twin: tests/support/oracles/half.py (round_float)
 *
 * Every conversion rounds once, to nearest, ties to even, with exact subnormals: finite results are bit-equal to NumPy
 * and ml_dtypes. The instruction VCVTNEPS2BF16 is not used: it flushes subnormals to zero. */
#ifndef VM_HALF_H
#define VM_HALF_H

#include "dispatch.h"

/* Elements of a block. A block is converted whole; if one of its results is not finite, it is read again, from L2. */
#define VM_HALF_BLOCK 8192

static inline uint32_t vm_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

static inline float vm_f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static inline uint64_t vm_f64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return bits;
}

static inline double vm_f64_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* ---- One value. Without branches, so that loops over them vectorise. A NaN stays a NaN of the same sign, with
 * unspecified bits.
 *
 * Normal results: add half a unit in the last place minus one, plus the bit that would become the last (ties to even),
 * shift, move the exponent; a carry out of the mantissa is right by construction. Subnormal results: add the power of
 * two whose last place is worth the smallest subnormal, so that the FPU rounds there; the sum's low bits are the
 * result. The FPU must be in its default rounding mode. */

static inline uint16_t vm_f32_to_f16(float x)
{
    uint32_t bits = vm_f32_bits(x), magnitude = bits & 0x7fffffff;
    uint32_t normal = ((magnitude + 0xfff + ((magnitude >> 13) & 1)) >> 13) - ((127 - 15) << 10);
    uint32_t subnormal = vm_f32_bits(vm_f32_from_bits(magnitude) + 0.5f) - 0x3f000000; /* 0.5 = 2^(23 - 24) */
    uint32_t half = magnitude < 0x38800000 ? subnormal : normal;                       /* 2^-14 */
    half = magnitude >= 0x477ff000 ? 0x7c00 : half;                                    /* 65520, half way to 2^16 */
    half = magnitude > 0x7f800000 ? 0x7e00 : half;
    return (uint16_t)(half | ((bits >> 16) & 0x8000));
}

static inline uint16_t vm_f32_to_bf16(float x)
{
    uint32_t bits = vm_f32_bits(x);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16; /* same exponent range: subnormals need no care */
    uint32_t quiet = (bits >> 16) | 0x40;                          /* rounding could turn a NaN into infinity or -0 */
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/* The float64 forms round from 53 bits at once: by way of float32 a value next to a tie would round twice. Compares are
 * signed because AVX2 has no unsigned 64-bit compares. */

static inline uint16_t vm_f64_to_f16(double x)
{
    uint64_t bits = vm_f64_bits(x);
    int64_t magnitude = (int64_t)(bits & INT64_MAX);
    uint64_t sum = (uint64_t)magnitude + ((UINT64_C(1) << 41) - 1) + (((uint64_t)magnitude >> 42) & 1);
    uint64_t normal = (sum >> 42) - ((1023 - 15) << 10);
    uint64_t subnormal = vm_f64_bits(vm_f64_from_bits((uint64_t)magnitude) + 0x1p28) - UINT64_C(0x41b0000000000000);
    uint64_t half = magnitude < INT64_C(0x3f10000000000000) ? subnormal : normal; /* 2^-14; 2^28 is 2^(52 - 24) */
    half = magnitude >= INT64_C(0x40effe0000000000) ? 0x7c00 : half;              /* 65520 */
    half = magnitude > INT64_C(0x7ff0000000000000) ? 0x7e00 : half;
    return (uint16_t)(half | ((bits >> 48) & 0x8000));
}

static inline uint16_t vm_f64_to_bf16(double x)
{
    uint64_t bits = vm_f64_bits(x);
    int64_t magnitude = (int64_t)(bits & INT64_MAX);
    uint64_t sum = (uint64_t)magnitude + ((UINT64_C(1) << 44) - 1) + (((uint64_t)magnitude >> 45) & 1);
    uint64_t normal = (sum >> 45) - ((1023 - 127) << 7);
    uint64_t subnormal = vm_f64_bits(vm_f64_from_bits((uint64_t)magnitude) + 0x1p-81) - UINT64_C(0x3ae0000000000000);
    uint64_t half = magnitude < INT64_C(0x3810000000000000) ? subnormal : normal; /* 2^-126; 2^-81 = 2^(52 - 133) */
    half = magnitude >= INT64_C(0x47eff00000000000) ? 0x7f80 : half;              /* half way to 2^128 */
    half = magnitude > INT64_C(0x7ff0000000000000) ? 0x7fc0 : half;
    return (uint16_t)(half | ((bits >> 48) & 0x8000));
}

static inline float vm_f64_to_f32(double x)
{
    return (float)x;
}

/* ---- Return the index of the first NaN or infinity, or -1. A full exponent plus its lowest bit carries into the sign
 * bit: a block is searched one by one only if a carry occurs in it. Bits are read, never floats: a signalling NaN must
 * not trap, and float16 has no C type. */
#define VM_FIRST_NONFINITE(name, value_t, bits_t, exponent_lsb)                                                        \
    VM_CLONES static ptrdiff_t name(const value_t *values, ptrdiff_t n)                                                \
    {                                                                                                                  \
        const bits_t sign = (bits_t)1 << (8 * sizeof(bits_t) - 1), lsb = (bits_t)1 << (exponent_lsb);                  \
        for (ptrdiff_t start = 0; start < n; start += VM_HALF_BLOCK) {                                                 \
            ptrdiff_t end = n - start < VM_HALF_BLOCK ? n : start + VM_HALF_BLOCK;                                     \
            bits_t any = 0;                                                                                            \
            for (ptrdiff_t i = start; i < end; i++) {                                                                  \
                bits_t bits;                                                                                           \
                memcpy(&bits, values + i, sizeof bits);                                                                \
                any |= (bits_t)((bits & (bits_t)~sign) + lsb);                                                         \
            }                                                                                                          \
            if (any & sign)                                                                                            \
                for (ptrdiff_t i = start; i < end; i++) {                                                              \
                    bits_t bits;                                                                                       \
                    memcpy(&bits, values + i, sizeof bits);                                                            \
                    if ((bits_t)((bits & (bits_t)~sign) + lsb) & sign)                                                 \
                        return i;                                                                                      \
                }                                                                                                      \
        }                                                                                                              \
        return -1;                                                                                                     \
    }

VM_FIRST_NONFINITE(vm_f16_finite, uint16_t, uint16_t, 10)
VM_FIRST_NONFINITE(vm_bf16_finite, uint16_t, uint16_t, 7)
VM_FIRST_NONFINITE(vm_f32_finite, float, uint32_t, 23)
VM_FIRST_NONFINITE(vm_f64_finite, double, uint64_t, 52)

/* ---- Arrays. Each vm_block_* converts n values. Return non-zero if a result is NaN or infinite. */
#define VM_CONVERT_BLOCK(name, src_t, dst_t, bits_t, exponent_lsb, convert)                                            \
    VM_CLONES static int name(const src_t *src, dst_t *dst, ptrdiff_t n)                                               \
    {                                                                                                                  \
        const bits_t sign = (bits_t)1 << (8 * sizeof(bits_t) - 1), lsb = (bits_t)1 << (exponent_lsb);                  \
        bits_t any = 0;                                                                                                \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                            \
            src_t value;                                                                                               \
            bits_t bits;                                                                                               \
            memcpy(&value, src + i, sizeof value); /* not src[i]: Arrow buffers may be unaligned */                    \
            const dst_t result = convert(value);                                                                       \
            memcpy(&bits, &result, sizeof bits);                                                                       \
            memcpy(dst + i, &bits, sizeof bits);                                                                       \
            any |= (bits_t)((bits & (bits_t)~sign) + lsb);                                                             \
        }                                                                                                              \
        return (any & sign) != 0;                                                                                      \
    }

VM_CONVERT_BLOCK(vm_block_f32_to_f16, float, uint16_t, uint16_t, 10, vm_f32_to_f16)
VM_CONVERT_BLOCK(vm_block_f32_to_bf16, float, uint16_t, uint16_t, 7, vm_f32_to_bf16)
VM_CONVERT_BLOCK(vm_block_f64_to_f16, double, uint16_t, uint16_t, 10, vm_f64_to_f16)
VM_CONVERT_BLOCK(vm_block_f64_to_bf16, double, uint16_t, uint16_t, 7, vm_f64_to_bf16)
VM_CONVERT_BLOCK(vm_block_f64_to_f32, double, float, uint32_t, 23, vm_f64_to_f32)

#if VM_X86
VM_TARGET("avx2,f16c") static int vm_block_f32_to_f16_avx2(const float *src, uint16_t *dst, ptrdiff_t n)
{
    const __m128i magnitude = _mm_set1_epi16(0x7fff), lsb = _mm_set1_epi16(0x0400);
    __m128i any = _mm_setzero_si128();
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(dst + i), half);
        any = _mm_or_si128(any, _mm_add_epi16(_mm_and_si128(half, magnitude), lsb));
    }
    return (_mm_movemask_epi8(any) & 0xaaaa) != 0 || vm_block_f32_to_f16(src + i, dst + i, n - i);
}

VM_TARGET("avx512f,avx2") static int vm_block_f32_to_f16_avx512(const float *src, uint16_t *dst, ptrdiff_t n)
{
    const __m256i magnitude = _mm256_set1_epi16(0x7fff), lsb = _mm256_set1_epi16(0x0400);
    __m256i any = _mm256_setzero_si256();
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256i half = _mm512_cvtps_ph(_mm512_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_si256((__m256i *)(dst + i), half);
        any = _mm256_or_si256(any, _mm256_add_epi16(_mm256_and_si256(half, magnitude), lsb));
    }
    return ((unsigned)_mm256_movemask_epi8(any) & 0xaaaaaaaau) != 0 || vm_block_f32_to_f16(src + i, dst + i, n - i);
}
#endif

typedef int vm_block_f32_to_f16_t(const float *, uint16_t *, ptrdiff_t);

static inline vm_block_f32_to_f16_t *vm_choose_f32_to_f16(void)
{
#if VM_X86
    if (VM_CPU_HAS_AVX512("avx512f"))
        return vm_block_f32_to_f16_avx512;
    if (VM_CPU_HAS("avx2") && VM_CPU_HAS("f16c"))
        return vm_block_f32_to_f16_avx2;
#endif
    return vm_block_f32_to_f16;
}

/* Convert n values. Return -1, or the index of the first value whose result is NaN or infinite, because it was or
 * because it overflows; `dst` is unspecified from there on. Any alignment; no overlap. Safe without the GIL. */
#define VM_CONVERT(name, src_t, dst_t, choose_block, finite)                                                           \
    static inline ptrdiff_t name(const src_t *src, dst_t *dst, ptrdiff_t n)                                            \
    {                                                                                                                  \
        int (*const block)(const src_t *, dst_t *, ptrdiff_t) = choose_block;                                          \
        for (ptrdiff_t start = 0; start < n; start += VM_HALF_BLOCK) {                                                 \
            ptrdiff_t len = n - start < VM_HALF_BLOCK ? n - start : VM_HALF_BLOCK;                                     \
            if (block(src + start, dst + start, len))                                                                  \
                return start + finite(dst + start, len);                                                               \
        }                                                                                                              \
        return -1;                                                                                                     \
    }

VM_CONVERT(vm_f32_to_f16_array, float, uint16_t, vm_choose_f32_to_f16(), vm_f16_finite)
VM_CONVERT(vm_f32_to_bf16_array, float, uint16_t, vm_block_f32_to_bf16, vm_bf16_finite)
VM_CONVERT(vm_f64_to_f16_array, double, uint16_t, vm_block_f64_to_f16, vm_f16_finite)
VM_CONVERT(vm_f64_to_bf16_array, double, uint16_t, vm_block_f64_to_bf16, vm_bf16_finite)
VM_CONVERT(vm_f64_to_f32_array, double, float, vm_block_f64_to_f32, vm_f32_finite)

#endif

/* Pack bytes of 0 and 1 into bits, big bit order (element 0 is the highest bit of byte 0), as np.packbits and Milvus
 * do. Packing and the check for other bytes share one pass over the input.
 * Python twin: tests/support/oracles/bits.py (pack_bits_into) */
#ifndef VM_BITS_H
#define VM_BITS_H

#include "dispatch.h"

/* Bytes of output per check: 8 KiB of input, still in L1 when a wrong byte has to be found. */
#define VM_PACK_BLOCK 1024

/* Each vm_pack_block_* packs 8 * n bytes into n. Return non-zero if one of them is neither 0 nor 1. */
static inline unsigned vm_pack_block_plain(const uint8_t *src, uint8_t *dst, ptrdiff_t n)
{
    uint64_t seen = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        uint64_t eight;
        memcpy(&eight, src + 8 * i, 8);
        seen |= eight;
        /* The factor's bits 0, 9, 18 .. 63 move byte k of `eight` to bit 63 - k; no two products share a bit. */
        dst[i] = (uint8_t)((eight * UINT64_C(0x8040201008040201)) >> 56);
    }
    return (seen & UINT64_C(0xfefefefefefefefe)) ? 0xffu : 0u;
}

#if VM_X86
VM_TARGET("avx2") static unsigned vm_pack_block_avx2(const uint8_t *src, uint8_t *dst, ptrdiff_t n)
{
    /* Reversing each group of eight bytes turns movemask's little bit order into the big one. */
    const __m256i reverse = _mm256_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7,
                                            8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    __m256i seen = _mm256_setzero_si256();
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(src + 8 * i));
        seen = _mm256_or_si256(seen, v);
        int bits = _mm256_movemask_epi8(_mm256_slli_epi16(_mm256_shuffle_epi8(v, reverse), 7));
        memcpy(dst + i, &bits, 4);
    }
    unsigned bad = _mm256_testz_si256(seen, _mm256_set1_epi8((char)0xfe)) ? 0u : 0xffu;
    return bad | vm_pack_block_plain(src + 8 * i, dst + i, n - i);
}

VM_TARGET("avx512f,avx512bw") static unsigned vm_pack_block_avx512(const uint8_t *src, uint8_t *dst, ptrdiff_t n)
{
    const __m512i reverse = _mm512_set4_epi32(0x08090a0b, 0x0c0d0e0f, 0x00010203, 0x04050607);
    __m512i seen = _mm512_setzero_si512();
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m512i v = _mm512_loadu_si512(src + 8 * i);
        seen = _mm512_or_si512(seen, v);
        v = _mm512_shuffle_epi8(v, reverse);
        uint64_t bits = (uint64_t)_mm512_test_epi8_mask(v, v);
        memcpy(dst + i, &bits, 8);
    }
    unsigned bad = _mm512_test_epi8_mask(seen, _mm512_set1_epi8((char)0xfe)) ? 0xffu : 0u;
    return bad | vm_pack_block_plain(src + 8 * i, dst + i, n - i);
}
#endif

/* Pack 8 * n_bytes_out bytes of `src` into `dst`. Return -1, or the index in `src` of the first byte that is neither 0
 * nor 1; `dst` is then unspecified. Any alignment; no overlap. Safe without the GIL. */
static inline ptrdiff_t vm_pack_bits(const uint8_t *src, uint8_t *dst, ptrdiff_t n_bytes_out)
{
    unsigned (*pack_block)(const uint8_t *, uint8_t *, ptrdiff_t) = vm_pack_block_plain;
#if VM_X86
    if (VM_CPU_HAS_AVX512("avx512bw"))
        pack_block = vm_pack_block_avx512;
    else if (VM_CPU_HAS("avx2"))
        pack_block = vm_pack_block_avx2;
#endif
    for (ptrdiff_t start = 0; start < n_bytes_out; start += VM_PACK_BLOCK) {
        ptrdiff_t n = n_bytes_out - start < VM_PACK_BLOCK ? n_bytes_out - start : VM_PACK_BLOCK;
        const uint8_t *block = src + 8 * start;
        if (pack_block(block, dst + start, n))
            for (ptrdiff_t i = 0; i < 8 * n; i++)
                if (block[i] > 1)
                    return 8 * start + i;
    }
    return -1;
}

#endif

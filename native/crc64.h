/* CRC-64/NVME: the checksum of NVMe and of S3's x-amz-checksum-crc64nvme.
 * Python twin: tests/support/oracles/crc64.py (crc64nvme, crc64nvme_combine)
 *
 * Polynomial 0xad93d23594c93659, reflected in
 * and out, start and final XOR all ones; check value of "123456789" 0xae8b14860a799888.
 *
 * A 64-bit word is a polynomial over GF(2), reflected: bit 63 is x^0. vm_crc64_init() computes the byte tables and the
 * folding constants x^n mod P; a module calls it once, when it is imported, so that no lock is needed later. Each
 * translation unit that includes this header has its own tables. */
#ifndef VM_CRC64_H
#define VM_CRC64_H

#include "dispatch.h"

#define VM_CRC64_POLY UINT64_C(0x9a6c9329ac4bc9b5)

static uint64_t vm_crc64_table[8][256];
/* {x^(d+63), x^(d-1)} mod P for d = 128, 512, 2048: the factors that carry a 128-bit block over d bits. They are one
 * power short of x^(d+64) and x^d because the product of two reflected 64-bit words comes out multiplied by x. */
static uint64_t vm_crc64_fold_128[2], vm_crc64_fold_512[2], vm_crc64_fold_2048[2];

/* a * b mod P */
static inline uint64_t vm_crc64_multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    for (uint64_t bit = UINT64_C(1) << 63; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = (b >> 1) ^ ((b & 1) ? VM_CRC64_POLY : 0);
    }
    return product;
}

/* x^(n * 2^log2_unit) mod P; log2_unit = 3 for n in bytes, without overflow for any n */
static inline uint64_t vm_crc64_power(uint64_t n, int log2_unit)
{
    uint64_t result = UINT64_C(1) << 63, square = UINT64_C(1) << 62;
    for (int i = 0; i < log2_unit; i++)
        square = vm_crc64_multiply(square, square);
    for (; n; n >>= 1) {
        if (n & 1)
            result = vm_crc64_multiply(result, square);
        square = vm_crc64_multiply(square, square);
    }
    return result;
}

static inline void vm_crc64_init(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? VM_CRC64_POLY : 0);
        vm_crc64_table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (unsigned i = 0; i < 256; i++) {
            uint64_t crc = vm_crc64_table[k - 1][i];
            vm_crc64_table[k][i] = (crc >> 8) ^ vm_crc64_table[0][crc & 0xff];
        }
    uint64_t *folds[3] = {vm_crc64_fold_128, vm_crc64_fold_512, vm_crc64_fold_2048};
    for (int k = 0; k < 3; k++) {
        uint64_t distance = UINT64_C(128) << (2 * k);
        folds[k][0] = vm_crc64_power(distance + 63, 0);
        folds[k][1] = vm_crc64_power(distance - 1, 0);
    }
}

/* The vm_crc64_update_* functions carry the raw register (no start or final XOR) over n bytes. */
static inline uint64_t vm_crc64_update_plain(uint64_t crc, const uint8_t *p, ptrdiff_t n)
{
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc ^= word;
        crc = vm_crc64_table[7][crc & 0xff] ^ vm_crc64_table[6][(crc >> 8) & 0xff]
            ^ vm_crc64_table[5][(crc >> 16) & 0xff] ^ vm_crc64_table[4][(crc >> 24) & 0xff]
            ^ vm_crc64_table[3][(crc >> 32) & 0xff] ^ vm_crc64_table[2][(crc >> 40) & 0xff]
            ^ vm_crc64_table[1][(crc >> 48) & 0xff] ^ vm_crc64_table[0][crc >> 56];
    }
    for (; n > 0; p++, n--)
        crc = (crc >> 8) ^ vm_crc64_table[0][(crc ^ *p) & 0xff];
    return crc;
}

#if VM_X86
#define VM_CRC64_MIN_PCLMUL 64  /* shorter input goes through the tables */
#define VM_CRC64_MIN_WIDE 512

/* acc carried over the distance of `fold`, plus the block that is there */
VM_TARGET("pclmul,sse4.1") static inline __m128i vm_crc64_fold(__m128i acc, __m128i fold, __m128i block)
{
    __m128i high = _mm_clmulepi64_si128(acc, fold, 0x00), low = _mm_clmulepi64_si128(acc, fold, 0x11);
    return _mm_xor_si128(_mm_xor_si128(high, low), block);
}

/* Reduce four neighbouring 128-bit blocks and the n bytes after them to the register. The last step goes through the
 * tables (16 bytes and the tail), which makes a Barrett reduction and its constants needless. */
VM_TARGET("pclmul,sse4.1")
static uint64_t vm_crc64_finish(const __m128i x[4], const uint8_t *p, ptrdiff_t n)
{
    const __m128i fold = _mm_loadu_si128((const __m128i *)vm_crc64_fold_128);
    __m128i acc = vm_crc64_fold(vm_crc64_fold(vm_crc64_fold(x[0], fold, x[1]), fold, x[2]), fold, x[3]);
    for (; n >= 16; p += 16, n -= 16)
        acc = vm_crc64_fold(acc, fold, _mm_loadu_si128((const __m128i *)p));
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, acc);
    return vm_crc64_update_plain(vm_crc64_update_plain(0, rest, 16), p, n);
}

/* n >= VM_CRC64_MIN_PCLMUL */
VM_TARGET("pclmul,sse4.1")
static uint64_t vm_crc64_update_pclmul(uint64_t crc, const uint8_t *p, ptrdiff_t n)
{
    const __m128i fold = _mm_loadu_si128((const __m128i *)vm_crc64_fold_512);
    __m128i x[4];
    for (int k = 0; k < 4; k++)
        x[k] = _mm_loadu_si128((const __m128i *)p + k);
    x[0] = _mm_xor_si128(x[0], _mm_set_epi64x(0, (long long)crc));
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64)
        for (int k = 0; k < 4; k++)
            x[k] = vm_crc64_fold(x[k], fold, _mm_loadu_si128((const __m128i *)p + k));
    return vm_crc64_finish(x, p, n);
}

VM_TARGET("avx2,vpclmulqdq,pclmul")
static inline __m256i vm_crc64_fold_pair(__m256i acc, __m256i fold, __m256i block)
{
    __m256i high = _mm256_clmulepi64_epi128(acc, fold, 0x00), low = _mm256_clmulepi64_epi128(acc, fold, 0x11);
    return _mm256_xor_si256(_mm256_xor_si256(high, low), block);
}

/* n >= VM_CRC64_MIN_WIDE; sixteen 128-bit blocks at a time */
VM_TARGET("avx2,vpclmulqdq,pclmul,sse4.1")
static uint64_t vm_crc64_update_avx2(uint64_t crc, const uint8_t *p, ptrdiff_t n)
{
    const __m256i far = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)vm_crc64_fold_2048));
    const __m256i near = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)vm_crc64_fold_512));
    __m256i x[8];
    for (int k = 0; k < 8; k++)
        x[k] = _mm256_loadu_si256((const __m256i *)p + k);
    x[0] = _mm256_xor_si256(x[0], _mm256_set_epi64x(0, 0, 0, (long long)crc));
    for (p += 256, n -= 256; n >= 256; p += 256, n -= 256)
        for (int k = 0; k < 8; k++)
            x[k] = vm_crc64_fold_pair(x[k], far, _mm256_loadu_si256((const __m256i *)p + k));
    for (int k = 2; k < 8; k++)
        x[k & 1] = vm_crc64_fold_pair(x[k & 1], near, x[k]);
    for (; n >= 64; p += 64, n -= 64)
        for (int k = 0; k < 2; k++)
            x[k] = vm_crc64_fold_pair(x[k], near, _mm256_loadu_si256((const __m256i *)p + k));
    __m128i lanes[4];
    _mm256_storeu_si256((__m256i *)lanes, x[0]);
    _mm256_storeu_si256((__m256i *)lanes + 1, x[1]);
    return vm_crc64_finish(lanes, p, n);
}

VM_TARGET("avx512f,avx512vl,vpclmulqdq,pclmul")
static inline __m512i vm_crc64_fold_wide(__m512i acc, __m512i fold, __m512i block)
{
    __m512i high = _mm512_clmulepi64_epi128(acc, fold, 0x00), low = _mm512_clmulepi64_epi128(acc, fold, 0x11);
    return _mm512_ternarylogic_epi64(high, low, block, 0x96); /* a ^ b ^ c */
}

/* n >= VM_CRC64_MIN_WIDE; sixteen 128-bit blocks at a time */
VM_TARGET("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.1")
static uint64_t vm_crc64_update_avx512(uint64_t crc, const uint8_t *p, ptrdiff_t n)
{
    const __m512i far = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)vm_crc64_fold_2048));
    const __m512i near = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)vm_crc64_fold_512));
    __m512i x[4];
    for (int k = 0; k < 4; k++)
        x[k] = _mm512_loadu_si512(p + 64 * k);
    x[0] = _mm512_xor_si512(x[0], _mm512_zextsi128_si512(_mm_set_epi64x(0, (long long)crc)));
    for (p += 256, n -= 256; n >= 256; p += 256, n -= 256)
        for (int k = 0; k < 4; k++)
            x[k] = vm_crc64_fold_wide(x[k], far, _mm512_loadu_si512(p + 64 * k));
    __m512i acc = vm_crc64_fold_wide(x[0], near, x[1]);
    acc = vm_crc64_fold_wide(vm_crc64_fold_wide(acc, near, x[2]), near, x[3]);
    for (; n >= 64; p += 64, n -= 64)
        acc = vm_crc64_fold_wide(acc, near, _mm512_loadu_si512(p));
    __m128i lanes[4];
    _mm512_storeu_si512(lanes, acc);
    return vm_crc64_finish(lanes, p, n);
}
#endif

/* CRC of the bytes before (crc, 0 for none) followed by these n. Needs vm_crc64_init(). Safe without the GIL. */
static inline uint64_t vm_crc64(uint64_t crc, const uint8_t *p, ptrdiff_t n)
{
    crc = ~crc;
#if VM_X86
    if (n >= VM_CRC64_MIN_WIDE && VM_CPU_HAS("vpclmulqdq") && VM_CPU_HAS("avx2")) {
        if (VM_CPU_HAS_AVX512("avx512vl"))
            return ~vm_crc64_update_avx512(crc, p, n);
        return ~vm_crc64_update_avx2(crc, p, n);
    }
    if (n >= VM_CRC64_MIN_PCLMUL && VM_CPU_HAS("pclmul") && VM_CPU_HAS("sse4.1"))
        return ~vm_crc64_update_pclmul(crc, p, n);
#endif
    return ~vm_crc64_update_plain(crc, p, n);
}

/* CRC of a followed by b, from the CRC of each. The XORs with all ones cancel. */
static inline uint64_t vm_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    return vm_crc64_multiply(vm_crc64_power(len_b, 3), crc_a) ^ crc_b;
}

#endif

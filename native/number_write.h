/* Numbers as decimal text: integers, and the shortest digits that read back as exactly the same float32 or float64.
 * Python twin: tests/support/oracles/row_write.py (number_text)
 *
 * The method is Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020): of all decimals that round to
 * the value take those with the fewest digits, of these the closest, and of two that are equally close the even one.
 * These are the digits of Python's repr. Many float32 at once: number_write_rows.h.
 *
 * Layout: plain for 1e-5 <= |x| < 1e16, always with a digit behind the point, else d.ddde-7. Zero keeps its sign. Every
 * function writes at `p` and returns the end; VM_*_TEXT is the room that it may touch. */
#ifndef VM_NUMBER_WRITE_H
#define VM_NUMBER_WRITE_H

#include "dispatch.h"

#define VM_INT_TEXT 24
#define VM_FLOAT_TEXT 32 /* float32: at most 16 bytes, and 16 more that a wide store may touch */
#define VM_DOUBLE_TEXT 48

/* Powers of ten 10^k, rounded up to 64 and 128 bits with the highest bit set. The module fills them when it is loaded
 * (native/number_write.pxd), by Python's integers: a table of hexadecimal digits could not be checked by reading. */
#define VM_F32_K_MIN (-31)
#define VM_F32_K_MAX 45
#define VM_F64_K_MIN (-292)
#define VM_F64_K_MAX 324
static uint64_t vm_pow10_64[VM_F32_K_MAX - VM_F32_K_MIN + 1];
static uint64_t vm_pow10_128[VM_F64_K_MAX - VM_F64_K_MIN + 1][2]; /* low, high */

static const char vm_two_digits[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/* ---- integers */

static inline int vm_n_digits(uint64_t n)
{
    int count = 1;
    while (n >= 10000) {
        n /= 10000;
        count += 4;
    }
    return count + (n >= 1000 ? 3 : n >= 100 ? 2 : n >= 10 ? 1 : 0);
}

/* Write the last `count` digits of n, padded with zeros. */
static inline void vm_put_digits(uint8_t *p, uint64_t n, int count)
{
    while (count >= 2) {
        count -= 2;
        memcpy(p + count, vm_two_digits + 2 * (n % 100), 2);
        n /= 100;
    }
    if (count)
        p[0] = (uint8_t)('0' + n % 10);
}

static inline uint8_t *vm_put_uint(uint8_t *p, uint64_t n)
{
    int count = vm_n_digits(n);
    vm_put_digits(p, n, count);
    return p + count;
}

static inline uint8_t *vm_put_int(uint8_t *p, int64_t n)
{
    *p = '-';
    return vm_put_uint(p + (n < 0), n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

/* ---- shortest digits of c * 2^q */

typedef struct {
    uint64_t digits;
    int k; /* the value is digits * 10^k */
} vm_decimal;

static inline int vm_floor_log2_pow10(int k)
{
    return (k * 1741647) >> 19;
}

/* 1262611 / 2^22 is log10(2); a power of two is closer to the value below it, and 524031 / 2^22 is log10(4/3). */
static inline int vm_floor_log10(int q, int is_power)
{
    return (q * 1262611 - (is_power ? 524031 : 0)) >> 22;
}

static inline uint64_t vm_odd_product_64(uint64_t g, uint64_t c)
{
    unsigned __int128 product = (unsigned __int128)g * c;
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    return high | ((low >> 32) > 1);
}

static inline uint64_t vm_odd_product_128(const uint64_t *g, uint64_t c)
{
    uint64_t carry = (uint64_t)(((unsigned __int128)g[0] * c) >> 64);
    unsigned __int128 product = (unsigned __int128)g[1] * c + carry;
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

/* Choose among the decimals around `middle` (all three in quarters of 10^k): the one with a digit less if it lies
 * between the limits, else the closer of the two neighbours. */
static inline vm_decimal vm_choose(uint64_t lower, uint64_t middle, uint64_t upper, int k)
{
    uint64_t s = middle / 4, tens = s / 10;
    if (s >= 10) {
        int down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
        if (down != up)
            return (vm_decimal){tens + (uint64_t)up, k + 1};
    }
    int down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down == up)
        up = middle > 4 * s + 2 || (middle == 4 * s + 2 && (s & 1));
    return (vm_decimal){s + (uint64_t)up, k};
}

/* c < 2^24. is_power: c is the smallest of its exponent, so the next value below is half as far as the next above. */
static inline vm_decimal vm_shortest_32(uint32_t c, int q, int is_power)
{
    int k = vm_floor_log10(q, is_power), h = q + vm_floor_log2_pow10(-k) + 1, odd = c & 1;
    uint64_t g = vm_pow10_64[-k - VM_F32_K_MIN], quarters = 4 * (uint64_t)c;
    uint64_t lower = vm_odd_product_64(g, (quarters - 2 + (uint64_t)is_power) << h);
    uint64_t upper = vm_odd_product_64(g, (quarters + 2) << h);
    return vm_choose(lower + odd, vm_odd_product_64(g, quarters << h), upper - odd, k);
}

static inline vm_decimal vm_shortest_64(uint64_t c, int q, int is_power)
{
    int k = vm_floor_log10(q, is_power), h = q + vm_floor_log2_pow10(-k) + 1, odd = c & 1;
    const uint64_t *g = vm_pow10_128[-k - VM_F64_K_MIN];
    uint64_t lower = vm_odd_product_128(g, (4 * c - 2 + (uint64_t)is_power) << h);
    uint64_t upper = vm_odd_product_128(g, (4 * c + 2) << h);
    return vm_choose(lower + odd, vm_odd_product_128(g, (4 * c) << h), upper - odd, k);
}

/* ---- layout */

static inline uint8_t *vm_put_decimal(uint8_t *p, vm_decimal d)
{
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.k++;
    }
    int count = vm_n_digits(d.digits), point = count + d.k; /* the value is 0.digits * 10^point */
    if (point > 16 || point < -4) {
        vm_put_digits(p + 1, d.digits, count);
        p[0] = p[1];
        p[1] = '.';
        p += count == 1 ? 1 : count + 1;
        *p++ = 'e';
        return vm_put_int(p, point - 1);
    }
    if (point <= 0) {
        memset(p, '0', 2 + (size_t)-point);
        p[1] = '.';
        vm_put_digits(p + 2 - point, d.digits, count);
        return p + 2 - point + count;
    }
    if (d.k >= 0) {
        vm_put_digits(p, d.digits, count);
        memset(p + count, '0', (size_t)d.k + 2);
        p[point] = '.';
        return p + point + 2;
    }
    vm_put_digits(p + 1, d.digits, count);
    memmove(p, p + 1, (size_t)point);
    p[point] = '.';
    return p + count + 1;
}

static inline uint8_t *vm_put_zero(uint8_t *p)
{
    memcpy(p, "0.0", 3);
    return p + 3;
}

/* Write a finite float32, given as its bits. NaN and infinity have no JSON form and are refused earlier. */
static inline uint8_t *vm_put_float(uint8_t *p, uint32_t bits)
{
    uint32_t fraction = bits & 0x7fffff, exponent = (bits >> 23) & 0xff;
    *p = '-';
    p += bits >> 31;
    if (!exponent)
        return fraction ? vm_put_decimal(p, vm_shortest_32(fraction, -149, 0)) : vm_put_zero(p);
    return vm_put_decimal(p, vm_shortest_32(fraction | 0x800000, (int)exponent - 150, !fraction && exponent > 1));
}

static inline uint8_t *vm_put_double(uint8_t *p, uint64_t bits)
{
    uint64_t hidden = UINT64_C(1) << 52, fraction = bits & (hidden - 1), exponent = (bits >> 52) & 0x7ff;
    *p = '-';
    p += bits >> 63;
    if (!exponent)
        return fraction ? vm_put_decimal(p, vm_shortest_64(fraction, -1074, 0)) : vm_put_zero(p);
    return vm_put_decimal(p, vm_shortest_64(fraction | hidden, (int)exponent - 1075, !fraction && exponent > 1));
}

/* Write the shortest digits that round to the float16 by way of float32, as the server reads them (to nearest). */
static inline uint8_t *vm_put_float16(uint8_t *p, uint16_t bits)
{
    uint32_t fraction = bits & 0x3ff, exponent = (bits >> 10) & 0x1f;
    *p = '-';
    p += bits >> 15;
    if (!exponent)
        return fraction ? vm_put_decimal(p, vm_shortest_32(fraction, -24, 0)) : vm_put_zero(p);
    return vm_put_decimal(p, vm_shortest_32(fraction | 0x400, (int)exponent - 25, !fraction && exponent > 1));
}

#endif

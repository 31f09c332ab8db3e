/* Decimal text -> int64, double. Lists of them: number_read_lists.h.
 * Python twin: tests/support/oracles/number_read.py (integer_of, number_of)
 *
 * A double is the double that Python's float() returns, bit for bit. Three methods: one multiplication or division of
 * exact doubles, which rounds once (Clinger); else Eisel and Lemire's method with 128-bit powers of five (D. Lemire,
 * "Number Parsing at a Gigabyte per Second", 2021); else `hard`, which calls Python. */
#ifndef VM_NUMBER_READ_H
#define VM_NUMBER_READ_H

#include "dispatch.h"

enum {
    VM_NUM_OK,
    VM_NUM_BAD,    /* not a number */
    VM_NUM_LENGTH, /* a list of another length */
    VM_NUM_RANGE   /* an integer that int64 does not hold */
};

#define VM_POWER_MIN (-342)
#define VM_POWER_MAX 308

/* 5^q, normalised to 128 bits: high, low. The module fills them when it is loaded. */
static uint64_t vm_powers[VM_POWER_MAX - VM_POWER_MIN + 1][2];

/* Python's float() of well-formed text; takes the GIL. */
typedef double (*vm_hard_t)(const char *text, Py_ssize_t n);

static const double vm_tens[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint64_t vm_whole_tens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

static inline int vm_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

static inline int vm_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/* Read up to eight digits at p, without a branch: return how many of the 8 bytes are digits before the first other
 * byte, and their value. */
static inline __attribute__((always_inline)) int vm_eight_digits(const uint8_t *p, uint64_t *value)
{
    uint64_t v, other;
    memcpy(&v, p, 8);
    v ^= 0x3030303030303030u; /* digits become 0 to 9 */
    other = ((v + 0x7676767676767676u) | v) & 0x8080808080808080u;
    int n = other ? __builtin_ctzll(other) >> 3 : 8;
    v = n ? v << (64 - 8 * n) : 0; /* zeros before them */
    v = v * 10 + (v >> 8);
    const uint64_t mask = 0x000000FF000000FFu;
    v = ((v & mask) * 0x000F424000000064u + ((v >> 16) & mask) * 0x0000271000000001u) >> 32;
    *value = (uint32_t)v;
    return n;
}

/* Compute w * 10^q for w of at most 19 digits, by Eisel and Lemire. Return 0 if the method cannot tell how to round. */
static inline int vm_scale_any(uint64_t w, int64_t q, double *out)
{
    if (w == 0 || q < VM_POWER_MIN) { /* below half the least denormal, even for 19 digits */
        *out = 0.0;
        return 1;
    }
    if (q > VM_POWER_MAX)
        return 0;
#ifdef __SIZEOF_INT128__
    int shift = __builtin_clzll(w);
    const uint64_t *five = vm_powers[q - VM_POWER_MIN];
    unsigned __int128 product = (unsigned __int128)(w << shift) * five[0];
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if ((high & 0x1FF) == 0x1FF) {
        uint64_t more = (uint64_t)(((unsigned __int128)(w << shift) * five[1]) >> 64);
        low += more;
        high += low < more;
    }
    if (low == UINT64_MAX && (q < -27 || q > 55))
        return 0;
    int top = (int)(high >> 63);
    uint64_t mantissa = high >> (top + 9);
    int64_t exponent = ((217706 * q) >> 16) + 63 + top - shift + 1023;
    if (exponent <= 0) /* denormal */
        return 0;
    /* Exactly half way: round to even. Other powers cannot be. */
    if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && mantissa << (top + 9) == high)
        mantissa &= ~(uint64_t)1;
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >= (2ull << 52)) {
        mantissa = 1ull << 52;
        exponent++;
    }
    if (exponent >= 0x7FF)
        return 0;
    uint64_t bits = (mantissa & ~(1ull << 52)) | (uint64_t)exponent << 52;
    memcpy(out, &bits, 8);
    return 1;
#else
    return 0;
#endif
}

/* Compute the same, by one division or multiplication if that is exact. */
static inline int vm_scale(uint64_t w, int64_t q, double *out)
{
    if (w <= (1ull << 53) && q >= -22 && q <= 22) {
        double d = (double)w;
        *out = q < 0 ? d / vm_tens[-q] : d * vm_tens[q];
        return 1;
    }
    return vm_scale_any(w, q, out);
}

static inline int vm_word(const uint8_t *p, const uint8_t *end, const char *word, int n)
{
    if (end - p < n)
        return 0;
    for (int i = 0; i < n; i++)
        if ((p[i] | 0x20) != word[i])
            return 0;
    return 1;
}

/* Read NaN, Infinity, -Infinity as json.dumps writes them; lenient: also -NaN, nan, inf in any case. p is behind the
 * sign. Return the byte behind the word, or NULL. */
static __attribute__((noinline)) const uint8_t *vm_not_finite(const uint8_t *p, const uint8_t *end, int lenient,
                                                              double *out)
{
    static const uint64_t nan_bits = 0x7FF8000000000000u, inf_bits = 0x7FF0000000000000u;
    int n = vm_word(p, end, "infinity", 8) ? 8 : lenient && vm_word(p, end, "inf", 3) ? 3 : 0;
    if (n) {
        if (!lenient && memcmp(p, "Infinity", 8))
            return NULL;
        memcpy(out, &inf_bits, 8);
        return p + n;
    }
    if (vm_word(p, end, "nan", 3) && (lenient || !memcmp(p, "NaN", 3))) {
        memcpy(out, &nan_bits, 8);
        return p + 3;
    }
    return NULL;
}

/* Read the number at p by JSON's grammar; lenient: also "+1", ".5", "1.". Return the byte behind it; NULL: no
 * number. */
static inline __attribute__((always_inline)) const uint8_t *vm_double(const uint8_t *p, const uint8_t *end, int lenient,
                                                                      vm_hard_t hard, double *out)
{
    const uint8_t *first = p;
    int negative = p < end && *p == '-';
    p += negative; /* no branch: signs cannot be predicted */
    if (lenient && !negative && p < end && *p == '+')
        p++;
    const uint8_t *whole = p;
    uint64_t w = 0;
    while (p < end && vm_digit(*p))
        w = w * 10 + (*p++ - '0');
    Py_ssize_t digits = p - whole, fraction = 0;
    if (digits == 0 && !(lenient && p < end && *p == '.')) {
        p = vm_not_finite(p, end, lenient, out);
        if (p != NULL && negative) {
            if (!lenient && *out != *out)
                return NULL;
            *out = -*out;
        }
        return p;
    }
    if (!lenient && digits > 1 && *whole == '0')
        return NULL;
    if (p < end && *p == '.') {
        const uint8_t *after = ++p;
        if (end - p >= 16) {
            uint64_t high, low;
            int n = vm_eight_digits(p, &high), m = vm_eight_digits(p + 8, &low);
            int both = -(n == 8); /* no branch: the length of a number cannot be predicted */
            m &= both;
            w = (w * vm_whole_tens[n] + high) * vm_whole_tens[m] + (low & (uint64_t)(int64_t)both);
            p += n + m;
        }
        while (p < end && vm_digit(*p))
            w = w * 10 + (*p++ - '0');
        fraction = p - after;
        if (fraction == 0 && !(lenient && digits))
            return NULL;
    }
    int64_t exponent = 0;
    if (p < end && (*p | 0x20) == 'e') {
        int minus = 0;
        if (++p < end && (*p == '-' || *p == '+'))
            minus = *p++ == '-';
        const uint8_t *power = p;
        while (p < end && vm_digit(*p)) {
            if (exponent < 100000)
                exponent = exponent * 10 + (*p - '0');
            p++;
        }
        if (p == power)
            return NULL;
        exponent = minus ? -exponent : exponent;
    }
    Py_ssize_t significant = digits + fraction;
    if (significant > 19) { /* w has overflowed, unless leading zeros are among the digits */
        const uint8_t *c = whole;
        while (significant > 19 && (*c == '0' || *c == '.'))
            significant -= *c++ == '0';
    }
    if (significant > 19 || !vm_scale(w, exponent - fraction, out)) {
        *out = hard((const char *)first, p - first);
        return p;
    }
    uint64_t bits;
    memcpy(&bits, out, 8);
    bits ^= (uint64_t)negative << 63;
    memcpy(out, &bits, 8);
    return p;
}

/* Read the integer that is the whole of p..end. Return VM_NUM_OK, VM_NUM_BAD or VM_NUM_RANGE. */
static inline int vm_int64(const uint8_t *p, const uint8_t *end, int lenient, int64_t *out)
{
    int negative = 0;
    if (p < end && (*p == '-' || (lenient && *p == '+')))
        negative = *p++ == '-';
    if (p == end || (!lenient && *p == '0' && end - p > 1))
        return VM_NUM_BAD;
    uint64_t limit = (uint64_t)INT64_MAX + negative, w = 0;
    for (; p < end; p++) {
        if (!vm_digit(*p))
            return VM_NUM_BAD;
        uint64_t d = *p - '0';
        if (w > (limit - d) / 10) {
            while (p < end)
                if (!vm_digit(*p++))
                    return VM_NUM_BAD;
            return VM_NUM_RANGE;
        }
        w = w * 10 + d;
    }
    *out = negative ? (int64_t)(0 - w) : (int64_t)w;
    return VM_NUM_OK;
}

/* Return the first byte that is not blank, or `end`. */
static inline const uint8_t *vm_blank(const uint8_t *p, const uint8_t *end)
{
    while (p < end && vm_space(*p))
        p++;
    return p;
}

#endif

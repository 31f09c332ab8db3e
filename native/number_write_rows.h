/* Many numbers as text, each followed by a comma; float32 with AVX2, eight values at a time.
 * Python twin: tests/support/oracles/row_write.py (number_list)
 *
 * The AVX2 path finds the shortest digits in double arithmetic. Let u be the distance of a float32 to its neighbour and
 * s such that 1 <= u * 10^s < 10. In units of 10^-s the value is x < 2^24 * 10, at most nine digits, and what reads
 * back as it lies within u/2: between ``low`` and ``high``, which are 1 to 10 units apart. So there is at most one
 * multiple of ten, the largest below ``high``: if it is above ``low``, it is the shortest decimal once its zeros at
 * the end are cut off; else all integers between have the same length, and the closest one is taken.
 *
 * The table has 10^s to 53 bits, so that x and the limits are off by less than 1.7e8 * 3 * 2^-53 = 6e-8. A decision
 * closer than 1e-6 is left to vm_put_float, and so are powers of two (their lower limit is nearer), zero, subnormals,
 * and values that are not laid out plainly with the point among or before their nine digits. */
#ifndef VM_NUMBER_WRITE_ROWS_H
#define VM_NUMBER_WRITE_ROWS_H

#include "number_write.h"

static inline uint8_t *vm_put_floats_plain(uint8_t *p, const uint8_t *values, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + 4 * i, 4);
        p = vm_put_float(p, bits);
        *p++ = ',';
    }
    return p;
}

#if VM_X86

/* Biased exponents that the AVX2 path lays out: 2^-14 <= |x| < 2^24. */
#define VM_E_FIRST 113
#define VM_E_LAST 150

/* How digits become text. A source register holds the low eight digits, the highest, '.', '0'; ``order`` picks from
 * it. Of a value below one the shape depends on s alone, else also on how many of the nine digits lead with zero. */
typedef struct {
    uint8_t order[16];
    int32_t places; /* digits behind the point, before zeros are cut off */
    int32_t fixed;  /* bytes up to and with the point */
} vm_shape;

static double vm_row_scale[256] __attribute__((aligned(64))); /* 10^s by biased exponent; 0: not laid out here */
static uint8_t vm_first_shape[256];
static vm_shape vm_shapes[3 * (VM_E_LAST - VM_E_FIRST + 1)];

static void vm_fill_shapes(const double *powers)
{
    int n_shapes = 0, last = -1;
    for (int e = VM_E_FIRST; e <= VM_E_LAST; e++) {
        int s = -vm_floor_log10(e - 150, 0);
        vm_row_scale[e] = powers[s];
        if (s == last && e != 127) {
            vm_first_shape[e] = vm_first_shape[e - 1];
            continue;
        }
        last = s;
        vm_first_shape[e] = (uint8_t)n_shapes;
        for (int width = 7; width <= 9; width++) { /* of digits that do not lead with zero */
            vm_shape *shape = &vm_shapes[n_shapes++];
            int whole = e < 127 ? 0 : width - s, at = 0;
            for (int i = 0; i < whole; i++)
                shape->order[at++] = (uint8_t)(9 - width + i);
            if (!whole)
                shape->order[at++] = 10;
            shape->order[at++] = 9;
            for (int i = 9 - s; i < 9; i++)
                shape->order[at++] = (uint8_t)(i < 0 ? 10 : i);
            if (!s)
                shape->order[at++] = 10;
            while (at < 16)
                shape->order[at++] = 0x80;
            /* Digit i of the nine lies in byte i - 1, the highest in byte 8. */
            for (int i = 0; i < 16; i++)
                if (shape->order[i] < 9)
                    shape->order[i] = (uint8_t)(shape->order[i] ? shape->order[i] - 1 : 8);
            shape->places = s;
            shape->fixed = (whole ? whole : 1) + 1;
        }
    }
}

typedef struct {
    uint64_t ascii[8];    /* low eight digits */
    uint32_t value[8];    /* all of them, as a number */
    uint32_t exponent[8]; /* biased */
    unsigned odd;         /* bit i: value i is left to vm_put_float */
    unsigned minus;
} vm_digits8;

VM_TARGET("avx2,fma,bmi,lzcnt")
static inline __m128i vm_scaled4(__m128i magnitude, __m128i exponent, unsigned *odd)
{
    const __m256d epsilon = _mm256_set1_pd(1e-6), ten = _mm256_set1_pd(10.0), sign = _mm256_set1_pd(-0.0);
    __m256d scale = _mm256_i32gather_pd(vm_row_scale, exponent, 8);
    __m256d x = _mm256_mul_pd(_mm256_cvtps_pd(_mm_castsi128_ps(magnitude)), scale);
    __m256i half_exponent = _mm256_add_epi64(_mm256_cvtepu32_epi64(exponent), _mm256_set1_epi64x(1023 - 151));
    __m256d half = _mm256_mul_pd(_mm256_castsi256_pd(_mm256_slli_epi64(half_exponent, 52)), scale);
    __m256d low = _mm256_sub_pd(x, half), high = _mm256_add_pd(x, half);
    __m256d tens = _mm256_floor_pd(_mm256_mul_pd(high, _mm256_set1_pd(0.1)));
    tens = _mm256_mul_pd(tens, ten);
    __m256d above = _mm256_sub_pd(high, tens), below = _mm256_sub_pd(tens, low);
    __m256d nearest = _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256d off = _mm256_andnot_pd(sign, _mm256_sub_pd(x, nearest));
    __m256d result = _mm256_blendv_pd(tens, nearest, below); /* the sign bit chooses: below < 0, the tens are outside */
    /* above and ten - above, |below|, 0.5 - off: each must be clear of zero. */
    __m256d clear = _mm256_min_pd(_mm256_min_pd(above, _mm256_sub_pd(ten, above)), _mm256_andnot_pd(sign, below));
    __m256d tie = _mm256_blendv_pd(ten, _mm256_sub_pd(_mm256_set1_pd(0.5), off), below);
    clear = _mm256_min_pd(clear, tie);
    *odd = (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(clear, epsilon, _CMP_NGT_UQ));
    return _mm256_cvtpd_epi32(result);
}

/* Eight digits of each value below 10^8, as text in memory order. */
VM_TARGET("avx2,fma,bmi,lzcnt")
static inline __m256i vm_ascii4(__m128i values)
{
    __m256i n = _mm256_cvtepu32_epi64(values);
    __m256i high = _mm256_srli_epi64(_mm256_mul_epu32(n, _mm256_set1_epi64x(109951163)), 40); /* n / 10000 */
    __m256i low = _mm256_sub_epi64(n, _mm256_mul_epu32(high, _mm256_set1_epi64x(10000)));
    __m256i fours = _mm256_or_si256(high, _mm256_slli_epi64(low, 32));
    __m256i hundreds = _mm256_srli_epi32(_mm256_mullo_epi32(fours, _mm256_set1_epi32(10486)), 20);
    __m256i rest = _mm256_sub_epi32(fours, _mm256_mullo_epi32(hundreds, _mm256_set1_epi32(100)));
    __m256i twos = _mm256_or_si256(hundreds, _mm256_slli_epi32(rest, 16));
    __m256i tens = _mm256_srli_epi16(_mm256_mullo_epi16(twos, _mm256_set1_epi16(103)), 10);
    __m256i ones = _mm256_sub_epi16(twos, _mm256_mullo_epi16(tens, _mm256_set1_epi16(10)));
    return _mm256_or_si256(tens, _mm256_slli_epi16(ones, 8));
}

VM_TARGET("avx2,fma,bmi,lzcnt")
static inline void vm_digits_of_8(const uint8_t *values, vm_digits8 *out)
{
    const __m256i top = _mm256_set1_epi32(100000000);
    __m256i bits = _mm256_loadu_si256((const __m256i *)values);
    __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
    __m256i exponent = _mm256_srli_epi32(magnitude, 23);
    __m256i is_power = _mm256_cmpeq_epi32(_mm256_slli_epi32(bits, 9), _mm256_setzero_si256());
    unsigned odd_low, odd_high;
    __m128i low = vm_scaled4(_mm256_castsi256_si128(magnitude), _mm256_castsi256_si128(exponent), &odd_low);
    __m128i high = vm_scaled4(_mm256_extracti128_si256(magnitude, 1), _mm256_extracti128_si256(exponent, 1), &odd_high);
    __m256i n = _mm256_set_m128i(high, low);
    __m256i is_nine = _mm256_cmpgt_epi32(n, _mm256_sub_epi32(top, _mm256_set1_epi32(1)));
    __m256i eight = _mm256_sub_epi32(n, _mm256_and_si256(is_nine, top));
    _mm256_storeu_si256((__m256i *)out->ascii, vm_ascii4(_mm256_castsi256_si128(eight)));
    _mm256_storeu_si256((__m256i *)(out->ascii + 4), vm_ascii4(_mm256_extracti128_si256(eight, 1)));
    _mm256_storeu_si256((__m256i *)out->value, n);
    _mm256_storeu_si256((__m256i *)out->exponent, exponent);
    out->odd = odd_low | odd_high << 4 | (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(is_power));
    out->minus = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(bits));
}

VM_TARGET("avx2,fma,bmi,lzcnt")
static inline uint8_t *vm_put_digits8(uint8_t *p, const vm_digits8 *d, int i)
{
    uint64_t digits = d->ascii[i];
    uint32_t value = d->value[i];
    const vm_shape *shape =
        &vm_shapes[vm_first_shape[d->exponent[i]] + (value >= 10000000) + (value >= 100000000)];
    int places = shape->places - (int)(_lzcnt_u64(digits) >> 3);
    __m128i source = _mm_set_epi64x((long long)(UINT64_C(0x302e30) + (value >= 100000000)),
                                    (long long)(digits | UINT64_C(0x3030303030303030)));
    *p = '-';
    p += (d->minus >> i) & 1;
    _mm_storeu_si128((__m128i *)p, _mm_shuffle_epi8(source, _mm_loadu_si128((const __m128i *)shape->order)));
    p += shape->fixed + (places > 1 ? places : 1);
    *p = ',';
    return p + 1;
}

VM_TARGET("avx2,fma,bmi,lzcnt")
static uint8_t *vm_put_floats_avx2(uint8_t *p, const uint8_t *values, Py_ssize_t n)
{
    Py_ssize_t i = 0;
    for (; i + 8 <= n; i += 8) {
        vm_digits8 eight;
        vm_digits_of_8(values + 4 * i, &eight);
        if (!eight.odd) {
            for (int j = 0; j < 8; j++)
                p = vm_put_digits8(p, &eight, j);
            continue;
        }
        for (int j = 0; j < 8; j++)
            p = eight.odd >> j & 1 ? vm_put_floats_plain(p, values + 4 * (i + j), 1) : vm_put_digits8(p, &eight, j);
    }
    return vm_put_floats_plain(p, values + 4 * i, n - i);
}

#endif /* VM_X86 */

/* Fill the tables of this file. `powers`: 10^0 to 10^12. */
static void vm_prepare_rows(const double *powers)
{
#if VM_X86
    vm_fill_shapes(powers);
#else
    (void)powers;
#endif
}

/* Write n float32 values, at any address, each with a comma behind it. May touch VM_FLOAT_TEXT bytes behind the
 * last. */
static inline uint8_t *vm_put_floats(uint8_t *p, const uint8_t *values, Py_ssize_t n)
{
#if VM_X86
    if (n >= 8 && VM_CPU_HAS("avx2") && VM_CPU_HAS("fma") && VM_CPU_HAS("lzcnt"))
        return vm_put_floats_avx2(p, values, n);
#endif
    return vm_put_floats_plain(p, values, n);
}

#endif

/* Check text in files that others wrote: UCS-4 and JSON. Nothing is converted.
 * Python twin: tests/support/oracles/scan_check.py (scan_ucs4, json_end) */
#ifndef VM_SCAN_CHECK_H
#define VM_SCAN_CHECK_H

#include "dispatch.h"
#include "text.h"

enum { VM_UCS4_NUL = 1, VM_UCS4_INVALID = 2 };

/* Measure one row of `width` code points, padded with zeros: the bytes of its UTF-8. Return VM_UCS4_* flags. A zero
 * before a later character is part of the text. */
VM_CLONES static uint8_t vm_scan_ucs4_row(const uint32_t *row, Py_ssize_t width, int64_t *n_bytes)
{
    uint32_t any = 0, last = 0;
    uint32_t filled = 0, two = 0, three = 0, four = 0, invalid = 0;
    for (Py_ssize_t i = 0; i < width; i++) {
        any |= row[i];
        filled += row[i] != 0;
        last = row[i] != 0 ? (uint32_t)i + 1 : last;
    }
    if (any >= 0x80) {
        for (Py_ssize_t i = 0; i < width; i++) {
            uint32_t c = row[i];
            two += c >= 0x80;
            three += c >= 0x800;
            four += c >= 0x10000;
            invalid += c > 0x10FFFF || (c & 0xFFFFF800) == 0xD800;
        }
    }
    *n_bytes = (int64_t)filled + two + three + four;
    return (uint8_t)((last != filled ? VM_UCS4_NUL : 0) | (invalid ? VM_UCS4_INVALID : 0));
}

/* JSON by RFC 8259, as Go's encoding/json reads it: no NaN, no comments, only blanks behind the value, at most 10,000
 * levels; strings may hold bytes that are not UTF-8. */
#define VM_SCAN_DEPTH 10000
enum { VM_SCAN_BAD = -1, VM_SCAN_MORE = -2, VM_SCAN_DEEP = -3 };

static inline Py_ssize_t vm_json_blank(const uint8_t *s, Py_ssize_t i, Py_ssize_t n)
{
    while (i < n && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t'))
        i++;
    return i;
}

static inline int vm_is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* `i` is behind the opening quote. Return the place behind the closing quote. */
static Py_ssize_t vm_json_string(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, Py_ssize_t *bad)
{
    for (;;) {
        uint64_t word;
        while (i + 8 <= n) { /* eight plain bytes at once: no quote, no backslash, no control character */
            memcpy(&word, s + i, 8);
            uint64_t quote = word ^ 0x2222222222222222ULL, slash = word ^ 0x5C5C5C5C5C5C5C5CULL;
            uint64_t low = (word - 0x2020202020202020ULL) & ~word;
            uint64_t q = (quote - 0x0101010101010101ULL) & ~quote, b = (slash - 0x0101010101010101ULL) & ~slash;
            if ((low | q | b) & 0x8080808080808080ULL)
                break;
            i += 8;
        }
        if (i >= n)
            return VM_SCAN_MORE;
        uint8_t c = s[i];
        if (c == '"')
            return i + 1;
        if (c < 0x20) {
            *bad = i;
            return VM_SCAN_BAD;
        }
        if (c != '\\') {
            i++;
            continue;
        }
        if (i + 1 >= n)
            return VM_SCAN_MORE;
        c = s[i + 1];
        if (c == 'u') {
            for (int k = 2; k < 6; k++) {
                if (i + k >= n)
                    return VM_SCAN_MORE;
                if (!vm_is_hex(s[i + k])) {
                    *bad = i + k;
                    return VM_SCAN_BAD;
                }
            }
            i += 6;
        } else if (c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' || c == 't') {
            i += 2;
        } else {
            *bad = i + 1;
            return VM_SCAN_BAD;
        }
    }
}

static inline Py_ssize_t vm_json_digits(const uint8_t *s, Py_ssize_t i, Py_ssize_t n)
{
    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    return i;
}

/* Tell whether the number in s[i:end] is too large for float64: Go's ParseFloat refuses what rounds to 2^1024. */
static int vm_json_is_huge(const uint8_t *s, Py_ssize_t i, Py_ssize_t end)
{
    static const char limit[] = "179769313486231580793728971405"; /* of 309 digits, 2^1024 - 2^970 */
    char first[sizeof limit - 1];
    Py_ssize_t n_first = 0, digits = 0, exponent = 0;
    int is_fraction = 0, is_below_one = 0;
    memset(first, '0', sizeof first);
    for (i += s[i] == '-'; i < end && (s[i] | 0x20) != 'e'; i++) {
        if (s[i] == '.') {
            is_fraction = 1;
            continue;
        }
        if (n_first == 0 && s[i] == '0') { /* a leading zero */
            digits -= is_fraction;
            continue;
        }
        if (n_first < (Py_ssize_t)sizeof first)
            first[n_first++] = (char)s[i];
        digits += !is_fraction;
    }
    if (i < end) {
        i++;
        is_below_one = s[i] == '-';
        for (i += s[i] == '-' || s[i] == '+'; i < end; i++)
            exponent = exponent < ((Py_ssize_t)1 << 50) ? exponent * 10 + s[i] - '0' : exponent;
    }
    digits += is_below_one ? -exponent : exponent;
    return n_first > 0 && (digits > 309 || (digits == 309 && memcmp(first, limit, sizeof first) >= 0));
}

/* Return the place behind a number. A number that ends with the bytes may be incomplete; the caller judges that. */
static Py_ssize_t vm_json_number(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, int as_float, Py_ssize_t *bad)
{
    Py_ssize_t start, begin = i;
    int has_exponent = 0;
    if (i < n && s[i] == '-')
        i++;
    if (i >= n)
        return VM_SCAN_MORE;
    if (s[i] == '0') {
        i++;
    } else if (s[i] >= '1' && s[i] <= '9') {
        i = vm_json_digits(s, i, n);
    } else {
        *bad = i;
        return VM_SCAN_BAD;
    }
    if (i < n && s[i] == '.') {
        start = ++i;
        i = vm_json_digits(s, i, n);
        if (i == start) {
            *bad = i;
            return i >= n ? VM_SCAN_MORE : VM_SCAN_BAD;
        }
    }
    if (i < n && (s[i] | 0x20) == 'e') {
        has_exponent = 1;
        i++;
        if (i < n && (s[i] == '+' || s[i] == '-'))
            i++;
        start = i;
        i = vm_json_digits(s, i, n);
        if (i == start) {
            *bad = i;
            return i >= n ? VM_SCAN_MORE : VM_SCAN_BAD;
        }
    }
    if (as_float && (has_exponent || i - begin >= 309) && vm_json_is_huge(s, begin, i)) {
        *bad = begin;
        return VM_SCAN_BAD;
    }
    return i;
}

static Py_ssize_t vm_json_word(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, const char *word, Py_ssize_t *bad)
{
    for (; *word; word++, i++) {
        if (i >= n)
            return VM_SCAN_MORE;
        if (s[i] != (uint8_t)*word) {
            *bad = i;
            return VM_SCAN_BAD;
        }
    }
    return i;
}

/* Return the place behind the JSON value at i, blanks before it passed over, or a VM_SCAN_* code: BAD and DEEP with the
 * place in *bad, MORE if the bytes end too soon. `open` has room for VM_SCAN_DEPTH bits. `as_float`: a number without a
 * float64 is bad, as for a server that decodes the text instead of keeping it. */
static Py_ssize_t vm_json_end(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, int as_float, uint8_t *open,
                              Py_ssize_t *bad)
{
    Py_ssize_t depth = 0;
    for (;;) { /* a value begins */
        i = vm_json_blank(s, i, n);
        if (i >= n)
            return VM_SCAN_MORE;
        int in_object, empty = 0;
        switch (s[i]) {
        case '{':
        case '[':
            if (depth == VM_SCAN_DEPTH) {
                *bad = i;
                return VM_SCAN_DEEP;
            }
            in_object = s[i] == '{';
            open[depth >> 3] = (uint8_t)((open[depth >> 3] & ~(1 << (depth & 7))) | (in_object << (depth & 7)));
            depth++;
            i = vm_json_blank(s, i + 1, n);
            if (i >= n)
                return VM_SCAN_MORE;
            if (s[i] == (in_object ? '}' : ']')) {
                empty = 1;
                break;
            }
            if (!in_object)
                continue;
            goto key;
        case '"':
            i = vm_json_string(s, i + 1, n, bad);
            break;
        case 't':
            i = vm_json_word(s, i, n, "true", bad);
            break;
        case 'f':
            i = vm_json_word(s, i, n, "false", bad);
            break;
        case 'n':
            i = vm_json_word(s, i, n, "null", bad);
            break;
        default:
            i = vm_json_number(s, i, n, as_float, bad);
        }
        if (i < 0)
            return i;
        for (;;) { /* a value has ended; if `empty`, its closing bracket is next */
            if (depth == 0)
                return i;
            in_object = (open[(depth - 1) >> 3] >> ((depth - 1) & 7)) & 1;
            i = vm_json_blank(s, i, n);
            if (i >= n)
                return VM_SCAN_MORE;
            if (s[i] == (in_object ? '}' : ']')) {
                i++;
                depth--;
                empty = 0;
                continue;
            }
            if (s[i] != ',' || empty) {
                *bad = i;
                return VM_SCAN_BAD;
            }
            i++;
            break;
        }
        if (!in_object)
            continue;
        i = vm_json_blank(s, i, n);
        if (i >= n)
            return VM_SCAN_MORE;
    key:
        if (s[i] != '"') {
            *bad = i;
            return VM_SCAN_BAD;
        }
        i = vm_json_string(s, i + 1, n, bad);
        if (i < 0)
            return i;
        i = vm_json_blank(s, i, n);
        if (i >= n)
            return VM_SCAN_MORE;
        if (s[i] != ':') {
            *bad = i;
            return VM_SCAN_BAD;
        }
        i++;
    }
}

#endif

/* Check JSON values without converting them. Python twin: src/vecmill/validate/text/json.py (RowCheck)
 *
 * Every function takes the bytes p..end and returns the byte behind the value. NULL: the value is not certainly valid,
 * or does not end before `end`; the Python twin has to decide. A number is valid if the number of its digits shows it:
 * it is not converted. */
#ifndef VM_JSON_CHECK_H
#define VM_JSON_CHECK_H

#include "json_read.h"
#include "keys.h"
#include "text.h"

#define VM_CHECK_DEPTH 64       /* levels of JSON */
#define VM_CHECK_KEYS 64        /* keys of one object */
#define VM_CHECK_DIGITS 300      /* before the point, of a number that no field limits */
#define VM_CHECK_SCRATCH 393216 /* bytes: a text of 65,536 bytes, all of them as escapes */

/* Return the first byte that is not a digit, or `end`. */
static inline const uint8_t *vm_check_digits(const uint8_t *p, const uint8_t *end)
{
    uint64_t word;
    while (end - p >= 8) {
        memcpy(&word, p, 8);
        if ((word & 0xF0F0F0F0F0F0F0F0ULL) != 0x3030303030303030ULL ||
            ((word + 0x0606060606060606ULL) & 0xF0F0F0F0F0F0F0F0ULL) != 0x3030303030303030ULL)
            break;
        p += 8;
    }
    while (p < end && (uint8_t)(*p - '0') < 10)
        p++;
    return p;
}

/* An integer from `low` to `top`. A byte must follow, so that the number is known to end. */
static inline const uint8_t *vm_check_int(const uint8_t *p, const uint8_t *end, int64_t low, int64_t top)
{
    int negative = p < end && *p == '-';
    p += negative;
    const uint8_t *first = p;
    uint64_t value = 0;
    while (p < end && p - first < 19 && (uint8_t)(*p - '0') < 10)
        value = value * 10 + (uint64_t)(*p++ - '0');
    if (p == first || (*first == '0' && p - first > 1) || p == end || (uint8_t)(*p - '0') < 10)
        return NULL;
    if (*p == '.' || (*p | 0x20) == 'e')
        return NULL;
    return value <= (negative ? -(uint64_t)low : (uint64_t)top) ? p : NULL;
}

/* A number of at most `digits` digits before its point, its exponent included. A byte must follow. */
static inline const uint8_t *vm_check_float(const uint8_t *p, const uint8_t *end, int digits)
{
    if (p < end && *p == '-')
        p++;
    const uint8_t *first = p;
    p = vm_check_digits(p, end);
    Py_ssize_t n = p - first;
    if (n == 0 || (*first == '0' && n > 1))
        return NULL;
    if (p < end && *p == '.') {
        const uint8_t *point = ++p;
        p = vm_check_digits(p, end);
        if (p == point)
            return NULL;
    }
    if (p < end && (*p | 0x20) == 'e') {
        int power = 0, negative = 0;
        if (++p < end && (*p == '-' || *p == '+'))
            negative = *p++ == '-';
        const uint8_t *start = p;
        while (p < end && p - start < 4 && (uint8_t)(*p - '0') < 10)
            power = power * 10 + (*p++ - '0');
        if (p == start || (p < end && (uint8_t)(*p - '0') < 10))
            return NULL;
        n += negative ? 0 : power;
    }
    return p < end && n <= digits ? p : NULL;
}

static inline const uint8_t *vm_check_word(const uint8_t *p, const uint8_t *end, const char *word, Py_ssize_t n)
{
    return end - p >= n && memcmp(p, word, (size_t)n) == 0 ? p + n : NULL;
}

static inline const uint8_t *vm_check_bool(const uint8_t *p, const uint8_t *end)
{
    return p < end && *p == 't' ? vm_check_word(p, end, "true", 4) : vm_check_word(p, end, "false", 5);
}

/* A JSON string of UTF-8. *bytes: its bytes without escapes; if there are escapes, that text is in `scratch`, which has
 * VM_CHECK_SCRATCH bytes. */
static inline const uint8_t *vm_check_string(const uint8_t *p, const uint8_t *end, uint8_t *scratch, Py_ssize_t *bytes)
{
    int escaped = 0, why;
    if (p == end || *p != '"')
        return NULL;
    const uint8_t *q = vm_string_end(++p, end, &escaped, &why);
    if (q == NULL || !vm_utf8_valid(p, q - p))
        return NULL;
    *bytes = q - p;
    if (escaped && (*bytes > VM_CHECK_SCRATCH || (*bytes = vm_json_unescape(p, q - p, scratch)) < 0))
        return NULL;
    return q + 1;
}

/* Tell whether an escape in the checked string p..end is half of a surrogate pair. */
static inline int vm_check_lone_surrogate(const uint8_t *p, const uint8_t *end)
{
    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        if (p[1] != 'u' || (p[2] | 0x20) != 'd' || p[3] < '8') {
            p += 2;
            continue;
        }
        if ((p[3] | 0x20) >= 'c' || end - p < 12 || p[6] != '\\' || p[7] != 'u' || (p[8] | 0x20) != 'd' ||
            (p[9] | 0x20) < 'c')
            return 1;
        p += 12;
    }
    return 0;
}

/* A string within JSON. Return the place of its closing quote. */
static inline const uint8_t *vm_check_quoted(const uint8_t *p, const uint8_t *end, int *escaped)
{
    int why;
    *escaped = 0;
    if (p == end || *p != '"')
        return NULL;
    const uint8_t *q = vm_string_end(++p, end, escaped, &why);
    return q != NULL && vm_utf8_valid(p, q - p) && !(*escaped && vm_check_lone_surrogate(p, q)) ? q : NULL;
}

/* Any JSON value: UTF-8, at most VM_CHECK_DEPTH levels, at most VM_CHECK_KEYS keys in an object and none twice, numbers
 * of at most `digits` digits. */
static const uint8_t *vm_check_json(const uint8_t *p, const uint8_t *end, int digits, int depth)
{
    const uint8_t *keys[VM_CHECK_KEYS];
    Py_ssize_t sizes[VM_CHECK_KEYS];
    int n = 0, escaped;
    if (p == end || depth == VM_CHECK_DEPTH)
        return NULL;
    switch (*p) {
    case '"':
        p = vm_check_quoted(p, end, &escaped);
        return p == NULL ? NULL : p + 1;
    case 't':
    case 'f':
        return vm_check_bool(p, end);
    case 'n':
        return vm_check_word(p, end, "null", 4);
    case '{':
    case '[':
        break;
    default:
        return vm_check_float(p, end, digits);
    }
    const uint8_t close = *p + 2; /* the closing bracket in ASCII */
    p = vm_white(p + 1, end);
    if (p < end && *p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            const uint8_t *q = n < VM_CHECK_KEYS ? vm_check_quoted(p, end, &escaped) : NULL;
            if (q == NULL || escaped)
                return NULL;
            keys[n] = p + 1;
            sizes[n] = q - p - 1;
            for (int i = 0; i < n; i++)
                if (sizes[i] == sizes[n] && memcmp(keys[i], keys[n], (size_t)sizes[n]) == 0)
                    return NULL;
            n++;
            p = vm_white(q + 1, end);
            if (p == end || *p != ':')
                return NULL;
            p = vm_white(p + 1, end);
        }
        p = vm_check_json(p, end, digits, depth + 1);
        if (p == NULL)
            return NULL;
        p = vm_white(p, end);
        if (p == end)
            return NULL;
        if (*p == close)
            return p + 1;
        if (*p != ',')
            return NULL;
        p = vm_white(p + 1, end);
    }
}

/* Tell whether all of p..end is JSON text. */
static inline int vm_check_json_text(const uint8_t *p, const uint8_t *end, int digits)
{
    p = vm_check_json(vm_white(p, end), end, digits, 0);
    return p != NULL && vm_white(p, end) == end;
}

/* A sparse vector: an object of ascending decimal indices up to 2^32 - 2, with numbers that are not negative. */
static inline const uint8_t *vm_check_sparse(const uint8_t *p, const uint8_t *end)
{
    int64_t last = -1;
    if (p == end || *p != '{')
        return NULL;
    p = vm_white(p + 1, end);
    if (p < end && *p == '}')
        return p + 1;
    for (;;) {
        int64_t index = 0;
        if (p == end || *p != '"')
            return NULL;
        const uint8_t *first = ++p;
        while (p < end && p - first < 10 && (uint8_t)(*p - '0') < 10)
            index = index * 10 + (*p++ - '0');
        if (p == first || p == end || *p != '"' || (*first == '0' && p - first > 1) || index <= last ||
            index > 4294967294)
            return NULL;
        last = index;
        p = vm_white(p + 1, end);
        if (p == end || *p != ':')
            return NULL;
        p = vm_white(p + 1, end);
        if (p == end || *p == '-' || (p = vm_check_float(p, end, 38)) == NULL)
            return NULL;
        p = vm_white(p, end);
        if (p == end)
            return NULL;
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = vm_white(p + 1, end);
    }
}

/* p..end is a checked object, the $meta of a row. Tell whether none of its keys is among the n_row keys of the row. */
static int vm_meta_fits(const uint8_t *p, const uint8_t *end, const vm_key *row, Py_ssize_t n_row)
{
    int escaped = 0, why;
    p = vm_white(p + 1, end);
    while (*p != '}') {
        vm_key key = {p + 1, 0};
        p = vm_string_end(p + 1, end, &escaped, &why);
        if (p == NULL || escaped)
            return 0;
        key.size = p - key.start;
        if (vm_find_key(row, n_row, &key, n_row) >= 0)
            return 0;
        p = vm_check_json(vm_white(vm_white(p + 1, end) + 1, end), end, VM_CHECK_DIGITS, 0);
        p = vm_white(p, end);
        if (*p == ',')
            p = vm_white(p + 1, end);
    }
    return 1;
}

#endif

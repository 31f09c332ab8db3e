/* Is a value of a text file surely fine for its field? "No" means only that somebody has to look closer.
 *
 * Every function takes the bytes p..end and returns the place behind the value, or NULL where it is not surely fine, or
 * not whole. A number is fine if its digits say so: it is not converted. */
#ifndef VECMILL_FINEROWS_H
#define VECMILL_FINEROWS_H

#include "json_read.h"
#include "text.h"

/* LATER: well-formed JSON is all that is looked at here. ANY: nothing is asked of it. */
enum { VM_F_ANY, VM_F_BOOL, VM_F_INT, VM_F_FLOAT, VM_F_TEXT, VM_F_JSON, VM_F_META, VM_F_SPARSE, VM_F_LIST, VM_F_LATER };

#define VM_F_DEPTH 64
#define VM_F_KEYS 64 /* of an object */
#define VM_F_JSON_BYTES 65536
#define VM_F_SCRATCH 393216 /* for 65,536 bytes, all of them escaped */

typedef struct {
    int kind;
    int item;             /* the kind of the elements of a LIST; its limits are those below */
    int exact;            /* a LIST has `count` elements, not at most so many */
    int optional;         /* the key may be missing */
    int nullable;         /* there may be a null */
    int digits;           /* FLOAT, and numbers within JSON: with so many digits before its point each is within the range */
    int64_t low, top;     /* INT */
    Py_ssize_t count;     /* LIST */
    Py_ssize_t max_bytes; /* TEXT; of JSON the most that it may have as it stands */
    uint8_t *scratch;     /* VM_F_SCRATCH bytes */
} vm_fine;

/* Up to the first byte that is no digit. */
static inline const uint8_t *vm_fine_digits(const uint8_t *p, const uint8_t *end)
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

static inline const uint8_t *vm_fine_int(const uint8_t *p, const uint8_t *end, int64_t low, int64_t top)
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

static inline const uint8_t *vm_fine_float(const uint8_t *p, const uint8_t *end, int digits)
{
    if (p < end && *p == '-')
        p++;
    const uint8_t *first = p;
    p = vm_fine_digits(p, end);
    Py_ssize_t n = p - first;
    if (n == 0 || (*first == '0' && n > 1))
        return NULL;
    if (p < end && *p == '.') {
        const uint8_t *point = ++p;
        p = vm_fine_digits(p, end);
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

static inline const uint8_t *vm_fine_word(const uint8_t *p, const uint8_t *end, const char *word, Py_ssize_t n)
{
    return end - p >= n && memcmp(p, word, (size_t)n) == 0 ? p + n : NULL;
}

static inline const uint8_t *vm_fine_bool(const uint8_t *p, const uint8_t *end)
{
    return p < end && *p == 't' ? vm_fine_word(p, end, "true", 4) : vm_fine_word(p, end, "false", 5);
}

/* A string of UTF-8; *bytes is what it stands for. One with escapes is in `scratch`. */
static inline const uint8_t *vm_fine_string(const uint8_t *p, const uint8_t *end, uint8_t *scratch, Py_ssize_t *bytes)
{
    int escaped = 0, why;
    if (p == end || *p != '"')
        return NULL;
    const uint8_t *q = vm_string_end(++p, end, &escaped, &why);
    if (q == NULL || !vm_utf8_valid(p, q - p))
        return NULL;
    *bytes = q - p;
    if (escaped && (*bytes > VM_F_SCRATCH || (*bytes = vm_json_unescape(p, q - p, scratch)) < 0))
        return NULL;
    return q + 1;
}

static inline const uint8_t *vm_fine_text(const vm_fine *f, const uint8_t *p, const uint8_t *end)
{
    Py_ssize_t bytes;
    p = vm_fine_string(p, end, f->scratch, &bytes);
    return p != NULL && bytes <= f->max_bytes ? p : NULL;
}

/* Is there an escape of half a pair of surrogates? */
static inline int vm_fine_lone_surrogate(const uint8_t *p, const uint8_t *end)
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

/* A string within JSON: the place of its closing quote. */
static inline const uint8_t *vm_fine_quoted(const uint8_t *p, const uint8_t *end, int *escaped)
{
    int why;
    *escaped = 0;
    if (p == end || *p != '"')
        return NULL;
    const uint8_t *q = vm_string_end(++p, end, escaped, &why);
    return q != NULL && vm_utf8_valid(p, q - p) && !(*escaped && vm_fine_lone_surrogate(p, q)) ? q : NULL;
}

/* Any JSON value of UTF-8, not nested deep, no key twice in an object, numbers of at most so many digits. */
static const uint8_t *vm_fine_json(const uint8_t *p, const uint8_t *end, int digits, int depth)
{
    const uint8_t *keys[VM_F_KEYS];
    Py_ssize_t sizes[VM_F_KEYS];
    int n = 0, escaped;
    if (p == end || depth == VM_F_DEPTH)
        return NULL;
    switch (*p) {
    case '"':
        p = vm_fine_quoted(p, end, &escaped);
        return p == NULL ? NULL : p + 1;
    case 't':
    case 'f':
        return vm_fine_bool(p, end);
    case 'n':
        return vm_fine_word(p, end, "null", 4);
    case '{':
    case '[':
        break;
    default:
        return vm_fine_float(p, end, digits);
    }
    const uint8_t close = *p + 2; /* so it is in ASCII */
    p = vm_white(p + 1, end);
    if (p < end && *p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            const uint8_t *q = n < VM_F_KEYS ? vm_fine_quoted(p, end, &escaped) : NULL;
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
        p = vm_fine_json(p, end, digits, depth + 1);
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

/* All of p..end is JSON text. */
static inline int vm_fine_json_text(const uint8_t *p, const uint8_t *end, int digits)
{
    p = vm_fine_json(vm_white(p, end), end, digits, 0);
    return p != NULL && vm_white(p, end) == end;
}

/* An object of ascending decimal indices and numbers. */
static inline const uint8_t *vm_fine_sparse(const uint8_t *p, const uint8_t *end)
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
        if (p == end || *p == '-' || (p = vm_fine_float(p, end, 38)) == NULL)
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

static inline __attribute__((always_inline)) const uint8_t *vm_fine_items(const vm_fine *f, const int item,
                                                                          const uint8_t *p, const uint8_t *end)
{
    Py_ssize_t n = 0;
    if (p == end || *p != '[')
        return NULL;
    p = vm_white(p + 1, end);
    if (p == end || *p != ']') {
        for (;;) {
            p = item == VM_F_FLOAT  ? vm_fine_float(p, end, f->digits)
                : item == VM_F_INT  ? vm_fine_int(p, end, f->low, f->top)
                : item == VM_F_TEXT ? vm_fine_text(f, p, end)
                                    : vm_fine_bool(p, end);
            if (p == NULL)
                return NULL;
            n++;
            p = vm_white(p, end);
            if (p == end)
                return NULL;
            if (*p == ']')
                break;
            if (*p != ',')
                return NULL;
            p = vm_white(p + 1, end);
        }
    }
    return p < end && (f->exact ? n == f->count : n <= f->count) ? p + 1 : NULL;
}

static const uint8_t *vm_fine_list(const vm_fine *f, const uint8_t *p, const uint8_t *end)
{
    switch (f->item) {
    case VM_F_FLOAT:
        return vm_fine_items(f, VM_F_FLOAT, p, end);
    case VM_F_INT:
        return vm_fine_items(f, VM_F_INT, p, end);
    case VM_F_TEXT:
        return vm_fine_items(f, VM_F_TEXT, p, end);
    default:
        return vm_fine_items(f, VM_F_BOOL, p, end);
    }
}

/* A string of JSON text, or an object. */
static const uint8_t *vm_fine_json_field(const vm_fine *f, const uint8_t *p, const uint8_t *end)
{
    Py_ssize_t bytes;
    const uint8_t *text = p + 1;
    if (p < end && *p == '{') {
        p = vm_fine_json(p, end, f->digits, 0);
        return p != NULL && p - text < f->max_bytes ? p : NULL;
    }
    p = vm_fine_string(p, end, f->scratch, &bytes);
    if (p == NULL || bytes > VM_F_JSON_BYTES)
        return NULL;
    if (bytes < p - 1 - text)
        text = f->scratch;
    return vm_fine_json_text(text, text + bytes, f->digits) ? p : NULL;
}

/* A value of a row of JSON. A null of a nullable field is fine; LATER and ANY take any JSON. */
static const uint8_t *vm_fine_value(const vm_fine *f, const uint8_t *p, const uint8_t *end)
{
    if (p < end && *p == 'n')
        return f->nullable ? vm_fine_word(p, end, "null", 4) : NULL;
    switch (f->kind) {
    case VM_F_BOOL:
        return vm_fine_bool(p, end);
    case VM_F_INT:
        return vm_fine_int(p, end, f->low, f->top);
    case VM_F_FLOAT:
        return vm_fine_float(p, end, f->digits);
    case VM_F_TEXT:
        return vm_fine_text(f, p, end);
    case VM_F_JSON:
        return vm_fine_json_field(f, p, end);
    case VM_F_META:
        return p < end && *p == '{' ? vm_fine_json_field(f, p, end) : NULL;
    case VM_F_LIST:
        return vm_fine_list(f, p, end);
    default:
        return vm_fine_json(p, end, f->digits, 0);
    }
}

/* A cell of CSV, all of p..end, without the quotes around it. A cell that is the null of the file is not given. */
static int vm_fine_cell(const vm_fine *f, const uint8_t *p, const uint8_t *end)
{
    static const char *const bools[] = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"};
    const uint8_t *q = NULL;
    switch (f->kind) {
    case VM_F_BOOL:
        for (int i = 0; i < 12; i++)
            if ((Py_ssize_t)strlen(bools[i]) == end - p && memcmp(bools[i], p, (size_t)(end - p)) == 0)
                return 1;
        return 0;
    case VM_F_INT: /* the byte behind a cell is there, and belongs to no number */
        return vm_fine_int(p, end + 1, f->low, f->top) == end;
    case VM_F_FLOAT:
        return end - p <= 400 && vm_fine_float(p, end + 1, f->digits) == end;
    case VM_F_TEXT:
        return end - p <= f->max_bytes && vm_utf8_valid(p, end - p);
    case VM_F_META:
        q = vm_white(p, end);
        return q < end && *q == '{' && end - p <= f->max_bytes && vm_fine_json_text(p, end, f->digits);
    case VM_F_JSON:
        return end - p <= f->max_bytes && vm_fine_json_text(p, end, f->digits);
    case VM_F_SPARSE:
        q = vm_fine_sparse(p, end);
        break;
    case VM_F_LIST:
        q = vm_fine_list(f, p, end);
        break;
    default:
        return 1;
    }
    return q != NULL && vm_white(q, end) == end;
}

#endif

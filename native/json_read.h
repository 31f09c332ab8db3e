/* Find values in JSON text without decoding them. Python twin: tests/support/oracles/json_read.py (json_row)
 *
 * Objects are walked strictly. Of a value inside only the end is looked for: of a string its quote, of a list or object
 * its bracket. The reader of the column checks the rest, so that an array of numbers is passed 16 bytes a step. */
#ifndef VM_JSON_READ_H
#define VM_JSON_READ_H

#include "dispatch.h"
#include "spans.h"
#include "text.h"

/* Why a walk stopped. */
enum {
    VM_JSON_OK,
    VM_JSON_SYNTAX,
    VM_JSON_SHORT,  /* the text ends too early */
    VM_JSON_DEEP,   /* more than VM_JSON_DEPTH open brackets */
    VM_JSON_TWICE,  /* a wanted key comes again in the same object */
    VM_JSON_UNKNOWN /* a key is not wanted, and such keys are refused */
};

#define VM_JSON_DEPTH 512

static inline const uint8_t *vm_white(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static inline int vm_hex(uint8_t c)
{
    if ((uint8_t)(c - '0') < 10)
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* p is behind the opening quote. Return the place of the closing quote, or NULL with *why. */
static inline const uint8_t *vm_string_end(const uint8_t *p, const uint8_t *end, int *escaped, int *why)
{
    for (;;) {
#if VM_X86
        while (end - p >= 16) {
            __m128i c = _mm_loadu_si128((const __m128i *)p);
            __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(c, _mm_set1_epi8('"')),
                                                     _mm_cmpeq_epi8(c, _mm_set1_epi8('\\'))),
                                        _mm_cmpeq_epi8(_mm_min_epu8(c, _mm_set1_epi8(0x1F)), c));
            int mask = _mm_movemask_epi8(stop);
            if (mask) {
                p += __builtin_ctz(mask);
                break;
            }
            p += 16;
        }
#endif
        while (p < end && *p != '"' && *p != '\\' && *p >= 0x20)
            p++;
        if (p >= end) {
            *why = VM_JSON_SHORT;
            return NULL;
        }
        if (*p == '"')
            return p;
        if (*p != '\\') { /* a control character */
            *why = VM_JSON_SYNTAX;
            return NULL;
        }
        *escaped = 1;
        if (end - p < 2) {
            *why = VM_JSON_SHORT;
            return NULL;
        }
        if (p[1] == 'u') {
            for (int i = 2; i < 6; i++)
                if (p + i >= end || vm_hex(p[i]) < 0) {
                    *why = p + i >= end ? VM_JSON_SHORT : VM_JSON_SYNTAX;
                    return NULL;
                }
            p += 6;
        } else if (p[1] && strchr("\"\\/bfnrt", p[1])) {
            p += 2;
        } else {
            *why = VM_JSON_SYNTAX;
            return NULL;
        }
    }
}

/* Return the place of the next quote or bracket, or `end`. */
static inline const uint8_t *vm_structure(const uint8_t *p, const uint8_t *end)
{
#if VM_X86
    while (end - p >= 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)p);
        __m128i low = _mm_or_si128(c, _mm_set1_epi8(0x20)); /* [ and ] become { and } */
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(c, _mm_set1_epi8('"')),
                                    _mm_or_si128(_mm_cmpeq_epi8(low, _mm_set1_epi8('{')),
                                                 _mm_cmpeq_epi8(low, _mm_set1_epi8('}'))));
        int mask = _mm_movemask_epi8(stop);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
        p++;
    return p;
}

/* p is at an opening bracket. Return the byte behind its partner, or NULL with *why. */
static inline const uint8_t *vm_nested_end(const uint8_t *p, const uint8_t *end, int *why)
{
    uint8_t partner[VM_JSON_DEPTH];
    int depth = 0, escaped;
    for (;;) {
        p = vm_structure(p, end);
        if (p == end) {
            *why = VM_JSON_SHORT;
            return NULL;
        }
        if (*p == '"') {
            p = vm_string_end(p + 1, end, &escaped, why);
            if (p == NULL)
                return NULL;
        } else if (*p == '[' || *p == '{') {
            if (depth == VM_JSON_DEPTH) {
                *why = VM_JSON_DEEP;
                return NULL;
            }
            partner[depth++] = *p + 2; /* the closing bracket in ASCII */
        } else {
            if (partner[--depth] != *p) {
                *why = VM_JSON_SYNTAX;
                return NULL;
            }
            if (depth == 0)
                return p + 1;
        }
        p++;
    }
}

/* Pass `word` at *p. Return 0 with *why if it is not there. */
static inline int vm_literal(const uint8_t **p, const uint8_t *end, const char *word, int n, int *why)
{
    int have = end - *p < n ? (int)(end - *p) : n;
    if (memcmp(*p, word, have)) {
        *why = VM_JSON_SYNTAX;
        return 0;
    }
    if (have < n) {
        *why = VM_JSON_SHORT;
        return 0;
    }
    *p += n;
    return 1;
}

/* Return the byte behind the value at p, and its VM_SPAN_* kind; or NULL with *why. */
static inline const uint8_t *vm_value_end(const uint8_t *p, const uint8_t *end, int *kind, int *why)
{
    int escaped = 0;
    *why = VM_JSON_SHORT;
    if (p == end)
        return NULL;
    switch (*p) {
    case '"':
        p = vm_string_end(p + 1, end, &escaped, why);
        *kind = escaped ? VM_SPAN_ESCAPED : VM_SPAN_STRING;
        return p ? p + 1 : NULL;
    case '[':
    case '{':
        *kind = *p == '[' ? VM_SPAN_ARRAY : VM_SPAN_OBJECT;
        return vm_nested_end(p, end, why);
    case 'n':
        *kind = VM_SPAN_NULL;
        return vm_literal(&p, end, "null", 4, why) ? p : NULL;
    case 't':
        *kind = VM_SPAN_TRUE;
        return vm_literal(&p, end, "true", 4, why) ? p : NULL;
    case 'f':
        *kind = VM_SPAN_FALSE;
        return vm_literal(&p, end, "false", 5, why) ? p : NULL;
    case 'N':
        *kind = VM_SPAN_FLOAT;
        return vm_literal(&p, end, "NaN", 3, why) ? p : NULL;
    case 'I':
        *kind = VM_SPAN_FLOAT;
        return vm_literal(&p, end, "Infinity", 8, why) ? p : NULL;
    }
    const uint8_t *first = p;
    *kind = VM_SPAN_INT;
    if (*p == '-') {
        p++;
        if (p < end && *p == 'I') {
            *kind = VM_SPAN_FLOAT;
            return vm_literal(&p, end, "Infinity", 8, why) ? p : NULL;
        }
    }
    const uint8_t *digits = p;
    for (; p < end; p++) {
        uint8_t c = *p;
        if ((uint8_t)(c - '0') < 10)
            continue;
        if (c == '.' || c == 'e' || c == 'E' || ((c == '+' || c == '-') && (p[-1] | 0x20) == 'e'))
            *kind = VM_SPAN_FLOAT;
        else
            break;
    }
    if (p == digits) {
        *why = p == end && p > first ? VM_JSON_SHORT : VM_JSON_SYNTAX;
        return NULL;
    }
    return p;
}

/* Undo the escapes of a checked string; `out` has room for n bytes. Return the bytes written; -1: a lone surrogate. */
static inline Py_ssize_t vm_json_unescape(const uint8_t *p, Py_ssize_t n, uint8_t *out)
{
    const uint8_t *end = p + n;
    uint8_t *o = out;
    while (p < end) {
        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        uint8_t c = p[1];
        p += 2;
        if (c == 'u') {
            uint32_t u = 0;
            for (int i = 0; i < 4; i++)
                u = u << 4 | (uint32_t)vm_hex(*p++);
            if (u >= 0xD800 && u < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
                uint32_t v = 0;
                for (int i = 2; i < 6; i++)
                    v = v << 4 | (uint32_t)vm_hex(p[i]);
                if (v >= 0xDC00 && v < 0xE000) {
                    u = 0x10000 + ((u - 0xD800) << 10) + (v - 0xDC00);
                    p += 6;
                }
            }
            int k = vm_utf8_put(o, u);
            if (k == 0)
                return -1;
            o += k;
            continue;
        }
        *o++ = c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    }
    return o - out;
}

/* Return the number of line feeds in n bytes. */
VM_CLONES
static Py_ssize_t vm_count_lines(const uint8_t *p, Py_ssize_t n)
{
    Py_ssize_t count = 0;
    while (n > 0) { /* at most 224 at a time, so that the sum fits in a byte */
        Py_ssize_t part = n < 224 ? n : 224;
        uint8_t some = 0;
        for (Py_ssize_t i = 0; i < part; i++)
            some += p[i] == '\n';
        count += some;
        p += part;
        n -= part;
    }
    return count;
}

#endif

/* Text as a value of JSON or CSV. The functions write at `p` and return the end; the caller has made room, see
 * row_write.h.
 * Python twin: tests/support/oracles/row_write.py (json_value, csv_cell) */
#ifndef VM_CELL_WRITE_H
#define VM_CELL_WRITE_H

#include "dispatch.h"
#include "text.h"

static inline uint8_t *vm_put_bytes(uint8_t *p, const uint8_t *s, Py_ssize_t n)
{
    memcpy(p, s, (size_t)n);
    return p + n;
}

static inline uint8_t *vm_put_quote(uint8_t *p, int is_csv)
{
    p[0] = p[1] = '"';
    return p + 1 + is_csv;
}

/* Return a mask with a bit for each of the first 16 bytes of s[0:n] that JSON must escape. */
static inline unsigned vm_json_special(const uint8_t *s, Py_ssize_t n)
{
#if VM_X86
    if (n >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)s);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(control, marks));
    }
#endif
    unsigned bits = 0;
    for (int i = 0; i < n && i < 16; i++)
        bits |= (unsigned)(s[i] < 0x20 || s[i] == '"' || s[i] == '\\') << i;
    return bits;
}

static inline uint8_t *vm_put_escape(uint8_t *p, uint8_t c, int is_csv)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    *p++ = '\\';
    if (c == '"')
        return vm_put_quote(p, is_csv);
    if (c == '\\' || letters[c & 31]) {
        *p = (uint8_t)(c == '\\' ? c : letters[c]);
        return p + 1;
    }
    memcpy(p, "u00", 3);
    p[3] = (uint8_t)hex[c >> 4];
    p[4] = (uint8_t)hex[c & 15];
    return p + 5;
}

/* Write UTF-8 as a JSON string. */
static inline uint8_t *vm_put_string(uint8_t *p, const uint8_t *s, Py_ssize_t n, int is_csv)
{
    p = vm_put_quote(p, is_csv);
    while (n > 0) {
        Py_ssize_t step = n < 16 ? n : 16;
        unsigned special = vm_json_special(s, n);
        memcpy(p, s, step == 16 ? 16 : (size_t)step);
        if (special)
            step = __builtin_ctz(special);
        p += step;
        s += step;
        n -= step;
        if (special) {
            p = vm_put_escape(p, *s++, is_csv);
            n--;
        }
    }
    return vm_put_quote(p, is_csv);
}

/* Write JSON text on one line: a control character in valid JSON is a blank between tokens. CSV: each quote twice. */
static inline uint8_t *vm_put_json(uint8_t *p, const uint8_t *s, Py_ssize_t n, int is_csv)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        *p++ = s[i] < 0x20 ? ' ' : s[i];
        if (is_csv && s[i] == '"')
            *p++ = '"';
    }
    return p;
}

static inline int vm_is_object(const uint8_t *s, Py_ssize_t n)
{
    Py_ssize_t i = 0;
    while (i < n && (s[i] == ' ' || (s[i] >= 9 && s[i] <= 13)))
        i++;
    return i < n && s[i] == '{';
}

/* Write a text cell of CSV, quoted if it must be, or if it is empty: readers take an empty cell for a null. */
static inline uint8_t *vm_put_csv_text(uint8_t *p, const uint8_t *s, Py_ssize_t n, uint8_t separator)
{
    int special = n == 0, quotes = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        special |= (s[i] == separator) | (s[i] == '\n') | (s[i] == '\r');
        quotes |= s[i] == '"';
    }
    if (!special && !quotes)
        return vm_put_bytes(p, s, n);
    *p++ = '"';
    if (!quotes)
        p = vm_put_bytes(p, s, n);
    else
        for (Py_ssize_t i = 0; i < n; i++) {
            *p++ = s[i];
            if (s[i] == '"')
                *p++ = '"';
        }
    *p = '"';
    return p + 1;
}

#endif

/* Fields of CSV, TSV and PostgreSQL's COPY text, as spans of a buffer.
 * Python twin: tests/support/oracles/csv_read.py (csv_rows, copy_unescaped)
 *
 * CSV is RFC 4180: a field that begins with the quote ends at the next single quote, and may hold separators, line ends
 * and doubled quotes. Without a quote (COPY text) a backslash takes the next byte into the field, whatever it is. */
#ifndef VM_CSV_READ_H
#define VM_CSV_READ_H

#include "dispatch.h"
#include "spans.h"

/* Why the rows end. */
enum {
    VM_CSV_OK,
    VM_CSV_SHORT, /* the end of a field is not in the buffer */
    VM_CSV_QUOTE, /* a quote is not closed, or bytes follow the closing quote */
    VM_CSV_FEW,   /* a row has fewer fields than there are columns */
    VM_CSV_MANY,  /* a row has more */
    VM_CSV_END    /* the line "\." of COPY: nothing follows it */
};

typedef struct {
    uint8_t separator, quote; /* quote 0: none; a backslash escapes */
    const uint8_t *null;      /* the text that stands for a null */
    Py_ssize_t null_size;
} vm_dialect;

typedef struct {
    const uint8_t *start, *end, *next; /* next: behind the separator or line end */
    int kind, last;                    /* VM_SPAN_*; last: the field ends its row */
} vm_field;

/* Return the place of the next separator, line feed or `slash`, or `end`. */
static inline const uint8_t *vm_plain_end(const uint8_t *p, const uint8_t *end, uint8_t separator, uint8_t slash)
{
#if VM_X86
    while (end - p >= 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)p);
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(c, _mm_set1_epi8((char)separator)),
                                    _mm_or_si128(_mm_cmpeq_epi8(c, _mm_set1_epi8('\n')),
                                                 _mm_cmpeq_epi8(c, _mm_set1_epi8((char)slash))));
        int mask = _mm_movemask_epi8(stop);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && *p != separator && *p != '\n' && *p != slash)
        p++;
    return p;
}

/* Find the field at p. `final`: the file ends at `end`. Return VM_CSV_OK, VM_CSV_SHORT or VM_CSV_QUOTE. */
static inline int vm_next_field(const vm_dialect *d, const uint8_t *p, const uint8_t *end, int final, vm_field *f)
{
    f->kind = VM_SPAN_STRING;
    f->start = p;
    if (d->quote && p < end && *p == d->quote) {
        f->start = ++p;
        for (;;) {
            p = p < end ? (const uint8_t *)memchr(p, d->quote, (size_t)(end - p)) : NULL;
            if (p == NULL)
                return final ? VM_CSV_QUOTE : VM_CSV_SHORT;
            if (p + 1 == end && !final)
                return VM_CSV_SHORT;
            if (p + 1 < end && p[1] == d->quote) {
                f->kind = VM_SPAN_ESCAPED;
                p += 2;
                continue;
            }
            break;
        }
        f->end = p++;
        if (p < end && *p == '\r') {
            if (p + 1 == end && !final)
                return VM_CSV_SHORT;
            if (p + 1 == end || p[1] == '\n')
                p++;
        }
        if (p == end && !final)
            return VM_CSV_SHORT;
        if (p < end && *p != d->separator && *p != '\n')
            return VM_CSV_QUOTE;
        f->last = p == end || *p == '\n';
        f->next = p == end ? p : p + 1;
        return VM_CSV_OK;
    }
    uint8_t slash = d->quote ? '\n' : '\\';
    for (;;) {
        p = vm_plain_end(p, end, d->separator, slash);
        if (p < end && *p == '\\' && slash == '\\' && *p != d->separator) {
            f->kind = VM_SPAN_ESCAPED;
            if (p + 1 >= end) {
                if (!final)
                    return VM_CSV_SHORT;
                p = end;
                break;
            }
            p += 2;
            continue;
        }
        break;
    }
    if (p == end && !final)
        return VM_CSV_SHORT;
    f->last = p == end || *p == '\n';
    f->next = p == end ? p : p + 1;
    f->end = p;
    if (f->last && f->end > f->start && f->end[-1] == '\r')
        f->end--;
    if (f->end - f->start == d->null_size && !memcmp(f->start, d->null, (size_t)d->null_size))
        f->kind = VM_SPAN_NULL;
    return VM_CSV_OK;
}

/* Undo doubled quotes; `out` has room for n bytes. Return the bytes written. */
static inline Py_ssize_t vm_unquote(const uint8_t *p, Py_ssize_t n, uint8_t quote, uint8_t *out)
{
    const uint8_t *end = p + n;
    uint8_t *o = out;
    while (p < end) {
        *o++ = *p;
        p += *p == quote ? 2 : 1;
    }
    return o - out;
}

static inline int vm_octal(const uint8_t *p, const uint8_t *end) { return p < end && *p >= '0' && *p <= '7'; }

/* Undo COPY's backslashes (PostgreSQL manual, COPY, "Text Format"); `out` has room for n bytes. Return the bytes
 * written. */
static inline Py_ssize_t vm_copy_unescape(const uint8_t *p, Py_ssize_t n, uint8_t *out)
{
    const uint8_t *end = p + n;
    uint8_t *o = out;
    while (p < end) {
        if (*p != '\\' || p + 1 == end) {
            *o++ = *p++;
            continue;
        }
        uint8_t c = p[1];
        p += 2;
        switch (c) {
        case 'b': *o++ = '\b'; break;
        case 'f': *o++ = '\f'; break;
        case 'n': *o++ = '\n'; break;
        case 'r': *o++ = '\r'; break;
        case 't': *o++ = '\t'; break;
        case 'v': *o++ = '\v'; break;
        case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': {
            int v = c - '0';
            for (int i = 0; i < 2 && vm_octal(p, end); i++)
                v = v * 8 + (*p++ - '0');
            *o++ = (uint8_t)v;
            break;
        }
        default: *o++ = c; /* COPY never writes \xHH */
        }
    }
    return o - out;
}

#endif

/* UTF-8 and UCS-4 text in memory. Python twin: tests/support/oracles/text.py (utf8_from_ucs4, ucs4_from_plain)
 *
 * CPython keeps a str as Latin-1, UCS-2 or UCS-4. To encode those units here is faster than the first call of
 * PyUnicode_AsUTF8AndSize, and leaves no UTF-8 copy on each str of the caller. */
#ifndef VM_TEXT_H
#define VM_TEXT_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { VM_TEXT_SURROGATE = -1, VM_TEXT_NUL = -2, VM_TEXT_NO_ROOM = -3, VM_TEXT_INVALID = -4 };

/* Tell whether all of n bytes are ASCII. */
static inline int vm_is_ascii(const uint8_t *s, Py_ssize_t n)
{
    uint64_t acc = 0, word;
    Py_ssize_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, s + i, 8);
        acc |= word;
    }
    for (; i < n; i++)
        acc |= s[i];
    return (acc & 0x8080808080808080ULL) == 0;
}

static inline int vm_has_crlf(const uint8_t *s, Py_ssize_t n)
{
    const uint8_t *end = s + n;
    while (s < end && (s = memchr(s, '\r', (size_t)(end - s))) != NULL)
        if (++s < end && *s == '\n')
            return 1;
    return 0;
}

/* Return the number of code points of UTF-8: the bytes that are not continuation bytes. */
static inline Py_ssize_t vm_utf8_codepoints(const uint8_t *s, Py_ssize_t n)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < n; i++)
        count += (s[i] & 0xC0) != 0x80;
    return count;
}

/* Append one code point; `out` has 4 bytes of room. Return the bytes written; 0: a surrogate, or above U+10FFFF. */
static inline int vm_utf8_put(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | (c >> 6));
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        if (c >= 0xD800 && c <= 0xDFFF)
            return 0;
        out[0] = (uint8_t)(0xE0 | (c >> 12));
        out[1] = (uint8_t)(0x80 | ((c >> 6) & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    if (c > 0x10FFFF)
        return 0;
    out[0] = (uint8_t)(0xF0 | (c >> 18));
    out[1] = (uint8_t)(0x80 | ((c >> 12) & 0x3F));
    out[2] = (uint8_t)(0x80 | ((c >> 6) & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

/* The loop of vm_utf8_encode, for a constant `kind`. */
static inline __attribute__((always_inline)) Py_ssize_t vm_utf8_encode_kind(const void *data, const int kind,
                                                                            Py_ssize_t n, uint8_t *out,
                                                                            Py_ssize_t room, int refuse_nul)
{
    Py_ssize_t used = 0, i = 0;
    int nul = 0;
    while (i < n) {
        uint32_t c;
        uint8_t tail[4];
        int k;
        if (kind == 2 && i + 4 <= n && used + 4 <= room) { /* four ASCII characters at once */
            uint64_t four;
            memcpy(&four, (const uint16_t *)data + i, 8);
            if ((four & 0xFF80FF80FF80FF80ULL) == 0 && (four & 0x00FF) && (four & 0x00FF0000) &&
                (four & 0x00FF00000000ULL) && (four >> 48)) {
                out[used] = (uint8_t)four;
                out[used + 1] = (uint8_t)(four >> 16);
                out[used + 2] = (uint8_t)(four >> 32);
                out[used + 3] = (uint8_t)(four >> 48);
                used += 4;
                i += 4;
                continue;
            }
        }
        c = kind == 1   ? ((const uint8_t *)data)[i]
            : kind == 2 ? ((const uint16_t *)data)[i]
                        : ((const uint32_t *)data)[i];
        nul |= c == 0;
        if (used + 4 <= room) {
            k = vm_utf8_put(out + used, c);
        } else {
            k = vm_utf8_put(tail, c);
            if (used + k > room)
                return VM_TEXT_NO_ROOM;
            memcpy(out + used, tail, (size_t)k);
        }
        if (k == 0)
            return VM_TEXT_SURROGATE;
        used += k;
        i++;
    }
    return nul && refuse_nul ? VM_TEXT_NUL : used;
}

/* Encode n units of `kind` bytes each (1 Latin-1, 2 UCS-2, 4 UCS-4) as UTF-8 into out[0:room]. Return the bytes
 * written, or a negative VM_TEXT_* code; `out` is unspecified then. */
static inline Py_ssize_t vm_utf8_encode(const void *data, int kind, Py_ssize_t n, uint8_t *out, Py_ssize_t room,
                                        int refuse_nul)
{
    if (kind == 1)
        return vm_utf8_encode_kind(data, 1, n, out, room, refuse_nul);
    if (kind == 2)
        return vm_utf8_encode_kind(data, 2, n, out, room, refuse_nul);
    return vm_utf8_encode_kind(data, 4, n, out, room, refuse_nul);
}

/* Encode a str object as UTF-8 into out[0:room]. Return as vm_utf8_encode. */
static inline Py_ssize_t vm_utf8_from_str(PyObject *text, uint8_t *out, Py_ssize_t room, int refuse_nul)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_ASCII(text)) {
        const void *data = PyUnicode_DATA(text);
        if (n > room)
            return VM_TEXT_NO_ROOM;
        if (refuse_nul && memchr(data, 0, (size_t)n))
            return VM_TEXT_NUL;
        memcpy(out, data, (size_t)n);
        return n;
    }
    return vm_utf8_encode(PyUnicode_DATA(text), PyUnicode_KIND(text), n, out, room, refuse_nul);
}

/* Decode the code point at s[0:n]. Return its length in bytes; 0: not well-formed UTF-8 (Unicode 15, table 3-7: no
 * overlong forms, no surrogates, nothing above U+10FFFF). */
static inline int vm_utf8_get(const uint8_t *s, Py_ssize_t n, uint32_t *c)
{
    uint8_t a = s[0];
    if (a < 0x80) {
        *c = a;
        return 1;
    }
    if (a < 0xC2)
        return 0;
    if (a < 0xE0) {
        if (n < 2 || (s[1] & 0xC0) != 0x80)
            return 0;
        *c = ((uint32_t)(a & 0x1F) << 6) | (s[1] & 0x3F);
        return 2;
    }
    if (a < 0xF0) {
        if (n < 3 || (s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80)
            return 0;
        *c = ((uint32_t)(a & 0x0F) << 12) | ((uint32_t)(s[1] & 0x3F) << 6) | (s[2] & 0x3F);
        return *c < 0x800 || (*c >= 0xD800 && *c <= 0xDFFF) ? 0 : 3;
    }
    if (a < 0xF5) {
        if (n < 4 || (s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80 || (s[3] & 0xC0) != 0x80)
            return 0;
        *c = ((uint32_t)(a & 0x07) << 18) | ((uint32_t)(s[1] & 0x3F) << 12) | ((uint32_t)(s[2] & 0x3F) << 6) |
             (s[3] & 0x3F);
        return *c < 0x10000 || *c > 0x10FFFF ? 0 : 4;
    }
    return 0;
}

/* Tell whether s[0:n] is well-formed UTF-8. */
static inline int vm_utf8_valid(const uint8_t *s, Py_ssize_t n)
{
    Py_ssize_t i = 0;
    uint32_t c;
    if (vm_is_ascii(s, n))
        return 1;
    while (i < n) {
        int k = vm_utf8_get(s + i, n - i, &c);
        if (k == 0)
            return 0;
        i += k;
    }
    return 1;
}

/* Decode n bytes of UTF-8 into out[0:width] and fill the rest with zeros, as NumPy's U dtype. Return the code points
 * written, VM_TEXT_NO_ROOM or VM_TEXT_INVALID. */
static inline Py_ssize_t vm_ucs4_from_utf8(const uint8_t *s, Py_ssize_t n, uint32_t *out, Py_ssize_t width)
{
    Py_ssize_t used = 0, i = 0;
    if (n <= width && vm_is_ascii(s, n)) {
        for (; i < n; i++)
            out[i] = s[i];
        used = n;
    }
    while (i < n) {
        uint32_t c;
        int k;
        if (i + 4 <= n && used + 4 <= width) { /* four ASCII bytes at once */
            uint32_t four;
            memcpy(&four, s + i, 4);
            if ((four & 0x80808080u) == 0) {
                for (k = 0; k < 4; k++)
                    out[used + k] = s[i + k];
                used += 4;
                i += 4;
                continue;
            }
        }
        k = vm_utf8_get(s + i, n - i, &c);
        if (k == 0)
            return VM_TEXT_INVALID;
        if (used == width)
            return VM_TEXT_NO_ROOM;
        out[used++] = c;
        i += k;
    }
    memset(out + used, 0, (size_t)(width - used) * 4);
    return used;
}

#endif

/* Lists of numbers: decimal text -> int64 or float32, in one pass. Fast path for plain lists: number_read_quick.h.
 * Python twin: tests/support/oracles/number_read.py (list_of) */
#ifndef VM_NUMBER_READ_LISTS_H
#define VM_NUMBER_READ_LISTS_H

#include "number_read.h"

/* Read the list of `dim` numbers that is the whole of p..end, as float32 or, as_int, int64. Lenient: braces are
 * brackets, and blanks alone separate numbers, as NumPy prints them. `*found`: the number of values, for
 * VM_NUM_LENGTH. */
static inline __attribute__((always_inline)) int vm_list_any(const uint8_t *p, const uint8_t *end, const int lenient,
                                                             const int as_int, vm_hard_t hard, void *out,
                                                             Py_ssize_t dim, Py_ssize_t *found)
{
    Py_ssize_t n = 0;
    p = vm_blank(p, end);
    if (p == end || (*p != '[' && !(lenient && *p == '{')))
        return VM_NUM_BAD;
    uint8_t close = *p++ == '[' ? ']' : '}';
    p = vm_blank(p, end);
    if (p < end && *p == close)
        p++;
    else
        for (;;) {
            if (as_int) {
                const uint8_t *stop = p;
                int64_t value = 0;
                while (stop < end && (vm_digit(*stop) || *stop == '-' || *stop == '+'))
                    stop++;
                int status = vm_int64(p, stop, lenient, &value);
                if (status != VM_NUM_OK)
                    return status;
                p = stop;
                if (n < dim)
                    ((int64_t *)out)[n] = value;
            } else {
                double value;
                p = vm_double(p, end, lenient, hard, &value);
                if (p == NULL)
                    return VM_NUM_BAD;
                if (n < dim)
                    ((float *)out)[n] = (float)value;
            }
            n++;
            const uint8_t *behind = p;
            p = vm_blank(p, end);
            if (p == end)
                return VM_NUM_BAD;
            if (*p == ',') {
                p = vm_blank(p + 1, end);
                continue;
            }
            if (*p == close) {
                p++;
                break;
            }
            if (!lenient || p == behind)
                return VM_NUM_BAD;
        }
    if (vm_blank(p, end) != end)
        return VM_NUM_BAD;
    *found = n;
    return n == dim ? VM_NUM_OK : VM_NUM_LENGTH;
}

/* Read a list; four copies of the loop, each with constant `lenient` and `as_int`. Return a VM_NUM_* code. */
static inline int vm_list(const uint8_t *p, const uint8_t *end, int lenient, int as_int, vm_hard_t hard, void *out,
                          Py_ssize_t dim, Py_ssize_t *found)
{
    if (as_int)
        return lenient ? vm_list_any(p, end, 1, 1, hard, out, dim, found)
                       : vm_list_any(p, end, 0, 1, hard, out, dim, found);
    return lenient ? vm_list_any(p, end, 1, 0, hard, out, dim, found)
                   : vm_list_any(p, end, 0, 0, hard, out, dim, found);
}

#endif

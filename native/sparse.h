/* Sparse vectors -> the JSON object that files hold: {"3":1.25,"7":0.5}, sorted by index, with the shortest digits.
 * Python twin: src/vecmill/types/sparse.py (sparse_arrays) */
#ifndef VM_SPARSE_H
#define VM_SPARSE_H

#include <stdlib.h>
#include "columns.h"
#include "number_write.h"

#define VM_MAX_INDEX INT64_C(0xfffffffe) /* the server reserves 2^32 - 1 */

typedef struct {
    uint32_t index;
    float value;
} vm_entry;

/* Most bytes of an entry: two quotes, ten digits, colon, float32, comma. SLACK: brackets, and bytes behind the text
 * that a wide store may touch. */
#define VM_ENTRY_TEXT (14 + 16)
#define VM_SPARSE_SLACK (2 + VM_FLOAT_TEXT)

static int vm_compare_entries(const void *a, const void *b)
{
    uint32_t x = ((const vm_entry *)a)->index, y = ((const vm_entry *)b)->index;
    return (x > y) - (x < y);
}

/* Sort by index, unless they are sorted. Return 0 if an index comes twice. */
static int vm_sort_entries(vm_entry *entries, Py_ssize_t n)
{
    int sorted = 1;
    for (Py_ssize_t i = 1; i < n; i++)
        sorted &= entries[i - 1].index < entries[i].index;
    if (sorted)
        return 1;
    qsort(entries, (size_t)n, sizeof(vm_entry), vm_compare_entries);
    for (Py_ssize_t i = 1; i < n; i++)
        if (entries[i - 1].index == entries[i].index)
            return 0;
    return 1;
}

/* A value is finite and not below zero; minus zero is allowed. */
static inline int vm_is_sparse_value(float value)
{
    uint32_t bits = vm_float_bits(value);
    return bits < 0x7f800000u || bits == 0x80000000u;
}

/* Write the object of n sorted entries; return its bytes. `out` has n * VM_ENTRY_TEXT + VM_SPARSE_SLACK bytes. */
static Py_ssize_t vm_put_entries(const vm_entry *entries, Py_ssize_t n, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = '{';
    for (Py_ssize_t i = 0; i < n; i++) {
        *p++ = '"';
        p = vm_put_uint(p, entries[i].index);
        *p++ = '"';
        *p++ = ':';
        p = vm_put_float(p, vm_float_bits(entries[i].value));
        *p++ = ',';
    }
    p -= n > 0;
    *p++ = '}';
    return p - out;
}

/* Read a dict of int to number with n entries, sorted. Return VM_OK, or VM_REFUSED for anything else. */
static int vm_entries_of_dict(PyObject *dict, vm_entry *entries, Py_ssize_t n)
{
    PyObject *key, *item;
    Py_ssize_t at = 0, i = 0;
    while (PyDict_Next(dict, &at, &key, &item)) {
        long long index;
        double d;
        if (i >= n || !PyLong_CheckExact(key) || vm_as_integer(key, 0, VM_MAX_INDEX, &index) != VM_OK ||
            !(PyFloat_CheckExact(item) || PyLong_CheckExact(item)) || vm_as_double(item, &d) != VM_OK)
            return VM_REFUSED;
        entries[i].index = (uint32_t)index;
        entries[i].value = (float)d;
        if (!vm_is_sparse_value(entries[i].value))
            return VM_REFUSED;
        i++;
    }
    return i == n && vm_sort_entries(entries, n) ? VM_OK : VM_REFUSED;
}

#endif

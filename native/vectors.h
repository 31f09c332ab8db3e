/* One Python value -> one slot of a vector column: a list or tuple of numbers, a buffer, or the bytes of the file.
 * Python twin: tests/support/oracles/columns.py (put)
 *
 * The checks of range and of NaN and infinity cost nothing beside the conversion. Results as in columns.h. */
#ifndef VM_VECTORS_H
#define VM_VECTORS_H

#include "bits.h"
#include "columns.h"
#include "half.h"

/* Distance, in elements, at which float objects are prefetched into L2. A list of fresh floats is 32 bytes an element
 * and is read at the speed of main memory: 3.3 ns an element, 3.8 without the prefetch, 0.7 from the cache. */
#define VM_AHEAD 96

static int vm_items_to_float32(PyObject **items, Py_ssize_t n, float *out)
{
    uint32_t carry = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        double d;
        if (i + VM_AHEAD < n)
            __builtin_prefetch(items[i + VM_AHEAD], 0, 2);
        if (PyFloat_CheckExact(items[i]))
            d = PyFloat_AS_DOUBLE(items[i]);
        else if (vm_as_double(items[i], &d) != VM_OK)
            return VM_REFUSED;
        out[i] = (float)d;
        carry |= vm_float_carry(vm_float_bits(out[i]));
    }
    return carry >> 31 ? VM_REFUSED : VM_OK;
}

static int vm_items_to_half(PyObject **items, Py_ssize_t n, uint16_t *out, int brain)
{
    uint32_t exponent = brain ? 0x7f80u : 0x7c00u;
    for (Py_ssize_t i = 0; i < n; i++) {
        double d;
        uint16_t bits;
        if (vm_as_double(items[i], &d) != VM_OK)
            return VM_REFUSED;
        bits = brain ? vm_f64_to_bf16(d) : vm_f64_to_f16(d);
        if ((bits & exponent) == exponent)
            return VM_REFUSED;
        out[i] = bits;
    }
    return VM_OK;
}

static int vm_items_to_int8(PyObject **items, Py_ssize_t n, int8_t *out)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        long long value;
        if (vm_as_integer(items[i], vm_int_low(VM_KIND_INT8), vm_int_high(VM_KIND_INT8), &value) != VM_OK)
            return VM_REFUSED;
        out[i] = (int8_t)value;
    }
    return VM_OK;
}

/* Write 1 for each item that is `one` or `yes`, else 0. Return non-zero if an item is none of the four. */
VM_CLONES static uint64_t vm_flag_pointers(const uintptr_t *items, ptrdiff_t n, uintptr_t zero, uintptr_t one,
                                           uintptr_t no, uintptr_t yes, uint8_t *bits)
{
    uint64_t strangers = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        uint64_t set = (items[i] == one) | (items[i] == yes);
        uint64_t clear = (items[i] == zero) | (items[i] == no);
        strangers |= (set | clear) ^ 1;
        bits[i] = (uint8_t)set;
    }
    return strangers;
}

static inline uint64_t vm_flag_items(const uintptr_t *items, ptrdiff_t n, uintptr_t zero, uintptr_t one, uint8_t *bits)
{
    return vm_flag_pointers(items, n, zero, one, (uintptr_t)Py_False, (uintptr_t)Py_True, bits);
}

#define VM_BITS_AT_ONCE 1024

/* n items of 0 and 1 -> n / 8 bytes. CPython keeps one object for 0 and one for 1, so pointers are compared, eight an
 * instruction and without a branch: 1 ns a bit, the speed of main memory; 4.9 ns when compared one by one. */
static int vm_items_to_bits(PyObject **items, Py_ssize_t n, uint8_t *out, PyObject *zero, PyObject *one)
{
    uint8_t bits[VM_BITS_AT_ONCE];
    uint64_t strangers = 0;
    for (Py_ssize_t i = 0; i < n; i += VM_BITS_AT_ONCE) {
        Py_ssize_t m = n - i < VM_BITS_AT_ONCE ? n - i : VM_BITS_AT_ONCE;
        strangers |= vm_flag_items((const uintptr_t *)(items + i), m, (uintptr_t)zero, (uintptr_t)one, bits);
        vm_pack_bits(bits, out + (i >> 3), m >> 3);
    }
    if (strangers == 0)
        return VM_OK;
    memset(out, 0, (size_t)(n >> 3)); /* other integers, such as NumPy's: one by one */
    for (Py_ssize_t i = 0; i < n; i++) {
        long long value;
        if (items[i] == Py_True || items[i] == Py_False)
            value = items[i] == Py_True;
        else if (vm_as_integer(items[i], 0, 1, &value) != VM_OK)
            return VM_REFUSED;
        out[i >> 3] |= (uint8_t)(value << (7 - (i & 7)));
    }
    return VM_OK;
}

static int vm_col_put_items(const vm_column *c, PyObject *list, uint8_t *out, PyObject *zero, PyObject *one)
{
    PyObject **items = PySequence_Fast_ITEMS(list);
    if (PySequence_Fast_GET_SIZE(list) != c->dim)
        return VM_REFUSED;
    switch (c->kind) {
    case VM_KIND_FLOAT_VECTOR:
        return vm_items_to_float32(items, c->dim, (float *)out);
    case VM_KIND_FLOAT16_VECTOR:
        return vm_items_to_half(items, c->dim, (uint16_t *)out, 0);
    case VM_KIND_BFLOAT16_VECTOR:
        return vm_items_to_half(items, c->dim, (uint16_t *)out, 1);
    case VM_KIND_INT8_VECTOR:
        return vm_items_to_int8(items, c->dim, (int8_t *)out);
    default:
        return vm_items_to_bits(items, c->dim, out, zero, one);
    }
}

/* n contiguous elements of type `format` (a letter of Python's struct module) -> one slot. Refuses types and lengths
 * that need a conversion which NumPy does better. */
static int vm_col_put_elements(const vm_column *c, const void *src, char format, Py_ssize_t n, uint8_t *out)
{
    if (c->kind == VM_KIND_BINARY_VECTOR) {
        if (format == 'B' && n == c->width) {
            memcpy(out, src, (size_t)n);
            return VM_OK;
        }
        if ((format == 'B' || format == '?') && n == c->dim)
            return vm_pack_bits(src, out, c->width) < 0 ? VM_OK : VM_REFUSED;
        return VM_REFUSED;
    }
    if (n != c->dim)
        return VM_REFUSED;
    if (c->kind == VM_KIND_FLOAT_VECTOR && format == 'f') {
        uint32_t carry = 0;
        const uint32_t *bits = src;
        uint32_t *dst = (uint32_t *)out;
        for (Py_ssize_t i = 0; i < n; i++) {
            carry |= vm_float_carry(bits[i]);
            dst[i] = bits[i];
        }
        return carry >> 31 ? VM_REFUSED : VM_OK;
    }
    if (c->kind == VM_KIND_FLOAT_VECTOR && format == 'd') {
        uint32_t carry = 0;
        const double *d = src;
        float *dst = (float *)out;
        for (Py_ssize_t i = 0; i < n; i++) {
            dst[i] = (float)d[i];
            carry |= vm_float_carry(vm_float_bits(dst[i]));
        }
        return carry >> 31 ? VM_REFUSED : VM_OK;
    }
    if (c->kind == VM_KIND_FLOAT16_VECTOR && format == 'e') {
        const uint16_t *bits = src;
        uint32_t carry = 0;
        for (Py_ssize_t i = 0; i < n; i++)
            carry |= (bits[i] & 0x7fffu) + 0x0400u;
        memcpy(out, src, (size_t)n * 2);
        return carry & 0x8000u ? VM_REFUSED : VM_OK;
    }
    if (c->kind == VM_KIND_INT8_VECTOR && format == 'b') {
        memcpy(out, src, (size_t)n);
        return VM_OK;
    }
    return VM_REFUSED;
}

/* The n bytes of a vector as the file has them -> one slot: bits packed, halves little-endian. float_vector is
 * refused. */
static int vm_col_put_bytes(const vm_column *c, const uint8_t *src, Py_ssize_t n, uint8_t *out)
{
    if (n != c->width)
        return VM_REFUSED;
    if (c->kind == VM_KIND_FLOAT16_VECTOR || c->kind == VM_KIND_BFLOAT16_VECTOR) {
        uint32_t exponent = c->kind == VM_KIND_FLOAT16_VECTOR ? 0x7c00u : 0x7f80u;
        for (Py_ssize_t i = 0; i < n; i += 2)
            if (((src[i] | (uint32_t)src[i + 1] << 8) & exponent) == exponent)
                return VM_REFUSED;
    } else if (c->kind != VM_KIND_BINARY_VECTOR && c->kind != VM_KIND_INT8_VECTOR) {
        return VM_REFUSED;
    }
    memcpy(out, src, (size_t)n);
    return VM_OK;
}

/* Put a list, tuple, bytes or one-dimensional buffer into the c->width bytes at `out`. `zero` and `one`: the objects 0
 * and 1. */
static int vm_col_put_vector(const vm_column *c, PyObject *o, uint8_t *out, PyObject *zero, PyObject *one)
{
    int status = VM_REFUSED;
    Py_buffer view;
    if (PyList_CheckExact(o) || PyTuple_CheckExact(o)) {
#if PY_VERSION_HEX >= 0x030D0000
        Py_BEGIN_CRITICAL_SECTION(o); /* free-threaded builds: another thread may shrink the list */
        status = vm_col_put_items(c, o, out, zero, one);
        Py_END_CRITICAL_SECTION();
        return status;
#else
        return vm_col_put_items(c, o, out, zero, one);
#endif
    }
    if (PyBytes_CheckExact(o))
        return vm_col_put_bytes(c, (const uint8_t *)PyBytes_AS_STRING(o), PyBytes_GET_SIZE(o), out);
    /* The memory of a masked array does not tell which elements are masked. */
    if (!strcmp(Py_TYPE(o)->tp_name, "MaskedArray") || PyObject_GetBuffer(o, &view, PyBUF_RECORDS_RO) != 0) {
        PyErr_Clear();
        return VM_REFUSED;
    }
    if (view.ndim == 1 && view.format && view.format[0] && !view.format[1] && view.strides[0] == view.itemsize &&
        (uintptr_t)view.buf % (uintptr_t)view.itemsize == 0)
        status = vm_col_put_elements(c, view.buf, view.format[0], view.shape[0], out);
    PyBuffer_Release(&view);
    return status;
}

#endif

/* One Python value -> one slot of a column buffer. Python twins: tests/oracles.py (put_*).
 *
 * These loops are C over PyObject** on purpose: a typed memoryview or Cython's item access is 1.6x slower, and the
 * range and NaN/Inf checks cost nothing beside the conversion. Each function returns a status of native/status.pxd and
 * never leaves a Python exception set: what it does not take, Python looks at again. */
#ifndef VECMILL_COLUMNS_H
#define VECMILL_COLUMNS_H

#include <Python.h>
#include <stdint.h>
#include <string.h>
#include "bits.h"
#include "half.h"
#include "text.h"

enum { VM_OK = 0, VM_FULL = 1, VM_REFUSED = 2 };

enum {
    VM_BOOL, VM_INT8, VM_INT16, VM_INT32, VM_INT64, VM_FLOAT, VM_DOUBLE, /* scalars */
    VM_TEXT, VM_ENCODED, VM_META, VM_ARRAY, VM_STRUCT,                   /* variable width */
    VM_FLOAT_VECTOR, VM_FLOAT16_VECTOR, VM_BFLOAT16_VECTOR, VM_INT8_VECTOR, VM_BINARY_VECTOR
};

typedef struct {
    int kind;
    int refuse_nul;        /* text: U+0000 cannot be carried */
    int refuse_crlf;       /* nor can CR LF */
    const uint8_t *null_text; /* nor can this, which means null; NULL if nothing does */
    Py_ssize_t n_null_text;
    Py_ssize_t dim;        /* vectors: elements (bits for binary ones); arrays: the most elements */
    Py_ssize_t width;      /* fixed width: bytes of one value */
    Py_ssize_t max_bytes;  /* text: longest value in UTF-8 bytes, -1 for no limit */
    Py_ssize_t room;       /* variable width: bytes that `values` is meant to hold */
    Py_ssize_t full_room;  /* and what it does hold, for the first row: one long value must always fit */
    uint8_t *values;       /* fixed width: capacity * width bytes */
    int32_t *offsets;      /* variable width: capacity + 1 of them */
    uint8_t *validity;     /* one byte a row, or NULL where the field is not nullable */
} vm_column;

static inline uint32_t vm_float_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

/* Bit 31 of the result is set for NaN and Inf only: an exponent of all ones carries into it. */
static inline uint32_t vm_float_carry(uint32_t bits)
{
    return (bits & 0x7fffffffu) + 0x00800000u;
}

/* Is it a scalar of NumPy whose type has this name? Told by name: NumPy's C API would be needed for nothing else. */
static inline int vm_is_numpy(PyObject *o, const char *name, size_t length)
{
    return strncmp(Py_TYPE(o)->tp_name, name, length) == 0;
}

/* Read a float, or an int where a float is asked for. bool is neither here. */
static inline int vm_as_double(PyObject *o, double *d)
{
    if (PyFloat_CheckExact(o)) {
        *d = PyFloat_AS_DOUBLE(o);
        return VM_OK;
    }
    if (PyLong_CheckExact(o)) {
        *d = PyLong_AsDouble(o);
        if (*d == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return VM_REFUSED;
        }
        return VM_OK;
    }
    if (PyFloat_Check(o)) { /* numpy.float64 is a subclass */
        *d = PyFloat_AS_DOUBLE(o);
        return VM_OK;
    }
    /* list(array) is full of these */
    if (vm_is_numpy(o, "numpy.float", 11) || vm_is_numpy(o, "numpy.int", 9) || vm_is_numpy(o, "numpy.uint", 10)) {
        *d = PyFloat_AsDouble(o);
        if (*d == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return VM_REFUSED;
        }
        return VM_OK;
    }
    return VM_REFUSED;
}

/* Read an integer within [low, high], but never a bool. Anything else with __index__ goes the slow way: it may be a
 * masked array, or run Python code that changes the list whose items are being walked. */
static inline int vm_as_integer(PyObject *o, long long low, long long high, long long *value)
{
    int overflow;
    if (PyLong_CheckExact(o)) {
        *value = PyLong_AsLongLongAndOverflow(o, &overflow);
    } else if (PyLong_Check(o) ? !PyBool_Check(o)
                               : vm_is_numpy(o, "numpy.int", 9) || vm_is_numpy(o, "numpy.uint", 10)) {
        PyObject *index = PyNumber_Index(o);
        if (index == NULL) {
            PyErr_Clear();
            return VM_REFUSED;
        }
        *value = PyLong_AsLongLongAndOverflow(index, &overflow);
        Py_DECREF(index);
    } else {
        return VM_REFUSED;
    }
    return overflow || *value < low || *value > high ? VM_REFUSED : VM_OK;
}

/* Float objects ahead to fetch into L2: a list of fresh floats is 32 bytes an element, read at the pace of main memory
 * (3.8 ns an element without, 3.3 with; 0.7 when the objects are in the cache). */
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
        if (vm_as_integer(items[i], -128, 127, &value) != VM_OK)
            return VM_REFUSED;
        out[i] = (int8_t)value;
    }
    return VM_OK;
}

/* Flag the items that are one or True; return non-zero if any is none of zero, one, False, True. */
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

/* 0/1 items -> bits. CPython keeps one object for 0 and for 1, so that identity decides, without a branch and eight
 * pointers an instruction: 1 ns a bit, at the pace of main memory; 4.9 when compared one by one. */
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
    memset(out, 0, (size_t)(n >> 3)); /* other integers, as NumPy's: one by one */
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

static int vm_put_items(const vm_column *c, PyObject *list, uint8_t *out, PyObject *zero, PyObject *one)
{
    PyObject **items = PySequence_Fast_ITEMS(list);
    if (PySequence_Fast_GET_SIZE(list) != c->dim)
        return VM_REFUSED;
    switch (c->kind) {
    case VM_FLOAT_VECTOR:
        return vm_items_to_float32(items, c->dim, (float *)out);
    case VM_FLOAT16_VECTOR:
        return vm_items_to_half(items, c->dim, (uint16_t *)out, 0);
    case VM_BFLOAT16_VECTOR:
        return vm_items_to_half(items, c->dim, (uint16_t *)out, 1);
    case VM_INT8_VECTOR:
        return vm_items_to_int8(items, c->dim, (int8_t *)out);
    default:
        return vm_items_to_bits(items, c->dim, out, zero, one);
    }
}

/* dim contiguous elements of one native type -> one slot. Other layouts go the slow way, through NumPy. */
static int vm_put_elements(const vm_column *c, const void *src, char format, Py_ssize_t n, uint8_t *out)
{
    if (c->kind == VM_BINARY_VECTOR) {
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
    if (c->kind == VM_FLOAT_VECTOR && format == 'f') {
        uint32_t carry = 0;
        const uint32_t *bits = src;
        uint32_t *dst = (uint32_t *)out;
        for (Py_ssize_t i = 0; i < n; i++) {
            carry |= vm_float_carry(bits[i]);
            dst[i] = bits[i];
        }
        return carry >> 31 ? VM_REFUSED : VM_OK;
    }
    if (c->kind == VM_FLOAT_VECTOR && format == 'd') {
        uint32_t carry = 0;
        const double *d = src;
        float *dst = (float *)out;
        for (Py_ssize_t i = 0; i < n; i++) {
            dst[i] = (float)d[i];
            carry |= vm_float_carry(vm_float_bits(dst[i]));
        }
        return carry >> 31 ? VM_REFUSED : VM_OK;
    }
    if (c->kind == VM_FLOAT16_VECTOR && format == 'e') {
        const uint16_t *bits = src;
        uint32_t carry = 0;
        for (Py_ssize_t i = 0; i < n; i++)
            carry |= (bits[i] & 0x7fffu) + 0x0400u;
        memcpy(out, src, (size_t)n * 2);
        return carry & 0x8000u ? VM_REFUSED : VM_OK;
    }
    if (c->kind == VM_INT8_VECTOR && format == 'b') {
        memcpy(out, src, (size_t)n);
        return VM_OK;
    }
    return VM_REFUSED;
}

/* bytes as they stand in the file: binary vectors packed, half vectors as little-endian pairs. */
static int vm_put_bytes(const vm_column *c, const uint8_t *src, Py_ssize_t n, uint8_t *out)
{
    if (n != c->width)
        return VM_REFUSED;
    if (c->kind == VM_FLOAT16_VECTOR || c->kind == VM_BFLOAT16_VECTOR) {
        uint32_t exponent = c->kind == VM_FLOAT16_VECTOR ? 0x7c00u : 0x7f80u;
        for (Py_ssize_t i = 0; i < n; i += 2)
            if (((src[i] | (uint32_t)src[i + 1] << 8) & exponent) == exponent)
                return VM_REFUSED;
    } else if (c->kind != VM_BINARY_VECTOR && c->kind != VM_INT8_VECTOR) {
        return VM_REFUSED;
    }
    memcpy(out, src, (size_t)n);
    return VM_OK;
}

static int vm_put_vector(const vm_column *c, PyObject *o, uint8_t *out, PyObject *zero, PyObject *one)
{
    int status = VM_REFUSED;
    Py_buffer view;
    if (PyList_CheckExact(o) || PyTuple_CheckExact(o)) {
#if PY_VERSION_HEX >= 0x030D0000
        Py_BEGIN_CRITICAL_SECTION(o); /* free-threaded builds: another thread may shrink the list */
        status = vm_put_items(c, o, out, zero, one);
        Py_END_CRITICAL_SECTION();
        return status;
#else
        return vm_put_items(c, o, out, zero, one);
#endif
    }
    if (PyBytes_CheckExact(o))
        return vm_put_bytes(c, (const uint8_t *)PyBytes_AS_STRING(o), PyBytes_GET_SIZE(o), out);
    /* A subclass of ndarray may mean more than its memory says: a masked array does. */
    if (!strcmp(Py_TYPE(o)->tp_name, "MaskedArray") || PyObject_GetBuffer(o, &view, PyBUF_RECORDS_RO) != 0) {
        PyErr_Clear();
        return VM_REFUSED;
    }
    if (view.ndim == 1 && view.format && view.format[0] && !view.format[1] && view.strides[0] == view.itemsize &&
        (uintptr_t)view.buf % (uintptr_t)view.itemsize == 0)
        status = vm_put_elements(c, view.buf, view.format[0], view.shape[0], out);
    PyBuffer_Release(&view);
    return status;
}

static int vm_put_scalar(const vm_column *c, PyObject *o, uint8_t *out)
{
    static const int width_bits[] = {0, 8, 16, 32, 64};
    double d;
    long long value;
    if (c->kind == VM_BOOL) {
        if (o != Py_True && o != Py_False)
            return VM_REFUSED;
        out[0] = o == Py_True;
        return VM_OK;
    }
    if (c->kind == VM_FLOAT || c->kind == VM_DOUBLE) {
        float f;
        if (vm_as_double(o, &d) != VM_OK)
            return VM_REFUSED;
        if (c->kind == VM_DOUBLE) {
            memcpy(out, &d, 8);
            return d - d == 0.0 ? VM_OK : VM_REFUSED;
        }
        f = (float)d;
        memcpy(out, &f, 4);
        return vm_float_carry(vm_float_bits(f)) >> 31 ? VM_REFUSED : VM_OK;
    }
    int shift = 64 - width_bits[c->kind];
    if (vm_as_integer(o, INT64_MIN >> shift, INT64_MAX >> shift, &value) != VM_OK)
        return VM_REFUSED;
    memcpy(out, &value, (size_t)c->width); /* little-endian: the low bytes come first */
    return VM_OK;
}

/* Bytes that a value of variable width may take at `row`. */
static inline Py_ssize_t vm_room(const vm_column *c, Py_ssize_t row)
{
    return (row == 0 ? c->full_room : c->room) - c->offsets[row];
}

/* Put a str at `row` of a text column and set the offset behind it. */
static int vm_put_text(const vm_column *c, PyObject *o, Py_ssize_t row)
{
    Py_ssize_t start = c->offsets[row], n;
    if (!PyUnicode_Check(o))
        return VM_REFUSED;
    n = vm_utf8_from_str(o, c->values + start, vm_room(c, row), c->refuse_nul);
    if (n == VM_TEXT_NO_ROOM)
        return VM_FULL;
    if (n < 0 || (c->max_bytes >= 0 && n > c->max_bytes))
        return VM_REFUSED;
    if (c->refuse_crlf && vm_has_crlf(c->values + start, n))
        return VM_REFUSED;
    if (c->null_text && n == c->n_null_text && !memcmp(c->values + start, c->null_text, (size_t)n))
        return VM_REFUSED;
    c->offsets[row + 1] = (int32_t)(start + n);
    return VM_OK;
}

#endif

/* Column buffers, and one Python value -> one slot of one: scalars and text. Vectors: vectors.h; lists: arrays.h.
 * Python twin: tests/support/oracles/columns.py (put)
 *
 * These functions are C over PyObject pointers because a typed memoryview, or Cython's access to an item, is 1.6 times
 * slower. Each returns VM_OK, VM_FULL or VM_REFUSED and leaves no Python exception set: Python looks again at a value
 * that is refused. */
#ifndef VM_COLUMNS_H
#define VM_COLUMNS_H

#include <Python.h>
#include <stdint.h>
#include <string.h>
#include "kinds.h"
#include "status.h"
#include "text.h"

typedef struct {
    int kind;                 /* VM_KIND_* */
    int refuse_nul;           /* text: refuse U+0000 */
    int refuse_crlf;          /* text: refuse CR LF */
    int refuse_empty;         /* arrays and structs: refuse a list without elements */
    const uint8_t *null_text; /* text: refuse this text, which readers take for a null; NULL: nothing is refused */
    Py_ssize_t n_null_text;
    Py_ssize_t dim;       /* vectors: dimensions; arrays and structs: largest number of elements */
    Py_ssize_t width;     /* fixed width: bytes of one value */
    Py_ssize_t max_bytes; /* text: longest value in UTF-8 bytes; -1: no limit */
    Py_ssize_t room;      /* variable width: bytes of `values` that rows behind the first may fill */
    Py_ssize_t full_room; /* variable width: bytes of `values`; the first row may fill them all */
    uint8_t *values;      /* fixed width: capacity * width bytes */
    int32_t *offsets;     /* variable width: capacity + 1 offsets into `values` */
    uint8_t *validity;    /* one byte a row, 0 or 1; NULL: the field is not nullable */
} vm_column;

static inline uint32_t vm_float_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

/* Bit 31 of the result is set for NaN and infinity only: an exponent of all ones carries into it. */
static inline uint32_t vm_float_carry(uint32_t bits)
{
    return (bits & 0x7fffffffu) + 0x00800000u;
}

/* Tell whether `o` is a NumPy scalar whose type name begins with `name`. By name, because nothing else here needs
 * NumPy's C API. */
static inline int vm_is_numpy(PyObject *o, const char *name, size_t length)
{
    return strncmp(Py_TYPE(o)->tp_name, name, length) == 0;
}

/* Read a float, or an int as a float. A bool is refused. */
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
    /* the items of list(array) */
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

/* Read an integer within [low, high]. A bool is refused. So is any other object with __index__: it may be a masked
 * array, or run Python code that changes the list whose items are being walked. */
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

/* Put a bool or number into the c->width bytes at `out`. */
static int vm_col_put_scalar(const vm_column *c, PyObject *o, uint8_t *out)
{
    double d;
    long long value;
    if (c->kind == VM_KIND_BOOL) {
        if (o != Py_True && o != Py_False)
            return VM_REFUSED;
        out[0] = o == Py_True;
        return VM_OK;
    }
    if (c->kind == VM_KIND_FLOAT || c->kind == VM_KIND_DOUBLE) {
        float f;
        if (vm_as_double(o, &d) != VM_OK)
            return VM_REFUSED;
        if (c->kind == VM_KIND_DOUBLE) {
            memcpy(out, &d, 8);
            return d - d == 0.0 ? VM_OK : VM_REFUSED;
        }
        f = (float)d;
        memcpy(out, &f, 4);
        return vm_float_carry(vm_float_bits(f)) >> 31 ? VM_REFUSED : VM_OK;
    }
    if (vm_as_integer(o, vm_int_low(c->kind), vm_int_high(c->kind), &value) != VM_OK)
        return VM_REFUSED;
    memcpy(out, &value, (size_t)c->width); /* little-endian: the low bytes come first */
    return VM_OK;
}

/* Return the bytes that a value of variable width may take at `row`. */
static inline Py_ssize_t vm_col_room(const vm_column *c, Py_ssize_t row)
{
    return (row == 0 ? c->full_room : c->room) - c->offsets[row];
}

/* Put a null at `row`: zeros, or no bytes. Return VM_MISSING if the field is not nullable. */
static inline int vm_col_put_null(const vm_column *c, Py_ssize_t row)
{
    if (c->validity == NULL)
        return VM_MISSING;
    c->validity[row] = 0;
    if (c->width)
        memset(c->values + row * c->width, 0, (size_t)c->width);
    else
        c->offsets[row + 1] = c->offsets[row];
    return VM_OK;
}

/* Put a str at `row` of a text column and set the offset behind it. */
static int vm_col_put_text(const vm_column *c, PyObject *o, Py_ssize_t row)
{
    Py_ssize_t start = c->offsets[row], n;
    if (!PyUnicode_Check(o))
        return VM_REFUSED;
    n = vm_utf8_from_str(o, c->values + start, vm_col_room(c, row), c->refuse_nul);
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

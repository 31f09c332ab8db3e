/* The elements of one ARRAY value, packed one behind another: numbers little-endian, a bool a byte, a text as its
 * length in four bytes and its UTF-8. Python twin: tests/support/oracles/columns.py (packed_array)
 *
 * The vm_pack_* functions return the bytes packed, -VM_FULL or -VM_REFUSED; no Python exception stays set. */
#ifndef VM_ARRAYS_H
#define VM_ARRAYS_H

#include "columns.h"

static Py_ssize_t vm_pack_items(const vm_column *item, PyObject **items, Py_ssize_t n, uint8_t *out, Py_ssize_t room)
{
    Py_ssize_t used = 0;
    if (!vm_is_text(item->kind)) {
        if (n * item->width > room)
            return -VM_FULL;
        for (Py_ssize_t i = 0; i < n; i++)
            if (vm_col_put_scalar(item, items[i], out + i * item->width) != VM_OK)
                return -VM_REFUSED;
        return n * item->width;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t length;
        Py_ssize_t got;
        if (!PyUnicode_Check(items[i]))
            return -VM_REFUSED;
        got = room - used < 4 ? VM_TEXT_NO_ROOM : vm_utf8_from_str(items[i], out + used + 4, room - used - 4, 0);
        if (got == VM_TEXT_NO_ROOM)
            return -VM_FULL;
        if (got < 0 || (item->max_bytes >= 0 && got > item->max_bytes))
            return -VM_REFUSED;
        length = (uint32_t)got;
        memcpy(out + used, &length, 4);
        used += 4 + got;
    }
    return used;
}

/* Pack a list or tuple of at most `most` scalars into out[0:room]. */
static Py_ssize_t vm_pack_scalars(const vm_column *item, PyObject *o, Py_ssize_t most, uint8_t *out, Py_ssize_t room)
{
    Py_ssize_t packed = -VM_REFUSED;
#if PY_VERSION_HEX >= 0x030D0000
    Py_BEGIN_CRITICAL_SECTION(o); /* free-threaded builds: another thread may shrink the list */
#endif
    if (PySequence_Fast_GET_SIZE(o) <= most)
        packed = vm_pack_items(item, PySequence_Fast_ITEMS(o), PySequence_Fast_GET_SIZE(o), out, room);
#if PY_VERSION_HEX >= 0x030D0000
    Py_END_CRITICAL_SECTION();
#endif
    return packed;
}

/* Pack an ndarray or other one-dimensional buffer of the element's own type. Other buffers are refused. */
static Py_ssize_t vm_pack_buffer(const vm_column *item, PyObject *o, Py_ssize_t most, uint8_t *out, Py_ssize_t room)
{
    static const char *formats[] = {"?", "b", "h", "i", "lq", "f", "d"};
    Py_ssize_t packed = -VM_REFUSED;
    Py_buffer view;
    if (vm_is_text(item->kind) || !strcmp(Py_TYPE(o)->tp_name, "MaskedArray") || PyBytes_Check(o) ||
        PyObject_GetBuffer(o, &view, PyBUF_RECORDS_RO) != 0) {
        PyErr_Clear();
        return packed;
    }
    if (view.ndim == 1 && view.format && view.format[0] && !view.format[1] &&
        strchr(formats[item->kind], view.format[0]) && view.itemsize == item->width &&
        view.strides[0] == view.itemsize && view.shape[0] <= most) {
        packed = view.len;
        if (packed > room) {
            packed = -VM_FULL;
        } else {
            const uint8_t *src = view.buf;
            memcpy(out, src, (size_t)packed);
            for (Py_ssize_t at = 0; at < packed && item->kind == VM_KIND_FLOAT; at += 4) {
                uint32_t bits;
                memcpy(&bits, src + at, 4);
                if (vm_float_carry(bits) >> 31)
                    packed = -VM_REFUSED;
            }
            for (Py_ssize_t at = 0; at < packed && item->kind == VM_KIND_DOUBLE; at += 8) {
                double d;
                memcpy(&d, src + at, 8);
                if (d - d != 0.0)
                    packed = -VM_REFUSED;
            }
        }
    }
    PyBuffer_Release(&view);
    return packed;
}

/* Put a list, tuple or one-dimensional buffer of at most c->dim elements at `row` of an array column. */
static int vm_col_put_array(const vm_column *c, const vm_column *item, PyObject *o, Py_ssize_t row)
{
    uint8_t *out = c->values + c->offsets[row];
    Py_ssize_t packed = PyList_CheckExact(o) || PyTuple_CheckExact(o)
                            ? vm_pack_scalars(item, o, c->dim, out, vm_col_room(c, row))
                            : vm_pack_buffer(item, o, c->dim, out, vm_col_room(c, row));
    if (packed < 0)
        return (int)-packed;
    if (packed == 0 && c->refuse_empty)
        return VM_REFUSED;
    c->offsets[row + 1] = c->offsets[row] + (int32_t)packed;
    return VM_OK;
}

#endif

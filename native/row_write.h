/* Columns -> rows of JSON or CSV text. Python twin: tests/support/oracles/row_write.py (row_text)
 *
 * A function writes the value of one row at `p` and returns the end; it does not check for room. vm_cell_room and
 * vm_value_room tell, from the sizes of a row's values, how much the row can need at most, and a row is begun only if
 * that much is free.
 *
 * JSON inside of CSV stands in a quoted cell (RFC 4180), where each quote is written twice (`is_csv`). */
#ifndef VM_ROW_WRITE_H
#define VM_ROW_WRITE_H

#include "cell_write.h"
#include "kinds.h"
#include "number_write_rows.h"

#define VM_MAX_ITEMS 256
/* Bytes that a store may touch behind the end of what it writes. */
#define VM_ROW_SLACK 64

/* A column. `lead`: the bytes before the value, separator and name. `items`: the element of an array, or the sub-fields
 * of a struct, each with the name of the member as its lead. */
typedef struct vm_cell {
    int kind; /* VM_KIND_* */
    int n_items;
    Py_ssize_t dim;   /* stored elements of a vector: of a binary vector, bytes */
    Py_ssize_t width; /* bytes of a fixed width value; 0: variable width */
    const uint8_t *lead;
    Py_ssize_t n_lead;
    struct vm_cell *items;
} vm_cell;

/* The values of a column: a FixedBlock or a VariableBlock of vecmill.encode.blocks. */
typedef struct {
    const uint8_t *values;
    const int32_t *offsets;
    const uint8_t *validity;
} vm_values;

typedef struct {
    int is_csv;
    uint8_t separator;
    const uint8_t *null; /* text of a null */
    Py_ssize_t n_null;
    const uint8_t *tail; /* end of a row */
    Py_ssize_t n_tail;
} vm_style;

/* ---- numbers */

#define VM_LOAD(type, source) \
    type n;                   \
    memcpy(&n, source, sizeof n)

static inline uint8_t *vm_put_number(uint8_t *p, int kind, const uint8_t *v)
{
    switch (kind) {
    case VM_KIND_BOOL:
        memcpy(p, *v ? "true " : "false", 5);
        return p + (*v ? 4 : 5);
    case VM_KIND_INT8:
        return vm_put_int(p, (int8_t)*v);
    case VM_KIND_INT16: {
        VM_LOAD(int16_t, v);
        return vm_put_int(p, n);
    }
    case VM_KIND_INT32: {
        VM_LOAD(int32_t, v);
        return vm_put_int(p, n);
    }
    case VM_KIND_INT64: {
        VM_LOAD(int64_t, v);
        return vm_put_int(p, n);
    }
    case VM_KIND_FLOAT: {
        VM_LOAD(uint32_t, v);
        return vm_put_float(p, n);
    }
    case VM_KIND_DOUBLE: {
        VM_LOAD(uint64_t, v);
        return vm_put_double(p, n);
    }
    case VM_KIND_FLOAT16: {
        VM_LOAD(uint16_t, v);
        return vm_put_float16(p, n);
    }
    case VM_KIND_BFLOAT16: {
        VM_LOAD(uint16_t, v);
        return vm_put_float(p, (uint32_t)n << 16);
    }
    default:
        return vm_put_int(p, *v);
    }
}

/* Write n numbers of one kind, each with a comma behind it. */
static inline uint8_t *vm_put_numbers(uint8_t *p, int kind, const uint8_t *v, Py_ssize_t n)
{
    const Py_ssize_t size = vm_number_bytes(kind);
    if (kind == VM_KIND_FLOAT)
        return vm_put_floats(p, v, n);
    if (kind == VM_KIND_BFLOAT16) {
        /* The server cuts a float32 to its upper half (milvus, pkg/util/typeutil, Float32ToBFloat16Bytes), so the
         * digits must be those of exactly this float32, not the fewer digits that would round to it. */
        uint32_t wide[64];
        for (Py_ssize_t i = 0; i < n; i += 64) {
            Py_ssize_t part = n - i < 64 ? n - i : 64;
            for (Py_ssize_t j = 0; j < part; j++) {
                VM_LOAD(uint16_t, v + 2 * (i + j));
                wide[j] = (uint32_t)n << 16;
            }
            p = vm_put_floats(p, (const uint8_t *)wide, part);
        }
        return p;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        p = vm_put_number(p, kind, v + i * size);
        *p++ = ',';
    }
    return p;
}

/* ---- lists */

/* `p` is behind the comma of the last element, or behind the bracket of an empty list. */
static inline uint8_t *vm_close_list(uint8_t *p, int is_empty)
{
    p -= !is_empty;
    *p = ']';
    return p + 1;
}

static inline uint8_t *vm_put_array(uint8_t *p, const vm_cell *item, const uint8_t *v, Py_ssize_t size, int is_csv)
{
    const uint8_t *end = v + size;
    *p++ = '[';
    if (vm_is_number(item->kind))
        return vm_close_list(vm_put_numbers(p, item->kind, v, size / item->width), size == 0);
    while (v < end) {
        VM_LOAD(uint32_t, v);
        p = vm_put_string(p, v + 4, n, is_csv);
        *p++ = ',';
        v += 4 + (Py_ssize_t)n;
    }
    return vm_close_list(p, size == 0);
}

static inline uint8_t *vm_put_vector(uint8_t *p, const vm_cell *c, const uint8_t *v)
{
    *p++ = '[';
    return vm_close_list(vm_put_numbers(p, vm_kinds[c->kind].element, v, c->dim), c->dim == 0);
}

static inline uint8_t *vm_put_struct(uint8_t *p, const vm_cell *c, const uint8_t *v, int is_csv)
{
    const uint8_t *at[VM_MAX_ITEMS];
    VM_LOAD(uint32_t, v);
    v += 4;
    for (int k = 0; k < c->n_items; k++) { /* the values of member k begin at at[k] */
        at[k] = v;
        if (c->items[k].width) {
            v += (Py_ssize_t)n * c->items[k].width;
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            uint32_t length;
            memcpy(&length, v, 4);
            v += 4 + (Py_ssize_t)length;
        }
    }
    *p++ = '[';
    for (uint32_t i = 0; i < n; i++) {
        for (int k = 0; k < c->n_items; k++) {
            const vm_cell *item = &c->items[k];
            p = vm_put_bytes(p, item->lead, item->n_lead);
            if (!item->width) {
                uint32_t length;
                memcpy(&length, at[k], 4);
                p = vm_put_string(p, at[k] + 4, length, is_csv);
                at[k] += 4 + (Py_ssize_t)length;
                continue;
            }
            p = vm_is_vector(item->kind) ? vm_put_vector(p, item, at[k]) : vm_put_number(p, item->kind, at[k]);
            at[k] += item->width;
        }
        *p++ = '}';
        *p++ = ',';
    }
    return vm_close_list(p, n == 0);
}

/* ---- rows */

/* Return the most bytes of a number with the comma behind it. */
static inline Py_ssize_t vm_number_room(int kind)
{
    static const uint8_t room[] = {
        [VM_KIND_BOOL] = 6,     [VM_KIND_INT8] = 5,      [VM_KIND_INT16] = 7, [VM_KIND_INT32] = 12,
        [VM_KIND_INT64] = 21,   [VM_KIND_FLOAT] = 16,    [VM_KIND_DOUBLE] = 25,
        [VM_KIND_FLOAT16] = 16, [VM_KIND_BFLOAT16] = 16, [VM_KIND_BYTE] = 4,
    };
    return room[kind];
}

/* Return the most bytes of a cell in any row, without the bytes of a value of variable width. */
static inline Py_ssize_t vm_cell_room(const vm_cell *c, const vm_style *style)
{
    Py_ssize_t size = VM_ROW_SLACK;
    if (vm_is_number(c->kind))
        size += vm_number_room(c->kind);
    else if (vm_is_vector(c->kind))
        size += c->dim * vm_number_room(vm_kinds[c->kind].element);
    return c->n_lead + (size > style->n_null ? size : style->n_null);
}

/* Return the most bytes of a value of variable width: an escape makes six bytes of one, a float16 in a struct 16 of
 * 2. */
static inline Py_ssize_t vm_value_room(const vm_cell *c, const uint8_t *v, Py_ssize_t size)
{
    Py_ssize_t names = 0;
    uint32_t n;
    if (c->kind != VM_KIND_STRUCT)
        return 8 * size;
    if (size < 4)
        return 0;
    memcpy(&n, v, 4);
    for (int k = 0; k < c->n_items; k++)
        names += c->items[k].n_lead + 4;
    return 8 * size + (Py_ssize_t)n * (names + 2);
}

static inline uint8_t *vm_put_value(uint8_t *p, const vm_cell *c, const uint8_t *v, Py_ssize_t size,
                                    const vm_style *style)
{
    int is_csv = style->is_csv;
    if (vm_is_number(c->kind))
        return vm_put_number(p, c->kind, v);
    if (vm_is_text(c->kind))
        return is_csv ? vm_put_csv_text(p, v, size, style->separator) : vm_put_string(p, v, size, 0);
    if (vm_is_json(c->kind) && !is_csv)
        /* The server takes an object, or a string that holds JSON text, but no bare list, number or bool (milvus,
         * internal/util/importutilv2/json/row_parser.go). */
        return vm_is_object(v, size) ? vm_put_json(p, v, size, 0) : vm_put_string(p, v, size, 0);
    *p = '"';
    p += is_csv;
    if (vm_is_json(c->kind))
        p = vm_put_json(p, v, size, is_csv);
    else if (vm_is_vector(c->kind))
        p = vm_put_vector(p, c, v);
    else if (c->kind == VM_KIND_ARRAY)
        p = vm_put_array(p, c->items, v, size, is_csv);
    else
        p = vm_put_struct(p, c, v, is_csv);
    *p = '"';
    return p + is_csv;
}

/* Write rows [*row, stop) as long as each has room for the most bytes it can take; then *row is the first row that is
 * not written. `room`: the most bytes of a row without its values of variable width. `ends` (or NULL) gets the bytes up
 * to the end of each row. Return the end. */
static inline uint8_t *vm_put_rows(uint8_t *p, const uint8_t *end, const vm_cell *cells, const vm_values *columns,
                                   int n_cells, const vm_style *style, Py_ssize_t room, Py_ssize_t *row,
                                   Py_ssize_t stop, int64_t *ends)
{
    const uint8_t *start = p;
    for (; *row < stop; ++*row) {
        Py_ssize_t i = *row, most = room;
        for (int k = 0; k < n_cells; k++)
            if (!cells[k].width)
                most += vm_value_room(&cells[k], columns[k].values + columns[k].offsets[i],
                                      columns[k].offsets[i + 1] - columns[k].offsets[i]);
        if (end - p < most)
            return p;
        for (int k = 0; k < n_cells; k++) {
            const vm_cell *c = &cells[k];
            const vm_values *column = &columns[k];
            p = vm_put_bytes(p, c->lead, c->n_lead);
            if (column->validity && !column->validity[i])
                p = vm_put_bytes(p, style->null, style->n_null);
            else if (c->width)
                p = vm_put_value(p, c, column->values + i * c->width, c->width, style);
            else
                p = vm_put_value(p, c, column->values + column->offsets[i],
                                 column->offsets[i + 1] - column->offsets[i], style);
        }
        p = vm_put_bytes(p, style->tail, style->n_tail);
        if (ends)
            ends[i] = p - start;
    }
    return p;
}

#endif

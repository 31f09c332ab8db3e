/* The kinds of values that columns hold, and the elements of their lists: the one enum of all kernels. Python passes a
 * kind by its name (`ColumnPlan.kind`); native/kinds.pxd looks the name up. A new kind is a new line in both lists. */
#ifndef VM_KINDS_H
#define VM_KINDS_H

#include <stdint.h>

enum {
    /* fixed width: scalars */
    VM_KIND_BOOL, VM_KIND_INT8, VM_KIND_INT16, VM_KIND_INT32, VM_KIND_INT64, VM_KIND_FLOAT, VM_KIND_DOUBLE,
    /* elements of vectors, beside int8 and float; no column has these */
    VM_KIND_FLOAT16, VM_KIND_BFLOAT16, VM_KIND_BYTE,
    /* variable width: text, JSON text, packed lists */
    VM_KIND_TEXT, VM_KIND_GEOMETRY, VM_KIND_TIMESTAMPTZ,
    VM_KIND_JSON, VM_KIND_META, VM_KIND_SPARSE,
    VM_KIND_ARRAY, VM_KIND_STRUCT,
    /* fixed width: dense vectors */
    VM_KIND_FLOAT_VECTOR, VM_KIND_FLOAT16_VECTOR, VM_KIND_BFLOAT16_VECTOR, VM_KIND_INT8_VECTOR, VM_KIND_BINARY_VECTOR,
    VM_N_KINDS
};

/* bits: of a scalar, or of one dimension of a vector; 0 for variable width. element: of a vector, the kind of what is
 * stored for its dimensions, one element a dimension, or eight dimensions a byte. */
typedef struct {
    const char *name;
    int bits;
    int element;
} vm_kind;

static const vm_kind vm_kinds[VM_N_KINDS] = {
    [VM_KIND_BOOL] = {"bool", 8, 0},
    [VM_KIND_INT8] = {"int8", 8, 0},
    [VM_KIND_INT16] = {"int16", 16, 0},
    [VM_KIND_INT32] = {"int32", 32, 0},
    [VM_KIND_INT64] = {"int64", 64, 0},
    [VM_KIND_FLOAT] = {"float", 32, 0},
    [VM_KIND_DOUBLE] = {"double", 64, 0},
    [VM_KIND_FLOAT16] = {"", 16, 0},
    [VM_KIND_BFLOAT16] = {"", 16, 0},
    [VM_KIND_BYTE] = {"", 8, 0},
    [VM_KIND_TEXT] = {"text", 0, 0},
    [VM_KIND_GEOMETRY] = {"geometry", 0, 0},
    [VM_KIND_TIMESTAMPTZ] = {"timestamptz", 0, 0},
    [VM_KIND_JSON] = {"json", 0, 0},
    [VM_KIND_META] = {"meta", 0, 0},
    [VM_KIND_SPARSE] = {"sparse", 0, 0},
    [VM_KIND_ARRAY] = {"array", 0, 0},
    [VM_KIND_STRUCT] = {"struct", 0, 0},
    [VM_KIND_FLOAT_VECTOR] = {"float_vector", 32, VM_KIND_FLOAT},
    [VM_KIND_FLOAT16_VECTOR] = {"float16_vector", 16, VM_KIND_FLOAT16},
    [VM_KIND_BFLOAT16_VECTOR] = {"bfloat16_vector", 16, VM_KIND_BFLOAT16},
    [VM_KIND_INT8_VECTOR] = {"int8_vector", 8, VM_KIND_INT8},
    [VM_KIND_BINARY_VECTOR] = {"binary_vector", 1, VM_KIND_BYTE},
};

/* A bool or number, also one that only vectors have. */
static inline int vm_is_number(int kind) { return kind <= VM_KIND_BYTE; }

static inline int vm_is_integer(int kind) { return kind >= VM_KIND_INT8 && kind <= VM_KIND_INT64; }

/* Text as it is, not JSON. */
static inline int vm_is_text(int kind) { return kind >= VM_KIND_TEXT && kind <= VM_KIND_TIMESTAMPTZ; }

/* Text of a JSON value. */
static inline int vm_is_json(int kind) { return kind >= VM_KIND_JSON && kind <= VM_KIND_SPARSE; }

static inline int vm_is_variable(int kind) { return kind >= VM_KIND_TEXT && kind <= VM_KIND_STRUCT; }

static inline int vm_is_vector(int kind) { return kind >= VM_KIND_FLOAT_VECTOR; }

/* The range of an integer kind. */
static inline int64_t vm_int_low(int kind) { return INT64_MIN >> (64 - vm_kinds[kind].bits); }

static inline int64_t vm_int_high(int kind) { return INT64_MAX >> (64 - vm_kinds[kind].bits); }

/* Bytes of a number. */
static inline int vm_number_bytes(int kind) { return vm_kinds[kind].bits >> 3; }

#endif

/* Check a value of a JSON or CSV row against its field. Python twin: src/vecmill/validate/text/cells.py (cell_problems)
 *
 * Results as in json_check.h: NULL, or 0, means that the Python twin has to decide. */
#ifndef VM_ROW_CHECK_H
#define VM_ROW_CHECK_H

#include "json_check.h"
#include "kinds.h"

#define VM_CHECK_JSON_BYTES 65536

typedef struct {
    int kind;             /* VM_KIND_* */
    int item;             /* of a vector or array: the kind of an element; low, top, digits, max_bytes are its limits */
    int is_any;           /* CSV: nothing is asked of the cell */
    int is_later;         /* Python checks the value; here it only has to be well-formed */
    int optional;         /* the key may be absent */
    int nullable;         /* a null is valid */
    int digits;           /* numbers: with at most this many digits before its point a number is within its range */
    int64_t low, top;     /* integers: their range */
    Py_ssize_t count;     /* vectors: the number of elements; arrays: the largest number of elements */
    Py_ssize_t max_bytes; /* text: longest UTF-8; JSON: longest text as it stands in the file */
    uint8_t *scratch;     /* VM_CHECK_SCRATCH bytes */
} vm_field_check;

/* A JSON string of at most f->max_bytes bytes of UTF-8. */
static inline const uint8_t *vm_check_text(const vm_field_check *f, const uint8_t *p, const uint8_t *end)
{
    Py_ssize_t bytes;
    p = vm_check_string(p, end, f->scratch, &bytes);
    return p != NULL && bytes <= f->max_bytes ? p : NULL;
}

/* A list of f->count elements of kind f->item, or of at most that many; `item` is f->item as a constant, any integer
 * kind standing for all of them. */
static inline __attribute__((always_inline)) const uint8_t *vm_check_items(const vm_field_check *f, const int item,
                                                                           const uint8_t *p, const uint8_t *end)
{
    Py_ssize_t n = 0;
    if (p == end || *p != '[')
        return NULL;
    p = vm_white(p + 1, end);
    if (p == end || *p != ']') {
        for (;;) {
            p = item == VM_KIND_FLOAT   ? vm_check_float(p, end, f->digits)
                : item == VM_KIND_INT64 ? vm_check_int(p, end, f->low, f->top)
                : item == VM_KIND_TEXT  ? vm_check_text(f, p, end)
                                        : vm_check_bool(p, end);
            if (p == NULL)
                return NULL;
            n++;
            p = vm_white(p, end);
            if (p == end)
                return NULL;
            if (*p == ']')
                break;
            if (*p != ',')
                return NULL;
            p = vm_white(p + 1, end);
        }
    }
    return p < end && (vm_is_vector(f->kind) ? n == f->count : n <= f->count) ? p + 1 : NULL;
}

static const uint8_t *vm_check_list(const vm_field_check *f, const uint8_t *p, const uint8_t *end)
{
    switch (f->item) {
    case VM_KIND_BOOL:
        return vm_check_items(f, VM_KIND_BOOL, p, end);
    case VM_KIND_TEXT:
        return vm_check_items(f, VM_KIND_TEXT, p, end);
    case VM_KIND_FLOAT:
    case VM_KIND_DOUBLE:
    case VM_KIND_FLOAT16:
    case VM_KIND_BFLOAT16:
        return vm_check_items(f, VM_KIND_FLOAT, p, end);
    default:
        return vm_check_items(f, VM_KIND_INT64, p, end);
    }
}

/* A value of a JSON field: an object, or a string that holds JSON text. */
static const uint8_t *vm_check_json_field(const vm_field_check *f, const uint8_t *p, const uint8_t *end)
{
    Py_ssize_t bytes;
    const uint8_t *text = p + 1;
    if (p < end && *p == '{') {
        p = vm_check_json(p, end, f->digits, 0);
        return p != NULL && p - text < f->max_bytes ? p : NULL;
    }
    p = vm_check_string(p, end, f->scratch, &bytes);
    if (p == NULL || bytes > VM_CHECK_JSON_BYTES)
        return NULL;
    if (bytes < p - 1 - text)
        text = f->scratch;
    return vm_check_json_text(text, text + bytes, f->digits) ? p : NULL;
}

/* A value in a row of JSON. A null of a nullable field is valid. A sparse vector, and a value that f->is_later, may be
 * any JSON here. */
static const uint8_t *vm_check_value(const vm_field_check *f, const uint8_t *p, const uint8_t *end)
{
    if (p < end && *p == 'n')
        return f->nullable ? vm_check_word(p, end, "null", 4) : NULL;
    if (f->is_any || f->is_later)
        return vm_check_json(p, end, f->digits, 0);
    switch (f->kind) {
    case VM_KIND_BOOL:
        return vm_check_bool(p, end);
    case VM_KIND_INT8:
    case VM_KIND_INT16:
    case VM_KIND_INT32:
    case VM_KIND_INT64:
        return vm_check_int(p, end, f->low, f->top);
    case VM_KIND_FLOAT:
    case VM_KIND_DOUBLE:
        return vm_check_float(p, end, f->digits);
    case VM_KIND_TEXT:
        return vm_check_text(f, p, end);
    case VM_KIND_JSON:
        return vm_check_json_field(f, p, end);
    case VM_KIND_META:
        return p < end && *p == '{' ? vm_check_json_field(f, p, end) : NULL;
    case VM_KIND_SPARSE:
        return vm_check_json(p, end, f->digits, 0);
    default:
        return vm_check_list(f, p, end);
    }
}

/* Tell whether p..end, a cell of CSV without its quotes, is certainly valid. The cell is not the null text, and the
 * byte at `end` is readable and not part of a number. */
static int vm_check_cell(const vm_field_check *f, const uint8_t *p, const uint8_t *end)
{
    static const char *const bools[] = {"1", "t", "T", "TRUE",  "true",  "True",
                                        "0", "f", "F", "FALSE", "false", "False"};
    const uint8_t *q = NULL;
    switch (f->kind) {
    case VM_KIND_BOOL:
        for (int i = 0; i < 12; i++)
            if ((Py_ssize_t)strlen(bools[i]) == end - p && memcmp(bools[i], p, (size_t)(end - p)) == 0)
                return 1;
        return 0;
    case VM_KIND_INT8:
    case VM_KIND_INT16:
    case VM_KIND_INT32:
    case VM_KIND_INT64:
        return vm_check_int(p, end + 1, f->low, f->top) == end;
    case VM_KIND_FLOAT:
    case VM_KIND_DOUBLE:
        return end - p <= 400 && vm_check_float(p, end + 1, f->digits) == end;
    case VM_KIND_TEXT:
        return end - p <= f->max_bytes && vm_utf8_valid(p, end - p);
    case VM_KIND_META:
        q = vm_white(p, end);
        return q < end && *q == '{' && end - p <= f->max_bytes && vm_check_json_text(p, end, f->digits);
    case VM_KIND_JSON:
        return end - p <= f->max_bytes && vm_check_json_text(p, end, f->digits);
    case VM_KIND_SPARSE:
        q = vm_check_sparse(p, end);
        break;
    default:
        q = vm_check_list(f, p, end);
    }
    return q != NULL && vm_white(q, end) == end;
}

#endif

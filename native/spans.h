/* Values in text. A value is a span of a buffer and one of these kinds; nothing is decoded before its column is. */
#ifndef VM_SPANS_H
#define VM_SPANS_H

enum {
    VM_SPAN_NULL,    /* null, or no value at all */
    VM_SPAN_FALSE,
    VM_SPAN_TRUE,
    VM_SPAN_INT,
    VM_SPAN_FLOAT,
    VM_SPAN_STRING,  /* text as it is; of JSON with its quotes */
    VM_SPAN_ESCAPED, /* text with escapes or doubled quotes */
    VM_SPAN_ARRAY,
    VM_SPAN_OBJECT
};

#endif

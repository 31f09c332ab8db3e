/* What a kernel returns about a value that it was offered; Python words the error (vecmill.encode.buffers,
 * vecmill.writer.rows). */
#ifndef VM_STATUS_H
#define VM_STATUS_H

enum {
    VM_OK = 0,
    VM_FULL = 1,       /* a column buffer has no room: flush it, then offer the same value again */
    VM_REFUSED = 2,    /* the fast path does not take this value: Python normalises it, or words the error */
    VM_MISSING = 3,    /* a value is absent or None, and the field is not nullable and has no default */
    VM_UNKNOWN_KEY = 4 /* the row has keys that are no field of the schema */
};

#endif

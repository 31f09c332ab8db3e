# Status codes that kernels return; Python words the error (src/vecmill/columns.py, rows.py).

cdef enum Status:
    OK = 0
    FULL = 1          # no room in a column buffer: flush it, then offer the same value again
    REFUSED = 2       # not a value the fast path takes: Python normalises it, or words the error
    MISSING = 3       # no value (absent or None) where one is required
    UNKNOWN_KEY = 4   # the row has keys that are no field of the schema

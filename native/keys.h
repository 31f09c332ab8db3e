/* Keys of JSON objects, as the bytes between their quotes. */
#ifndef VM_KEYS_H
#define VM_KEYS_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *start;
    Py_ssize_t size;
} vm_key;

static inline int vm_is_key(const vm_key *a, const vm_key *b)
{
    return a->size == b->size && memcmp(a->start, b->start, (size_t)a->size) == 0;
}

/* Return the place of `key` among n keys, or -1. The key at `guess` is tried first: keys mostly come in order. */
static inline Py_ssize_t vm_find_key(const vm_key *keys, Py_ssize_t n, const vm_key *key, Py_ssize_t guess)
{
    if (guess < n && vm_is_key(key, &keys[guess]))
        return guess;
    for (Py_ssize_t i = 0; i < n; i++)
        if (vm_is_key(key, &keys[i]))
            return i;
    return -1;
}

#endif

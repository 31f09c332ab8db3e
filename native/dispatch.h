/* Choice of SIMD width at run time, for all kernels. Wheels are built for the plain platform (no -march=native).
 *
 * VM_CLONES  before a loop that the compiler vectorises: gcc builds one clone per CPU level, the loader picks one (GNU
 *            IFUNC). Needs glibc and gcc >= 12; elsewhere (musl, macOS, clang, Arm) the loop is built once.
 * VM_X86     1: intrinsics may be used, SSE2 anywhere, others inside VM_TARGET("...") functions, which are called only
 *            behind VM_CPU_HAS("...") or VM_CPU_HAS_AVX512(...).
 *
 * To test the slower paths (setup.py, `make test-plain`): -DVM_PLAIN builds the portable code only, -DVM_NO_AVX2 stops
 * at SSE2 and PCLMUL, -DVM_NO_AVX512 stops at AVX2. */
#ifndef VM_DISPATCH_H
#define VM_DISPATCH_H

#include <stddef.h>
#include <stdint.h> /* on glibc this also defines __GLIBC__ */
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "vecmill writes little-endian files straight from memory and is not ported to big-endian machines"
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(VM_PLAIN)
#define VM_X86 1
#include <immintrin.h>
#define VM_TARGET(isa) __attribute__((target(isa)))
#ifdef VM_NO_AVX2
#define VM_NO_AVX512
#define VM_CPU_HAS(isa) (strcmp(isa, "avx2") != 0 && __builtin_cpu_supports(isa))
#else
#define VM_CPU_HAS(isa) __builtin_cpu_supports(isa) /* also tells whether the OS saves the wide registers */
#endif
#ifdef VM_NO_AVX512
#define VM_CPU_HAS_AVX512(isa) 0
#else
#define VM_CPU_HAS_AVX512(isa) __builtin_cpu_supports(isa)
#endif
#else
#define VM_X86 0
#endif

/* Not with sanitizers: IFUNC resolvers run before the run-time of a sanitizer is ready. */
#if VM_X86 && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12 && !defined(__SANITIZE_ADDRESS__) \
    && !defined(__SANITIZE_THREAD__)
#if defined(VM_NO_AVX2)
#define VM_CLONES
#elif defined(VM_NO_AVX512)
#define VM_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define VM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#else
#define VM_CLONES
#endif

#endif

/* Run-time choice of SIMD width, shared by every kernel. Wheels are built for the plain platform (no -march=native).
 *
 * VM_CLONES    put before a loop that the compiler vectorises: gcc emits one clone per CPU level and the loader picks
 *              one (GNU IFUNC). Needs glibc and gcc >= 12; elsewhere (musl, macOS, clang, Arm) the loop is built once.
 * VM_X86       1 when intrinsics of any level may be used inside VM_TARGET("...") functions; call such a function only
 *              behind VM_CPU_HAS("...") or VM_CPU_HAS_AVX512(...).
 *
 * For tests of the slower paths: -DVM_PLAIN builds only the portable code, -DVM_NO_AVX512 stops at AVX2.
 */
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
#define VM_CPU_HAS(isa) __builtin_cpu_supports(isa) /* also asks whether the OS saves the wide registers */
#ifdef VM_NO_AVX512
#define VM_CPU_HAS_AVX512(isa) 0
#else
#define VM_CPU_HAS_AVX512(isa) __builtin_cpu_supports(isa)
#endif
#else
#define VM_X86 0
#endif

/* Sanitizers are left out: IFUNC resolvers run before their run-time is up. */
#if VM_X86 && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12 && !defined(__SANITIZE_ADDRESS__) \
    && !defined(__SANITIZE_THREAD__)
#ifdef VM_NO_AVX512
#define VM_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define VM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#else
#define VM_CLONES
#endif

#endif

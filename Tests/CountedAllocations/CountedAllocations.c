#include "CountedAllocations.h"

#ifdef __GLIBC__
#include <stddef.h>

// glibc's own allocator behind its other names. A program that links this file uses the functions below for all of its
// libraries, too.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static uint64_t allocations;

static void count(void) { __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED); }

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *pointer, size_t size) {
    count();
    return __libc_realloc(pointer, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **pointer, size_t alignment, size_t size) {
    count();
    void *memory = __libc_memalign(alignment, size);
    if (!memory) return 12; // ENOMEM
    *pointer = memory;
    return 0;
}

uint64_t counted_allocations(void) { return __atomic_load_n(&allocations, __ATOMIC_RELAXED); }
#else
uint64_t counted_allocations(void) { return 0; }
#endif

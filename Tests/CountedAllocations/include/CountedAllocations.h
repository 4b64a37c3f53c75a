#ifndef COUNTED_ALLOCATIONS_H
#define COUNTED_ALLOCATIONS_H

#include <stdint.h>

/// How many allocations of memory the process has made so far; 0 where they cannot be counted.
uint64_t counted_allocations(void);

#endif

#ifndef CAESURA_PREFETCH_H
#define CAESURA_PREFETCH_H

// Asks for the cache line of an address, which need not be mapped. Swift has no spelling for it.
static inline void caesura_prefetch(const void *address) {
    __builtin_prefetch(address);
}

#endif

// What the benchmarks ask of Linux that Swift's Glibc module does not import.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Nanoseconds of CLOCK_MONOTONIC.
uint64_t machine_now(void);
/// Binds the calling thread to one core; returns 0 if done.
int machine_pin(int core);
/// Gives free heap memory back to the system.
void machine_trim(void);
/// Forks; the child sleeps `milliseconds` and exits. Returns its process id, or -1.
int machine_fork_sleeper(int milliseconds);
/// Waits until a child has exited.
void machine_wait(int child);

// What the benchmarks ask of Linux that Swift's Glibc module does not import.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Nanoseconds of CLOCK_MONOTONIC.
uint64_t machine_now(void);
/// Binds the calling thread to one core; returns 0 if done.
int machine_pin(int core);
/// Lets the calling thread's sleeps end when they should, and not up to 50 us later.
void machine_sleep_precisely(void);
/// Sleeps until a moment of CLOCK_MONOTONIC.
void machine_sleep_until(uint64_t time);
/// Sleeps until a moment, or until the word is woken; not at all if it has another value. All processes that have mapped
/// it may wake it.
void machine_wait_on(uint32_t *word, uint32_t value, uint64_t until);
/// Wakes a thread that waits on a word.
void machine_wake(uint32_t *word);
/// The clock of the calling thread's processor time, which other threads may read.
int machine_thread_clock(void);
/// Nanoseconds of a clock.
uint64_t machine_read_clock(int clock);
/// Nanoseconds of processor time that this process has used.
uint64_t machine_processor_time(void);
/// Gives free heap memory back to the system.
void machine_trim(void);
/// Forks; the child sleeps `milliseconds` and exits. Returns its process id, or -1.
int machine_fork_sleeper(int milliseconds);
/// Waits until a child has exited.
void machine_wait(int child);

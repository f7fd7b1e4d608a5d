#define _GNU_SOURCE
#include "machine.h"

#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t machine_read_clock(int clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t machine_now(void) { return machine_read_clock(CLOCK_MONOTONIC); }

uint64_t machine_processor_time(void) { return machine_read_clock(CLOCK_PROCESS_CPUTIME_ID); }

int machine_thread_clock(void) {
    clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
    pthread_getcpuclockid(pthread_self(), &clock);
    return clock;
}

void machine_sleep_precisely(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); }

static struct timespec moment(uint64_t time) {
    struct timespec t = {(time_t)(time / 1000000000u), (long)(time % 1000000000u)};
    return t;
}

void machine_wait_on(uint32_t *word, uint32_t value, uint64_t until) {
    struct timespec t = moment(until);
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

void machine_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }

void machine_sleep_until(uint64_t time) {
    struct timespec t = moment(time);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int machine_pin(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

void machine_trim(void) { malloc_trim(0); }

int machine_fork_sleeper(int milliseconds) {
    pid_t child = fork();
    if (child == 0) {
        struct timespec t = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
        nanosleep(&t, NULL);
        _exit(0);
    }
    return child;
}

void machine_wait(int child) { waitpid(child, NULL, 0); }

#define _GNU_SOURCE
#include "machine.h"

#include <malloc.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t machine_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
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

/* SPDX-License-Identifier: MIT
 *
 * What the load clients share: connections to the server under test, and the end of the program when it misbehaves.
 *
 * Thread:  there is one.
 * Errors:  each ends the program with a line on stderr and status 1: a load that is not what was asked for measures
 *          nothing.
 */
#ifndef CUVEE_BENCHMARKS_CLIENT_H
#define CUVEE_BENCHMARKS_CLIENT_H

#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t client_now(void);

/* Prints a line and ends the program. */
_Noreturn void client_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads a positive number from the command line; `name` is for the complaint. */
uint64_t client_number(const char *text, const char *name);

/* Allows as many descriptors as the system does. */
void client_allow_descriptors(void);

/* Connects to a port of this host; returns a non-blocking descriptor that `epoll` watches for `events` with `data`. */
int client_connect(int port, int epoll, uint32_t events, void *data);

#endif

/* SPDX-License-Identifier: MIT
 *
 * The time that libuv and the code under test see: it stands still until it is moved, so that an input means the same
 * each time. The linker gives them these functions in place of the C library's (-Wl,--wrap).
 */
#ifndef CUVEE_TESTS_FUZZ_CLOCK_H
#define CUVEE_TESTS_FUZZ_CLOCK_H

#include <stdint.h>

/* Sets the clock to where every run begins. */
void fuzz_clock_reset(void);

void fuzz_clock_pass(uint64_t milliseconds);

#endif

/* SPDX-License-Identifier: MIT
 *
 * What clients send, in any pieces, when they stop, and what the layer above does, between callbacks or inside them,
 * with memory that may run out and a clock that moves when the script says so.
 *
 * A step is two bytes, an operation and its argument; the operations are a table in conn_script.c.
 */
#ifndef CUVEE_TESTS_FUZZ_CONN_SCRIPT_H
#define CUVEE_TESTS_FUZZ_CONN_SCRIPT_H

#include "conn_world.h"
#include "fuzz.h"

/* That no two operations have the same byte. */
void script_check(void);

/* Takes every step, in a world with its options set and no connection yet. `wire` is what clients send. */
void script_run(world_t *world, fuzz_input_t steps, fuzz_input_t wire);

#endif

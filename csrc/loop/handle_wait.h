/* SPDX-License-Identifier: MIT
 *
 * Threads that wait for a callback of call_soon_threadsafe which the loop runs at this moment.
 *
 * From Python 3.14 on, cancel() and cancelled() of such a handle do that, as asyncio's do: who has cancelled a callback
 * knows that it is not under way. On older versions nobody waits.
 *
 * Thread:  any but the loop's for the first function, the loop's for the second; with the GIL held.
 */
#ifndef CUVEE_LOOP_HANDLE_WAIT_H
#define CUVEE_LOOP_HANDLE_WAIT_H

#include "loop/handle.h"

/* Waits, without the GIL, until the handle is not running; at once on the loop's own thread. -1: MemoryError, or what a
 * signal handler raised meanwhile. */
int cv_handle_wait(HandleObject *handle);

/* The callback is done: wakes who waits for it. */
void cv_handle_wake_waiters(HandleObject *handle);

#endif

/* SPDX-License-Identifier: MIT
 *
 * asyncio's set of tasks, filled and emptied without a Python frame.
 *
 * Before CPython 3.14 every task that waits is put into a WeakSet by a method in Python, and taken out by a callback in
 * Python. Both are replaced, in that one set, by functions that do the same to the same fields.
 *
 * Thread:  any, with the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_LOOP_TASK_SET_H
#define CUVEE_LOOP_TASK_SET_H

#include <Python.h>

/* Gives `tasks`, a WeakSet, the two functions, unless it has them or its fields are not the ones that are known. */
int cv_task_set_quicken(PyObject *tasks);

#endif

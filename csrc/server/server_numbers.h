/* SPDX-License-Identifier: MIT
 *
 * Numbers by name, out of a dict that Python gives: a table says which there are, and where in a struct they go.
 *
 * Owns:    nothing.
 * Borrows: the dict and the struct, during the call.
 * Thread:  any, the GIL held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_SERVER_SERVER_NUMBERS_H
#define CUVEE_SERVER_SERVER_NUMBERS_H

#include <Python.h>

typedef enum {
    CV_NUMBER_FLAG, /* a bool, of 0 and 1 */
    CV_NUMBER_UINT8,
    CV_NUMBER_UINT32,
    CV_NUMBER_UINT64,
    CV_NUMBER_SIZE,
    CV_NUMBER_SECONDS32, /* kept as milliseconds, in a uint32_t */
    CV_NUMBER_SECONDS64, /* the same in a uint64_t */
} cv_number_kind_t;

typedef struct {
    const char *name;
    cv_number_kind_t kind;
    size_t offset; /* in the struct */
    double least, most;
} cv_number_t;

#define CV_NUMBER_MOST_BYTES 1073741824.0
#define CV_NUMBER_MOST_THINGS CV_NUMBER_MOST_BYTES
#define CV_NUMBER_MOST_OF_ALL 9007199254740992.0 /* up to here a double counts by ones */

/* Stores what `dict` says into the struct `to`; what it leaves out stays as it is. `what` names one of them: a
 * TypeError says that there is no such one. */
int cv_numbers_take(void *to, const cv_number_t *numbers, size_t count, PyObject *dict, const char *what);

#endif

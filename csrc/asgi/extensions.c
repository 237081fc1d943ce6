/* SPDX-License-Identifier: MIT */
#include "asgi/extensions.h"

static int
enable_one(cv_extensions_t *extensions, PyObject *name)
{
    const struct {
        const char *name;
        cv_extension_t extension;
    } all[] = {
        {"early_hint", CV_EARLY_HINT},
        {"trailers", CV_TRAILERS},
        {"pathsend", CV_PATHSEND},
        {"zerocopysend", CV_ZEROCOPYSEND},
    };
    for (size_t i = 0; PyUnicode_Check(name) && i < sizeof all / sizeof all[0]; i++) {
        if (PyUnicode_CompareWithASCIIString(name, all[i].name) == 0) {
            extensions->enabled |= all[i].extension;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "there is no extension %R", name);
    return -1;
}

int
cv_extensions_enable(cv_extensions_t *extensions, PyObject *names)
{
    PyObject *iterator = PyObject_GetIter(names);
    PyObject *name;
    int status = iterator == NULL ? -1 : 0;
    while (status == 0 && (name = PyIter_Next(iterator)) != NULL) {
        status = enable_one(extensions, name);
        Py_DECREF(name);
    }
    Py_XDECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

/* {"http.response.…": {}, …} of the extensions in `these`. New reference. */
static PyObject *
make_dict(unsigned these, const cv_names_t *names)
{
    const struct {
        cv_extension_t extension;
        PyObject *name;
    } all[] = {
        {CV_EARLY_HINT, names->http_response_early_hint},
        {CV_TRAILERS, names->http_response_trailers},
        {CV_PATHSEND, names->http_response_pathsend},
        {CV_ZEROCOPYSEND, names->http_response_zerocopysend},
    };
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < sizeof all / sizeof all[0]; i++) {
        PyObject *details = (these & all[i].extension) != 0 ? PyDict_New() : NULL;
        if (details != NULL ? PyDict_SetItem(dict, all[i].name, details) < 0 : PyErr_Occurred() != NULL) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(details);
    }
    return dict;
}

int
cv_extensions_init(cv_extensions_t *extensions, const cv_names_t *names)
{
    unsigned enabled = extensions->enabled;
    extensions->with_trailers = make_dict(enabled, names);
    extensions->on_1_1 = make_dict(enabled & ~(unsigned)CV_TRAILERS, names);
    extensions->on_1_0 = make_dict(enabled & ~(unsigned)(CV_TRAILERS | CV_EARLY_HINT), names);
    return extensions->with_trailers == NULL || extensions->on_1_1 == NULL || extensions->on_1_0 == NULL ? -1 : 0;
}

void
cv_extensions_clear(cv_extensions_t *extensions)
{
    Py_CLEAR(extensions->on_1_0);
    Py_CLEAR(extensions->on_1_1);
    Py_CLEAR(extensions->with_trailers);
}

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

/* {"websocket.http.response": {}}. New reference. */
static PyObject *
make_websocket_dict(const cv_names_t *names)
{
    PyObject *dict = PyDict_New();
    PyObject *details = dict == NULL ? NULL : PyDict_New();
    if (details == NULL || PyDict_SetItem(dict, names->websocket_http_response, details) < 0) {
        Py_CLEAR(dict);
    }
    Py_XDECREF(details);
    return dict;
}

int
cv_extensions_init(cv_extensions_t *extensions, const cv_names_t *names)
{
    unsigned enabled = extensions->enabled;
    const unsigned off_1_1 = CV_TRAILERS, off_1_0 = CV_TRAILERS | CV_EARLY_HINT;
    if (cv_lent_init(&extensions->websocket, make_websocket_dict(names)) < 0
        || cv_lent_init(&extensions->with_trailers, make_dict(enabled, names)) < 0
        || cv_lent_init(&extensions->on_1_1, make_dict(enabled & ~off_1_1, names)) < 0) {
        return -1;
    }
    return cv_lent_init(&extensions->on_1_0, make_dict(enabled & ~off_1_0, names));
}

int
cv_extensions_visit(cv_extensions_t *extensions, visitproc visit, void *arg)
{
    int status = cv_lent_visit(&extensions->on_1_0, visit, arg);
    status = status != 0 ? status : cv_lent_visit(&extensions->websocket, visit, arg);
    status = status != 0 ? status : cv_lent_visit(&extensions->on_1_1, visit, arg);
    return status != 0 ? status : cv_lent_visit(&extensions->with_trailers, visit, arg);
}

void
cv_extensions_clear(cv_extensions_t *extensions)
{
    cv_lent_clear(&extensions->on_1_0);
    cv_lent_clear(&extensions->on_1_1);
    cv_lent_clear(&extensions->with_trailers);
    cv_lent_clear(&extensions->websocket);
}

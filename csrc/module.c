/* SPDX-License-Identifier: MIT
 *
 * cuvee._core: the extension module. The only file that knows every type.
 */
#include <Python.h>

#include "asgi/channel.h"
#include "asgi/connection.h"
#include "asgi/cycle.h"
#include "asgi/disconnect.h"
#include "asgi/finished.h"
#include "asgi/wait.h"
#include "asgi/websocket.h"
#include "loop/datagram.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "observe/access_format_type.h"
#include "observe/access_log_type.h"
#include "py/state.h"
#include "server/server.h"

static int
module_exec(PyObject *module)
{
    static int (*const steps[])(PyObject *) = {
        cv_loop_setup_types,
        cv_stream_setup_types,
        cv_datagram_setup_type,
        cv_access_log_setup_type,
        cv_access_format_setup_type,
        cv_finished_setup_types,
        cv_wait_setup_type,
        cv_channel_setup_types,
        cv_cycle_setup_type,
        cv_websocket_setup_type,
        cv_disconnect_setup_type,
        cv_connection_setup_type,
        cv_server_setup_type,
    };
    if (cv_state_init(PyModule_GetState(module)) < 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i](module) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    cv_state_t *state = PyModule_GetState(module);
    return state == NULL ? 0 : cv_state_traverse(state, visit, arg);
}

static int
module_clear(PyObject *module)
{
    cv_state_t *state = PyModule_GetState(module);
    if (state != NULL) {
        cv_state_clear(state);
    }
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "cuvee._core",
    .m_doc = "The C core of cuvee: the event loop, the connections and the bridge to ASGI.",
    .m_size = sizeof(cv_state_t),
    .m_methods = NULL,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module_def);
}

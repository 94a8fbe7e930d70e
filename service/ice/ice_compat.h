/* Lets zeroc-ice 3.6.5 compile against CPython 3.11, 3.12 and 3.13, and with GCC 14, without touching its C
 * and C++ source. The compiler includes it first in each file. */
#ifndef DROPWATCH_ICE_COMPAT_H
#define DROPWATCH_ICE_COMPAT_H
#ifdef __cplusplus
#include <Python.h>
#include <frameobject.h>

#if PY_VERSION_HEX >= 0x030B0000
/* Util.cpp asks the thread state for the current frame (the only use). CPython 3.11 made that member
 * private; PyEval_GetFrame() answers the same question. The macro becomes an object whose `frame`
 * member is that answer. */
struct DropwatchIceFrame
{
    PyFrameObject* frame;
    DropwatchIceFrame* operator->() { return this; }
};
#undef PyThreadState_GET
#define PyThreadState_GET() (DropwatchIceFrame{PyEval_GetFrame()})
#endif

#if PY_VERSION_HEX >= 0x030D0000
/* Both left CPython in 3.13. The second hands out a pointer that stays good while its object lives,
 * exactly as the old function did: the callers hold the object and copy at once. */
inline PyObject* PyEval_CallObject(PyObject* callable, PyObject* arguments)
{
    return PyObject_CallObject(callable, arguments);
}

inline int PyObject_AsReadBuffer(PyObject* object, const void** buffer, Py_ssize_t* length)
{
    Py_buffer view;
    if(PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) != 0)
    {
        return -1;
    }
    *buffer = view.buf;
    *length = view.len;
    PyBuffer_Release(&view);
    return 0;
}
#endif
#elif !defined(_WIN32)
/* mcpp/system.c calls readlink() without declaring it, which is an error since GCC 14. */
#include <unistd.h>
#endif
#endif

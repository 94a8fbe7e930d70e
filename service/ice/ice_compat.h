/* Lets zeroc-ice 3.6.5 compile against CPython 3.11 and newer without touching its source.
 *
 * Its Util.cpp asks the thread state for the current frame (the only use). CPython 3.11 made that
 * member private; PyEval_GetFrame() answers the same question. We wrap the macro in an object whose
 * `frame` member is that answer, in C++ only, because Ice's C sources never ask. */
#ifndef DROPWATCH_ICE_COMPAT_H
#define DROPWATCH_ICE_COMPAT_H
#ifdef __cplusplus
#include <Python.h>
#include <frameobject.h>
#if PY_VERSION_HEX >= 0x030B0000
struct DropwatchIceFrame
{
    PyFrameObject* frame;
    DropwatchIceFrame* operator->() { return this; }
};
#undef PyThreadState_GET
#define PyThreadState_GET() (DropwatchIceFrame{PyEval_GetFrame()})
#endif
#endif
#endif

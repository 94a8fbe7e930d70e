/* zeroc-ice 3.6.5 includes <eval.h>, which CPython dropped in 3.11.
 * Everything it wanted from there has since moved into Python.h. */
#include <Python.h>

"""omero.cmd handles: work that goes on in the server's own threads while clients poll, or have gone.

The states and the refusal to cancel what is past help follow omero-blitz's ``HandleI``.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, RLock
from typing import Any

import Ice
import omero
import omero.cmd


class Failure(Exception):
    """The work ends with an ERR of this *name* and these *parameters*."""

    def __init__(self, name: str, **parameters: str) -> None:
        super().__init__(name)
        self.name = name
        self.parameters = parameters


class Cancelled(Exception):
    """The work was cancelled, or the server goes down: nothing is answered."""


class Work:
    """What a handle stands for. *steps* run one after the other; the last one's value is the response.

    settled -- called with True or False, after the response is known and before anybody can read it
    """

    def __init__(
        self, request: Any, steps: list[Callable[[], Any]], settled: Callable[[bool], None] = lambda _: None
    ) -> None:
        self.request = request
        self.response: Any = None
        self.status = omero.cmd.Status(category=request.ice_id(), steps=len(steps), startTime=_now())
        self.status.flags = []
        self.cancel = Event()
        self._steps = steps
        self._settled = settled
        self._lock = RLock()
        self._callbacks: dict[str, Any] = {}

    def run(self) -> None:
        """Run all steps in the calling thread; whatever happens, the handle answers, unless cancelled."""
        try:
            response = self._run_steps()
        except Cancelled:
            response = self._error("cancel-called", {})
        except Failure as failure:
            response = self._error(failure.name, failure.parameters)
        except Exception as error:
            # The outermost guard of a thread: a client must not wait for ever for a handle that died.
            trace = {"message": str(error), "stacktrace": traceback.format_exc()}
            response = self._error("import-request-failure", trace)
        self.status.stopTime = _now()
        self._settled(not isinstance(response, omero.cmd.ERR))
        with self._lock:
            self.response = response
        self._tell()

    def call_back(self, proxy: Any) -> None:
        """Tell *proxy* (CmdCallback) when the work has finished."""
        with self._lock:
            self._callbacks[Ice.identityToString(proxy.ice_getIdentity())] = proxy
            done = self.response is not None
        if done:
            self._tell()

    def forget(self, proxy: Any) -> None:
        with self._lock:
            self._callbacks.pop(Ice.identityToString(proxy.ice_getIdentity()), None)

    def _run_steps(self) -> Any:
        response = None
        for number, step in enumerate(self._steps):
            if self.cancel.is_set():
                raise Cancelled
            self.status.currentStep = number
            response = step()
        self.status.currentStep = len(self._steps)
        return response

    def _error(self, name: str, parameters: dict[str, str]) -> Any:
        failed, cancelled = omero.cmd.State.FAILURE, omero.cmd.State.CANCELLED
        self.status.flags = [failed, cancelled]
        return omero.cmd.ERR(self.request.ice_id(), name, parameters)

    def _tell(self) -> None:
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            # One way and without waiting: the client may be gone, and it polls anyway.
            callback.begin_finished(self.response, self.status)


class Works:
    """The threads that work runs in, with or without a client."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="sandbox-work")
        self._lock = RLock()
        self._running: set[Work] = set()

    def begin(self, work: Work) -> None:
        with self._lock:
            self._running.add(work)
        self._threads.submit(self._run, work)

    def stop(self) -> None:
        """Cancel all; what has not been committed by now never is."""
        with self._lock:
            running = list(self._running)
        for work in running:
            work.cancel.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, work: Work) -> None:
        try:
            work.run()
        finally:
            with self._lock:
                self._running.discard(work)


class Handle:
    """omero.cmd.Handle for *work*. Closing it before there is an answer cancels the work."""

    def __init__(self, work: Work, gone: Callable[[], None]) -> None:
        self._work = work
        self._gone = gone

    def getRequest(self, current: Any) -> Any:
        return self._work.request

    def getResponse(self, current: Any) -> Any:
        return self._work.response

    def getStatus(self, current: Any) -> Any:
        return self._work.status

    def addCallback(self, callback: Any, current: Any) -> None:
        # The client listens on the connection that it opened to us.
        back = current.con.createProxy(callback.ice_getIdentity())
        self._work.call_back(omero.cmd.CmdCallbackPrx.uncheckedCast(back).ice_oneway())

    def removeCallback(self, callback: Any, current: Any) -> None:
        self._work.forget(callback)

    def cancel(self, current: Any) -> bool:
        self._work.cancel.set()
        return self._work.response is None

    def close(self, current: Any) -> None:
        self._work.cancel.set()
        self._gone()


def _now() -> int:
    return int(time.time() * 1000)

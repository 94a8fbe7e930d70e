"""Plain Python objects as Ice servants. Only this module knows AMD, servant locators and object adapters.

Many operations of OMERO's Slice are declared AMD: Ice then calls ``NAME_async(callback, ...)``. Here every
operation is written as a plain method ``NAME(..., current)`` and this module makes the rest. A method that
answers a void operation is annotated ``-> None``: an AMD callback must be given no value then.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any

import Ice
import IceImport
import omero
import omero.rtypes
from omero import ObjectFactoryRegistrar

IceImport.load("Glacier2_Router_ice")

Before = Callable[[Any], None]  #: looks at Ice's ``Current`` before each call; may raise


def communicator(certificate: Path) -> Any:
    """A communicator that knows all of OMERO's classes; TLS with *certificate* (PEM, with its key)."""
    data = Ice.InitializationData()
    data.properties = Ice.createProperties()
    settings = {
        "Ice.ThreadPool.Server.Size": "8",
        "Ice.ThreadPool.Server.SizeMax": "100",
        "Ice.ThreadPool.Server.SizeWarn": "0",
        "Ice.MessageSizeMax": str(omero.constants.MESSAGESIZEMAX),
        "Ice.Warn.Dispatch": "0",
        # Idle clients are kept: omero.client sends heartbeats, a suspended debugger does not.
        "Ice.ACM.Server.Close": "0",
        "Ice.Plugin.IceSSL": "IceSSL:createIceSSL",
        "IceSSL.CertFile": str(certificate),
        "IceSSL.VerifyPeer": "0",
    }
    for name, value in settings.items():
        data.properties.setProperty(name, value)
    made = Ice.initialize(data)
    ObjectFactoryRegistrar.registerObjectFactory(made, None)
    for factory in omero.rtypes.ObjectFactories.values():
        factory.register(made)
    return made


class Wire:
    """The table of servants and the endpoints that they are reached through.

    shut and opened again (a server that is down for a while), the same servants answer again.
    """

    def __init__(self, ice: Any) -> None:
        self._ice = ice
        self._lock = RLock()
        self._servants: dict[tuple[str, str], Any] = {}
        self._adapters: list[Any] = []
        self._locator = _ice_object(Ice.ServantLocator, {"locate": lambda _, current: self._locate(current)})

    def add(self, category: str, name: str, interface: Any, implementation: object, before: Before) -> None:
        with self._lock:
            self._servants[category, name] = servant(interface, implementation, before)

    def remove(self, category: str, name: str) -> None:
        with self._lock:
            self._servants.pop((category, name), None)

    def remove_category(self, category: str) -> None:
        with self._lock:
            for key in [key for key in self._servants if key[0] == category]:
                del self._servants[key]

    def listen(self, endpoint: str) -> int:
        """Listen at *endpoint* (``tcp -h 127.0.0.1 -p 4063``); its port. Raises Ice.SocketException."""
        adapter = self._ice.createObjectAdapterWithEndpoints(Ice.generateUUID(), endpoint)
        adapter.addServantLocator(self._locator, "")
        adapter.activate()
        with self._lock:
            self._adapters.append(adapter)
        return int(adapter.getEndpoints()[0].getInfo().port)

    def shut(self) -> None:
        """Close all endpoints and the connections that came in through them."""
        with self._lock:
            adapters, self._adapters = self._adapters, []
        for adapter in adapters:
            adapter.destroy()

    def _locate(self, current: Any) -> Any:
        # None makes Ice answer ObjectNotExistException, as a real server does for what is gone.
        with self._lock:
            return self._servants.get((current.id.category, current.id.name))


def proxy(kind: Any, category: str, name: str, current: Any) -> Any:
    """A typed proxy for a servant; *kind* is the Prx class. The client routes it, so the endpoint is moot."""
    return kind.uncheckedCast(current.adapter.createProxy(Ice.Identity(name, category)))


def when_closed(act: Callable[[], None]) -> Any:
    """What Ice's ``Connection.setCallback`` wants: *act* is called when the connection is gone."""
    quiet = {"heartbeat": lambda _self, _connection: None, "closed": lambda _self, _connection: act()}
    return _ice_object(Ice.ConnectionCallback, quiet)


def servant(interface: Any, implementation: object, before: Before) -> Any:
    """An Ice servant of *interface*, answered by *implementation*; what that lacks is refused by name."""
    methods: dict[str, Any] = {}
    for name in _operations(interface):
        if hasattr(interface, name + "_async"):
            methods[name + "_async"] = _amd(
                _answer(interface, implementation, name, before), implementation, name
            )
        else:
            methods[name] = _plain(_answer(interface, implementation, name, before))
    return _ice_object(interface, methods)


def _ice_object(base: Any, methods: dict[str, Any]) -> Any:
    # The bases come from generated code without types, so the class is made rather than declared.
    return type(base.__name__ + "Servant", (base,), methods)()


def _operations(interface: Any) -> list[str]:
    return [name[4:] for name in dir(interface) if name.startswith("_op_") and not name.startswith("_op_ice")]


def _answer(interface: Any, implementation: object, name: str, before: Before) -> Callable[..., Any]:
    method = getattr(implementation, name, None)

    def answer(*arguments: Any) -> Any:
        try:
            before(arguments[-1])
            if method is None:
                text = f"The sandbox does not know {interface.ice_staticId()}.{name}."
                raise omero.ApiUsageException(None, None, text)
            return method(*arguments)
        except Ice.Exception:
            raise
        except Exception as error:
            # The outermost guard of a dispatch thread: the client gets what a real server makes of a bug.
            kind = type(error).__name__
            raise omero.InternalException(traceback.format_exc(), kind, f"{kind}: {error}") from error

    return answer


def _plain(answer: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _self, *arguments: answer(*arguments)


def _amd(answer: Callable[..., Any], implementation: object, name: str) -> Callable[..., None]:
    method = getattr(implementation, name, None)
    void = method is not None and method.__annotations__.get("return") in ("None", None)

    def asynchronous(_self: object, callback: Any, *arguments: Any) -> None:
        try:
            result = answer(*arguments)
        except Ice.Exception as error:
            callback.ice_exception(error)
        else:
            callback.ice_response(*(() if void else (result,)))

    return asynchronous

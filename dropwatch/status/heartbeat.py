"""What the daemon said of itself, in the shape that it has. Whatever does not fit is as if it had not been said.

The file may be of an older or a newer dropwatch, and `status` has to work whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ANY = "*"  #: any key
_LATEST = 250_000_000_000.0  #: epoch seconds in the year 9892; beyond 9999 no time can be told to people
_LARGEST = 2**63

_TARGET = {"since": float, "until": float, "times": int, "reason": str, "remedy": str, "operator": bool}
_PROGRESS = {"stage": str, "done": int, "total": int, "rate": float, "left": float}
_SHAPE: Mapping[str, Any] = {
    "version": str,
    "pid": int,
    "started": float,
    "beat": float,
    "stopped": bool,
    "spools": {_ANY: {"watch": str, "why": str}},
    "hanging": {_ANY: {"at": str, "since": float}},
    "targets": {_ANY: _TARGET},
    "working": [{"batch": str, "fileset": str, "file": str, "progress": _PROGRESS}],
    "concluded": {_ANY: int},
    "workers": {_ANY: int},
}


def heartbeat(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """*said* without what does not fit; keys that nobody here knows stay as they are."""
    return _mapping(said, _SHAPE)


def _mapping(said: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    made = {}
    for key, value in said.items():
        wanted = shape.get(key, shape.get(_ANY))
        if wanted is None or _fits(value, wanted):
            made[key] = _fitted(value, wanted)
    return made


def _fitted(value: Any, shape: Any) -> Any:
    if isinstance(shape, Mapping):
        return _mapping(value, shape)
    if isinstance(shape, list):
        return [_fitted(one, shape[0]) for one in value if _fits(one, shape[0])]
    return value


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, Mapping):
        return isinstance(value, dict)
    if isinstance(shape, list):
        return isinstance(value, list)
    if shape is float:
        return type(value) in (int, float) and 0 <= value <= _LATEST
    return type(value) is shape and (shape is not int or 0 <= value < _LARGEST)

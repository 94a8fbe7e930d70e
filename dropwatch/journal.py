"""One line for each thing that happens: the verb first, then key=value. Pure; who logs it passes it on."""

from __future__ import annotations

import json


def line(verb: str, **values: object) -> str:
    """``claim batch=... user=alice name="HeLa day 3"``. Whatever is no plain word is quoted and escaped, so
    that a file name can neither forge a line nor move a terminal's cursor. Values that are None are left out."""
    return " ".join([verb, *(f"{key}={_value(value)}" for key, value in values.items() if value is not None)])


def _value(value: object) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "=\\')
    return text if plain and text else json.dumps(text)

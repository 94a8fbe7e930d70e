"""All that pages and API are made of, put together once. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dropwatch.config import Config
from dropwatch.web.doorkeeper import Doorkeeper
from dropwatch.web.index import Index

STATE = "web"  #: the page's own folder in the state folder


@dataclass(frozen=True)
class House:
    """One page for one configuration. *clock*: epoch seconds."""

    config: Config
    clock: Callable[[], float]
    doorkeeper: Doorkeeper
    index: Index


def build(config: Config, clock: Callable[[], float]) -> House:
    """The house of *config*. Makes nothing on the disk yet."""
    return House(config, clock, Doorkeeper(config, config.state / STATE, clock), Index(config, clock))

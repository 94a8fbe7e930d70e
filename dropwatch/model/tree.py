"""What somebody has in an image store already, to choose a target from."""

from __future__ import annotations

from dataclasses import dataclass

from dropwatch.model.order import Kind


@dataclass(frozen=True)
class Own:
    """One of a person's own containers.

    count  -- images in a dataset, plates in a screen, datasets in a project
    within -- the datasets of a project, by name; empty for the others
    """

    kind: Kind
    id: int
    name: str
    count: int = 0
    within: tuple[Own, ...] = ()


@dataclass(frozen=True)
class Tree:
    """All containers that a person owns in one group, each list by name.

    group    -- the group they are in; "" where the store knows no groups
    groups   -- all groups that the person may import into, the default group first
    datasets -- those in no project of the person's own; one that is in several projects is in each of them
    cut      -- there are more than these: the newest ones were taken
    """

    group: str
    groups: tuple[str, ...]
    projects: tuple[Own, ...] = ()
    datasets: tuple[Own, ...] = ()
    screens: tuple[Own, ...] = ()
    cut: bool = False

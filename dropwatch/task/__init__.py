"""What runs in the worker processes, and how they are staffed."""

from dropwatch.task.eyes import find_reader, looker
from dropwatch.task.staffing import check_installed, make_importer, open_workshop, staff
from dropwatch.task.workshop import Workshop

__all__ = ["Workshop", "check_installed", "find_reader", "looker", "make_importer", "open_workshop", "staff"]

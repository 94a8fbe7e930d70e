"""Where work is done that may take long, hang or crash: in processes beside the daemon, which can be killed."""

from dropwatch.workers.pools import Workers
from dropwatch.workers.seat import Squad
from dropwatch.workers.work import DIED, Bug, Done, Perform, Work, Worker, answered

__all__ = ["DIED", "Bug", "Done", "Perform", "Squad", "Work", "Worker", "Workers", "answered"]

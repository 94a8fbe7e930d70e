"""The nouns. Frozen, no I/O: whatever a room tells another is one of these."""

from dropwatch.model.batch import (
    CLAIM_STAMP,
    Batch,
    Dropped,
    Envelope,
    Place,
    Plan,
    Problem,
    Refused,
    Verdict,
)
from dropwatch.model.files import Attachment, FileFact, Fileset, ListedFile
from dropwatch.model.job import NOT_READ, AskJob, ImportJob, Job, LookUpJob, PlanJob, Progress
from dropwatch.model.order import Container, Kind, Order, Target
from dropwatch.model.outcome import Answers, Attached, Failed, Image, Imported, Outcome, Running, Skipped
from dropwatch.model.tree import Own, Tree

__all__ = [
    "CLAIM_STAMP",
    "NOT_READ",
    "Answers",
    "AskJob",
    "Attached",
    "Attachment",
    "Batch",
    "Container",
    "Dropped",
    "Envelope",
    "Failed",
    "FileFact",
    "Fileset",
    "Image",
    "ImportJob",
    "Imported",
    "Job",
    "Kind",
    "ListedFile",
    "LookUpJob",
    "Order",
    "Outcome",
    "Own",
    "Place",
    "Plan",
    "PlanJob",
    "Problem",
    "Progress",
    "Refused",
    "Running",
    "Skipped",
    "Target",
    "Tree",
    "Verdict",
]

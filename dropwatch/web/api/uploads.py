"""Uploads of who asks: begin one, see what is there, or discard it.

Files come by tus, to /uploads/files; what is complete is submitted at /batches.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from dropwatch.spool.staging import Staged
from dropwatch.web.api.errors import documented
from dropwatch.web.api.folders import folder_of
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.uploads.draft import Draft
from dropwatch.web.visitor import Visitor


class Upload(BaseModel):
    """Files that are to become one batch."""

    draft: str = Field(description="Names the upload from now on.")
    user: str = Field(description="The drop folder.")
    spool: str = Field(description="The tree that it is in.")
    files: int
    size: int = Field(description="Bytes that its files will have.")
    received: int = Field(description="Bytes of them that are on the disk.")


class UploadedFile(BaseModel):
    """One of its files."""

    id: str = Field(description="Its name below /uploads/files.")
    path: str
    size: int
    modified: int = Field(description="Milliseconds since 1970.")
    received: int = Field(description="Bytes that are on the disk; go on from here.")


class WholeUpload(Upload):
    """An upload, file by file."""

    list: list[UploadedFile]


def router(house: House) -> APIRouter:
    """/uploads."""
    made, asking = APIRouter(prefix="/uploads", tags=["uploads"]), asking_at(house.doorkeeper)
    uploads = house.uploads

    @made.get("", responses=documented())
    def drafts(visitor: Visitor = asking) -> list[Upload]:
        """Your uploads that are not submitted yet, the latest first."""
        return [_shown(draft) for draft in uploads.drafts(visitor)]

    @made.post("", status_code=201, responses=documented(404, 409, 413, 422, 507))
    def begin(
        user: Annotated[
            str | None, Body(embed=True, max_length=255, description="Which of your drop folders.")
        ] = None,
        spool: Annotated[
            str | None, Body(embed=True, max_length=4096, description="The tree that it is in.")
        ] = None,
        visitor: Visitor = asking,
    ) -> Upload:
        """Begin an upload. Then send its files by tus (tus.io) to /uploads/files, each with the metadata `draft` (what
        is returned here), `path` (below the batch, parted by /) and `modified` (milliseconds since 1970)."""
        return _shown(uploads.begin(visitor, folder_of(visitor, user, spool)))

    @made.get("/{draft}", responses=documented(404, 422))
    def files(draft: str, visitor: Visitor = asking) -> WholeUpload:
        """What is there of an upload, file by file."""
        found = uploads.draft(visitor, draft)
        return WholeUpload(**_shown(found).model_dump(), list=[_file(staged) for staged in found.files()])

    @made.delete("/{draft}", status_code=204, responses=documented(404, 422))
    def discard(draft: str, visitor: Visitor = asking) -> None:
        """Take an upload away, with all its files."""
        uploads.discard(visitor, draft)

    return made


def _shown(draft: Draft) -> Upload:
    size = draft.size()
    return Upload(
        draft=draft.id,
        user=draft.staging.user,
        spool=str(draft.staging.spool),
        files=draft.count(),
        size=size,
        received=size - draft.awaited(),
    )


def _file(staged: Staged) -> UploadedFile:
    return UploadedFile(
        id=staged.id,
        path=staged.path,
        size=staged.size,
        modified=staged.modified,
        received=staged.received,
    )

"""Who asks."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dropwatch.web.api.errors import documented
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor


class Folder(BaseModel):
    user: str = Field(description="What the drop folder is called.")
    spool: str = Field(description="The tree that it is in.")


class Me(BaseModel):
    """You."""

    name: str = Field(description="Your name in OMERO.")
    admin: bool
    drop_folders: list[Folder]


def router(house: House) -> APIRouter:
    """/me."""
    made, asking = APIRouter(tags=["me"]), asking_at(house.doorkeeper)

    @made.get("/me", responses=documented())
    def me(visitor: Visitor = asking) -> Me:
        """Who you are here."""
        folders = [Folder(user=folder.user, spool=str(folder.spool)) for folder in visitor.folders]
        return Me(name=visitor.name, admin=visitor.admin, drop_folders=folders)

    return made

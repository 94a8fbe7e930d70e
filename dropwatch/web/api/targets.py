"""What somebody has in OMERO: containers to import into, and small pictures of images. Asked as that person."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dropwatch.model import Own
from dropwatch.web.api.errors import NotThere, documented
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor

_GREATEST = 2**53


class Container(BaseModel):
    """A project, dataset or screen."""

    kind: str
    id: int
    name: str
    count: int = Field(description="Images in a dataset, plates in a screen, datasets in a project.")
    within: list[Container] = Field(description="The datasets of a project.")


class Targets(BaseModel):
    """All that you own in one group."""

    group: str
    groups: list[str] = Field(description="All groups that you may import into, your default group first.")
    projects: list[Container]
    datasets: list[Container] = Field(description="Those that are in no project.")
    screens: list[Container]
    cut: bool = Field(description="There are more than these.")


def router(house: House) -> APIRouter:
    """/targets and /images."""
    made, asking = APIRouter(tags=["OMERO"]), asking_at(house.doorkeeper)

    @made.get("/targets", responses=documented(409, 422))
    async def targets(
        visitor: Visitor = asking,
        group: Annotated[str | None, Query(max_length=255, description="Else your default group.")] = None,
    ) -> Targets:
        """What you have in OMERO to import into."""
        tree = await house.images.containers(visitor.name, group)
        return Targets(
            group=tree.group,
            groups=list(tree.groups),
            projects=[_container(own) for own in tree.projects],
            datasets=[_container(own) for own in tree.datasets],
            screens=[_container(own) for own in tree.screens],
            cut=tree.cut,
        )

    @made.get(
        "/images/{image}/thumbnail",
        responses={200: {"content": {"image/jpeg": {}}}, **documented(404, 409, 422)},
        response_class=Response,
    )
    async def thumbnail(
        image: Annotated[int, Path(ge=1, le=_GREATEST)],
        visitor: Visitor = asking,
        size: Annotated[int, Query(ge=16, le=256, description="Pixels of the longer side.")] = 96,
        kind: Literal["Image", "Plate"] = "Image",
    ) -> Response:
        """A small picture of one of your images (or plates)."""
        picture = await house.images.thumbnail(visitor.name, image, size, kind=kind)
        if picture is None:
            raise NotThere("There is no such picture.")
        return Response(picture, media_type="image/jpeg")

    return made


def _container(own: Own) -> Container:
    within = [_container(one) for one in own.within]
    return Container(kind=own.kind.value, id=own.id, name=own.name, count=own.count, within=within)

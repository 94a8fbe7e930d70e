"""omero.api.IContainer, the part by which BlitzGateway loads what it has only the id of.

As omero-server's ``ContainerImpl``: images come with their pixels, a container with its children where there are
links between them.
"""

from __future__ import annotations

from typing import Any

import omero

from dropwatch.sandbox import objects
from dropwatch.sandbox.hql_answers import Answers, Page, load_pixels
from dropwatch.sandbox.sessions import Session, view
from dropwatch.sandbox.shared import Shared

_CHILDREN = {
    "Project": ("datasetLinks", "ProjectDatasetLink"),
    "Dataset": ("imageLinks", "DatasetImageLink"),
    "Screen": ("plateLinks", "ScreenPlateLink"),
}
_FETCHED = "join fetch obj.details.owner join fetch obj.details.creationEvent"


class ContainerService:
    """What is not there, or not to be seen, is left out."""

    def __init__(self, shared: Shared, session: Session) -> None:
        self._store = shared.store
        self._session = session

    def getImages(self, kind: str, ids: list[int], parameters: Any, current: Any) -> list[Any]:
        """The images with these ids, or those in the datasets with these ids."""
        name = kind.rpartition(".")[2]
        answers = self._answers(ids, current)
        if name == "Dataset":
            found = answers.objects(
                f"select obj from Image obj {_FETCHED} join obj.datasetLinks l where l.parent.id in (:ids)"
            )
        elif name == "Image":
            found = answers.objects(f"select obj from Image obj {_FETCHED} where obj.id in (:ids)")
        else:
            raise omero.ApiUsageException(None, None, f"The sandbox gets no images by {kind}.")
        for image in found:
            load_pixels(self._store, image)
        return found

    def loadContainerHierarchy(self, kind: str, ids: list[int], parameters: Any, current: Any) -> list[Any]:
        """The containers with these ids. Datasets come with their images only if the parameters ask for leaves."""
        name = kind.rpartition(".")[2]
        if name not in _CHILDREN:
            raise omero.ApiUsageException(None, None, f"The sandbox loads no hierarchy of {kind}.")
        collection, link = _CHILDREN[name]
        answers = self._answers(ids, current)
        found = answers.objects(f"select obj from {name} obj {_FETCHED} where obj.id in (:ids)")
        if name == "Dataset" and not _leaves(parameters):
            return found
        links = answers.objects(f"select l from {link} l join fetch l.child where l.parent.id in (:ids)")
        for each in found:
            objects.loaded(each, collection, [one for one in links if one.parent.id.val == each.id.val])
        return found

    def getCollectionCount(
        self, kind: str, collection: str, ids: list[int], parameters: Any, current: Any
    ) -> dict[int, int]:
        name = kind.rpartition(".")[2]
        known, link = _CHILDREN.get(name, ("", ""))
        # BlitzGateway leaves out the capital in the middle.
        if collection.lower() != known.lower():
            raise omero.ApiUsageException(
                None, None, f"The sandbox does not count the {collection} of {kind}."
            )
        rows = self._answers(ids, current).columns(
            f"select l.parent.id from {link} l where l.parent.id in (:ids)"
        )
        parents = [row[0].val for row in rows]
        return {id: parents.count(id) for id in ids}

    def _answers(self, ids: list[int], current: Any) -> Answers:
        return Answers(self._store, view(self._session, current.ctx), {"ids": list(ids)}, Page())


def _leaves(parameters: Any) -> bool:
    options = parameters.theOptions if parameters else None
    return bool(options and options.leaves and options.leaves.val)

"""Addresses in OMERO.web. It knows its address forms, and nothing else does.

Sources: github.com/ome/omero-web, ``omeroweb/webclient/show.py`` (class Show: ``?show=`` takes
``dataset-12``, several objects of one kind joined with ``|``, any group) and ``omeroweb/webclient/urls.py``
(``download_original_file/<id>/`` sends an OriginalFile; the one who opens it must be allowed to read it).
"""

from __future__ import annotations

from collections.abc import Sequence

from dropwatch.model import Container, Image
from dropwatch.report.story import Site

_KINDS = ("Image", "Plate")  # a forged record may say anything
SHOWN_MOST = 20  #: images in one link; a longer address is cut by some mail programs


def container_link(site: Site, container: Container | None) -> str:
    """Return the address of a dataset, screen or project, or "" when the site has no OMERO.web."""
    if container is None or container.id <= 0:
        return ""
    return _show(site, [f"{container.kind.lower()}-{container.id}"])


def images_link(site: Site, images: Sequence[Image]) -> str:
    """Return the address that shows *images* (or plates), or ""."""
    objects = [
        f"{image.kind.lower()}-{image.id}" for image in images if image.id > 0 and image.kind in _KINDS
    ]
    return _show(site, objects[:SHOWN_MOST])


def log_link(site: Site, original_file: int | None) -> str:
    """Return the address of the server's import log (an OriginalFile id), or ""."""
    base = _base(site)
    return f"{base}/download_original_file/{original_file}/" if base and original_file else ""


def _show(site: Site, objects: Sequence[str]) -> str:
    base = _base(site)
    # '|' as %7C: the web server reads the same, and mail programs do not end the link there.
    return f"{base}/?show={'%7C'.join(objects)}" if base and objects else ""


def _base(site: Site) -> str:
    return site.web.rstrip("/") if site.web.startswith(("https://", "http://")) else ""

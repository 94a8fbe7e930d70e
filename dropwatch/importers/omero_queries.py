"""The questions that the OMERO importer asks, as HQL. It talks to nobody: whoever asks brings a session.

Every question is sent by ``IQuery.projection(text, ParametersI, context)`` and answered by rows of RTypes, in
the order of the columns named here. Parameters are bound by name, never pasted in. A question about people's
data carries ``:owner`` (long, Experimenter id of the session), so a forged batch id finds only one's own.

The idioms (``fs.usedFiles``, ``e.clientPath``, ``fs.images``, ``-1`` for all groups) are those of omero-py's
``omero/plugins/fs.py`` and of omero-blitz's ``ClientPathExclusion.java`` and ``ManagedImportProcessI.java``;
the model is in omero-model's ``fs.ome.xml``, ``acquisition.ome.xml``, ``screen.ome.xml``, ``jobs.ome.xml``.
"""

from __future__ import annotations

NAMES_IN_A_PAGE = 500  #: how many file names one question about duplicates carries

ALL_GROUPS = {"omero.group": "-1"}  #: call context: whatever group the rows are in (omero/plugins/fs.py)

FILESETS_OF_BATCH = (
    "select fs.id, min(e.clientPath), i.id, i.name"
    " from Fileset fs join fs.usedFiles e left outer join fs.images i"
    " where fs.details.owner.id = :owner and e.clientPath like :prefix"
    " group by fs.id, i.id, i.name"
    " order by fs.id, i.id"
)
"""What is there of a batch. Sent with ALL_GROUPS, once for each batch.

:owner  -- long
:prefix -- string, ``%dropwatch/<batch id>/%`` (a batch id has no character that ``like`` minds)
columns -- fileset id (long), the first of its client paths (string), image id (long or null), image name
           (string or null): one row for each image, one row with nulls for a fileset without images
"""

FILESETS_WITHOUT_IMAGES = (
    "select fs.id, min(e.clientPath), c.time"
    " from Fileset fs join fs.details.creationEvent c join fs.usedFiles e left outer join fs.images i"
    " where fs.details.owner.id = :owner and e.clientPath like :prefix and i.id is null"
    " group by fs.id, c.time order by fs.id"
)
"""What is under way, or was left, of any batch of the owner's. Sent with ALL_GROUPS, once for each ask, only where
what is there already is skipped and something of the batch is missing; and when what is left is looked for.

:owner  -- long
:prefix -- string, ``%dropwatch/%``
columns -- fileset id (long), the first of its client paths (string), the server's time when it was made (time)
"""

IMAGES_OF_FILESETS = (
    "select fs.id, i.id, i.name from Image i join i.fileset fs"
    " where fs.details.owner.id = :owner and fs.id in (:ids) order by fs.id, i.id"
)
"""The images of some filesets. Sent with ALL_GROUPS.

:owner, :ids -- long, list of long
columns      -- fileset id (long), image id (long), image name (string)
"""

PLATES_OF_FILESETS = (
    "select distinct fs.id, p.id, p.name"
    " from Plate p join p.wells w join w.wellSamples ws join ws.image i join i.fileset fs"
    " where fs.details.owner.id = :owner and fs.id in (:ids) order by fs.id, p.id"
)
"""The plates of some filesets. Sent with ALL_GROUPS, only when the target is a screen.

:owner, :ids -- long, list of long
columns      -- fileset id (long), plate id (long), plate name (string)
"""

UPLOADS_FINISHED = (
    "select fs.id, j.finished"
    " from FilesetJobLink l join l.parent fs join l.child j join j.status s"
    " where fs.details.owner.id = :owner and fs.id in (:ids) and j.class = UploadJob and s.value = 'Finished'"
)
"""Which filesets passed verifyUpload, and when. Sent with ALL_GROUPS, only for filesets without images.

verifyUpload sets the UploadJob to "Finished" (omero-blitz ManagedImportProcessI.java).

:owner, :ids -- long, list of long
columns      -- fileset id (long), the server's time when the job ended (time or null)
"""

LOG_OF_FILESET = (
    "select o.id, o.size"
    " from FilesetJobLink l join l.parent fs join l.child j join j.originalFileLinks l2 join l2.child o"
    " where fs.details.owner.id = :owner and fs.id = :id and o.mimetype = 'application/omero-log-file'"
)
"""The server's import log of one fileset (omero-py plugins/fs.py, get_logfile). Sent with ALL_GROUPS.

:owner, :id -- long, long
columns     -- OriginalFile id (long), size in bytes (long)
"""

DATASETS_BY_NAME = (
    "select d.id from Dataset d where d.details.owner.id = :owner and d.name = :name order by d.id desc"
)
SCREENS_BY_NAME = (
    "select s.id from Screen s where s.details.owner.id = :owner and s.name = :name order by s.id desc"
)
PROJECTS_BY_NAME = (
    "select p.id from Project p where p.details.owner.id = :owner and p.name = :name order by p.id desc"
)
"""One's own containers of exactly this name in the session's group, newest first.

:owner, :name -- long, string
columns       -- id (long)
"""

DATASETS_IN_PROJECT = (
    "select d.id, p.id from ProjectDatasetLink l join l.parent p join l.child d"
    " where d.details.owner.id = :owner and p.details.owner.id = :owner"
    " and d.name = :name and p.name = :project order by d.id desc"
)
"""One's own datasets of this name in one's own projects of that name, in the session's group, newest first.

:owner, :name, :project -- long, string, string
columns                 -- dataset id (long), project id (long)
"""

FILES_IN_DATASET = (
    "select fs.id, f.name, f.size, f.hash, h.value"
    " from Fileset fs join fs.usedFiles e join e.originalFile f left outer join f.hasher h"
    " where fs.details.owner.id = :owner and f.name in (:names) and fs.id in"
    " (select i.fileset.id from DatasetImageLink l join l.child i where l.parent.id = :id)"
)
FILES_IN_SCREEN = (
    "select fs.id, f.name, f.size, f.hash, h.value"
    " from Fileset fs join fs.usedFiles e join e.originalFile f left outer join f.hasher h"
    " where fs.details.owner.id = :owner and f.name in (:names) and fs.id in"
    " (select i.fileset.id from ScreenPlateLink l join l.child p join p.wells w join w.wellSamples ws"
    " join ws.image i where l.parent.id = :id)"
)
"""Which of these file names the owner has, with images, in the target (compare FilenameExclusion.java).

Not joined with the images: a plate has thousands of them, and as many files.

:owner, :id, :names -- long, long (Dataset or Screen), list of string (at most NAMES_IN_A_PAGE)
columns             -- fileset id (long), name (string), size (long or null), hash (string or null), name of
                       the checksum algorithm (string or null): a row for each file
"""

FILES_OF_FILESETS = (
    "select fs.id, count(e.id) from Fileset fs join fs.usedFiles e"
    " where fs.details.owner.id = :owner and fs.id in (:ids) group by fs.id"
)
"""How many files these filesets have: a part of a fileset is not the fileset.

:owner, :ids -- long, list of long
columns      -- fileset id (long), number of files (long)
"""

FILES_OF_THESE = (
    "select fs.id, f.name, f.size, f.hash, h.value"
    " from Fileset fs join fs.usedFiles e join e.originalFile f left outer join f.hasher h"
    " where fs.details.owner.id = :owner and fs.id in (:ids)"
)
"""What was uploaded of some filesets. Sent with ALL_GROUPS, for those without images only. The server knows size and
checksum of a file when its upload has ended (omero-blitz RepoRawFileStoreI.java, omero-server RawFileBean.java).

:owner, :ids -- long, list of long
columns      -- as of FILES_IN_DATASET
"""

TAGS_BY_NAME = (
    "select t.id, t.textValue from TagAnnotation t"
    " where t.details.owner.id = :owner and t.ns is null and t.textValue in (:names) order by t.id"
)
"""One's own tags with exactly these words in the session's group; tag sets (they have a namespace) are none.

:owner, :names -- long, list of string
columns        -- annotation id (long), text (string)
"""

ATTACHMENTS_OF_BATCH = (
    "select f.id, f.path from OriginalFile f"
    " where f.details.owner.id = :owner and f.path like :prefix order by f.id"
)
"""The files of a batch's attachments, whole and half ones. Sent with ALL_GROUPS, only where there are some.

Files of the managed repository have a path that begins with a folder of their owner's, never with ours.

:owner  -- long
:prefix -- string, ``dropwatch/<batch id>/%``
columns -- OriginalFile id (long), its path (string)
"""

HALF_ATTACHMENTS = (
    "select f.id, f.path, c.time from OriginalFile f join f.details.creationEvent c"
    " where f.details.owner.id = :owner and f.path like :prefix"
    " and not exists (select a.id from FileAnnotation a where a.file.id = f.id) order by f.id"
)
"""The half ones of all batches of the owner's. Sent with ALL_GROUPS, when what is left is looked for.

:owner  -- long
:prefix -- string, ``dropwatch/%``
columns -- OriginalFile id (long), its path (string), the server's time when it was made (time)
"""

ANNOTATIONS_OF_FILES = (
    "select f.id, a.id from FileAnnotation a join a.file f"
    " where f.details.owner.id = :owner and f.id in (:ids) order by a.id desc"
)
"""The annotations that hold these files. Sent with ALL_GROUPS.

:owner, :ids -- long, list of long
columns      -- OriginalFile id (long), annotation id (long)
"""

FILES_AT_DATASET = (
    "select a.id, f.id, f.name, f.size, f.hash, h.value"
    " from DatasetAnnotationLink l join l.child a join a.file f left outer join f.hasher h"
    " where l.parent.id = :id and f.details.owner.id = :owner and f.name in (:names) order by a.id"
)
FILES_AT_SCREEN = (
    "select a.id, f.id, f.name, f.size, f.hash, h.value"
    " from ScreenAnnotationLink l join l.child a join a.file f left outer join f.hasher h"
    " where l.parent.id = :id and f.details.owner.id = :owner and f.name in (:names) order by a.id"
)
"""Which of these file names the owner has attached to the target (the joins: AdminImpl.getMyUserPhotos).

:owner, :id, :names -- long, long (Dataset or Screen), list of string (at most NAMES_IN_A_PAGE)
columns             -- annotation id (long), OriginalFile id (long), name (string), size (long or null), hash
                       (string or null), name of the checksum algorithm (string or null)
"""

MARKED_IMAGES = (
    "select distinct i.id from ImageAnnotationLink l join l.parent i join i.fileset fs join l.child a"
    " where fs.details.owner.id = :owner and fs.id in (:ids) and a.ns = :ns"
)
"""Which images of some filesets are annotated in our namespace. Sent with ALL_GROUPS, by the importer that runs
`omero import`.

:owner, :ids, :ns -- long, list of long, string
columns           -- image id (long)
"""

IMAGES_IN_DATASET = "select count(l.id) from DatasetImageLink l where l.parent.id = :id"
PLATES_IN_SCREEN = "select count(l.id) from ScreenPlateLink l where l.parent.id = :id"
"""Whether a container is empty.

:id     -- long
columns -- number of links (long)
"""

OWN_PROJECTS = (
    "select p.id, p.name, l.child.id from Project p left outer join p.datasetLinks l"
    " where p.details.owner.id = :owner order by p.id desc, l.id desc"
)
OWN_DATASETS = (
    "select d.id, d.name, (select count(l.id) from DatasetImageLink l where l.parent.id = d.id)"
    " from Dataset d where d.details.owner.id = :owner order by d.id desc"
)
OWN_SCREENS = (
    "select s.id, s.name, (select count(l.id) from ScreenPlateLink l where l.parent.id = s.id)"
    " from Screen s where s.details.owner.id = :owner order by s.id desc"
)
"""One's own containers in the session's group, newest first. Sent with a limit, for the page only.

:owner  -- long
columns -- id (long), name (string), then of a project the id of a dataset in it (long or null: a row for each), of
           the others the number of images or plates (long)
"""

PIXELS_OF_IMAGES = (
    "select i.id, p.id, i.details.group.id from Pixels p join p.image i where i.id in (:ids) order by p.id"
)
"""The pixels of some images that the session may see, for their thumbnails. Sent with ALL_GROUPS.

:ids    -- list of long
columns -- image id (long), pixels id (long), group id (long)
"""

FIRST_PIXELS_OF_PLATE = (
    "select px.id, p.details.group.id"
    " from Plate p join p.wells w join w.wellSamples ws join ws.image i join i.pixels px"
    " where p.id = :id order by w.row, w.column, ws.id, px.id"
)
"""The first field of the first well of a plate that the session may see. Sent with ALL_GROUPS and a limit of 1.

:id     -- long
columns -- pixels id (long), group id (long)
"""

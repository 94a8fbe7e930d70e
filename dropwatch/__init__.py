"""dropwatch: background import of microscopy images into OMERO from watched drop folders."""

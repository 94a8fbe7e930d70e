"""Uploads: files come from a browser, piece by piece, until they are submitted as one batch.

Only this room receives files. Where they lie, and the rename that submits them, is the spool's business.
"""

"""The page: sign in, submit batches and watch them, from any browser; and the JSON API for programs.

A process of its own beside the daemon. It reads status and acts through folders only, so that it may crash or be
started again at any moment without touching an import. Only this room knows NiceGUI, FastAPI and tus.

Begin with house.py (all that pages and API are made of) and visitor.py (who asks). Then, by what you look for:

- who comes in: guard, entrance, doorkeeper; passwords, patience, links, sessions, tokens; what they may see: allowed
- what lies where: eye looks at a spool, watch lets it look, index asks all; listed and overview come of it
- what may hang, OMERO and disks: errands and lookout call it from threads; images, pictures, previews, shares
- what pages are made of: frame, pieces, redraw, live; plain for strangers
- what people and programs see: pages/, api/, uploads/; they submit and act alike, by actions.py and spool/
"""

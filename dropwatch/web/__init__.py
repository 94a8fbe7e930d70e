"""The page: sign in, submit batches and watch them, from any browser; and the JSON API for programs.

A process of its own beside the daemon. It reads status and acts through folders only, so that it may crash or be
started again at any moment without touching an import. Only this room knows NiceGUI, FastAPI and tus.
"""

"""``python -m dropwatch``: the same as the command ``dropwatch``."""

from __future__ import annotations

from dropwatch.cli import main

if __name__ == "__main__":
    main()

"""``python -m dropwatch.sandbox``: the sandbox without the rest of dropwatch's commands."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dropwatch.errors import OperatorError
from dropwatch.sandbox.server import serve


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m dropwatch.sandbox", description=__doc__)
    options.add_argument(
        "--dir", type=Path, required=True, help="where mails, images and faults.yaml are kept"
    )
    options.add_argument(
        "--omero-port", type=int, default=0, help="port of the OMERO server; 0: any free one"
    )
    options.add_argument("--smtp-port", type=int, default=0, help="port of the mail server; 0: any free one")
    asked = options.parse_args()
    try:
        serve(asked.dir, asked.omero_port, asked.smtp_port)
    except OperatorError as error:
        sys.exit(f"{error.message}\n{error.remedy}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Submits a run that lies in a place (a folder that dropwatch can see) by the page's JSON API. Needs only Python.

    DROPWATCH_TOKEN=dw_... python submit_by_api.py https://import.example.org confocal1-disk run7 --user alice

The token is the instrument's: an admin makes it on the page "Account". It stands in the environment, not among
the arguments, which every account of the machine can see.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    said = argparse.ArgumentParser(description="Submit a run to dropwatch.")
    said.add_argument("page", help="address of the page")
    said.add_argument("place", help="name of the place")
    said.add_argument("paths", nargs="+", help="files or folders below the place")
    said.add_argument("--user", help="whose batch it is, where the token is an instrument's")
    said.add_argument("--target", help="such as Project:HeLa/Dataset:day 3")
    wanted = said.parse_args()
    batch = {
        "from": {"place": wanted.place, "paths": wanted.paths},
        "user": wanted.user,
        "target": wanted.target,
    }
    request = urllib.request.Request(
        f"{wanted.page}/api/batches",
        json.dumps(batch).encode(),
        {"Authorization": f"Bearer {os.environ['DROPWATCH_TOKEN']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(json.load(answer)["path"])
    except urllib.error.HTTPError as err:
        problem = json.load(err)
        print(f"{problem['detail']} {problem['remedy']}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

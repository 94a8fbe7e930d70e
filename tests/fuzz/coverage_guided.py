"""The same readers, thrown at by atheris, which goes where the code goes: for exploring, no test needs it.

    python -m tests.fuzz.coverage_guided NAME [CORPUS] [-max_total_time=300 and other options of libFuzzer]

What it finds becomes a plain test in test_hostile_inputs.py.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main(name: str, *options: str) -> None:
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["dropwatch"]):
        from tests.fuzz.parsers import parsers
    folder = Path(tempfile.mkdtemp(prefix="coverage-guided-"))
    parser = parsers(folder)[name]
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(parser.seeds):
        (corpus / str(number)).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(map(_quoted, parser.words)))
    known = [f"-dict={words}"] if parser.words else []
    atheris.Setup([sys.argv[0], str(corpus), *known, "-max_len=4096", *options], parser.feed)
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    """*word* as libFuzzer's dictionaries write it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


if __name__ == "__main__":
    main(*sys.argv[1:])

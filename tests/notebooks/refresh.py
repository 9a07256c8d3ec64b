# SPDX-License-Identifier: BSD-2-Clause
"""Runs every notebook in a fresh kernel and keeps its outputs: ``python tests/notebooks/refresh.py [NAME ...]``."""

import sys
from pathlib import Path

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parents[2]


def main(names: list[str]) -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(path.parent)}}
        nbclient.NotebookClient(notebook, timeout=900, resources=resources).execute()
        for cell in notebook.cells:  # times of execution are of no use to a reader, and change with every run
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])

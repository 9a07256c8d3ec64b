# SPDX-License-Identifier: BSD-2-Clause
"""The README's Python runs, in order, and prints what the README says that it prints."""

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:^```\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def test_every_python_block_prints_what_is_shown():
    blocks = _BLOCK.findall(README.read_text(encoding="utf-8"))
    assert len(blocks) >= 4
    names: dict[str, object] = {"__name__": "readme"}
    for code, shown in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), names)
        assert printed.getvalue() == shown

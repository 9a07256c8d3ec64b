# SPDX-License-Identifier: BSD-2-Clause
"""A grey image as a PNG file in a ``data:`` address (the PNG specification, ISO/IEC 15948)."""

import base64
import struct
import zlib
from collections.abc import Sequence


def png(rows: Sequence[Sequence[float]]) -> bytes:
    """A PNG of rows of grey values 0 (black) to 255 (white); values beyond are clipped.

    >>> data = png([[0, 255], [128, 300]])
    >>> data[:8], struct.unpack(">II", data[16:24]), zlib.decompress(data[41:-16])
    (b'\\x89PNG\\r\\n\\x1a\\n', (2, 2), b'\\x00\\x00\\xff\\x00\\x80\\xff')

    Raises:
        ValueError: there is no pixel, or a row is of another length.
    """
    height, width = len(rows), len(rows[0]) if rows else 0
    if not width or any(len(row) != width for row in rows):
        raise ValueError("an image needs rows of one length, with a pixel at least")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)  # 8 bits, grey, no interlacing
    lines = b"".join(b"\x00" + bytes(min(max(int(v), 0), 255) for v in row) for row in rows)
    data = chunk(b"IDAT", zlib.compress(lines, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def data_uri(rows: Sequence[Sequence[float]]) -> str:
    """The PNG as an address that holds the image itself."""
    return "data:image/png;base64," + base64.b64encode(png(rows)).decode("ascii")

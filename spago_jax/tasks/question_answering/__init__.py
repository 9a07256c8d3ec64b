# SPDX-License-Identifier: BSD-2-Clause
"""``question-answering``: the spans of a passage that answer a question."""

# SPDX-License-Identifier: BSD-2-Clause
"""Tasks answered by a pre-trained encoder: from a folder in Hugging Face's layout to answers."""

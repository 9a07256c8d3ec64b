# SPDX-License-Identifier: BSD-2-Clause
"""What a token looks like to a model: its word vector, its spelling, its shape. Shared by taggers and classifiers."""

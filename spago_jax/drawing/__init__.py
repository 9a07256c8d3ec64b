# SPDX-License-Identifier: BSD-2-Clause
"""Pictures: boxes and arrows as SVG, DOT and Mermaid; charts; HTML. Knows neither programs nor runs."""

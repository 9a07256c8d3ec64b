# SPDX-License-Identifier: BSD-2-Clause
"""Networks of whole models, one module each; what they are trained on and for is said in `tasks`."""

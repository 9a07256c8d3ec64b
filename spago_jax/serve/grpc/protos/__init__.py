# SPDX-License-Identifier: BSD-2-Clause
"""The messages of the services: ``*.proto``, and what ``scripts/protos`` generates from them."""

# SPDX-License-Identifier: BSD-2-Clause
"""spaGO's golden numbers, computed again by this library: ``scripts/parity DIR``."""

# SPDX-License-Identifier: BSD-2-Clause
"""Certificates: read at the start, and again when their files change."""

import logging
import os
import ssl
from pathlib import Path

from spago_jax.errors import InputError
from spago_jax.serve.config import TlsConfig

log = logging.getLogger("spago_jax.serve")


class Certificates:
    """The certificate of a server, and that of those who may ask.

    Args:
        config: where the files are.

    Attributes:
        context: for HTTP; new connections see what was read last.

    Raises:
        InputError: where a file is missing or not what it should be.
    """

    def __init__(self, config: TlsConfig):
        self.config = config
        self._stamp = self.stamp()
        self.context = self._made()

    def refresh(self) -> bool:
        """Reads files that have changed; returns whether there was one. Bad files leave what was read last."""
        state = self.stamp()
        if state == self._stamp:
            return False
        self._stamp = state
        try:
            self._made()  # a pair that does not fit must not reach the context that is in use
            self.context.load_cert_chain(self.config.cert, self.config.key)
            if self.config.client_ca is not None:
                self.context.load_verify_locations(self.config.client_ca)
        except InputError as error:
            log.error("the certificates are as they were: %s", error)
            return False
        log.info("read the certificates again")
        return True

    def pem(self) -> tuple[bytes, bytes, bytes | None]:
        """Returns key, certificate and the certificate of clients, as bytes: what gRPC takes."""
        ca = self.config.client_ca
        return (
            Path(self.config.key).read_bytes(),
            Path(self.config.cert).read_bytes(),
            None if ca is None else Path(ca).read_bytes(),
        )

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.config.cert, self.config.key)
        except (OSError, ssl.SSLError) as error:
            message = f"not a certificate with its key ({self.config.key}): {error}"
            raise InputError(message, path=self.config.cert) from None
        if self.config.client_ca is not None:
            try:
                context.load_verify_locations(self.config.client_ca)
            except (OSError, ssl.SSLError) as error:
                raise InputError(f"not a certificate: {error}", path=self.config.client_ca) from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Returns what changes whenever one of the files does."""
        found = []
        for path in (self.config.cert, self.config.key, self.config.client_ca):
            try:
                state = os.stat(path) if path is not None else None
            except OSError:
                state = None
            found.append((0, 0, 0) if state is None else (state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)

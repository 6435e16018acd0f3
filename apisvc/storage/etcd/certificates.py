"""Our side's certificates and key, in files that others replace while we run."""

import datetime
import os

import grpc
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import serialization
from oslo_config import cfg

from apisvc import errors


class Files:
    """The files of ``[etcd]`` as they were when this was made; found to be usable.

    :raises StoreUnavailable: one of them cannot be read or used, perhaps as it is just being written.
    """

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        self._secure = any(endpoint.startswith("https://") for endpoint in conf.endpoints)
        self._paths = [path for path in (conf.ca_file, conf.cert_file, conf.key_file) if path]
        self._stamps = self._look()
        self._cert_file = conf.cert_file
        self._certificate: x509.Certificate | None = None
        self.credentials: grpc.ChannelCredentials | None = None
        if self._secure:
            self.credentials = self._read(conf)

    def _read(self, conf: cfg.ConfigOpts.GroupAttr) -> grpc.ChannelCredentials:
        authority, chain, key = (
            _contents(option, conf[option]) for option in ("ca_file", "cert_file", "key_file")
        )
        # NOTE: Here, for grpc says of none of it which file is meant, and of an empty one aborts the process.
        if authority is not None:
            _certificate("ca_file", conf.ca_file, authority)
        if chain is not None and key is not None:
            self._certificate = _certificate("cert_file", conf.cert_file, chain)
            _check_key(self._certificate, conf.key_file, key)
        return grpc.ssl_channel_credentials(authority, key, chain)

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._paths]

    def outdated(self) -> bool:
        """Whether they are others by now."""
        return self._secure and self._look() != self._stamps

    def doubt(self) -> str:
        """What a member that refuses us may have against our certificate, to be put after its words."""
        if not self._secure:
            return ""
        if self._certificate is None:
            return "; no cert_file is set, and the member may ask for one"
        until = self._certificate.not_valid_after_utc
        if until < datetime.datetime.now(datetime.UTC):
            return f"; cert_file = {self._cert_file} expired on {until:%Y-%m-%d at %H:%M:%SZ}"
        return f"; the member may not accept cert_file = {self._cert_file}"


def _stamp(path: str) -> tuple[int, int, int] | None:
    """Changes with the file; None: it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _contents(option: str, path: str | None) -> bytes | None:
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise errors.StoreUnavailable(f"[etcd] {option} = {path}: {error.strerror}.") from None


def _certificate(option: str, path: str, pem: bytes) -> x509.Certificate:
    """The first one in it."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise errors.StoreUnavailable(f"[etcd] {option} = {path}: no certificate in PEM is in it.") from None


def _check_key(certificate: x509.Certificate, path: str, pem: bytes) -> None:
    """That the private key in it is the certificate's."""
    try:
        key = serialization.load_pem_private_key(pem, None).public_key()
        fits = key == certificate.public_key()
    except exceptions.UnsupportedAlgorithm as error:
        raise errors.StoreUnavailable(f"[etcd] key_file = {path} and its certificate: {error}.") from None
    except (ValueError, TypeError):  # TypeError: it has a password
        raise errors.StoreUnavailable(
            f"[etcd] key_file = {path}: no private key in PEM and without a password is in it."
        ) from None
    if not fits:
        raise errors.StoreUnavailable(f"[etcd] key_file = {path} is not the key of the one in cert_file.")

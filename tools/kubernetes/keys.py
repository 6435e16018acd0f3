"""The keys and certificates of one lab, made with openssl; elliptic curves, for they take no time."""

import pathlib
import subprocess

from tools import places

#: The API server's names, in its certificate.
NAMES = (
    "IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
)


def make(folder: pathlib.Path) -> None:
    """Write the authority, the API server's certificate, its one for kubelets, and the service accounts' key."""
    folder.mkdir(mode=0o700)
    _key(folder / "ca.key")
    authority = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    subject = ["-subj", "/CN=apisvc-lab", "-days", "3650", "-out", str(folder / "ca.crt")]
    _openssl("req", "-x509", "-new", "-key", str(folder / "ca.key"), *authority, *subject)
    _sign(folder, "apiserver", "/CN=kube-apiserver", f"subjectAltName={NAMES}\nextendedKeyUsage=serverAuth")
    # By it the API server is somebody whom the kubelet lets read logs and run commands.
    _sign(folder, "kubelet-client", "/O=system:masters/CN=kube-apiserver", "extendedKeyUsage=clientAuth")
    _key(folder / "accounts.key")
    _openssl("pkey", "-in", str(folder / "accounts.key"), "-pubout", "-out", str(folder / "accounts.pub"))


def _key(path: pathlib.Path) -> None:
    curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    _openssl("genpkey", *curve, "-out", str(path))


def _sign(folder: pathlib.Path, name: str, subject: str, extensions: str) -> None:
    key, request, certificate = (folder / f"{name}.{ending}" for ending in ("key", "csr", "crt"))
    _key(key)
    _openssl("req", "-new", "-key", str(key), "-subj", subject, "-out", str(request))
    more = folder / f"{name}.ext"
    more.write_text(f"{extensions}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
    signer = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial"]
    signed = ["-days", "3650", "-extfile", str(more), "-out", str(certificate)]
    _openssl("x509", "-req", "-in", str(request), *signer, *signed)


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise places.LabError("there is no command 'openssl' (Debian: openssl)") from None
    if done.returncode:
        raise places.LabError(f"openssl {arguments[0]}: {done.stderr.strip()}")

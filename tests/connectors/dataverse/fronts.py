"""A door before the emulator that misbehaves below HTTP: it resets, stays silent or shows an expired certificate."""

import contextlib
import ipaddress
import socket
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Front:
    """Treats its first connections as `moods` says ("reset", "silent", "expired"), and passes later ones on."""

    def __init__(self, port: int, moods: list[str], certificates: Path) -> None:
        self._behind = port
        self._moods = moods
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates / "expired.pem", certificates / "expired.key")
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self._open):
            each.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._open.append(near)
                self._treat(near, self._moods.pop(0) if self._moods else "")

    def _treat(self, near: socket.socket, mood: str) -> None:
        if mood == "reset":
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            near.close()
        elif mood == "expired":
            with contextlib.suppress(OSError):
                self._context.wrap_socket(near, server_side=True).close()
        elif mood != "silent":
            far = socket.create_connection(("127.0.0.1", self._behind))
            self._open.append(far)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(1 << 16):
            target.sendall(received)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def write_expired_certificate(directory: Path) -> None:
    """Writes ca.pem, and expired.pem with its key: a certificate for 127.0.0.1 that the CA signed and that has expired."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    usage = x509.KeyUsage(*[name in ("key_cert_sign", "crl_sign") for name in _KEY_USAGES])
    ca = (
        x509.CertificateBuilder(authority, authority, ca_key.public_key(), 1, now - timedelta(90), now + timedelta(9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(authority, server, key.public_key(), 2, now - timedelta(60), now - timedelta(1))
    pem = builder.add_extension(host, critical=False).sign(ca_key, hashes.SHA256())
    (directory / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (directory / "expired.pem").write_bytes(pem.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "expired.key").write_bytes(key.private_bytes(*form))


_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

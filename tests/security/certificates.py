"""Certificates, made anew for each run: of brokers and clients, good and bad."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

CLIENT = "worker"
"""Common name of the clients' certificates: brokers take it for their name."""

KEY_PASSWORD = "the-key-of-the-key"
_YESTERDAY = datetime.now(UTC) - timedelta(days=1)
_LONG_AGO = _YESTERDAY - timedelta(days=30)


class Certificates:
    """A folder of PEM files: NAME.crt, NAME.key, and NAME.pem, which is both (what Kafka reads).

    `broker` is good; `late` has expired, `stranger` is one for another host. Of clients there are
    `client`, `locked` (its key has a password), `expired`, and `foreign` (of another authority).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ours, other = trustme.CA(), trustme.CA()
        ours.cert_pem.write_to_path(str(folder / "ca.pem"))
        other.cert_pem.write_to_path(str(folder / "other.pem"))
        (folder / "no.pem").write_text("this is no certificate\n")
        self._write("broker", ours.issue_cert("127.0.0.1"))
        self._write("late", _expired(ours, "127.0.0.1"))
        self._write("stranger", ours.issue_cert("kafka.example.com"))
        self._write("client", ours.issue_cert(CLIENT, common_name=CLIENT))
        self._write("locked", ours.issue_cert(CLIENT, common_name=CLIENT), KEY_PASSWORD)
        self._write("expired", _expired(ours, CLIENT))
        self._write("foreign", other.issue_cert(CLIENT, common_name=CLIENT))

    def path(self, name: str) -> str:
        """Where a file of the folder is."""
        return str(self._folder / name)

    def client(self, name: str | None = "client", ca: str = "ca.pem") -> dict[str, str]:
        """How a client comes by TLS: with a certificate of that name, or without any."""
        found = {"security.protocol": "SSL", "ssl.ca.location": self.path(ca)}
        if name is not None:
            found["ssl.certificate.location"] = self.path(f"{name}.crt")
            found["ssl.key.location"] = self.path(f"{name}.key")
        if name == "locked":
            found["ssl.key.password"] = KEY_PASSWORD
        return found

    def listener(self, name: str, *, asks_clients: bool = True) -> dict[str, str]:
        """A broker's settings, without their prefix, to show the certificate of that name."""
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.path(f"{name}.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.path("ca.pem"),
            "ssl.client.auth": "required" if asks_clients else "none",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        }

    def _write(self, name: str, made: trustme.LeafCert, password: str = "") -> None:
        key = load_pem_private_key(made.private_key_pem.bytes(), None)
        lock: KeySerializationEncryption = NoEncryption()
        if password:
            lock = BestAvailableEncryption(password.encode())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
        chain = b"".join(each.bytes() for each in made.cert_chain_pems)
        (self._folder / f"{name}.key").write_bytes(secret)
        (self._folder / f"{name}.crt").write_bytes(chain)
        (self._folder / f"{name}.pem").write_bytes(secret + chain)


def _expired(authority: trustme.CA, name: str) -> trustme.LeafCert:
    return authority.issue_cert(name, common_name=name, not_before=_LONG_AGO, not_after=_YESTERDAY)

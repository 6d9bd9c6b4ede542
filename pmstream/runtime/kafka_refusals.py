"""Why a broker and a client do not come together (TLS, SASL), and what to do about it.

librdkafka says of every bad certificate that it "could not be verified"; so the broker is asked
for it once more, by Python's own TLS, which tells what is wrong with it. Nothing is sent there.
"""

import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any

ASKED_SECONDS = 3.0
"""How long a broker may take to show its certificate once more."""

_NAMES = 5
"""Of a certificate that is for other hosts: so many are told."""

_TLS_ADDRESS = re.compile(r"ssl://(?:\[([^\]]+)\]|([^\s/:]+)):(\d+)/")
_UNTRUSTED = "certificate verify failed"
_ALERT = re.compile(r"SSL alert number (\d+)")
_OF_OUR_CERTIFICATE = frozenset({"42", "43", "44", "45", "46", "48", "116"})
"""TLS alerts by which a broker refuses a client's certificate, or the lack of one (RFC 8446)."""

_EXPIRED, _TOO_EARLY, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64

_CREDENTIALS = "correct sasl.username and sasl.password, or sasl.oauthbearer..., whichever you use"
_NO_TLS = "that port may know no TLS: name another one, or correct security.protocol"
_NO_FILE = "the file is missing, or holds no"

_SAID = (
    # what librdkafka says, and what to do; the first that fits
    ("ssl.ca.location failed", f"{_NO_FILE} certificates in PEM form"),
    ("ssl.ca.pem failed", "it holds no certificates in PEM form"),
    ("ssl.certificate.location failed", f"{_NO_FILE} certificate in PEM form"),
    (
        "ssl.key.location failed",
        f"{_NO_FILE} key in PEM form, or ssl.key.password is missing or wrong",
    ),
    ("ssl.key.pem failed", "it is no key in PEM form, or ssl.key.password is missing or wrong"),
    ("ssl.keystore.location", "the file is missing, or ssl.keystore.password is wrong"),
    (
        "Failed to acquire SASL OAUTHBEARER token",
        "correct sasl.oauthbearer.client.id, .client.secret or .token.endpoint.url",
    ),
    ("PLAINTEXT broker listener", _NO_TLS),
    ("SSL connection closed by peer", _NO_TLS),
    ("SASL mechanism handshake failed", "correct sasl.mechanism"),
    ("SASL authentication error", _CREDENTIALS),
    ("SASL authentication failed", _CREDENTIALS),
    ("in state APIVERSION_QUERY", "that port may want TLS or SASL: set security.protocol"),
    ("in state UP", "that port may want SASL: set security.protocol"),
)


def explained(said: str, settings: Mapping[str, Any]) -> str:
    """What librdkafka said, and what to do about it where that is known.

    Args:
        said: its words.
        settings: of the client.
    """
    if _UNTRUSTED in said:
        return _broker_certificate(said, settings)
    alert = _ALERT.search(said)
    if alert is not None and alert[1] in _OF_OUR_CERTIFICATE:
        return f"{said}: {_own_certificate(settings)}"
    for words, remedy in _SAID:
        if words in said:
            return f"{said}: {remedy}"
    return said


def _own_certificate(settings: Mapping[str, Any]) -> str:
    ours = settings.get("ssl.certificate.location") or settings.get("ssl.keystore.location")
    if ours is None and not settings.get("ssl.certificate.pem"):
        return (
            "the broker wants a certificate of its clients: set ssl.certificate.location and "
            "ssl.key.location"
        )
    return (
        f"the broker refuses our certificate{f' {ours}' if ours else ''}: it has expired, or is of "
        "an authority that the broker does not trust (`openssl x509 -noout -dates -issuer -in` "
        "shows both)"
    )


def _broker_certificate(said: str, settings: Mapping[str, Any]) -> str:
    found = _TLS_ADDRESS.search(said)
    if found is None:
        return said
    host, port = found[1] or found[2], int(found[3])
    authority = str(settings.get("ssl.ca.location") or "")
    about = f"the certificate of {host}:{port} is not accepted"
    try:
        _look(host, port, settings)
    except ssl.SSLCertVerificationError as error:
        about += f" ({error.verify_message})"
        if error.verify_code == _EXPIRED:
            return f"{about}: have it renewed, or set this machine's clock"
        if error.verify_code == _TOO_EARLY:
            return f"{about}: set this machine's clock, or wait until it begins"
        if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
            names = _names(host, port, settings)
            return f"{about}: it is for {names}; reach the broker by such a name"
        trusted = f"{authority} holds" if authority else "this machine trusts"
        return (
            f"{about}: {trusted} no authority that has signed it; name the right file by "
            "ssl.ca.location"
        )
    except (OSError, ValueError):
        pass  # what librdkafka said has to do
    return said


def _look(host: str, port: int, settings: Mapping[str, Any], *, any_host: bool = False) -> Any:
    """What the broker's certificate says. Raises ssl.SSLCertVerificationError, OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    identified = str(settings.get("ssl.endpoint.identification.algorithm", "https")) != "none"
    context.check_hostname = identified and not any_host
    file, text = settings.get("ssl.ca.location"), settings.get("ssl.ca.pem")
    if text or (file and file != "probe"):
        context.load_verify_locations(file if not text else None, cadata=text or None)
    else:
        context.load_default_certs()
    with (
        socket.create_connection((host, port), ASKED_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as asked,
    ):
        return asked.getpeercert()


def _names(host: str, port: int, settings: Mapping[str, Any]) -> str:
    """Whom the broker's certificate is for; it is signed by whom we trust."""
    try:
        told = _look(host, port, settings, any_host=True)
    except (OSError, ValueError):
        return "another host"
    names = [str(value)[:100] for _, value in told.get("subjectAltName", ())]
    return ", ".join(names[:_NAMES]) or "another host"

"""An identity provider in this process: hands out tokens (OAuth 2), and shows its keys."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "worker", "what-only-the-worker-knows"
AUDIENCE = "kafka"


class Issuer:
    """Serves `/token` and `/keys` while its `with` block lasts.

    Attributes:
        life_s: of the tokens it hands out from now on.
        audience: of these.
        handed_out: how many there were.
    """

    def __init__(self) -> None:
        self.life_s, self.audience, self.handed_out = 60, AUDIENCE, 0
        self._key = rsa.generate_private_key(65_537, 2_048)
        handler = type("Handler", (_Handler,), {"issuer": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def client(self, secret: str = SECRET) -> dict[str, str]:
        """How a client comes with its tokens."""
        return {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": f"{self.url}/token",
            "sasl.oauthbearer.client.id": CLIENT,
            "sasl.oauthbearer.client.secret": secret,
        }

    def listener(self) -> dict[str, str]:
        """A broker's settings, without their prefix, to believe its tokens."""
        package = "org.apache.kafka.common.security.oauthbearer"
        return {
            "sasl.enabled.mechanisms": "OAUTHBEARER",
            "oauthbearer.sasl.jaas.config": f"{package}.OAuthBearerLoginModule required;",
            "oauthbearer.sasl.server.callback.handler.class": (
                f"{package}.OAuthBearerValidatorCallbackHandler"
            ),
            "oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"{self.url}/keys",
            "oauthbearer.sasl.oauthbearer.expected.issuer": self.url,
            "oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
            # A connection lives as long as its token, unless it brings a newer one (KIP-368).
            "oauthbearer.connections.max.reauth.ms": "3600000",
        }

    def token(self) -> dict[str, Any]:
        """A new token."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": CLIENT, "aud": self.audience, "iat": now}
        claims["exp"] = now + self.life_s
        self.handed_out += 1
        signed = jwt.encode(claims, self._key, "RS256", {"kid": "one"})
        return {"access_token": signed, "token_type": "Bearer", "expires_in": self.life_s}

    def keys(self) -> dict[str, Any]:
        """What its tokens are verified with (JWKS)."""
        shown = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**shown, "kid": "one", "alg": "RS256", "use": "sig"}]}


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        self._answer(200, self.issuer.keys())

    def do_POST(self) -> None:
        given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        known = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        posted = (given.get("client_id"), given.get("client_secret")) == ([CLIENT], [SECRET])
        if self.headers.get("Authorization") == known or posted:
            self._answer(200, self.issuer.token())
        else:
            self._answer(401, {"error": "invalid_client", "error_description": "unknown client"})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass

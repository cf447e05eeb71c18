"""Which operation a request asks for, in any of AWS's protocols."""

import io
import re
from dataclasses import dataclass
from urllib.parse import parse_qs

CBOR_PATH = re.compile("/service/[^/]+/operation/(.+)")


@dataclass
class Call:
    protocol: str
    operation: str
    region: str
    body: bytes
    # Id of the access key that signed it.
    key: str = ""

    @classmethod
    def of(cls, environ):
        """Reads a request, and leaves it to be read again."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        # An unsigned request has no scope: it is STS's.
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
        key, region = (scope[0], scope[2]) if len(scope) > 2 else ("", "us-east-1")
        if path := CBOR_PATH.fullmatch(environ["PATH_INFO"]):
            return cls("cbor", path[1], region, body, key)
        if target := environ.get("HTTP_X_AMZ_TARGET"):
            return cls("json", target.rsplit(".", 1)[-1], region, body, key)
        action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
        return cls("query", action, region, body, key)

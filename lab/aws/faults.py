"""Faults on demand, each for one operation, so many times or always."""

import io
import json
from collections import defaultdict
from dataclasses import dataclass
from time import sleep

import cbor
from call import Call

REFUSED = (
    "User: arn:aws:sts::123456789012:assumed-role/probe/connection-probe is not authorized to perform: {permission} "
    "because no identity-based policy allows the {permission} action"
)
SERVICES = {"GetMetricData": "cloudwatch", "FilterLogEvents": "logs", "AssumeRoleWithWebIdentity": "sts"}

# A token of ours: there is more, from the beginning.
MORE = "of-the-lab"

# Kind of a fault: HTTP status, code in the query protocol, code in the others, message.
ERRORS = {
    "throttled": (400, "Throttling", "ThrottlingException", "Rate exceeded"),
    "denied": (403, "AccessDenied", "AccessDeniedException", REFUSED),
    "expired": (403, "ExpiredToken", "ExpiredTokenException", "The security token included in the request is expired"),
    "unknown": (403, "InvalidClientTokenId", "UnrecognizedClientException", "The security token is invalid."),
}
# Other kinds: "html" (HTTP 500 and a page), "slow" (an answer after "seconds"), "late" (metrics from "since" on are not there
# yet), "emptyPage" (of a log: nothing, and a token for more).


@dataclass
class Fault:
    kind: str
    operation: str
    times: int | None = None
    seconds: float = 0
    since: str = ""


class Faults:
    def __init__(self):
        self._faults = defaultdict(list)
        self._calls = defaultdict(list)

    def add(self, region, fault):
        self._faults[region].append(Fault(**fault))

    def calls(self, region):
        return self._calls[region]

    def strike(self, call, *kinds):
        """The fault of one of these kinds that strikes a call now."""
        for fault in self._faults[call.region]:
            if fault.kind in kinds and fault.operation in ("*", call.operation) and fault.times != 0:
                if fault.times:
                    fault.times -= 1
                return fault
        return None

    def before(self, application):
        """The application, with faults before it."""

        def faulty(environ, start_response):
            call = Call.of(environ)
            self._calls[call.region].append(call.operation)
            if fault := self.strike(call, "slow"):
                sleep(fault.seconds)
            if fault := self.strike(call, "html", "emptyPage", *ERRORS):
                return answer(start_response, *response(fault.kind, call))
            if MORE.encode() in call.body:
                body = call.body.replace(f'"nextToken":"{MORE}"'.encode(), b'"limit":10000')
                environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
            return application(environ, start_response)

        return faulty


def response(kind, call):
    """Status, headers and body of a faulty answer."""
    if kind == "html":
        return 500, {"Content-Type": "text/html"}, b"<!doctype html><title>500 Internal Server Error</title>"
    if kind == "emptyPage":
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps({"events": [], "nextToken": MORE}).encode()
    status, query, other, message = ERRORS[kind]
    message = message.format(permission=f"{SERVICES.get(call.operation, 'rds')}:{call.operation}")
    if call.protocol == "query":
        error = f"<Error><Type>Sender</Type><Code>{query}</Code><Message>{message}</Message></Error>"
        return status, {"Content-Type": "text/xml"}, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()
    if call.protocol == "cbor":
        return status, {**cbor.HEADERS, "x-amzn-query-error": f"{query};Sender"}, cbor.error(other, message)
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps({"__type": other, "message": message}).encode()


def answer(start_response, status, headers, body):
    start_response(f"{status} .", list({**headers, "Content-Length": str(len(body))}.items()))
    return [body]

"""Faults on demand, each for one operation, so many times or always."""

import io
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from queue import Queue
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
# yet), "emptyPage" (of a log: nothing, and a token for more), "brief" (of STS: credentials that expire after "seconds"),
# "holdBefore" and "holdAfter" (a call is held, before or after it is carried out, until it is released).
# No call is held longer, in seconds.
HELD = 60


@dataclass
class Fault:
    kind: str
    operation: str
    times: int | None = None
    # So many calls are let through first.
    skip: int = 0
    # Only calls that are signed by this key.
    key: str = ""
    seconds: float = 0
    since: str = ""


class Faults:
    def __init__(self):
        self._faults = defaultdict(list)
        self._calls = defaultdict(list)
        self._held = defaultdict(list)

    def add(self, region, fault):
        self._faults[region].append(Fault(**fault))

    def calm(self, region):
        """From now on nothing goes wrong."""
        self._faults[region].clear()

    def calls(self, region):
        return self._calls[region]

    def held(self, region):
        """How many calls are held."""
        return len(self._held[region])

    def release(self, region, carry_out, only=None):
        """Lets held calls go on, so many or all; or has those that were not carried out yet never be."""
        for _ in range(len(self._held[region]) if only is None else only):
            self._held[region].pop(0).put(carry_out)

    def hold(self, region):
        """Whether to carry it out, when that is known."""
        order = Queue()
        self._held[region].append(order)
        return order.get(timeout=HELD)

    def strike(self, call, *kinds):
        """The fault of one of these kinds that strikes a call now."""
        for fault in self._faults[call.region]:
            of_this_call = fault.operation in ("*", call.operation) and fault.key in ("", call.key)
            if fault.kind in kinds and of_this_call and fault.times != 0:
                if fault.skip:
                    fault.skip -= 1
                    continue
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
            if self.strike(call, "holdBefore") and not self.hold(call.region):
                return answer(start_response, *response("html", call))
            if fault := self.strike(call, "html", "emptyPage", *ERRORS):
                return answer(start_response, *response(fault.kind, call))
            if MORE.encode() in call.body:
                body = call.body.replace(f'"nextToken":"{MORE}"'.encode(), b'"limit":10000')
                environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
            if fault := self.strike(call, "brief"):
                return brief(application(environ, start_response), fault.seconds)
            if self.strike(call, "holdAfter"):
                answered = list(application(environ, start_response))
                self.hold(call.region)
                return answered
            return application(environ, start_response)

        return faulty


def brief(body, seconds):
    """An answer of STS whose credentials expire sooner."""
    expiry = (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").encode()
    return [re.sub(rb"(<Expiration>).{19}", rb"\g<1>" + expiry, b"".join(body))]


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

"""CloudWatch's GetMetricData in RPC v2 CBOR, which the SDK for Rust speaks and moto does not: by botocore's own parser and
serializer, around moto's metrics."""

from datetime import timezone

from botocore.parsers import RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer
from botocore.utils import parse_timestamp
from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.utils import get_service_model

from call import Call

HEADERS = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
OPERATION = get_service_model("cloudwatch").operation_model("GetMetricData")
# Metrics to a page: all of ours take several.
PAGE = 4


def parse(body):
    parser = RpcV2CBORParser()
    return parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))


def serialize(value, shape):
    body = bytearray()
    RpcV2CBORSerializer()._serialize_data_item(body, value, shape)
    return bytes(body)


def error(code, message):
    """An error has no model of its own: a map of two strings, whose lengths are below 256."""
    text = lambda it: bytes([0x78, len(it)]) + it.encode()
    return b"\xa2" + text("__type") + text(f"com.amazonaws.cloudwatch#{code}") + text("message") + text(message)


def understood_by(application, faults):
    """The application, which understands CBOR as well."""

    def understanding(environ, start_response):
        call = Call.of(environ)
        if call.protocol != "cbor":
            return application(environ, start_response)
        assert call.operation == OPERATION.name, f"{call.operation} is not understood"
        late = faults.strike(call, "late")
        result = metric_data(call.region, parse(call.body), late and parse_timestamp(late.since))
        body = serialize(result, OPERATION.output_shape)
        start_response("200 OK", list({**HEADERS, "Content-Length": str(len(body))}.items()))
        return [body]

    return understanding


def metric_data(region, asked, hidden_from=None):
    page = int(asked.get("NextToken", 0))
    naive = lambda time: time.astimezone(timezone.utc).replace(tzinfo=None)
    results = cloudwatch_backends[DEFAULT_ACCOUNT_ID][region].get_metric_data(
        queries=asked["MetricDataQueries"][page : page + PAGE],
        start_time=naive(asked["StartTime"]),
        end_time=naive(asked["EndTime"]),
        scan_by=asked.get("ScanBy", "TimestampDescending"),
    )
    data = []
    for result in results:
        times = [time.replace(tzinfo=timezone.utc) for time in result["timestamps"]]
        told = [(time, float(value)) for time, value in zip(times, result["values"]) if not hidden_from or time < hidden_from]
        data.append({
            "Id": result["id"],
            "Label": result["label"],
            "Timestamps": [time for time, _ in told],
            "Values": [value for _, value in told],
            "StatusCode": "Complete",
        })
    more = page + PAGE < len(asked["MetricDataQueries"])
    return {"MetricDataResults": data, **({"NextToken": str(page + PAGE)} if more else {})}

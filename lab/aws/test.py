"""What is added to moto, asked for by botocore's own client: test.py URL"""

import json
import sys
import urllib.request
from datetime import datetime, timedelta, timezone
from unittest import TestCase, main

import boto3
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

import cbor
import faults
from call import Call

REGION = "il-central-1"
URL = sys.argv.pop()
NOW = datetime.now(timezone.utc).replace(microsecond=0)


def post(what, document):
    url = f"{URL}/lab/{what}/{REGION}"
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))


class Added(TestCase):
    @classmethod
    def setUpClass(cls):
        event = {"at": NOW.isoformat(), "type": "db-proxy", "source": "p", "text": "changed"}
        other = {**event, "source": "other"}
        cls.endpoint = post("seed", {"proxy": {"name": "p", "endpoints": ["r"]}, "events": [event, other]})["endpoint"]
        cls.rds = boto3.client("rds", endpoint_url=URL, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")

    def test_endpoints(self):
        endpoint = self.rds.describe_db_proxy_endpoints(DBProxyName="p")["DBProxyEndpoints"][0]
        host = "r.endpoint." + self.endpoint.split(".", 1)[1]
        meant = {"DBProxyEndpointName": "r", "TargetRole": "READ_ONLY", "IsDefault": False, "Endpoint": host, "Status": "available"}
        self.assertEqual({**endpoint, **meant}, endpoint)

    def test_a_changed_proxy_is_modifying_for_a_while(self):
        changed = self.rds.modify_db_proxy(DBProxyName="p", IdleClientTimeout=77, DebugLogging=True)["DBProxy"]
        self.assertEqual((changed["Status"], changed["IdleClientTimeout"], changed["DebugLogging"]), ("modifying", 77, True))
        until = datetime.now() + timedelta(seconds=10)
        while self.rds.describe_db_proxies(DBProxyName="p")["DBProxies"][0]["Status"] != "available":
            self.assertLess(datetime.now(), until)

    def test_a_proxy_that_is_modifying_can_not_be_changed(self):
        post("seed", {"proxy": {"name": "busy"}})
        self.rds.modify_db_proxy(DBProxyName="busy", IdleClientTimeout=77)
        with self.assertRaises(self.rds.exceptions.InvalidDBProxyStateFault):
            self.rds.modify_db_proxy(DBProxyName="busy", IdleClientTimeout=78)

    def test_tags_of_a_proxy_are_added_told_and_removed(self):
        arn = self.rds.describe_db_proxies(DBProxyName="p")["DBProxies"][0]["DBProxyArn"]
        self.assertRegex(arn, f"^arn:aws:rds:{REGION}:[0-9]+:db-proxy:prx-[a-z0-9]+$")
        tags = lambda: {tag["Key"]: tag["Value"] for tag in self.rds.list_tags_for_resource(ResourceName=arn)["TagList"]}
        add = lambda key, value: self.rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": key, "Value": value}])
        add("a/1", "from=1")
        add("a/2", "x")
        add("a/1", "from=2")
        self.assertEqual(tags(), {"a/1": "from=2", "a/2": "x"})
        self.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["a/1", "none"])
        self.assertEqual(tags(), {"a/2": "x"})

    def test_events_are_of_the_time_and_the_source(self):
        ask = lambda start, **about: self.rds.describe_events(StartTime=start, EndTime=NOW + timedelta(minutes=1), **about)["Events"]
        event = ask(NOW, SourceType="db-proxy", SourceIdentifier="p")
        self.assertEqual(event, [{"SourceIdentifier": "p", "SourceType": "db-proxy", "Message": "changed", "Date": NOW}])
        self.assertEqual(ask(NOW + timedelta(seconds=1)), [])

    def test_what_is_not_there_is_not_found(self):
        for operation in ("describe_db_proxies", "describe_db_proxy_endpoints", "describe_db_proxy_targets", "modify_db_proxy"):
            with self.assertRaises(self.rds.exceptions.DBProxyNotFoundFault):
                getattr(self.rds, operation)(DBProxyName="none")

    def test_cbor_is_what_botocore_reads(self):
        result = {"Id": "a", "Label": "b", "Timestamps": [NOW], "Values": [1.5], "StatusCode": "Complete"}
        meant = {"MetricDataResults": [result], "NextToken": "4"}
        read = parsed(200, cbor.HEADERS, cbor.serialize(meant, cbor.OPERATION.output_shape))
        read.pop("ResponseMetadata")
        self.assertEqual(read, meant)

    def test_errors_are_what_botocore_reads(self):
        for kind, (_, query, other, _) in faults.ERRORS.items():
            post("fault", {"kind": kind, "operation": "DescribeDBInstances", "times": 1 if kind != "throttled" else 5})
            with self.assertRaises(ClientError) as raised:
                self.rds.describe_db_instances()
            self.assertEqual(raised.exception.response["Error"]["Code"], query)
            read = parsed(*faults.response(kind, Call("cbor", "GetMetricData", REGION, b"")))
            self.assertIn(read["Error"]["Code"], (query, other))


def parsed(status, headers, body):
    parser = create_parser("smithy-rpc-v2-cbor")
    headers = {name.lower(): value for name, value in headers.items()}
    return parser.parse({"status_code": status, "headers": headers, "body": body}, cbor.OPERATION.output_shape)


if __name__ == "__main__":
    main()

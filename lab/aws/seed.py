"""A proxy with all that is told of it, planted into a region. All parts but `proxy` may be absent:

    {"proxy": {"name", "idleClientTimeout", "requireTls", "debugLogging", "borrowTimeout", "endpoints": [name, ...],
               "modifying": seconds that a change takes, or "looks": how many DescribeDBProxies},
     "database": {"name", "cluster": bool, "parameters": {name: [value, unit]}},
     "events": [{"at", "type", "source", "text"}],
     "metrics": [{"name", "at", "value"}],
     "log": [{"at", "stream", "text"}]}

Times are RFC 3339. Metrics, events and log may be planted again, to go on. The answer has the proxy's endpoint.
"""

from datetime import timezone

from botocore.utils import parse_timestamp
from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.logs.models import logs_backends
from moto.rds.models import rds_backends

from proxies import MODIFYING

FAMILY = "postgres15"


def plant(region, seed):
    rds, name = rds_backends[DEFAULT_ACCOUNT_ID][region], seed["proxy"]["name"]
    if name not in rds.db_proxies:
        plant_proxy(rds, region, seed["proxy"])
        if database := seed.get("database"):
            plant_database(rds, name, database)
    events = [
        {"Date": parse_timestamp(it["at"]), "SourceType": it["type"], "SourceIdentifier": it["source"], "Message": it["text"]}
        for it in seed.get("events", [])
    ]
    rds.events_of_proxies = getattr(rds, "events_of_proxies", []) + events
    plant_metrics(region, name, seed.get("metrics", []))
    plant_log(region, f"/aws/rds/proxy/{name}", seed.get("log", []))
    return {"endpoint": rds.db_proxies[name].endpoint}


def plant_proxy(rds, region, proxy):
    subnets = [subnet.id for subnet in ec2_backends[DEFAULT_ACCOUNT_ID][region].describe_subnets()]
    made = rds.create_db_proxy(
        db_proxy_name=proxy["name"],
        engine_family="POSTGRESQL",
        auth=[{"AuthScheme": "SECRETS", "IAMAuth": "DISABLED"}],
        role_arn="arn:aws:iam::123456789012:role/proxy",
        vpc_subnet_ids=subnets[:2],
        vpc_security_group_ids=None,
        require_tls=proxy.get("requireTls", True),
        idle_client_timeout=proxy.get("idleClientTimeout", 1800),
        debug_logging=proxy.get("debugLogging", False),
        tags=None,
    )
    made.modifying, made.looks = proxy.get("modifying", MODIFYING), proxy.get("looks")
    made.proxy_target_groups["default"].borrow_timeout = proxy.get("borrowTimeout", 120)
    made.endpoints = [
        {
            "DBProxyEndpointName": endpoint,
            "DBProxyName": proxy["name"],
            "Status": "available",
            "TargetRole": "READ_ONLY",
            "IsDefault": False,
            "Endpoint": f"{endpoint}.endpoint.{made.endpoint.split('.', 1)[1]}",
        }
        for endpoint in proxy.get("endpoints", [])
    ]


def plant_database(rds, proxy, database):
    name, is_cluster = database["name"], database.get("cluster", False)
    group = f"{name}-parameters"
    kind = "cluster" if is_cluster else "instance"
    made = {"db_parameter_group_family": FAMILY, "description": "made for a test"}
    if is_cluster:
        rds.create_db_cluster_parameter_group(group, **made, tags=None)
        group_of_parameters = rds.db_cluster_parameter_groups[group].parameters
    else:
        rds.create_db_parameter_group({"db_parameter_group_name": group, **made})
        group_of_parameters = rds.db_parameter_groups[group].parameters
    for parameter, (value, unit) in database.get("parameters", {}).items():
        group_of_parameters[parameter] = {
            "ParameterName": parameter,
            "ParameterValue": value,
            "Description": f"({unit}) Made for a test.",
            "Source": "user",
        }
    common = {"engine": "aurora-postgresql" if is_cluster else "postgres", "master_username": "x", "master_user_password": "x" * 12}
    if is_cluster:
        rds.create_db_cluster({"db_cluster_identifier": name, "db_cluster_parameter_group_name": group, **common})
    else:
        storage = {"allocated_storage": 20, "db_instance_class": "db.m5.large"}
        rds.create_db_instance({"db_instance_identifier": name, "db_parameter_group_name": group, **common, **storage})
    rds.register_db_proxy_targets(proxy, "default", **{f"db_{it}_identifiers": [name] if it == kind else [] for it in ("cluster", "instance")})
    for target in rds.db_proxies[proxy].proxy_target_groups["default"].targets:
        target.role, target.endpoint = "READ_WRITE", f"{name}.abc.{rds.region_name}.rds.amazonaws.com"


def plant_metrics(region, proxy, metrics):
    backend = cloudwatch_backends[DEFAULT_ACCOUNT_ID][region]
    data = [
        {
            "MetricName": metric["name"],
            "Timestamp": parse_timestamp(metric["at"]).astimezone(timezone.utc).replace(tzinfo=None),
            "Value": metric["value"],
            "Dimensions": [{"Name": "ProxyName", "Value": proxy}],
        }
        for metric in metrics
    ]
    backend.put_metric_data("AWS/RDS", data)


def plant_log(region, group, lines):
    backend = logs_backends[DEFAULT_ACCOUNT_ID][region]
    if lines and group not in backend.groups:
        backend.create_log_group(group, {})
    for line in lines:
        stream = line.get("stream", "proxy")
        if stream not in backend.groups[group].streams:
            backend.create_log_stream(group, stream)
        at = int(parse_timestamp(line["at"]).timestamp() * 1000)
        backend.put_log_events(group, stream, [{"timestamp": at, "message": line["text"]}])

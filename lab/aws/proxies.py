"""RDS Proxy operations that moto lacks. Answers are serialised by moto from botocore's model of RDS."""

from datetime import datetime, timedelta, timezone

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.rds.exceptions import DBProxyNotFoundFault, RDSClientError
from moto.rds.models import rds_backends
from moto.rds.responses import RDSResponse

# How long a changed proxy is `modifying`, in seconds.
MODIFYING = 2


class InvalidDBProxyStateFault(RDSClientError):
    def __init__(self):
        message = "The requested operation can't be performed while the proxy is in this state."
        super().__init__("InvalidDBProxyStateFault", message)


def proxy_named(backend, name):
    """A proxy as it is now. moto answers by HTTP 500 where there is none."""
    if name not in backend.db_proxies:
        raise DBProxyNotFoundFault(name)
    proxy = backend.db_proxies[name]
    takes = timedelta(seconds=getattr(proxy, "modifying", MODIFYING))
    by_time = getattr(proxy, "looks", None) is None
    if proxy.status == "modifying" and by_time and utcnow() >= proxy.updated_date + takes:
        proxy.status = "available"
    return proxy


def proxy_of(self):
    """The proxy that is asked about."""
    return proxy_named(self.backend, self.params.get("DBProxyName"))


def look_at(self):
    """The proxy whose state is asked for: where that is how its changes come to an end, by one look less."""
    proxy = proxy_of(self)
    if proxy.status == "modifying" and getattr(proxy, "looks", None) is not None:
        proxy.looks_left -= 1
        if proxy.looks_left < 0:
            proxy.status = "available"
    return proxy


def told(region, name):
    """How a proxy is, past all calls."""
    proxy = proxy_named(rds_backends[DEFAULT_ACCOUNT_ID][region], name)
    tags = {tag["Key"]: tag["Value"] for tag in proxy.get_tags()}
    return {"status": proxy.status, "idleClientTimeout": proxy.idle_client_timeout, "tags": tags}


def set_by_others(region, name, change):
    """Sets a value, or tags, as somebody else does, past all calls."""
    proxy = proxy_named(rds_backends[DEFAULT_ACCOUNT_ID][region], name)
    proxy.idle_client_timeout = change.get("idleClientTimeout", proxy.idle_client_timeout)
    if (seconds := change.get("modifying")) is not None:
        proxy.status, proxy.updated_date, proxy.modifying = "modifying", utcnow(), seconds
    if (tags := change.get("tags")) is not None:
        proxy.remove_tags([tag["Key"] for tag in proxy.get_tags()])
        proxy.add_tags([{"Key": key, "Value": value} for key, value in tags.items()])
    return told(region, name)


def describe_db_proxy_endpoints(self):
    return ActionResult({"DBProxyEndpoints": getattr(proxy_of(self), "endpoints", [])})


def modify_db_proxy(self):
    proxy = proxy_of(self)
    if proxy.status != "available":
        raise InvalidDBProxyStateFault()
    for name, key in [("IdleClientTimeout", "idle_client_timeout"), ("RequireTLS", "require_tls"), ("DebugLogging", "debug_logging")]:
        if self.params.get(name) is not None:
            setattr(proxy, key, self.params[name])
    proxy.status, proxy.updated_date, proxy.looks_left = "modifying", utcnow(), getattr(proxy, "looks", None)
    return ActionResult({"DBProxy": proxy})


def describe_events(self):
    """moto tells the same of every time, and nothing of proxies."""
    wanted = {name: self.params.get(name) for name in ("SourceType", "SourceIdentifier")}
    since = aware(self.params.get("StartTime")) or datetime.now(timezone.utc) - timedelta(hours=1)
    until = aware(self.params.get("EndTime")) or datetime.now(timezone.utc)
    told = [
        event
        for event in getattr(self.backend, "events_of_proxies", [])
        if since <= event["Date"] <= until and all(value in (None, event[name]) for name, value in wanted.items())
    ]
    return ActionResult({"Events": told})


def aware(time):
    return time and time.replace(tzinfo=timezone.utc)


def add_to_moto():
    for operation in (describe_db_proxy_endpoints, modify_db_proxy, describe_events):
        setattr(RDSResponse, operation.__name__, operation)
    for name in ("describe_db_proxies", "describe_db_proxy_targets", "describe_db_proxy_target_groups"):
        setattr(RDSResponse, name, of_existing(getattr(RDSResponse, name)))


def of_existing(operation):
    def checked(self):
        if self.params.get("DBProxyName"):
            (look_at if operation.__name__ == "describe_db_proxies" else proxy_of)(self)
        return operation(self)

    return checked

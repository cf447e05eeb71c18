"""RDS Proxy operations that moto lacks. Answers are serialised by moto from botocore's model of RDS."""

from datetime import datetime, timedelta, timezone

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.rds.exceptions import DBProxyNotFoundFault
from moto.rds.responses import RDSResponse

# How long a changed proxy is `modifying`.
MODIFYING = timedelta(seconds=2)


def proxy_of(self):
    """The proxy that is asked about. moto answers by HTTP 500 where there is none."""
    name = self.params.get("DBProxyName")
    if name not in self.backend.db_proxies:
        raise DBProxyNotFoundFault(name)
    proxy = self.backend.db_proxies[name]
    if proxy.status == "modifying" and utcnow() >= proxy.updated_date + MODIFYING:
        proxy.status = "available"
    return proxy


def describe_db_proxy_endpoints(self):
    return ActionResult({"DBProxyEndpoints": getattr(proxy_of(self), "endpoints", [])})


def modify_db_proxy(self):
    proxy = proxy_of(self)
    for name, key in [("IdleClientTimeout", "idle_client_timeout"), ("RequireTLS", "require_tls"), ("DebugLogging", "debug_logging")]:
        if self.params.get(name) is not None:
            setattr(proxy, key, self.params[name])
    proxy.status, proxy.updated_date = "modifying", utcnow()
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
            proxy_of(self)
        return operation(self)

    return checked

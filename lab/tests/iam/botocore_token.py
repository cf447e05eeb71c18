"""Prints the token that botocore signs for HOST PORT USER REGION at TIME, such as 20261125T204500Z. The credentials are in
the environment. Of a client only what signs is made: the description of RDS takes seconds to read."""

import datetime
import os
import sys
from types import SimpleNamespace
from unittest import mock

from botocore.credentials import Credentials
from botocore.hooks import HierarchicalEmitter
from botocore.model import ServiceId
from botocore.signers import RequestSigner, generate_db_auth_token

host, port, user, region, time = sys.argv[1:]
names = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
credentials = Credentials(*map(os.environ.get, names))
events = HierarchicalEmitter()
signer = RequestSigner(ServiceId("RDS"), region, "rds", "v4", credentials, events)
client = SimpleNamespace(_request_signer=signer, meta=SimpleNamespace(region_name=region))
then = datetime.datetime.strptime(time, "%Y%m%dT%H%M%SZ")
with mock.patch("botocore.auth.get_current_datetime", return_value=then):
    print(generate_db_auth_token(client, host, int(port), user))

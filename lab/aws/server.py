"""Answers as AWS does, of RDS, CloudWatch, CloudWatch Logs and STS: moto, and what moto lacks.

    server.py [--with-parent] HOST:PORT

Prints one line when it is ready. Port 0: a free one. With --with-parent it ends when its standard input does. Each region
is a world of its own, for faults too.

    POST /lab/seed/REGION    see Seed
    POST /lab/fault/REGION   {"kind": ..., "operation": ..., "times": ...}, see Faults
    POST /lab/calm/REGION    nothing goes wrong any more
    GET  /lab/calls/REGION   names of the operations that were called, in order
    GET  /lab/held/REGION    how many calls are held
    POST /lab/release/REGION {"carryOut": ..., "only": ...}: whether those that were held before they were carried out
                             shall be; and how many are released, the first ones
    GET  /lab/proxy/REGION/NAME   {"status": ..., "idleClientTimeout": ..., "tags": {key: value}}
    POST /lab/proxy/REGION/NAME   the same but for the status, or {"modifying": seconds}: sets it as somebody else does
"""

import json
import os
import sys
import threading

from flask import Flask, jsonify, request
from werkzeug.serving import make_server

from faults import Faults
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
import cbor
import proxies
import seed


class QuietHandler(MotoRequestHandler):
    def log_request(self, *_):
        pass


def control(faults):
    """What only tests do."""
    app = Flask("lab")

    @app.post("/lab/seed/<region>")
    def plant(region):
        return seed.plant(region, request.get_json())

    @app.post("/lab/fault/<region>")
    def fault(region):
        faults.add(region, request.get_json())
        return {}

    @app.post("/lab/calm/<region>")
    def calm(region):
        faults.calm(region)
        return {}

    @app.get("/lab/calls/<region>")
    def calls(region):
        return faults.calls(region)

    @app.get("/lab/held/<region>")
    def held(region):
        return jsonify(faults.held(region))

    @app.post("/lab/release/<region>")
    def release(region):
        order = request.get_json()
        faults.release(region, order["carryOut"], order.get("only"))
        return {}

    @app.get("/lab/proxy/<region>/<name>")
    def told(region, name):
        return proxies.told(region, name)

    @app.post("/lab/proxy/<region>/<name>")
    def set_by_others(region, name):
        return proxies.set_by_others(region, name, request.get_json())

    return app


def application():
    proxies.add_to_moto()
    faults = Faults()
    lab, aws = control(faults), cbor.understood_by(DomainDispatcherApplication(create_backend_app), faults)

    def dispatch(environ, start_response):
        is_control = environ["PATH_INFO"].startswith("/lab/")
        return (lab if is_control else faults.before(aws))(environ, start_response)

    return dispatch


def main():
    *options, address = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    server = make_server(host, int(port), application(), threaded=True, request_handler=QuietHandler)
    if "--with-parent" in options:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    print(json.dumps({"ready": f"http://{host}:{server.server_port}"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

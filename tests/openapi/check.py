"""Holds the portal's OpenAPI document against its specification, and the portal against it.

    check.py SERVER_JSON DOCS_PAGE

1. The document is valid OpenAPI 3.1, and says of each operation who may call it.
2. The examples of the docs page do what the page says, one after the other.
3. Schemathesis makes calls of the document, right ones and wrong ones, as a partner and as the
   company: no answer is one that the document does not know, none is a fault of the server, and no
   operation that needs a token is open without one. Ids that are made up find nothing; so it does
   it again with those of what is there, and what answers then is of the shape that the document
   says.
"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

from openapi_spec_validator import OpenAPIV31SpecValidator

DOCUMENTED = "http://127.0.0.1:8303"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
]
EXAMPLES_EACH = 12
SECONDS_EACH = 60
# What would take away what the other calls are about.
NOT_ABOUT_WHAT_IS_THERE = ["suspendPartner", "removeSecret", "removeWebhookSecret"]
# A call that is logged is written within a second.
LOGGED_SECONDS = 5


def fetch(url, form=None, user=None, bearer=None, body=None):
    request = urllib.request.Request(url)
    if form:
        request.data = urllib.parse.urlencode(form).encode()
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if user:
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        passwords.add_password(None, url, *user, is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    else:
        opener = urllib.request.build_opener()
    with opener.open(request, timeout=10) as answer:
        return json.loads(answer.read() or "null")


def token(portal, client):
    form = {"grant_type": "client_credentials"}
    user = (client["client_id"], client["client_secret"])
    return fetch(f"{portal}/oauth/token", form, user)["access_token"]


def is_valid(portal):
    document = fetch(f"{portal}/openapi.json")
    faults = [fault.message for fault in OpenAPIV31SpecValidator(document).iter_errors()]
    assert not faults, faults
    assert document["openapi"].startswith("3.1."), document["openapi"]
    assert document["servers"] == [{"url": portal}], document["servers"]
    operations = 0
    for path, item in document["paths"].items():
        assert path.startswith("/api/v1/") or path == "/openapi.json", path
        for method, operation in item.items():
            operations += 1
            assert "security" in operation, f"{method} {path} does not say who may call it"
            assert operation["summary"] and operation["operationId"], f"{method} {path}"
    assert operations > 40, operations


def picture():
    """A PNG of eight by eight green pixels."""
    def chunk(kind, data):
        sum_of = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_of)

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x10\x60\x50" * 8) * 8
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def examples_work(portal, page):
    blocks = re.findall(r"```sh\n(.*?)```", pathlib.Path(page).read_text(), re.DOTALL)
    assert len(blocks) > 20, len(blocks)
    known = {}
    folder = tempfile.mkdtemp()
    pathlib.Path(folder, "logo.png").write_bytes(picture())
    for block in blocks:
        script = "set -euo pipefail\n" + block.replace(DOCUMENTED, portal)
        script = script.replace("curl -sS", "curl -sS --fail-with-body")
        ran = subprocess.run(
            ["bash", "-c", script], env={"PATH": "/usr/bin:/bin", **known}, timeout=20,
            capture_output=True, text=True, cwd=folder,
        )
        assert ran.returncode == 0, f"{block}\n{ran.stdout}{ran.stderr}"
        answer = json.loads(ran.stdout.splitlines()[0])
        if "access_token" in answer:
            known["TOKEN"] = answer["access_token"]
        if "app" in answer:
            known["APP"], known["VERSION"] = answer["app"]["id"], answer["app"]["version"]
        if "kind" in answer and "asked" in answer:
            known["REQUEST"] = answer["id"]
        if "webhook" in answer:
            known["WEBHOOK"] = answer["webhook"]["id"]


def refused_call(staging, app):
    """A call that the log of that app holds, by its request id."""
    user = (app["app"]["id"], app["client_secret"])
    try:
        fetch(f"{staging}/oauth/token", {"grant_type": "refresh_token"}, user)
    except urllib.error.HTTPError as refused:
        return refused.headers["x-request-id"]
    raise AssertionError("a call without a refresh token was answered")


def what_is_there(server, bearer):
    """Something of each kind, made as the partner, and the configuration that names it."""
    portal = server["portal_url"]

    def api(path, body=None):
        return fetch(f"{portal}/api/v1/{path}", bearer=bearer, body=body)

    app = api("apps", {
        "name": "Something", "redirect_uris": ["https://planner.example/callback"],
        "scopes": ["orders-api"],
    })
    app_id = app["app"]["id"]
    staging = next(e["base_url"] for e in server["environments"] if e["name"] == "staging")
    call = refused_call(staging, app)
    request = api(f"apps/{app_id}/requests", {
        "reasons": {"orders-api": "For orders."}, "contact": "help@planner.example",
        "message": "It orders.",
    })
    webhook = api("webhooks", {
        "environment": "staging", "url": "https://hooks.planner.example/", "events": ["ping"],
    })["webhook"]["id"]
    api(f"webhooks/staging/{webhook}/ping", {})
    delivery = api(f"webhooks/staging/{webhook}/deliveries")["items"][0]["id"]
    customer = api("test-customers", {})["test_customer"]["id"]
    person = api("people")["items"][0]["id"]
    until = time.monotonic() + LOGGED_SECONDS
    while not api(f"calls?request_id={call}")["items"]:
        assert time.monotonic() < until, f"{call} is not in the log"
        time.sleep(0.1)
    return {
        "apps": {"path.id": app_id, "path.request_id": call},
        "requests": {"path.id": request["id"]},
        "webhooks": {
            "path.environment": "staging", "path.id": webhook, "path.delivery": delivery,
        },
        "test-customers": {"path.id": customer},
        "people": {"path.id": person},
        "partners": {"path.id": app["app"]["partner_id"]},
    }


def write_configuration(file, known):
    lines = []
    for collection, parameters in known.items():
        lines += ["[[operations]]", f'include-path-regex = "^/api/v1/{collection}/"']
        lines.append("[operations.parameters]")
        lines += [f'"{name}" = "{value}"' for name, value in parameters.items()]
    pathlib.Path(file).write_text("\n".join(lines) + "\n")


def calls_about_what_is_there_conform(server, client):
    partner = next(c for c in server["api_clients"] if c["acts_as"] == "owner")
    portal, file = server["portal_url"], "what-is-there.toml"
    write_configuration(file, what_is_there(server, token(portal, partner)))
    more = ["--exclude-method", "DELETE"]
    for operation in NOT_ABOUT_WHAT_IS_THERE:
        more += ["--exclude-operation-id", operation]
    calls_conform(portal, client, ["--config-file", file], more)


def calls_conform(portal, client, before=(), more=()):
    ran = subprocess.run(
        [
            str(pathlib.Path(sys.executable).with_name("schemathesis")),
            *before,
            "run", f"{portal}/openapi.json", *more,
            "--header", f"Authorization: Bearer {token(portal, client)}",
            "--checks", ",".join(CHECKS),
            "--phases", "examples,coverage,fuzzing",
            "--max-examples", str(EXAMPLES_EACH),
            "--generation-deterministic",
            "--no-color",
        ],
        timeout=SECONDS_EACH, capture_output=True, text=True,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]


def main():
    server = json.loads(pathlib.Path(sys.argv[1]).read_text())
    portal = server["portal_url"]
    steps = [
        ("the document is valid", lambda: is_valid(portal)),
        ("the examples of the docs work", lambda: examples_work(portal, sys.argv[2])),
    ]
    for client in server["api_clients"]:
        # What is there comes first: the company's other calls find partners too, and suspend them.
        name = f"calls as {client['acts_as']} about what is there conform"
        there = calls_about_what_is_there_conform
        steps.append((name, lambda client=client: there(server, client)))
        name = f"calls as {client['acts_as']} conform"
        steps.append((name, lambda client=client: calls_conform(portal, client)))
    failed = 0
    for name, step in steps:
        try:
            step()
            print(f"{name}: ok")
        except Exception as fault:  # each step is told, and the next one runs
            failed += 1
            print(f"{name}: FAILED\n{fault}")
    print(f"openapi: {len(steps) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()

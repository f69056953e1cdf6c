"""Holds the portal's OpenAPI document against its specification, and the portal against it.

    check.py SERVER_JSON DOCS_PAGE

1. The document is valid OpenAPI 3.1, and says of each operation who may call it.
2. The examples of the docs page do what the page says, one after the other.
3. Schemathesis makes calls of the document, right ones and wrong ones, as a partner and as the
   company: no answer is one that the document does not know, none is a fault of the server, and no
   operation that needs a token is open without one.
"""

import json
import pathlib
import re
import subprocess
import sys
import urllib.parse
import urllib.request

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


def fetch(url, form=None, user=None):
    request = urllib.request.Request(url)
    if form:
        request.data = urllib.parse.urlencode(form).encode()
    if user:
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        passwords.add_password(None, url, *user, is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    else:
        opener = urllib.request.build_opener()
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)


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
    assert operations > 10, operations


def examples_work(portal, page):
    blocks = re.findall(r"```sh\n(.*?)```", pathlib.Path(page).read_text(), re.DOTALL)
    assert len(blocks) > 6, len(blocks)
    known = {}
    for block in blocks:
        script = "set -euo pipefail\n" + block.replace(DOCUMENTED, portal)
        script = script.replace("curl -sS", "curl -sS --fail-with-body")
        ran = subprocess.run(
            ["bash", "-c", script], env={"PATH": "/usr/bin:/bin", **known}, timeout=20,
            capture_output=True, text=True,
        )
        assert ran.returncode == 0, f"{block}\n{ran.stdout}{ran.stderr}"
        answer = json.loads(ran.stdout.splitlines()[0])
        if "access_token" in answer:
            known["TOKEN"] = answer["access_token"]
        if "app" in answer:
            known["APP"] = answer["app"]["id"]


def calls_conform(portal, client):
    ran = subprocess.run(
        [
            str(pathlib.Path(sys.executable).with_name("schemathesis")),
            "run", f"{portal}/openapi.json",
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

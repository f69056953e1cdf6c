"""Runs each proxy of the guide as the guide configures it, and calls an API through it.

    check.py GRANTOR ENVOY GUIDE

1. a fresh `grantor serve` with the API of the guide, over https with a certificate of an authority
   of the test's own, and clients with tokens of their own;
2. as the API the demo of Python's wsgiref, which shows what reached it;
3. for nginx, Caddy and Envoy: the block of the guide with only addresses and the authority replaced,
   then the same calls to each;
4. somebody who says yes to everything stands in the place of Grantor: without its certificate nothing
   may pass; at last Grantor is stopped, and nothing may pass either.

Each line is one check, and the last is `proxies: N passed, N failed`.
"""

import base64
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GRANTOR, ENVOY, GUIDE = sys.argv[1:]
RESOURCE = "https://orders.example.com"
OTHER = "https://finance.example.com"
ISSUER_NAME = "oauth.example.com"
ISSUER = f"https://{ISSUER_NAME}"
START_LIMIT_SECONDS = 30
REACHED = "Hello world!"
# What a caller sends who wants to be somebody else.
TOLD = ["Subject", "Client-Id", "Scope", "Businesses", "Locations", "Expires"]
# WSGI, which the API speaks, reads a hyphen and an underscore as the same.
FORGED = {
    f"X{one}Auth{two}{name.replace('-', three)}": "forged"
    for name in TOLD
    for one, two, three in itertools.product("-_", repeat=3)
}

passed = failed = 0
processes = []


def check(name, holds, what=""):
    global passed, failed
    if holds:
        passed += 1
        print(f"ok    {name}", flush=True)
    else:
        failed += 1
        print(f"FAIL  {name}: {what}", flush=True)


def spare_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def start(arguments, log, **options):
    with open(log, "w") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, **options)
    processes.append(process)
    return process


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(port, process, log):
    for _ in range(START_LIMIT_SECONDS * 10):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"nothing listens at port {port}: {pathlib.Path(log).read_text()}")


def call(url, headers=(), data=None, trusting=None):
    request = urllib.request.Request(url, data=data, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=10, context=trusting) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


class Authority:
    """Who makes certificates, by the program openssl."""

    KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.file = folder, folder / "authority.pem"
        openssl(
            "req", "-x509", *self.KEY, "-days", "2", "-subj", "/CN=Test",
            "-keyout", folder / "authority.key", "-out", self.file,
        )

    def certificate(self, name):
        """The files of a certificate for a server of that name on this machine, and of its key."""
        made, key, request = (self.folder / f"{name}.{end}" for end in ["pem", "key", "request"])
        if made.exists():
            return made, key
        openssl("req", "-new", *self.KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        # The address is for Caddy, which is given no name.
        address = ",IP:127.0.0.1" if name == ISSUER_NAME else ""
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{name}{address}\nauthorityKeyIdentifier=keyid\n")
        openssl(
            "x509", "-req", "-in", request, "-days", "2", "-extfile", extensions, "-out", made,
            "-CA", self.file, "-CAkey", self.folder / "authority.key", "-CAcreateserial",
        )
        return made, key


class Grantor:
    """A server, with the API of the guide and another one."""

    def __init__(self, folder, authority):
        self.folder = folder / "data"
        self.port = spare_port()
        self.trusting = ssl.create_default_context(cafile=authority.file)
        certificate, key = authority.certificate(ISSUER_NAME)
        subprocess.run([GRANTOR, "init", self.folder], check=True, stdout=subprocess.DEVNULL)
        (self.folder / "grantor.toml").write_text(
            'store = "sqlite:grantor.db"\nmaster_key_file = "master.key"\n'
            f'[environment.staging]\nbase_url = "{ISSUER}"\nlisten = "127.0.0.1:{self.port}"\n'
            f'tls = {{ certificate = "{certificate}", key = "{key}" }}\n'
            + block("toml")
            + f'\n[[environment.staging.api]]\nresource = "{OTHER}"\nname = "Finance API"\n'
            'scopes = "financial-api"\n'
        )
        self.command("partner", "create", "--name", "My Company", "--contact", "dev@mycompany.com")
        self.start()

    def start(self):
        log = self.folder / "log"
        self.process = start([GRANTOR, "serve"], log, cwd=self.folder)
        wait_for(self.port, self.process, log)

    def command(self, *arguments):
        made = subprocess.run(
            [GRANTOR, *arguments, "--json"],
            cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True,
        )
        return json.loads(made.stdout)

    def client(self, name, scope):
        made = self.command(
            "client", "create", "--environment", "staging", "--partner", "My Company",
            "--name", name, "--scope", scope, "--client-credentials",
        )
        return made["client_id"], made["client_secret"]

    def post(self, path, client, form, headers=()):
        basic = base64.b64encode(":".join(client).encode()).decode()
        headers = {"Authorization": f"Basic {basic}", **dict(headers)}
        body = urllib.parse.urlencode(form).encode()
        return call(f"https://127.0.0.1:{self.port}{path}", headers, body, self.trusting)

    def token(self, client, resource, headers=()):
        form = {"grant_type": "client_credentials", "resource": resource}
        status, _, body = self.post("/oauth/token", client, form, headers)
        assert status == 200, body
        return json.loads(body)["access_token"]


class Key:
    """A P-256 key of an app, and its DPoP proofs (RFC 9449 4.2), by the program openssl."""

    def __init__(self, folder):
        self.file = folder / "app.pem"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.file)
        point = openssl("ec", "-in", self.file, "-pubout", "-outform", "DER")[-64:]
        self.jwk = {"kty": "EC", "crv": "P-256", "x": url64(point[:32]), "y": url64(point[32:])}

    def proof(self, method, uri, token=None):
        claims = {"htm": method, "htu": uri, "iat": int(time.time()), "jti": url64(os.urandom(16))}
        if token:
            claims["ath"] = url64(hashlib.sha256(token.encode()).digest())
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk}
        signed = ".".join(url64(json.dumps(part).encode()) for part in (header, claims))
        der = openssl("dgst", "-sha256", "-sign", self.file, given=signed.encode())
        return f"{signed}.{url64(raw_signature(der))}"


def openssl(*arguments, given=None):
    done = subprocess.run(
        ["openssl", *arguments], input=given, check=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    return done.stdout


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(der):
    """r and s, 32 bytes each (RFC 7518 3.4), of a DER sequence of two integers."""
    numbers, at = [], 2
    for _ in range(2):
        length = der[at + 1]
        numbers.append(der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0"))
        at += 2 + length
    return b"".join(numbers)


def block(language, holding=""):
    """The block of the guide in that language which holds the text."""
    found = re.findall(rf"^```{language}\n(.*?)^```", GUIDE_TEXT, re.MULTILINE | re.DOTALL)
    found = [each for each in found if holding in each]
    assert len(found) == 1, (language, holding, len(found))
    return found[0]


def replaced(text, *pairs):
    """Each has to stand there: a guide that changes must not be tested as it was."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


class Place:
    """Where a proxy is started: its folder, its port, what is behind it, and whom it asks."""

    def __init__(self, folder, api_port, grantor_port, authority):
        folder.mkdir()
        self.folder, self.port, self.api_port = folder, spare_port(), api_port
        self.grantor_port, self.authority = grantor_port, authority


# Where the guide's examples find the authorities that are trusted.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def nginx(place):
    server = replaced(
        block("nginx"),
        ("listen 127.0.0.1:8080", f"listen 127.0.0.1:{place.port}"),
        (AUTHORITIES, str(place.authority.file)),
        ("127.0.0.1:9000", f"127.0.0.1:{place.api_port}"),
    )
    folder, file = place.folder, place.folder / "nginx.conf"
    # The name is as in the guide, and leads to this machine.
    named = f"upstream {ISSUER_NAME} {{ server 127.0.0.1:{place.grantor_port}; }}"
    # What Debian's own file has around it; all that is written goes to the test's folder.
    places = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    file.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.error;"
        f"events {{}} http {{ access_log off; {places}\n{named}\n{server}\n}}"
    )
    return ["nginx", "-p", str(folder), "-e", f"{folder}/nginx.error", "-c", str(file)]


def caddy(place):
    site = replaced(
        block("caddy"),
        ("http://orders.example.com:8080", f"http://orders.example.com:{place.port}"),
        (f"forward_auth {ISSUER}", f"forward_auth https://127.0.0.1:{place.grantor_port}"),
        ("127.0.0.1:9000", f"127.0.0.1:{place.api_port}"),
    )
    file = place.folder / "Caddyfile"
    file.write_text("{\n\tadmin off\n}\n" + site)
    return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]


def envoy(place):
    text = replaced(
        block("yaml", "ext_authz"),
        ("port_value: 8080", f"port_value: {place.port}"),
        ("port_value: 9000", f"port_value: {place.api_port}"),
        (
            "address: oauth.example.com, port_value: 443",
            f"address: 127.0.0.1, port_value: {place.grantor_port}",
        ),
        (AUTHORITIES, str(place.authority.file)),
    )
    file = place.folder / "envoy.yaml"
    file.write_text(text)
    return [ENVOY, "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1"]


PROXIES = {"nginx": nginx, "caddy": caddy, "envoy": envoy}


def begin(name, place):
    """Starts a proxy at its place, and gives the file of its log too."""
    folder, log = place.folder, place.folder / "log"
    # Caddy keeps its state at home, and takes the system's authorities, which Go looks for here.
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": ""}
    variables = {**os.environ, **home, "SSL_CERT_FILE": str(place.authority.file)}
    process = start(PROXIES[name](place), log, cwd=folder, env=variables)
    wait_for(place.port, process, log)
    return process, log


class Proxied:
    """Calls through one proxy."""

    def __init__(self, name, port):
        self.name, self.url = name, f"http://127.0.0.1:{port}"

    def call(self, token=None, path="/", scheme="Bearer", **more):
        headers = {**FORGED, "Host": "orders.example.com"}
        if token:
            headers["Authorization"] = f"{scheme} {token}"
        headers.update({name.replace("_", "-"): value for name, value in more.items()})
        return call(self.url + path, headers)

    def call_naming(self, token, dropped):
        """A call that names headers in `Connection`, which whoever hands it on has to drop. What reached
        the API of them."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=10)
        headers = {"Host": "orders.example.com", "Authorization": f"Bearer {token}"}
        connection.request("GET", "/", headers={**headers, "Connection": ", ".join(["close", *dropped])})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, seen_by_the_api(body)

    def refuses(self, what, answer, status, words):
        challenge = " ".join(answer[1].get_all("WWW-Authenticate", []))
        holds = answer[0] == status and all(word in challenge for word in words)
        holds = holds and challenge.count("Bearer realm") == 1 and REACHED not in answer[2]
        check(f"{self.name}: {what}", holds, f"{answer[0]} {challenge} {answer[2][:200]}")


def seen_by_the_api(body):
    """The headers that reached it, as WSGI names them."""
    lines = [line.partition(" = ") for line in body.splitlines()]
    return {name: value.strip("'") for name, _, value in lines if name.startswith("HTTP_")}


def calls(proxied, grantor, clients, key):
    orders, narrow, finance = clients
    metadata = f"{ISSUER}/.well-known/oauth-protected-resource/orders.example.com"
    bearer = [f'realm="{RESOURCE}"', f'resource_metadata="{metadata}"']
    invalid = [*bearer, 'error="invalid_token"']
    name = proxied.name

    proxied.refuses("who sends no token is told where to get one", proxied.call(), 401, bearer)
    proxied.refuses("what is no token is refused", proxied.call("nonsense"), 401, invalid)
    token = grantor.token(finance, OTHER)
    proxied.refuses("a token for another API is refused", proxied.call(token), 401, invalid)
    token = grantor.token(narrow, RESOURCE)
    words = [*bearer, 'error="insufficient_scope"', 'scope="orders-api"']
    proxied.refuses("a token without the scope is 403 and says which", proxied.call(token), 403, words)

    token = grantor.token(orders, RESOURCE)
    status, _, body = proxied.call(token)
    seen = seen_by_the_api(body)
    check(f"{name}: a token of the API reaches it", status == 200 and REACHED in body, body[:300])
    told = [seen.get(f"HTTP_X_AUTH_{each}") for each in ["SUBJECT", "CLIENT_ID", "SCOPE"]]
    check(f"{name}: the API is told whose it is", told == [orders[0]] * 2 + ["orders-api"], told)
    forged = [name for name, value in seen.items() if "forged" in value]
    check(f"{name}: no forged header reaches the API", "HTTP_X_AUTH_EXPIRES" in seen and not forged, seen)
    # nginx leaves away one without a value.
    whole = {name: value for name, value in seen.items() if name.startswith("HTTP_X_AUTH_")}
    status, seen = proxied.call_naming(token, [f"X-Auth-{each}" for each in TOLD])
    kept = {name: value for name, value in seen.items() if name in whole}
    check(f"{name}: no header is lost because the caller names it", (status, kept) == (200, whole), seen)
    status, _, body = proxied.call(token, path="/a/b?page=1")
    there = status == 200 and "PATH_INFO = '/a/b'" in body and "QUERY_STRING = 'page=1'" in body
    check(f"{name}: any path of the API is behind it", there, body)
    proxied.refuses("and none without a token", proxied.call(path="/a/b"), 401, bearer)

    grantor.post("/oauth/revoke", orders, {"token": token})
    proxied.refuses("a revoked token is refused at once", proxied.call(token), 401, invalid)

    proof = key.proof("POST", f"{ISSUER}/oauth/token")
    bound = grantor.token(orders, RESOURCE, {"DPoP": proof})
    stolen = proxied.call(bound)
    proxied.refuses("a bound token without its key is refused", stolen, 401, ["DPoP algs="])
    proof = key.proof("GET", f"{RESOURCE}/a/b", bound)
    forged = {"X_Original_URI": "/a/b", "X_Original_Method": "GET"}
    elsewhere = proxied.call(bound, scheme="DPoP", DPoP=proof, **forged)
    proxied.refuses("a proof of another call is refused, whatever headers say", elsewhere, 401, ["invalid_dpop_proof"])
    answer = proxied.call(bound, path="/a/b?page=1", scheme="DPoP", DPoP=proof)
    check(f"{name}: and with its key it passes", answer[0] == 200, answer)
    again = proxied.call(bound, path="/a/b", scheme="DPoP", DPoP=proof)
    proxied.refuses("once", again, 401, ["invalid_dpop_proof"])


def api(folder):
    """An API that nobody here wrote: the demo of Python's own wsgiref says hello, and lists what it
    was given."""
    port, log = spare_port(), folder / "api.log"
    program = (
        "from wsgiref.simple_server import demo_app, make_server;"
        f"make_server('127.0.0.1', {port}, demo_app).serve_forever()"
    )
    wait_for(port, start([sys.executable, "-c", program], log, cwd=folder), log)
    return port


def try_it(proxied, token):
    """The command of the guide, as it stands there."""
    command = replaced(block("sh"), ("http://127.0.0.1:8080", proxied.url))
    done = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "ACCESS_TOKEN": token},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    there = done.stdout.startswith("HTTP/1.1 200") and REACHED in done.stdout
    check("nginx: the command of the guide opens the API", there, done.stdout)


class SaysYes(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Auth-Subject", "an impostor")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def impostor(certificate):
    """Stands in the place of Grantor, with that certificate, and lets everybody in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), SaysYes)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def impostors(folder, api_port, authority):
    """Whether each proxy asks nobody but who has the certificate of Grantor."""
    other = Authority(folder / "other-authority")
    for what, certificate, passes in [
        ("whoever has the certificate is asked", authority.certificate(ISSUER_NAME), True),
        ("a certificate of an unknown authority is refused", other.certificate(ISSUER_NAME), False),
        ("a certificate for another name is refused", authority.certificate("evil.example.com"), False),
    ]:
        port = impostor(certificate)
        for name in PROXIES:
            place = Place(folder / f"{name}-{port}", api_port, port, authority)
            process, _ = begin(name, place)
            status, _, body = Proxied(name, place.port).call("a token")
            there = REACHED in body and "an impostor" in body
            check(f"{name}: {what}", there if passes else not there and status >= 400, f"{status} {body[:200]}")
            stop(process)


def run(folder):
    authority = Authority(folder / "authority")
    grantor, api_port, key = Grantor(folder, authority), api(folder), Key(folder)
    clients = [
        grantor.client("Orders app", "orders-api"),
        grantor.client("Items app", "items"),
        grantor.client("Finance app", "financial-api"),
    ]
    proxies = []
    for name in PROXIES:
        place = Place(folder / name, api_port, grantor.port, authority)
        _, log = begin(name, place)
        proxied = Proxied(name, place.port)
        proxies.append((proxied, log))
        calls(proxied, grantor, clients, key)
    token = grantor.token(clients[0], RESOURCE)
    try_it(proxies[0][0], token)
    impostors(folder, api_port, authority)
    stop(grantor.process)
    for proxied, _ in proxies:
        status, _, body = proxied.call(token)
        shut = status in (403, 500, 502, 503) and REACHED not in body
        check(f"{proxied.name}: where Grantor is away nothing passes", shut, f"{status} {body[:200]}")
    if failed:
        for _, log in proxies:
            print(log.name, log.read_text()[-2000:])


GUIDE_TEXT = pathlib.Path(GUIDE).read_text()
with tempfile.TemporaryDirectory() as made:
    try:
        run(pathlib.Path(made))
    finally:
        for running in reversed(processes):
            if running.poll() is None:
                stop(running)
print(f"proxies: {passed} passed, {failed} failed")
sys.exit(failed > 0)

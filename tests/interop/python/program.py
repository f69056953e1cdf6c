"""What every program here has: its environment, clients of its own, and steps that are counted."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def _read(variable):
    return json.loads(Path(os.environ[variable]).read_text())


# The environment under test, as `grantor dev --json` describes it.
ENVIRONMENT = next(
    each
    for each in _read("INTEROP_SERVER")["environments"]
    if each["name"] == os.environ["INTEROP_ENVIRONMENT"]
)
ISSUER = ENVIRONMENT["base_url"]
API = f"{ISSUER}/f/data/businesses"
# Nobody needs to listen there: the walk ends where the browser would be sent to.
REDIRECT_URI = "http://127.0.0.1:9/callback"
# What the API knows. Programs ask for it by name, and for OpenID Connect's scopes besides.
SCOPE = " ".join(ENVIRONMENT["scopes"])
_OPENID_SCOPE = "openid profile email offline_access"

_FEATURES = _read("INTEROP_FEATURES")
_count = {"steps": 0, "skipped": 0}


class step:
    """`with step("title"):` is one step; an exception in it ends the program."""

    def __init__(self, title):
        self.title = title

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            _count["steps"] += 1
        print(f"{'step' if kind is None else 'failed'}: {self.title}", flush=True)
        return False


def has(feature, title):
    """Whether a feature of features.json is on; where it is off, the step `title` is skipped."""
    if _FEATURES[feature]:
        return True
    _count["skipped"] += 1
    print(f"skipped: {title} ({feature} is off)", flush=True)
    return False


def done():
    """To be called at the end of a program: what counts is what this line says."""
    print(f"{_count['steps']} steps, {_count['skipped']} skipped", flush=True)


def new_client(*options):
    """A client of the operator's making, with further options of `grantor client create`."""
    command = [os.environ["GRANTOR"], "client", "create", "--json"]
    command += ["--data", os.environ["INTEROP_DATA"], "--environment", ENVIRONMENT["name"]]
    command += ["--partner", "Demo Partner Ltd", "--name", f"{Path(sys.argv[0]).stem} client"]
    command += ["--redirect-uri", REDIRECT_URI, "--scope", SCOPE, "--scope", _OPENID_SCOPE]
    command += options
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(made.stdout)


def new_signing_client(public_jwk, *options):
    """A client that signs assertions instead of having a secret."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"keys": [public_jwk]}, file)
        file.flush()
        return new_client("--auth", "private_key_jwt", "--jwks", file.name, *options)

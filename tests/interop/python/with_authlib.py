"""Authlib: its session for scripts, and its registry for web sites, here one with Starlette."""

import os
from concurrent.futures import ThreadPoolExecutor

# http on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from customer import Customer
from program import (
    API,
    ENVIRONMENT,
    ISSUER,
    REDIRECT_URI,
    SCOPE,
    done,
    has,
    new_client,
    new_signing_client,
    step,
)

own = new_client("--client-credentials")

with step("discovery by RFC 8414"):
    found = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server").json()
    metadata = AuthorizationServerMetadata(found)
    metadata.validate()
    assert metadata["issuer"] == ISSUER


def session_of(client, method="client_secret_basic", **more):
    return OAuth2Session(
        client["client_id"],
        client["client_secret"],
        token_endpoint_auth_method=method,
        token_endpoint=metadata["token_endpoint"],
        redirect_uri=REDIRECT_URI,
        scope=SCOPE,
        code_challenge_method="S256",
        **more,
    )


def connect(session):
    """The whole flow: the session holds the tokens afterwards, which are returned too."""
    verifier = generate_token(48)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier
    )
    landed = Customer().allow(url, REDIRECT_URI)
    assert f"state={state}" in landed
    return session.fetch_token(authorization_response=landed, state=state, code_verifier=verifier)


def call_api(session, expected=200):
    answer = session.get(API)
    assert answer.status_code == expected, answer.text
    if expected == 200:
        assert len(answer.json()["_embedded"]["businessList"]) == 2


session = session_of(own)

with step("a code with PKCE, exchanged"):
    first = connect(session)
    assert first["scope"] == SCOPE

with step("the API takes the token"):
    call_api(session)

with step("introspection"):
    answer = session.introspect_token(metadata["introspection_endpoint"], token=first["access_token"])
    assert answer.json()["active"] is True and answer.json()["sub"]

with step("refresh"):
    second = dict(session.refresh_token())
    assert second["refresh_token"] != first["refresh_token"]
    call_api(session)

with step("a token that is over is renewed on the way"):
    saved = []
    over = {**second, "expires_at": 1}
    renewing = session_of(own, token=over, update_token=lambda token, **_: saved.append(dict(token)))
    call_api(renewing)
    assert len(saved) == 1

with step("eight refreshes at once"):

    def refresh(_):
        one = session_of(own, token=dict(saved[0]))
        token = one.refresh_token()
        call_api(one)
        return token

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(refresh, range(8)))
    assert len({token["refresh_token"] for token in tokens}) == 1

with step("revocation ends the connection"):
    last = session_of(own, token=tokens[0])
    last.revoke_token(metadata["revocation_endpoint"], token_type_hint="refresh_token")
    call_api(last, expected=401)
    try:
        last.refresh_token()
        raise AssertionError("a refresh token outlived its revocation")
    except OAuthError as error:
        assert error.error == "invalid_grant"

with step("the secret in the body"):
    posting = session_of(new_client("--auth", "client_secret_post"), "client_secret_post")
    connect(posting)
    call_api(posting)

with step("an app without a secret"):
    app = session_of(new_client("--public"), "none")
    connect(app)
    app.refresh_token()
    call_api(app)

with step("client credentials"):
    machine = OAuth2Session(own["client_id"], own["client_secret"], scope="orders-api")
    token = machine.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    assert token["scope"] == "orders-api"

with step("private_key_jwt"):
    key = ECKey.generate_key("P-256")
    # Authlib asks whoever uses it for the address of the token endpoint, and names that.
    older = ["--client-credentials", "--assertion-audience-token-endpoint"]
    made = new_signing_client(key.as_dict(private=False), *older)
    signer = session_of({**made, "client_secret": key}, PrivateKeyJWT.name)
    signer.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], alg="ES256"))
    connect(signer)
    signer.refresh_token()
    call_api(signer)

with step("dynamic registration"):
    answer = requests.post(
        metadata["registration_endpoint"],
        json={
            "client_name": "Authlib, registered by itself",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
        },
    )
    assert answer.status_code == 201, answer.text
    registered = session_of(answer.json())
    connect(registered)
    call_api(registered)


def site(client, well_known, scope):
    """A web site with its own sessions, which signs people in by way of us."""
    oauth = OAuth()
    oauth.register(
        "grantor",
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        server_metadata_url=f"{ISSUER}/.well-known/{well_known}",
        client_kwargs={"scope": scope, "code_challenge_method": "S256"},
    )

    async def sign_in(request):
        return await oauth.grantor.authorize_redirect(request, REDIRECT_URI)

    async def callback(request):
        token = await oauth.grantor.authorize_access_token(request)
        answer = await oauth.grantor.get(API, token=token)
        person = await oauth.grantor.userinfo(token=token) if "id_token" in token else {}
        businesses = answer.json()["_embedded"]["businessList"]
        return JSONResponse(
            {"businesses": businesses, "userinfo": token.get("userinfo"), "person": person}
        )

    return TestClient(
        Starlette(
            routes=[Route("/sign-in", sign_in), Route("/callback", callback)],
            middleware=[Middleware(SessionMiddleware, secret_key="for this program alone")],
        ),
        base_url="http://127.0.0.1:9",
        follow_redirects=False,
    )


def sign_in(browser):
    url = browser.get("/sign-in").headers["location"]
    return browser.get(Customer().allow(url, REDIRECT_URI)).json()


with step("a web site: discovery, state, PKCE, exchange, API"):
    browser = site(own, "oauth-authorization-server", SCOPE)
    assert len(sign_in(browser)["businesses"]) == 2

title = "a web site with OpenID Connect: discovery, id_token, userinfo"
if has("openid", title):
    with step(title):
        browser = site(own, "openid-configuration", f"openid profile email {SCOPE}")
        signed_in = sign_in(browser)
        assert signed_in["userinfo"]["iss"] == ISSUER
        assert signed_in["person"]["email"] == ENVIRONMENT["customer"]["email"]
        assert signed_in["person"]["sub"] == signed_in["userinfo"]["sub"]

done()

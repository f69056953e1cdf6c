"""requests-oauthlib: a session that authorizes, refreshes by itself, and calls the API."""

import os
from concurrent.futures import ThreadPoolExecutor

import requests
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError, WebApplicationClient
from requests_oauthlib import OAuth2Session

from customer import Customer
from program import API, ISSUER, REDIRECT_URI, SCOPE, done, new_client, step

# http on loopback.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

AUTHORIZE = f"{ISSUER}/oauth/authorize"
TOKEN = f"{ISSUER}/oauth/token"
REVOKE = f"{ISSUER}/oauth/revoke"

own = new_client("--client-credentials")
basic = (own["client_id"], own["client_secret"])


def connect(client, **how):
    """The whole flow: returns the session that holds the tokens."""
    session = OAuth2Session(client["client_id"], redirect_uri=REDIRECT_URI, scope=SCOPE, pkce="S256")
    url, state = session.authorization_url(AUTHORIZE)
    customer = Customer()
    landed = customer.allow(url, REDIRECT_URI)
    assert customer.pages == ["sign_in", "businesses", "consent"]
    assert f"state={state}" in landed
    session.fetch_token(
        TOKEN, authorization_response=landed, client_secret=client["client_secret"], **how
    )
    return session


def call_api(session, expected=200):
    answer = session.get(API)
    assert answer.status_code == expected, answer.text
    if expected == 200:
        assert len(answer.json()["_embedded"]["businessList"]) == 2


with step("a code with PKCE, exchanged"):
    session = connect(own)
    assert session.token["scope"] == SCOPE.split(), session.token

with step("the API takes the token"):
    call_api(session)

with step("refresh"):
    before = session.token["refresh_token"]
    session.refresh_token(TOKEN, auth=basic)
    assert session.token["refresh_token"] != before
    call_api(session)

with step("a token that is over is renewed on the way"):
    saved = []
    over = {**session.token, "expires_at": 1, "expires_in": -1}
    renewing = OAuth2Session(
        own["client_id"], token=over, auto_refresh_url=TOKEN, token_updater=saved.append
    )
    # With id and secret here it renews by Basic.
    answer = renewing.get(API, client_id=own["client_id"], client_secret=own["client_secret"])
    assert answer.status_code == 200, answer.text
    assert len(saved) == 1

with step("eight refreshes at once"):
    start = saved[0]

    def refresh(_):
        with OAuth2Session(own["client_id"], token=dict(start)) as one:
            token = one.refresh_token(TOKEN, auth=basic)
            call_api(one)
            return token

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(refresh, range(8)))
    assert len({token["refresh_token"] for token in tokens}) == 1

with step("revocation ends the connection"):
    last = OAuth2Session(own["client_id"], token=tokens[0])
    url, headers, body = WebApplicationClient(own["client_id"]).prepare_token_revocation_request(
        REVOKE, tokens[0]["refresh_token"], "refresh_token"
    )
    assert requests.post(url, data=body, headers=headers, auth=basic).status_code == 200
    call_api(last, expected=401)
    try:
        last.refresh_token(TOKEN, auth=basic)
        raise AssertionError("a refresh token outlived its revocation")
    except InvalidGrantError:
        pass

with step("the secret in the body, at the exchange and at a renewal on the way"):
    posting = new_client("--auth", "client_secret_post")
    session = connect(posting, include_client_id=True)
    session.token = {**session.token, "expires_at": 1, "expires_in": -1}
    session.auto_refresh_url = TOKEN
    session.auto_refresh_kwargs = {
        "client_id": posting["client_id"],
        "client_secret": posting["client_secret"],
    }
    session.token_updater = lambda token: None
    call_api(session)

with step("an app without a secret"):
    call_api(connect(new_client("--public"), include_client_id=True))

with step("client credentials"):
    machine = OAuth2Session(client=BackendApplicationClient(own["client_id"], scope="orders-api"))
    assert machine.fetch_token(TOKEN, auth=basic)["scope"] == ["orders-api"]

done()

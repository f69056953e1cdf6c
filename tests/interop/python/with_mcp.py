"""The MCP SDK for Python: an agent's client that knows the address of an API and nothing else."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt.algorithms
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

from customer import Customer
from program import API, ISSUER, REDIRECT_URI, SCOPE, done, new_client, new_signing_client, step


class Kept:
    """What an agent keeps: the SDK does everything else."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def agent(method, kept):
    """An agent with a person who signs in and allows."""
    landed = []

    async def open_browser(url):
        sent = parse_qs(urlsplit(url).query)
        assert sent["resource"][0].rstrip("/") == ISSUER
        landed.append(await asyncio.to_thread(Customer().allow, url, REDIRECT_URI))

    async def callback():
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed[-1]).query).items()}
        return AuthorizationCodeResult(**answer)

    metadata = OAuthClientMetadata(
        client_name="An agent",
        redirect_uris=[REDIRECT_URI],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method=method,
    )
    return OAuthClientProvider(API, metadata, kept, open_browser, callback)


async def call_api(provider):
    async with httpx2.AsyncClient(auth=provider) as http:
        return await http.get(API)


async def connect(method):
    kept = Kept()
    provider = agent(method, kept)
    with step(f"discovery, registration, a code with PKCE and resource, the API ({method})"):
        answer = await call_api(provider)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["_embedded"]["businessList"]) == 2
        assert kept.client.token_endpoint_auth_method == method
        # It asks for offline_access by itself, where the server has it.
        assert set(SCOPE.split()) <= set(kept.tokens.scope.split())

    with step(f"a token that is over is refreshed on the way ({method})"):
        before = kept.tokens.refresh_token
        provider.context.token_expiry_time = 1
        assert (await call_api(provider)).status_code == 200
        assert kept.tokens.refresh_token != before

    with step(f"another start goes on with what was kept ({method})"):
        assert (await call_api(agent(method, kept))).status_code == 200


async def machines():
    # The API is about a customer's businesses, and says so to a token that has no customer.
    with step("client credentials"):
        own, kept = new_client("--client-credentials"), Kept()
        provider = ClientCredentialsOAuthProvider(
            API, kept, own["client_id"], own["client_secret"], issuer=ISSUER
        )
        assert (await call_api(provider)).status_code == 403
        assert kept.tokens.scope == SCOPE

    with step("client credentials with private_key_jwt"):
        key, kept = ec.generate_private_key(ec.SECP256R1()), Kept()
        public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        own = new_signing_client(public, "--client-credentials")
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        signed = SignedJWTParameters(
            issuer=own["client_id"],
            subject=own["client_id"],
            signing_key=pem,
            signing_algorithm="ES256",
        )
        provider = PrivateKeyJWTOAuthProvider(
            API, kept, own["client_id"], signed.create_assertion_provider(), issuer=ISSUER
        )
        assert (await call_api(provider)).status_code == 403
        assert kept.tokens.scope == SCOPE


async def main():
    for method in ["none", "client_secret_basic", "client_secret_post"]:
        await connect(method)
    await machines()


asyncio.run(main())
done()

//! The `openidconnect` crate: discovery, an ID token that it verifies itself, userinfo, signing out.

use grantor_interop::{Customer, Outcome, Program, REDIRECT_URI, ensure};
use openidconnect::core::{
    CoreClient, CoreClientRegistrationRequest, CoreJwsSigningAlgorithm, CoreResponseType,
    CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::registration::EmptyAdditionalClientMetadata;
use openidconnect::{
    AccessTokenHash, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, ProviderMetadataWithLogout, RedirectUrl,
    RegistrationUrl, Scope, TokenResponse, reqwest,
};

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

struct SignedIn {
    tokens: CoreTokenResponse,
    nonce: Nonce,
    customer: Customer,
}

fn client_of(
    metadata: &ProviderMetadataWithLogout,
    id: &str,
    secret: Option<&str>,
) -> Outcome<Client> {
    let id = ClientId::new(id.to_owned());
    let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
    let redirect = RedirectUrl::new(REDIRECT_URI.to_owned())?;
    Ok(CoreClient::from_provider_metadata(metadata.clone(), id, secret).set_redirect_uri(redirect))
}

fn sign_in(
    program: &Program,
    client: &Client,
    http: &reqwest::blocking::Client,
) -> Outcome<SignedIn> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scope(Scope::new("email".to_owned()))
        .add_scope(Scope::new("profile".to_owned()))
        .add_scopes(program.scopes().into_iter().map(Scope::new))
        .set_pkce_challenge(challenge)
        .url();
    let mut customer = Customer::new(program)?;
    let landed = customer.allow(&url, REDIRECT_URI)?;
    ensure(landed.state == *state.secret(), "another state")?;
    ensure(landed.issuer == program.issuer(), "another issuer")?;
    let code = AuthorizationCode::new(landed.code);
    let tokens = client.exchange_code(code)?.set_pkce_verifier(verifier).request(http)?;
    Ok(SignedIn { tokens, nonce, customer })
}

/// Verifies signature, issuer, audience, times, nonce and `at_hash`.
fn verify(client: &Client, signed_in: &SignedIn) -> Outcome<CoreJwsSigningAlgorithm> {
    let verifier = client.id_token_verifier();
    let id_token = signed_in.tokens.id_token().ok_or("no id_token")?;
    let claims = id_token.claims(&verifier, &signed_in.nonce)?;
    let algorithm = id_token.signing_alg()?;
    let actual = AccessTokenHash::from_token(
        signed_in.tokens.access_token(),
        algorithm,
        id_token.signing_key(&verifier)?,
    )?;
    ensure(claims.access_token_hash() == Some(&actual), "another at_hash")?;
    ensure(claims.auth_time().is_some(), "no auth_time")?;
    Ok(algorithm.clone())
}

fn main() -> Outcome<()> {
    let mut program = Program::start("openidconnect")?;
    let titles = [
        "discovery with the key set",
        "a code with PKCE, exchanged",
        "the id_token holds: signature, nonce, at_hash",
        "userinfo",
        "the API takes the token",
        "refresh",
        "dynamic registration, for an id_token signed with ES256",
    ];
    if !program.has("openid", &titles) {
        program.done();
        return Ok(());
    }
    let no_redirects = reqwest::redirect::Policy::none();
    let http = reqwest::blocking::Client::builder().redirect(no_redirects).build()?;
    let metadata = program.step(titles[0], |program| {
        let issuer = IssuerUrl::new(program.issuer().to_owned())?;
        Ok(ProviderMetadataWithLogout::discover(&issuer, &http)?)
    })?;
    let made = program.new_client(&[])?;
    let client = client_of(&metadata, &made.id, made.secret.as_deref())?;
    let mut signed_in = program.step(titles[1], |program| sign_in(program, &client, &http))?;
    program.step(titles[2], |_| {
        let algorithm = verify(&client, &signed_in)?;
        ensure(algorithm == CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, "not RS256")
    })?;
    program.step(titles[3], |program| {
        let token = signed_in.tokens.access_token().clone();
        let person: CoreUserInfoClaims = client.user_info(token, None)?.request(&http)?;
        let email = person.email().map(|email| email.as_str());
        ensure(email == program.environment["customer"]["email"].as_str(), "another email")
    })?;
    program.step(titles[4], |program| {
        let status = program.call_api(signed_in.tokens.access_token().secret())?;
        ensure(status == 200, &format!("the API answers {status}"))
    })?;
    program.step(titles[5], |program| {
        let token = signed_in.tokens.refresh_token().ok_or("no refresh token")?;
        let tokens = client.exchange_refresh_token(token)?.request(&http)?;
        let status = program.call_api(tokens.access_token().secret())?;
        ensure(status == 200, &format!("the API answers {status}"))
    })?;
    program.step(titles[6], |program| register(program, &metadata, &http))?;
    let title = "RP-initiated logout";
    if program.has("logout", &[title]) {
        program.step(title, |_| {
            let endpoint = metadata.additional_metadata().end_session_endpoint.clone();
            let id_token = signed_in.tokens.id_token().ok_or("no id_token")?;
            let request = LogoutRequest::from(endpoint.ok_or("no end_session_endpoint")?);
            let url = request.set_id_token_hint(id_token).http_get_url();
            signed_in.customer.walk(&url, "", &[])?;
            let (url, _) = authorize_silently(&client);
            let landed = signed_in.customer.walk(&url, REDIRECT_URI, &[])?;
            ensure(landed.as_str().contains("error=login_required"), "still signed in")
        })?;
    }
    program.done();
    Ok(())
}

/// A request that shows no page, for whoever is signed in.
fn authorize_silently(client: &Client) -> (url::Url, CsrfToken) {
    let (url, state, _) = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_prompt(openidconnect::core::CoreAuthPrompt::None)
        .url();
    (url, state)
}

fn register(
    program: &Program,
    metadata: &ProviderMetadataWithLogout,
    http: &reqwest::blocking::Client,
) -> Outcome<()> {
    let endpoint: &RegistrationUrl = metadata.registration_endpoint().ok_or("no endpoint")?;
    let uris = vec![RedirectUrl::new(REDIRECT_URI.to_owned())?];
    let answer = CoreClientRegistrationRequest::new(uris, EmptyAdditionalClientMetadata {})
        .set_id_token_signed_response_alg(Some(CoreJwsSigningAlgorithm::EcdsaP256Sha256))
        .register(endpoint, http)?;
    let secret = answer.client_secret().map(|secret| secret.secret().as_str());
    let client = client_of(metadata, answer.client_id(), secret)?;
    let signed_in = sign_in(program, &client, http)?;
    let algorithm = verify(&client, &signed_in)?;
    ensure(algorithm == CoreJwsSigningAlgorithm::EcdsaP256Sha256, "not ES256")
}

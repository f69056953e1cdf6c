//! The `oauth2` crate: no discovery; every endpoint is told, and everything else is the standard's.

use std::collections::HashSet;
use std::thread;

use grantor_interop::{Customer, NewClient, Outcome, Program, REDIRECT_URI, ensure};
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::reqwest;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, EndpointSet, HttpClientError, HttpRequest, HttpResponse,
    IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError,
    RevocationUrl, Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken,
    SyncHttpClient, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};

type Client = BasicClient<EndpointSet, EndpointSet, EndpointSet, EndpointSet, EndpointSet>;

/// The crate revokes over https alone: http on loopback is allowed here, by its http client.
fn send(mut request: HttpRequest) -> Result<HttpResponse, HttpClientError<reqwest::Error>> {
    let uri = request.uri().to_string().replacen("https://127.0.0.1:", "http://127.0.0.1:", 1);
    *request.uri_mut() = uri.parse().map_err(|_| HttpClientError::Other(uri))?;
    let client = reqwest::blocking::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.build().map_err(|error| HttpClientError::Reqwest(Box::new(error)))?.call(request)
}

fn client_of(program: &Program, made: &NewClient) -> Outcome<Client> {
    let at = |path: &str| format!("{}{path}", program.issuer());
    let revocation = at("/oauth/revoke").replacen("http:", "https:", 1);
    let client = BasicClient::new(ClientId::new(made.id.clone()))
        .set_auth_uri(AuthUrl::new(at("/oauth/authorize"))?)
        .set_token_uri(TokenUrl::new(at("/oauth/token"))?)
        .set_introspection_url(IntrospectionUrl::new(at("/oauth/introspect"))?)
        .set_device_authorization_url(DeviceAuthorizationUrl::new(at(
            "/oauth/device_authorization",
        ))?)
        .set_revocation_url(RevocationUrl::new(revocation)?)
        .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned())?);
    Ok(match &made.secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
        None => client,
    })
}

/// The whole flow: returns the tokens.
fn connect(program: &Program, client: &Client) -> Outcome<BasicTokenResponse> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(program.scopes().into_iter().map(Scope::new))
        .set_pkce_challenge(challenge)
        .url();
    let mut customer = Customer::new(program)?;
    let landed = customer.allow(&url, REDIRECT_URI)?;
    ensure(customer.pages == ["sign_in", "businesses", "consent"], "other pages")?;
    ensure(landed.state == *state.secret(), "another state")?;
    let code = AuthorizationCode::new(landed.code);
    Ok(client.exchange_code(code).set_pkce_verifier(verifier).request(&send)?)
}

fn refresh_token(tokens: &BasicTokenResponse) -> Outcome<RefreshToken> {
    Ok(tokens.refresh_token().ok_or("no refresh token")?.clone())
}

fn takes(program: &Program, tokens: &BasicTokenResponse) -> Outcome<()> {
    let status = program.call_api(tokens.access_token().secret())?;
    ensure(status == 200, &format!("the API answers {status}"))
}

fn refresh(client: &Client, tokens: &BasicTokenResponse) -> Outcome<BasicTokenResponse> {
    Ok(client.exchange_refresh_token(&refresh_token(tokens)?).request(&send)?)
}

fn refresh_at_once(
    program: &Program,
    client: &Client,
    tokens: &BasicTokenResponse,
) -> Outcome<BasicTokenResponse> {
    let all = thread::scope(|scope| {
        let running: Vec<_> = (0..8).map(|_| scope.spawn(|| refresh(client, tokens))).collect();
        let ended = running.into_iter().map(|each| each.join().map_err(|_| "a thread panicked")?);
        ended.collect::<Outcome<Vec<BasicTokenResponse>>>()
    })?;
    let mut successors = HashSet::new();
    for tokens in &all {
        takes(program, tokens)?;
        successors.insert(refresh_token(tokens)?.secret().clone());
    }
    ensure(successors.len() == 1, "more than one successor")?;
    all.into_iter().next().ok_or_else(|| "no tokens".into())
}

fn revoke(program: &Program, client: &Client, tokens: &BasicTokenResponse) -> Outcome<()> {
    let token = StandardRevocableToken::RefreshToken(refresh_token(tokens)?);
    client.revoke_token(token)?.request(&send)?;
    ensure(program.call_api(tokens.access_token().secret())? == 401, "the API takes it still")?;
    let answer = client.introspect(tokens.access_token()).request(&send)?;
    ensure(!answer.active(), "it is active still")?;
    match client.exchange_refresh_token(&refresh_token(tokens)?).request(&send) {
        Err(RequestTokenError::ServerResponse(answer)) => {
            ensure(*answer.error() == BasicErrorResponseType::InvalidGrant, "another error")
        }
        _ => Err("it refreshes still".into()),
    }
}

fn main() -> Outcome<()> {
    let mut program = Program::start("oauth2")?;
    let made = program.new_client(&["--client-credentials"])?;
    let client = client_of(&program, &made)?;

    let first = program.step("a code with PKCE, exchanged", |program| connect(program, &client))?;
    program.step("the API takes the token", |program| takes(program, &first))?;
    program.step("introspection", |_| {
        let answer = client.introspect(first.access_token()).request(&send)?;
        ensure(answer.active() && answer.sub().is_some(), "not active")
    })?;
    let second = program.step("refresh", |program| {
        let tokens = refresh(&client, &first)?;
        takes(program, &tokens)?;
        Ok(tokens)
    })?;
    let third = program
        .step("eight refreshes at once", |program| refresh_at_once(program, &client, &second))?;
    program.step("revocation ends the connection", |program| revoke(program, &client, &third))?;
    program.step("client credentials", |_| {
        let scope = Scope::new("orders-api".to_owned());
        let tokens =
            client.exchange_client_credentials().add_scope(scope.clone()).request(&send)?;
        ensure(tokens.scopes() == Some(&vec![scope]), "another scope")
    })?;
    program.step("the secret in the body", |program| {
        let made = program.new_client(&["--auth", "client_secret_post"])?;
        let client = client_of(program, &made)?.set_auth_type(AuthType::RequestBody);
        takes(program, &refresh(&client, &connect(program, &client)?)?)
    })?;
    program.step("an app without a secret", |program| {
        let client = client_of(program, &program.new_client(&["--public"])?)?;
        takes(program, &refresh(&client, &connect(program, &client)?)?)
    })?;
    let title = "device authorization";
    if program.has("device", &[title]) {
        program.step(title, device)?;
    }
    program.done();
    Ok(())
}

fn device(program: &Program) -> Outcome<()> {
    let client = client_of(program, &program.new_client(&["--device"])?)?;
    let started: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .add_scopes(program.scopes().into_iter().map(Scope::new))
        .request(&send)?;
    let mut customer = Customer::new(program)?;
    let code = started.user_code().secret().as_str();
    customer.walk(started.verification_uri().url(), "", &[("user_code", code)])?;
    let asking = client.exchange_device_access_token(&started);
    takes(program, &asking.request(&send, thread::sleep, None)?)
}

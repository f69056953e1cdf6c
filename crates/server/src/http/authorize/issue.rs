//! The end of the browser flow: a grant is inserted and its code leaves, or an error does.

use axum::body::Body;
use axum::http::Response;
use grantor_protocol::authorization_step::Step;
use grantor_protocol::grant::{Binding, OpenIdRequest};
use grantor_protocol::logged_call::Outcome;
use grantor_protocol::openid::OPENID;
use grantor_protocol::scope::Scope;
use grantor_protocol::trial::Trial;

use super::fault::{self, Fault};
use super::flow::Flow;
use super::progress;
use crate::http::answer;
use crate::http::heard::{Ended, note_authorize};
use crate::seal::CodeSeal;
use crate::store::{NewConsent, NewGrant};

/// Carries out a step that ends the flow; any other goes back to its page.
pub(super) async fn finish(
    flow: &Flow<'_>,
    step: Step,
    trial: Option<Trial>,
) -> Result<Response<Body>, Fault> {
    match step {
        Step::Issue { scope, businesses, allowed_now } => {
            issue(flow, scope, businesses, allowed_now).await
        }
        // For a client that nobody approved an error waits for a sign-in (RFC 9700 4.11.2).
        Step::Refuse(fault) if flow.client().approved || flow.account.is_some() => {
            flow.use_up().await?;
            let (to, state) = (flow.answer_to(), flow.request.state.as_deref());
            let mut response =
                fault::error_to_client(flow.site, flow.request_id, to, state, &fault);
            let ended = Ended { trial, ..Ended::refused(Outcome::Redirected, fault.cause()) };
            note(flow, ended, &mut response);
            Ok(response)
        }
        Step::Refuse(fault) => Err(Fault::Unapproved(fault)),
        Step::SignIn | Step::ChooseBusinesses { .. } | Step::AskConsent { .. } => {
            Ok(answer::redirect_within(flow.site, &progress::still_here(flow)))
        }
    }
}

async fn issue(
    flow: &Flow<'_>,
    scope: Scope,
    businesses: Vec<i64>,
    allowed_now: bool,
) -> Result<Response<Body>, Fault> {
    let Some(account) = &flow.account else {
        return Err(Fault::FormExpired { retry: flow.here() });
    };
    let (site, request) = (flow.site, &flow.request);
    let openid = openid_request(flow, account.session.signed_in_at, &scope).await?;
    let now = site.clock.now();
    let given = allowed_now
        .then(|| NewConsent { scope: scope.clone(), asked_scope: request.scope.clone() });
    let grant = NewGrant {
        environment: site.environment,
        id: site.random.id(&site.clock),
        client_id: flow.client().id.clone(),
        customer_id: account.session.customer_id,
        customer_counter: account.session.customer_counter,
        consent_counter: if allowed_now { None } else { flow.consent_counter() },
        scope,
        businesses,
        redirect_uri: request.redirect_uri.as_str().to_owned(),
        code_challenge: request.code_challenge,
        binding: Binding { resources: request.resources.clone(), key: request.dpop_jkt },
        openid,
        code_expires_at: now + site.settings.code_ttl_seconds,
        ends_at: site.settings.grant_ttl_seconds.map(|ttl| now + ttl),
    };
    flow.use_up().await?;
    if !site.store.allow(&grant, given.as_ref(), site.sealer.epoch(), now).await? {
        // The client, the session or the consent ended while the customer was here: ask again, and
        // of the client as it is now.
        let id = &flow.client().id;
        site.store.newly_known_client(site.environment, id, &site.clock).await?;
        return Err(Fault::FormExpired { retry: flow.here() });
    }
    let code = CodeSeal { grant_id: grant.id, expires_at: grant.code_expires_at };
    let code = site.sealer.code(&code, now);
    let mut parameters = vec![("code", code.as_str())];
    parameters.extend(request.state.as_deref().map(|state| ("state", state)));
    // RFC 9207
    parameters.push(("iss", &site.base_url));
    let mut response = answer::to_client(site, flow.request_id, flow.answer_to(), &parameters);
    let with = Some((request.state.is_some(), request.code_challenge.is_some()));
    note(flow, Ended { with, ..Ended::of(Outcome::Code) }, &mut response);
    Ok(response)
}

fn note(flow: &Flow<'_>, ended: Ended, response: &mut Response<Body>) {
    let ended = Ended { proved: flow.is_pushed(), ..ended };
    note_authorize(flow.site, (&flow.client().id, flow.query()), ended, response);
}

/// What the grant keeps for its ID token. The keys that will sign it are made before the code
/// leaves: at the exchange it would be spent for nothing.
async fn openid_request(
    flow: &Flow<'_>,
    signed_in_at: i64,
    scope: &Scope,
) -> Result<Option<OpenIdRequest>, Fault> {
    let asked = flow.request.openid.as_ref().filter(|_| scope.contains(OPENID));
    let Some(asked) = asked else {
        return Ok(None);
    };
    flow.site.signing_keys().await.map_err(Fault::Keys)?;
    Ok(Some(OpenIdRequest {
        nonce: asked.nonce.clone(),
        signed_in_at,
        id_token_claims: asked.id_token_claims.clone(),
        userinfo_claims: asked.userinfo_claims.clone(),
    }))
}

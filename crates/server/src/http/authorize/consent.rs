//! The consent step: who asks, for what, for how long, and Allow or Deny.

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use grantor_protocol::authorization_step::{Decision, Progress, Step, next, optional_scopes};
use grantor_protocol::parameters::Parameters;
use grantor_protocol::scope::Scope;

use super::consent_words::{lasts, sentence};
use super::fault::Fault;
use super::flow::Flow;
use super::issue;
use super::progress::{self, SealedProgress};
use crate::http::answer::{self, frame};
use crate::pages::{ConsentPage, ScopeLine};

/// The page.
pub(super) fn page(flow: &Flow<'_>, businesses: &[i64]) -> Response<Body> {
    let optional = optional_scopes(&flow.request, flow.client());
    let scopes = flow.request.scope.iter().map(|scope| ScopeLine {
        name: scope.to_owned(),
        sentence: sentence(scope),
        required: !optional.contains(scope),
    });
    let names = flow
        .account
        .iter()
        .flat_map(|account| &account.businesses)
        .filter(|business| businesses.contains(&business.id))
        .map(|business| business.name.clone());
    let seen =
        SealedProgress { shown: Some(shown(flow, businesses)), ..flow.sealed_progress().clone() };
    let page = ConsentPage {
        frame: frame(flow.site, flow.request_id),
        app: flow.app(),
        account_email: flow.email(),
        businesses: names.collect(),
        scopes: scopes.collect(),
        apis: flow.site.settings.apis.names(&flow.request.resources),
        lasts: lasts(flow.site, flow.client()),
        destination_host: flow.request.redirect_uri.destination(),
        form_action: progress::url(flow, &flow.browser, &seen),
        csrf_token: flow.browser.form_token(flow.site),
        switch_account_url: flow.switch_account(),
        approved: flow.client().approved,
    };
    answer::page(flow.site, StatusCode::OK, &page, Some(&flow.request.redirect_uri))
}

/// Takes what was pressed.
pub(super) async fn carry_out(flow: &Flow<'_>, form: &Parameters) -> Result<Response<Body>, Fault> {
    let decision = decision(flow, form);
    let progress = Progress { decision: decision.as_ref(), ..flow.progress() };
    let step = next(&flow.situation(progress));
    // Allow counts for what this browser saw, and not for what the client may ask for since (S9).
    if let Step::Issue { businesses, .. } = &step
        && flow.sealed_progress().shown != Some(shown(flow, businesses))
    {
        return Ok(answer::redirect_within(flow.site, &progress::still_here(flow)));
    }
    issue::finish(flow, step, None).await
}

/// What the page asks for, as a digest that travels in the address of its form.
fn shown(flow: &Flow<'_>, businesses: &[i64]) -> [u8; 32] {
    let optional = optional_scopes(&flow.request, flow.client());
    // No part can hold the line end that separates them.
    let text = format!(
        "{}\n{}\n{}\n{optional}\n{businesses:?}\n{}",
        flow.client().id,
        flow.request.redirect_uri.as_str(),
        flow.request.scope,
        flow.request.resources,
    );
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// What was pressed. A form without either button decides nothing.
fn decision(flow: &Flow<'_>, form: &Parameters) -> Option<Decision> {
    match form.value("decision") {
        Some("allow") => {
            let optional = optional_scopes(&flow.request, flow.client());
            let ticked: Vec<&str> =
                form.values("scope").filter(|scope| optional.contains(scope)).collect();
            let optional_scopes = Scope::parse(&ticked.join(" ")).unwrap_or_default();
            Some(Decision::Allow { optional_scopes })
        }
        Some("deny") => Some(Decision::Deny),
        _ => None,
    }
}

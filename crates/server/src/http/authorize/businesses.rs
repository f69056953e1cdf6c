//! The step where a customer with several businesses chooses which to connect.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::fault::Fault;
use super::flow::Flow;
use super::progress::{self, SealedProgress};
use crate::http::answer::{self, frame};
use crate::pages::{BusinessChoice, BusinessesPage};

/// The page.
pub(super) fn page(
    flow: &Flow<'_>,
    status: StatusCode,
    ticked: &[i64],
    fault: Option<&str>,
) -> Response<Body> {
    let choices = flow.account.iter().flat_map(|account| &account.businesses).map(|business| {
        BusinessChoice {
            id: business.id,
            name: business.name.clone(),
            locations: business.locations.iter().map(|location| location.name.clone()).collect(),
            ticked: ticked.contains(&business.id),
        }
    });
    let page = BusinessesPage {
        frame: frame(flow.site, flow.request_id),
        app: flow.app(),
        account_email: flow.email(),
        form_action: progress::url(flow, &flow.browser, flow.sealed_progress()),
        csrf_token: flow.browser.form_token(flow.site),
        businesses: choices.collect(),
        fault: fault.map(str::to_owned),
        switch_account_url: flow.switch_account(),
    };
    answer::page(flow.site, status, &page, Some(&flow.request.redirect_uri))
}

/// Takes the boxes that are ticked, and of them only those of this account.
pub(super) async fn carry_out(flow: &Flow<'_>, form: &Parameters) -> Result<Response<Body>, Fault> {
    let Some(account) = &flow.account else {
        return Err(Fault::FormExpired { retry: flow.here() });
    };
    let ticked: Vec<i64> = form.values("business").filter_map(|id| id.parse().ok()).collect();
    let chosen: Vec<i64> = account
        .businesses
        .iter()
        .map(|business| business.id)
        .filter(|id| ticked.contains(id))
        .take(progress::MAX_BUSINESSES)
        .collect();
    if chosen.is_empty() {
        let fault = "Choose at least one business to go on.";
        return Ok(page(flow, StatusCode::UNPROCESSABLE_ENTITY, &[], Some(fault)));
    }
    let so_far = flow.sealed_progress();
    let done = SealedProgress { signed_in: so_far.signed_in, businesses: Some(chosen) };
    Ok(answer::redirect_within(flow.site, &progress::url(flow, &flow.browser, &done)))
}

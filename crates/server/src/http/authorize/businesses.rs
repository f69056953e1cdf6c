//! The step where a customer with several businesses chooses which to connect.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use url::form_urlencoded;

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
pub(super) fn carry_out(flow: &Flow<'_>, body: &[u8]) -> Result<Response<Body>, Fault> {
    let Some(account) = &flow.account else {
        return Err(Fault::FormExpired { retry: flow.here() });
    };
    // Read from the body itself: there may be more boxes than any request has parameters.
    let ticked: Vec<i64> = form_urlencoded::parse(body)
        .filter(|(name, _)| name == "business")
        .filter_map(|(_, id)| id.parse().ok())
        .collect();
    let held = account.businesses.iter().map(|business| business.id);
    let chosen: Vec<i64> = held.filter(|id| ticked.contains(id)).collect();
    let fault = match chosen.len() {
        0 => Some("Choose at least one business to go on.".to_owned()),
        1..=progress::MAX_BUSINESSES => None,
        _ => Some(format!("Choose at most {} businesses.", progress::MAX_BUSINESSES)),
    };
    if let Some(fault) = fault {
        return Ok(page(flow, StatusCode::UNPROCESSABLE_ENTITY, &chosen, Some(&fault)));
    }
    let so_far = flow.sealed_progress();
    let done =
        SealedProgress { signed_in: so_far.signed_in, businesses: Some(chosen), shown: None };
    Ok(answer::redirect_within(flow.site, &progress::url(flow, &flow.browser, &done)))
}

//! The portal of the partner programme: its table of routes, and what its pages have in common.
//!
//! 1. [`table`] is the table; it is the portal's alone, beside the endpoints that every issuer has.
//!    `table.rs` makes of it the router, the OpenAPI document and the list that tests walk;
//! 2. `visit.rs` says who is there, and takes a form only from a page of ours;
//! 3. each page is one file: load, decide (in `programme`), show;
//! 4. `fault.rs` makes of what went wrong a page, in the frame of who is signed in, or JSON below `/api/`.

mod account;
mod activity;
mod api;
mod api_clients;
mod apps;
mod audit_lines;
mod exports;
mod factor;
mod fault;
mod home;
mod log;
mod logo;
mod mailbox;
mod part;
mod partners;
mod playground;
mod requests;
mod sign_in;
mod table;
mod team;
mod test_customers;
mod upload;
mod visit;
mod webhooks;

use std::sync::Arc;

use axum::{Extension, Router, middleware};

pub(crate) use api::show;
pub use table::Route;

use self::fault::Fault;
use self::table::{Table, any, get, post, preflighted};
use super::{docs, introspect, metadata, revoke, token};
use crate::site::Site;

/// Everything that the portal serves.
fn table(site: &Arc<Site>) -> Table {
    let mut table = issuer(decisions(Table::new(site)))
        .route("/", get(home::home))
        .route("/sign-in", get(sign_in::get).post(sign_in::post))
        .route("/sign-in/code", get(factor::ask).post(factor::pass))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/apps", get(apps::list))
        .route("/apps/new", get(apps::new).post(apps::make))
        .route("/apps/{id}", get(apps::show))
        .route("/apps/{id}/edit", get(apps::edit).post(apps::change))
        .route("/apps/{id}/secrets", post(apps::add_secret))
        .route("/apps/{id}/secrets/{slot}/remove", post(apps::remove_secret))
        .route("/apps/{id}/logo", post(logo::change))
        .route("/apps/{id}/logo/{digest}", get(logo::show))
        .route("/apps/{id}/logo/remove", post(logo::remove))
        .route("/apps/{id}/suspend", post(apps::suspend))
        .route("/apps/{id}/resume", post(apps::resume))
        .route("/account/api-clients", get(api_clients::list).post(api_clients::make))
        .route("/account/api-clients/{id}/secrets", post(api_clients::add_secret))
        .route("/account/api-clients/{id}/secrets/{slot}/remove", post(api_clients::remove_secret))
        .route("/account/api-clients/{id}/remove", post(api_clients::remove))
        .route("/apps/{id}/request", get(requests::new).post(requests::ask))
        .route("/apps/{id}/exports", get(exports::show))
        .route("/apps/{id}/exports/{file}", get(exports::file))
        .route("/apps/{id}/playground", get(playground::begin).post(playground::post))
        .route("/playground/callback", get(playground::callback))
        .route("/test-customers", get(test_customers::list).post(test_customers::make))
        .route("/test-customers/{id}/password", post(test_customers::password))
        .route("/test-customers/{id}/remove", post(test_customers::remove))
        .route("/apps/{id}/log", get(log::list))
        .route("/apps/{id}/log/{request_id}", get(log::call))
        .route("/apps/{id}/report", get(log::report))
        .route("/apps/{id}/activity", get(activity::of_app))
        .route("/apps/{id}/trials", post(log::begin))
        .route("/log", get(log::search))
        .route("/sign-up", get(account::sign_up).post(account::send_sign_up))
        .route("/sign-up/{link}", get(account::join).post(account::make))
        .route("/invitation/{link}", get(account::invited).post(account::take))
        .route("/forgotten", get(account::forgotten).post(account::send_forgotten))
        .route("/reset/{link}", get(account::reset).post(account::set))
        .route("/account", get(account::account))
        .route("/account/password", post(account::password))
        .route("/account/factor", get(factor::show).post(factor::confirm))
        .route("/account/factor/picture.svg", get(factor::picture))
        .route("/account/factor/begin", post(factor::begin))
        .route("/account/factor/remove", post(factor::remove))
        .route("/team", get(team::list))
        .route("/team/invitations", post(team::invite))
        .route("/team/invitations/{id}/withdraw", post(team::withdraw))
        .route("/team/{id}/role", post(team::role))
        .route("/team/{id}/remove", post(team::remove))
        .route("/activity", get(activity::list))
        .route("/activity.jsonl", get(activity::export))
        .route("/mailbox", get(mailbox::show));
    api::operations(&mut table);
    table
}

/// What staff decides about, and what a partner is told.
fn decisions(table: Table) -> Table {
    table
        .route("/partners", get(partners::list))
        .route("/partners/{id}", get(partners::show))
        .route("/partners/{id}/verify", post(partners::verify))
        .route("/partners/{id}/unverify", post(partners::unverify))
        .route("/partners/{id}/suspend", post(partners::suspend))
        .route("/partners/{id}/resume", post(partners::resume))
        .route("/webhooks", get(webhooks::list))
        .route("/webhooks/new", get(webhooks::new).post(webhooks::add))
        .route("/webhooks/{environment}/{id}", get(webhooks::show).post(webhooks::change))
        .route("/webhooks/{environment}/{id}/remove", post(webhooks::remove))
        .route("/webhooks/{environment}/{id}/ping", post(webhooks::ping))
        .route("/webhooks/{environment}/{id}/secrets", post(webhooks::add_secret))
        .route("/webhooks/{environment}/{id}/secrets/{slot}/remove", post(webhooks::remove_secret))
        .route("/webhooks/{environment}/{id}/deliveries/{delivery}/again", post(webhooks::again))
        .route("/requests", get(requests::list))
        .route("/requests/{id}", get(requests::show))
        .route("/requests/{id}/answer", get(requests::edit).post(requests::answer))
        .route("/requests/{id}/withdraw", post(requests::withdraw))
        .route("/requests/{id}/decision", post(requests::decide))
}

/// What every issuer has, and the docs.
fn issuer(table: Table) -> Table {
    table
        .route("/oauth/token", preflighted(any(token::token)))
        .route("/oauth/revoke", preflighted(any(revoke::revoke)))
        .route("/oauth/introspect", any(introspect::introspect))
        .route("/.well-known/oauth-authorization-server", preflighted(get(metadata::portal)))
        .route(
            "/.well-known/oauth-protected-resource",
            preflighted(get(metadata::protected_resource)),
        )
        .route("/docs", get(docs::to_index))
        .route("/docs/", get(docs::index))
        .route("/docs/{*page}", get(docs::page))
        .route("/assets/{name}", get(docs::asset))
        .route("/favicon.ico", get(docs::favicon))
}

/// The router of it.
pub(super) fn routes(site: &Arc<Site>) -> Router<Arc<Site>> {
    let (router, described) = table(site).finish();
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(site), fault::show))
        .layer(Extension(api::Document::of(site, described)))
}

/// The list of it.
pub fn listed(site: &Arc<Site>) -> Vec<Route> {
    table(site).listed()
}

/// No such address.
async fn not_found() -> Fault {
    Fault::NotFound
}

/// An address that takes another method.
async fn method_not_allowed() -> Fault {
    Fault::Method
}

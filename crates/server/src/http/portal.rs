//! The portal of the partner programme: its table of routes, and what its pages have in common.
//!
//! 1. [`routes`] is the table; it is the portal's alone, beside the endpoints that every issuer has;
//! 2. `visit.rs` says who is there, and takes a form only from a page of ours;
//! 3. each page is one file: load, decide (in `programme`), show;
//! 4. `fault.rs` makes a page, or JSON below `/api/`, of what went wrong.

mod account;
mod activity;
mod apps;
mod fault;
mod home;
mod log;
mod mailbox;
mod partners;
mod requests;
mod sign_in;
mod team;
mod visit;

use std::sync::Arc;

use axum::routing::{any, get, post};
use axum::{Router, middleware};

use super::cors::preflighted;
use super::{docs, home as environment_home, introspect, metadata, revoke, token};
use crate::site::Site;

/// Everything that the portal serves.
pub(super) fn routes(site: &Arc<Site>) -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(home::home))
        .route("/sign-in", get(sign_in::get).post(sign_in::post))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/apps", get(apps::list))
        .route("/apps/new", get(apps::new).post(apps::make))
        .route("/apps/{id}", get(apps::show))
        .route("/apps/{id}/edit", get(apps::edit).post(apps::change))
        .route("/apps/{id}/secrets", post(apps::add_secret))
        .route("/apps/{id}/secrets/{slot}/remove", post(apps::remove_secret))
        .route("/apps/{id}/suspend", post(apps::suspend))
        .route("/apps/{id}/resume", post(apps::resume))
        .route("/apps/{id}/request", get(requests::new).post(requests::ask))
        .route("/apps/{id}/log", get(log::list))
        .route("/apps/{id}/log/{request_id}", get(log::call))
        .route("/apps/{id}/report", get(log::report))
        .route("/apps/{id}/trials", post(log::begin))
        .route("/log", get(log::search))
        .route("/sign-up", get(account::sign_up).post(account::send_sign_up))
        .route("/sign-up/{link}", get(account::join).post(account::make))
        .route("/invitation/{link}", get(account::invited).post(account::take))
        .route("/forgotten", get(account::forgotten).post(account::send_forgotten))
        .route("/reset/{link}", get(account::reset).post(account::set))
        .route("/account", get(account::account))
        .route("/account/password", post(account::password))
        .route("/team", get(team::list))
        .route("/team/invitations", post(team::invite))
        .route("/team/invitations/{id}/withdraw", post(team::withdraw))
        .route("/team/{id}/role", post(team::role))
        .route("/team/{id}/remove", post(team::remove))
        .route("/activity", get(activity::list))
        .route("/activity.jsonl", get(activity::export))
        .route("/mailbox", get(mailbox::show))
        .route("/partners", get(partners::list))
        .route("/partners/{id}", get(partners::show))
        .route("/partners/{id}/verify", post(partners::verify))
        .route("/partners/{id}/unverify", post(partners::unverify))
        .route("/partners/{id}/suspend", post(partners::suspend))
        .route("/partners/{id}/resume", post(partners::resume))
        .route("/requests", get(requests::list))
        .route("/requests/{id}", get(requests::show))
        .route("/requests/{id}/answer", get(requests::edit).post(requests::answer))
        .route("/requests/{id}/withdraw", post(requests::withdraw))
        .route("/requests/{id}/decision", post(requests::decide))
        .route("/oauth/token", preflighted(any(token::token)))
        .route("/oauth/revoke", preflighted(any(revoke::revoke)))
        .route("/oauth/introspect", any(introspect::introspect))
        .route("/.well-known/oauth-authorization-server", preflighted(get(metadata::portal)))
        .route("/docs", get(docs::to_index))
        .route("/docs/", get(docs::index))
        .route("/docs/{*page}", get(docs::page))
        .route("/assets/{name}", get(docs::asset))
        .route("/favicon.ico", get(docs::favicon))
        .fallback(environment_home::not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(site), fault::show))
}

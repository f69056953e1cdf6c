//! The JSON API of the partner programme, below `/api/v1/`: what the pages do, for programs.
//!
//! 1. `guard.rs` takes the token, before anything of the body is read, demands the scope that the
//!    table names, and says who acts: an owner, for a partner's API client, or a manager, for this
//!    company's. A browser's session counts for nothing here, and so nothing can be forged with one;
//! 2. `call.rs` reads query and body, and takes nothing that it does not know;
//! 3. each resource is a file of operations. One calls `programme`, as the page does, and shows what
//!    came of it;
//! 4. `cursor.rs` seals where the next part of a list begins;
//! 5. `document.rs` makes the OpenAPI document of the same table.

mod apps;
mod audit;
mod call;
mod calls;
mod cursor;
mod document;
mod guard;
mod logo;
mod partners;
mod requests;
pub(crate) mod show;
mod team;
mod test_customers;
mod webhooks;

pub(super) use call::CallFault;
pub(super) use document::{Document, complete};
pub(super) use guard::{Guard, guard};
pub(super) use show::Entry;

use utoipa_axum::routes;

use super::fault::Fault;
use super::table::Table;
use crate::programme::scope::{
    APPS_SUSPEND, APPS_WRITE, AUDIT_READ, LOG_READ, PARTNERS_DECIDE, READ, REQUESTS_DECIDE,
    REQUESTS_WRITE, SECRETS_WRITE, TEAM_READ, TEAM_WRITE, TEST_CUSTOMERS_WRITE, TRIALS_WRITE,
    WEBHOOKS_WRITE,
};

/// Adds every operation.
pub(super) fn operations(table: &mut Table) {
    table.operation(None, || routes!(document::openapi));
    table.operation(Some(READ), || routes!(apps::list));
    table.operation(Some(APPS_WRITE), || routes!(apps::create));
    table.operation(Some(READ), || routes!(apps::read));
    table.operation(Some(APPS_WRITE), || routes!(apps::change));
    table.operation(Some(APPS_WRITE), || routes!(logo::change));
    table.operation(Some(APPS_WRITE), || routes!(logo::remove));
    table.operation(Some(SECRETS_WRITE), || routes!(apps::add_secret));
    table.operation(Some(SECRETS_WRITE), || routes!(apps::remove_secret));
    table.operation(Some(APPS_SUSPEND), || routes!(apps::suspend));
    table.operation(Some(APPS_SUSPEND), || routes!(apps::resume));
    decisions(table);
    observations(table);
    webhook_operations(table);
    people(table);
    table.operation(Some(AUDIT_READ), || routes!(audit::list));
    table.operation(Some(AUDIT_READ), || routes!(audit::export));
}

/// What is asked for, and what is decided.
fn decisions(table: &mut Table) {
    table.operation(Some(REQUESTS_WRITE), || routes!(requests::ask));
    table.operation(Some(READ), || routes!(requests::list));
    table.operation(Some(READ), || routes!(requests::read));
    table.operation(Some(REQUESTS_WRITE), || routes!(requests::answer));
    table.operation(Some(REQUESTS_WRITE), || routes!(requests::withdraw));
    table.operation(Some(REQUESTS_DECIDE), || routes!(requests::decide));
    table.operation(Some(READ), || routes!(partners::list));
    table.operation(Some(READ), || routes!(partners::read));
    table.operation(Some(PARTNERS_DECIDE), || routes!(partners::verify));
    table.operation(Some(PARTNERS_DECIDE), || routes!(partners::unverify));
    table.operation(Some(PARTNERS_DECIDE), || routes!(partners::suspend));
    table.operation(Some(PARTNERS_DECIDE), || routes!(partners::resume));
}

/// What an app did.
fn observations(table: &mut Table) {
    table.operation(Some(LOG_READ), || routes!(calls::list));
    table.operation(Some(LOG_READ), || routes!(calls::read));
    table.operation(Some(LOG_READ), || routes!(calls::find));
    table.operation(Some(LOG_READ), || routes!(calls::report));
    table.operation(Some(LOG_READ), || routes!(calls::trials));
    table.operation(Some(TRIALS_WRITE), || routes!(calls::begin));
}

/// What a partner's own programs are told.
fn webhook_operations(table: &mut Table) {
    table.operation(Some(READ), || routes!(webhooks::list));
    table.operation(Some(WEBHOOKS_WRITE), || routes!(webhooks::create));
    table.operation(Some(READ), || routes!(webhooks::read));
    table.operation(Some(WEBHOOKS_WRITE), || routes!(webhooks::change));
    table.operation(Some(WEBHOOKS_WRITE), || routes!(webhooks::remove));
    table.operation(Some(WEBHOOKS_WRITE), || routes!(webhooks::add_secret));
    table.operation(Some(WEBHOOKS_WRITE), || routes!(webhooks::remove_secret));
    table.operation(Some(WEBHOOKS_WRITE), || routes!(webhooks::ping));
    table.operation(Some(READ), || routes!(webhooks::deliveries));
    table.operation(Some(READ), || routes!(webhooks::delivery));
    table.operation(Some(WEBHOOKS_WRITE), || routes!(webhooks::again));
}

/// Who works there, and whom they try it out with.
fn people(table: &mut Table) {
    table.operation(Some(TEAM_READ), || routes!(team::people));
    table.operation(Some(TEAM_WRITE), || routes!(team::change));
    table.operation(Some(TEAM_WRITE), || routes!(team::remove));
    table.operation(Some(TEAM_READ), || routes!(team::invitations));
    table.operation(Some(TEAM_WRITE), || routes!(team::invite));
    table.operation(Some(TEAM_WRITE), || routes!(team::withdraw));
    table.operation(Some(READ), || routes!(test_customers::list));
    table.operation(Some(TEST_CUSTOMERS_WRITE), || routes!(test_customers::make));
    table.operation(Some(TEST_CUSTOMERS_WRITE), || routes!(test_customers::password));
    table.operation(Some(TEST_CUSTOMERS_WRITE), || routes!(test_customers::remove));
}

/// An address that takes another method.
pub(super) async fn method_not_allowed() -> Fault {
    Fault::Call(CallFault::Method)
}

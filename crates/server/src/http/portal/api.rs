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
mod cursor;
mod document;
mod guard;
mod partners;
mod show;

pub(super) use call::CallFault;
pub(super) use document::{Document, complete};
pub(super) use guard::{Guard, guard};

use utoipa_axum::routes;

use super::fault::Fault;
use super::table::Table;
use crate::programme::scope::{APPS_SUSPEND, APPS_WRITE, AUDIT_READ, READ, SECRETS_WRITE};

/// Adds every operation.
pub(super) fn operations(table: &mut Table) {
    table.operation(None, || routes!(document::openapi));
    table.operation(Some(READ), || routes!(apps::list));
    table.operation(Some(APPS_WRITE), || routes!(apps::create));
    table.operation(Some(READ), || routes!(apps::read));
    table.operation(Some(APPS_WRITE), || routes!(apps::change));
    table.operation(Some(SECRETS_WRITE), || routes!(apps::add_secret));
    table.operation(Some(SECRETS_WRITE), || routes!(apps::remove_secret));
    table.operation(Some(APPS_SUSPEND), || routes!(apps::suspend));
    table.operation(Some(APPS_SUSPEND), || routes!(apps::resume));
    table.operation(Some(READ), || routes!(partners::list));
    table.operation(Some(READ), || routes!(partners::read));
    table.operation(Some(AUDIT_READ), || routes!(audit::list));
    table.operation(Some(AUDIT_READ), || routes!(audit::export));
}

/// An address that takes another method.
pub(super) async fn method_not_allowed() -> Fault {
    Fault::Call(CallFault::Method)
}

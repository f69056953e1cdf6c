//! Test customers.

use axum::body::Body;
use axum::extract::{Extension, RawQuery};
use axum::http::Response;
use uuid::Uuid;

use super::super::fault::Fault;
use super::call::{Named, Query, id_of};
use super::cursor::List;
use super::guard::Caller;
use super::show::{TestCustomer, TestCustomerWithPassword, TestCustomers};
use crate::programme::test_customer::{self, DrawnPassword};

/// List test customers
///
/// The oldest first. They are for API clients of partners.
#[utoipa::path(
    get,
    path = "/api/v1/test-customers",
    operation_id = "listTestCustomers",
    tag = "test customers",
    params(
        ("limit" = Option<i64>, Query, description = "How many at most.",
            minimum = 1, maximum = 100, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the part before."),
    ),
    responses((status = 200, description = "A part of the list.", body = TestCustomers)),
)]
pub(super) async fn list(
    Extension(by): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let list = List { by: &by, name: "test customers".to_owned() };
    let after = list.after_id(&query).await?;
    let all = test_customer::list(&by.site, &by.actor).await?;
    let (held, next_cursor) = list.part(all, (after, limit), |(customer, _)| customer.id);
    let shown = held.iter().map(|(customer, owned)| TestCustomer::of(customer, owned));
    Ok(by.answer(&TestCustomers { items: shown.collect(), next_cursor }))
}

/// Make a test customer
///
/// On staging, with two businesses. Its name and password are drawn.
#[utoipa::path(
    post,
    path = "/api/v1/test-customers",
    operation_id = "createTestCustomer",
    tag = "test customers",
    responses((
        status = 201, description = "It can sign in. Its password is shown this once.",
        body = TestCustomerWithPassword,
    )),
)]
pub(super) async fn make(Extension(by): Extension<Caller>) -> Result<Response<Body>, Fault> {
    let drawn = test_customer::make(&by.site, &by.actor).await?;
    let place = format!("test-customers/{}", Uuid::from_bytes(drawn.id));
    Ok(by.made(&place, &shown(&by, &drawn).await?))
}

/// Draw the password of a test customer anew
///
/// What the former one began ends: its sessions and its connections.
#[utoipa::path(
    post,
    path = "/api/v1/test-customers/{id}/password",
    operation_id = "drawTestCustomerPassword",
    tag = "test customers",
    params(("id" = String, Path, description = "The test customer's id.")),
    responses((
        status = 200, description = "It works now, and is shown this once.",
        body = TestCustomerWithPassword,
    )),
)]
pub(super) async fn password(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    let drawn = test_customer::draw_password(&by.site, &by.actor, id_of(&id)?).await?;
    Ok(by.answer(&shown(&by, &drawn).await?))
}

/// Remove a test customer
///
/// All that it allowed ends.
#[utoipa::path(
    delete,
    path = "/api/v1/test-customers/{id}",
    operation_id = "removeTestCustomer",
    tag = "test customers",
    params(("id" = String, Path, description = "The test customer's id.")),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn remove(
    Extension(by): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Response<Body>, Fault> {
    test_customer::remove(&by.site, &by.actor, id_of(&id)?).await?;
    Ok(by.done())
}

async fn shown(by: &Caller, drawn: &DrawnPassword) -> Result<TestCustomerWithPassword, Fault> {
    let all = test_customer::list(&by.site, &by.actor).await?;
    let found = all.iter().find(|(customer, _)| customer.id == drawn.id);
    let (customer, owned) = found.ok_or(Fault::NotFound)?;
    Ok(TestCustomerWithPassword::of(TestCustomer::of(customer, owned), drawn))
}

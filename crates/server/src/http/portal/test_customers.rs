//! Test customers: the list, making one, a password anew, removing.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{Response, StatusCode};
use uuid::Uuid;

use super::apps::day;
use super::fault::Fault;
use super::visit::{Posted, SignedIn};
use crate::pages::portal::{DrawnLine, TestCustomerLine, TestCustomersPage};
use crate::programme::Actor;
use crate::programme::test_customer::{self, DrawnPassword, MOST_TEST_CUSTOMERS};

/// The list.
pub(super) async fn list(by: SignedIn) -> Result<Response<Body>, Fault> {
    show(&by, None).await
}

/// Makes one, and shows its password this once.
pub(super) async fn make(posted: Posted) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let made = test_customer::make(&by.visit.site, &Actor::from(&by.person)).await?;
    show(&by, Some(made)).await
}

/// Draws a password anew, and shows it this once.
pub(super) async fn password(
    Path(id): Path<Uuid>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let actor = Actor::from(&by.person);
    let drawn = test_customer::draw_password(&by.visit.site, &actor, id.into_bytes()).await?;
    show(&by, Some(drawn)).await
}

/// Removes one.
pub(super) async fn remove(Path(id): Path<Uuid>, posted: Posted) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let actor = Actor::from(&by.person);
    test_customer::remove(&by.visit.site, &actor, id.into_bytes()).await?;
    Ok(by.visit.go("/test-customers"))
}

async fn show(by: &SignedIn, drawn: Option<DrawnPassword>) -> Result<Response<Body>, Fault> {
    let customers = test_customer::list(&by.visit.site, &Actor::from(&by.person)).await?;
    let page = TestCustomersPage {
        shell: by.visit.shell("apps"),
        most: MOST_TEST_CUSTOMERS,
        full: i64::try_from(customers.len()).unwrap_or(i64::MAX) >= MOST_TEST_CUSTOMERS,
        drawn: drawn.map(|drawn| DrawnLine {
            email: drawn.email,
            password: drawn.password.as_str().to_owned(),
        }),
        customers: customers
            .into_iter()
            .map(|(customer, businesses)| TestCustomerLine {
                id: Uuid::from_bytes(customer.id).to_string(),
                email: customer.email,
                name: customer.name,
                made: day(customer.created_at),
                businesses: businesses
                    .into_iter()
                    .map(|business| {
                        let places: Vec<String> = business
                            .locations
                            .into_iter()
                            .map(|location| format!("{} ({})", location.name, location.country))
                            .collect();
                        format!("{} {}: {}", business.name, business.id, places.join(", "))
                    })
                    .collect(),
            })
            .collect(),
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

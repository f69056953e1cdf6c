//! The portal's first page: what it is, or, for who is signed in, where to go on.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::fault::Fault;
use super::visit::Visit;
use crate::pages::portal::WelcomePage;
use crate::site::SignUp;

/// Shows it.
pub(super) async fn home(visit: Visit) -> Result<Response<Body>, Fault> {
    match &visit.person {
        Some(person) if person.role.is_staff() => Ok(visit.go("/requests")),
        Some(_) => Ok(visit.go("/apps")),
        None => {
            let sign_up = visit.portal()?.sign_up == SignUp::Open;
            Ok(visit.page(StatusCode::OK, &WelcomePage { shell: visit.shell(""), sign_up }))
        }
    }
}

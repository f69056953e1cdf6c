//! Signing in to the portal, and out.

use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::answer::too_many_tries;
use super::super::sign_in::{SignInFault, WRONG, canonical, sign_in};
use super::factor;
use super::fault::Fault;
use super::visit::Visit;
use crate::pages::DemoLogin;
use crate::pages::portal::SignInPage;
use crate::programme::factor::Missing;
use crate::site::SignUp;
use crate::{demo, programme};

/// The address of the form that leads to a path of ours afterwards.
pub(super) fn address(next: &str) -> String {
    address_of("/sign-in", next)
}

/// The address of a page that leads to a path of ours afterwards.
pub(super) fn address_of(page: &str, next: &str) -> String {
    match next {
        "/" => page.to_owned(),
        next => format!("{page}?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
    }
}

/// Shows the form.
pub(super) async fn get(visit: Visit, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    let next = next(query.as_deref());
    match (&visit.person, &visit.waiting) {
        (Some(_), _) => Ok(visit.go(&next)),
        (None, Some((_, Missing::Code))) => Ok(visit.go(&address_of(factor::CODE_PATH, &next))),
        (None, Some((_, Missing::Enrolment))) => Ok(visit.go(factor::PATH)),
        (None, None) => show(&visit, &next, StatusCode::OK, ("", None)),
    }
}

/// Takes the form.
pub(super) async fn post(
    visit: Visit,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response<Body>, Fault> {
    let next = next(query.as_deref());
    let form = visit.form(&body)?;
    match sign_in(&visit.site, &visit.request_id, (&visit.browser, visit.address), &form).await {
        Ok(browser) => {
            let email = canonical(form.value("email").unwrap_or_default());
            let mut response = match begins_with(&visit, &email).await? {
                Some(Missing::Code) => visit.go(&address_of(factor::CODE_PATH, &next)),
                Some(Missing::Enrolment) => visit.go(factor::PATH),
                None => visit.go(&next),
            };
            browser.remember(&visit.site, response.headers_mut());
            Ok(response)
        }
        Err(SignInFault::Wrong) => {
            let email = form.value("email").unwrap_or_default();
            show(&visit, &next, StatusCode::UNAUTHORIZED, (email, Some(WRONG)))
        }
        Err(SignInFault::TooMany { wait_seconds }) => {
            let retry = address(&next);
            Ok(too_many_tries(&visit.site, &visit.request_id, wait_seconds, retry))
        }
        Err(SignInFault::Busy) => Err(Fault::Busy),
        Err(SignInFault::Changed) => Err(Fault::FormExpired),
        Err(SignInFault::Store(error)) => Err(Fault::Store(error)),
    }
}

/// What a session that just began is without. Who has to set up a factor finds its key drawn.
async fn begins_with(visit: &Visit, email: &str) -> Result<Option<Missing>, Fault> {
    let site = &visit.site;
    let Some(account) = site.store.customer(site.environment, email).await? else {
        return Ok(None);
    };
    let Some(person) = site.store.person(account.id).await? else { return Ok(None) };
    let missing = programme::factor::missing(site, &person, None);
    if missing == Some(Missing::Enrolment) {
        programme::factor::begin_first(site, &person).await?;
    }
    Ok(missing)
}

/// Signs out, also somebody whose second factor is missing.
pub(super) async fn sign_out(visit: Visit, body: Bytes) -> Result<Response<Body>, Fault> {
    visit.form(&body)?;
    visit.site.store.end_session(visit.site.environment, visit.browser.digest()).await?;
    Ok(visit.go("/sign-in"))
}

fn show(
    visit: &Visit,
    next: &str,
    status: StatusCode,
    (email, fault): (&str, Option<&str>),
) -> Result<Response<Body>, Fault> {
    let demo =
        |email: &str| DemoLogin { email: email.to_owned(), password: demo::PASSWORD.to_owned() };
    let page = SignInPage {
        shell: visit.shell(""),
        form_action: address(next),
        email: email.to_owned(),
        fault: fault.map(str::to_owned),
        sign_up: visit.portal()?.sign_up == SignUp::Open,
        demos: match visit.site.dev {
            Some(_) => vec![demo(demo::DEVELOPER_EMAIL), demo(demo::MANAGER_EMAIL)],
            None => Vec::new(),
        },
    };
    Ok(visit.page(status, &page))
}

/// Where to go afterwards: a path of ours, and nothing that a browser reads as another host.
pub(super) fn next(query: Option<&str>) -> String {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let next = parameters.value("next").unwrap_or("/");
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if ours { next.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn only_a_path_of_ours_comes_next() {
        assert_eq!(next(Some("next=%2Fapps%3Fa%3D1")), "/apps?a=1");
        for hostile in [
            "next=https%3A%2F%2Fevil.example",
            "next=%2F%2Fevil.example",
            "next=%2F%5Cevil.example",
            "next=%2F%09%2Fevil.example",
            "next=javascript%3Aalert(1)",
            "next=%2Fa&next=%2Fb",
            "",
        ] {
            let found = next(Some(hostile));
            assert!(found == "/" || found == "/a", "{hostile}: {found}");
        }
    }
}

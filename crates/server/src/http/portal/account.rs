//! Signing up, invitations, forgotten passwords, and one's own account.

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::apps::day;
use super::fault::Fault;
use super::visit::{Posted, SignedIn, Visit};
use crate::link::Link;
use crate::pages::portal::{
    AccountPage, AddressPage, FactorState, Form, JoinPage, ResetPage, ToldPage,
};
use crate::programme::account::{self, SignUpForm};
use crate::programme::{FieldFault, Refused, factor, team};
use crate::site::SignUp;
use crate::store::{Invitation, Person};

/// Asks for an address.
pub(super) async fn sign_up(visit: Visit) -> Result<Response<Body>, Fault> {
    if visit.portal()?.sign_up != SignUp::Open {
        return Err(Fault::NotFound);
    }
    Ok(sign_up_page(&visit, StatusCode::OK, Form::default()))
}

/// Writes a mail to it.
pub(super) async fn send_sign_up(visit: Visit, body: Bytes) -> Result<Response<Body>, Fault> {
    let form = visit.form(&body)?;
    let email = form.value("email").unwrap_or_default();
    match account::ask_to_sign_up(&visit.site, email, visit.address).await {
        Ok(()) => Ok(mailed(&visit)),
        Err(Refused::Fields(faults)) => {
            let form = Form::again(&form, faults);
            Ok(sign_up_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, form))
        }
        Err(refused) => Err(refused.into()),
    }
}

fn sign_up_page(visit: &Visit, status: StatusCode, form: Form) -> Response<Body> {
    let page = AddressPage {
        shell: visit.shell(""),
        form,
        title: "Sign up",
        lead: "We write you a mail with a link. Behind it you make your account, and a first app \
               that works at once.",
        action: "/sign-up",
        button: "Send me the link",
    };
    visit.page(status, &page)
}

/// Asks for an address whose password was forgotten.
pub(super) async fn forgotten(visit: Visit) -> Result<Response<Body>, Fault> {
    Ok(forgotten_page(&visit, StatusCode::OK, Form::default()))
}

/// Writes a mail to it.
pub(super) async fn send_forgotten(visit: Visit, body: Bytes) -> Result<Response<Body>, Fault> {
    let form = visit.form(&body)?;
    let email = form.value("email").unwrap_or_default();
    match account::forgotten(&visit.site, email, visit.address).await {
        Ok(()) => Ok(mailed(&visit)),
        Err(Refused::Fields(faults)) => {
            let form = Form::again(&form, faults);
            Ok(forgotten_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, form))
        }
        Err(refused) => Err(refused.into()),
    }
}

fn forgotten_page(visit: &Visit, status: StatusCode, form: Form) -> Response<Body> {
    let page = AddressPage {
        shell: visit.shell(""),
        form,
        title: "Forgotten your password?",
        lead: "We write you a mail with a link that sets a new one. It works for one hour.",
        action: "/forgotten",
        button: "Send me the link",
    };
    visit.page(status, &page)
}

/// The same for everybody: who has an account is nobody else's business.
fn mailed(visit: &Visit) -> Response<Body> {
    let ways = match visit.site.dev {
        Some(_) => vec![("/mailbox".to_owned(), "Open the mailbox of dev")],
        None => Vec::new(),
    };
    let page = ToldPage {
        shell: visit.shell(""),
        title: "Look into your mailbox",
        words:
            "If the address is right, a mail is on its way. Where it does not come within a few \
                minutes, look among the unwanted mail."
                .to_owned(),
        ways,
    };
    visit.page(StatusCode::OK, &page)
}

/// Shows the form behind the link of a mail.
pub(super) async fn join(visit: Visit, Path(link): Path<String>) -> Result<Response<Body>, Fault> {
    let Some(Link::SignUp { email }) = Link::open(&visit.site, &link).await else {
        return Ok(stale(&visit));
    };
    let action = format!("/sign-up/{link}");
    Ok(join_page(&visit, StatusCode::OK, (Form::default(), action), &email, None))
}

/// Makes the account.
pub(super) async fn make(
    visit: Visit,
    Path(link): Path<String>,
    body: Bytes,
) -> Result<Response<Body>, Fault> {
    let form = visit.form(&body)?;
    let Some(Link::SignUp { email }) = Link::open(&visit.site, &link).await else {
        return Ok(stale(&visit));
    };
    match account::sign_up(&visit.site, &email, read(&form)).await {
        Ok(()) => Ok(joined(&visit)),
        Err(Refused::Fields(faults)) => {
            let form = (Form::again(&form, faults), format!("/sign-up/{link}"));
            Ok(join_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, form, &email, None))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Shows the form behind an invitation.
pub(super) async fn invited(
    visit: Visit,
    Path(link): Path<String>,
) -> Result<Response<Body>, Fault> {
    let Some(invitation) = invitation(&visit, &link).await? else {
        return Ok(stale(&visit));
    };
    let form = (Form::default(), format!("/invitation/{link}"));
    Ok(join_page(&visit, StatusCode::OK, form, &invitation.email, Some(&invitation)))
}

/// Takes an invitation.
pub(super) async fn take(
    visit: Visit,
    Path(link): Path<String>,
    body: Bytes,
) -> Result<Response<Body>, Fault> {
    let form = visit.form(&body)?;
    let Some(invitation) = invitation(&visit, &link).await? else {
        return Ok(stale(&visit));
    };
    match team::take(&visit.site, &invitation, read(&form)).await {
        Ok(()) => Ok(joined(&visit)),
        Err(Refused::Fields(faults)) => {
            let form = (Form::again(&form, faults), format!("/invitation/{link}"));
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(join_page(&visit, status, form, &invitation.email, Some(&invitation)))
        }
        Err(refused) => Err(refused.into()),
    }
}

async fn invitation(visit: &Visit, link: &str) -> Result<Option<Invitation>, Fault> {
    match Link::open(&visit.site, link).await {
        Some(Link::Invitation { id }) => Ok(visit.site.store.invitation(id).await?),
        _ => Ok(None),
    }
}

fn join_page(
    visit: &Visit,
    status: StatusCode,
    (form, action): (Form, String),
    email: &str,
    invitation: Option<&Invitation>,
) -> Response<Body> {
    let page = JoinPage {
        shell: visit.shell(""),
        form,
        action,
        email: email.to_owned(),
        invited: invitation.map(|invitation| {
            format!("As {}, by {}", invitation.role.as_str(), invitation.invited_by)
        }),
    };
    visit.page(status, &page)
}

fn joined(visit: &Visit) -> Response<Body> {
    let page = ToldPage {
        shell: visit.shell(""),
        title: "Your account is made",
        words: "Sign in with your address and the password that you chose.".to_owned(),
        ways: vec![("/sign-in".to_owned(), "Sign in")],
    };
    visit.page(StatusCode::OK, &page)
}

fn stale(visit: &Visit) -> Response<Body> {
    let page = ToldPage {
        shell: visit.shell(""),
        title: "This link does not work any more",
        words: "It is too old, was used already, or is not whole. Copy it again from the mail, or \
                ask for another one."
            .to_owned(),
        ways: vec![("/sign-in".to_owned(), "Sign in"), ("/forgotten".to_owned(), "New password")],
    };
    visit.page(StatusCode::GONE, &page)
}

/// Shows the form that sets a password anew.
pub(super) async fn reset(visit: Visit, Path(link): Path<String>) -> Result<Response<Body>, Fault> {
    match whose(&visit, &link).await? {
        Some((person, _)) => {
            Ok(reset_page(&visit, StatusCode::OK, Form::default(), &link, &person))
        }
        None => Ok(stale(&visit)),
    }
}

/// Sets a password anew.
pub(super) async fn set(
    visit: Visit,
    Path(link): Path<String>,
    body: Bytes,
) -> Result<Response<Body>, Fault> {
    let form = visit.form(&body)?;
    let Some((person, counter)) = whose(&visit, &link).await? else {
        return Ok(stale(&visit));
    };
    let password = text(&form, "password");
    match account::reset(&visit.site, (&person, counter), password).await {
        Ok(()) => Ok(visit.go("/sign-in")),
        Err(Refused::Fields(faults)) => {
            let form = Form::again(&form, faults);
            Ok(reset_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, form, &link, &person))
        }
        Err(Refused::Conflict(_)) => Ok(stale(&visit)),
        Err(refused) => Err(refused.into()),
    }
}

async fn whose(visit: &Visit, link: &str) -> Result<Option<(Person, i64)>, Fault> {
    match Link::open(&visit.site, link).await {
        Some(Link::Reset { person_id, counter }) => {
            let site = &visit.site;
            let stored = site.store.credentials_of(site.environment, person_id).await?;
            if stored.is_none_or(|stored| stored.counter != counter) {
                return Ok(None);
            }
            Ok(site.store.person(person_id).await?.map(|person| (person, counter)))
        }
        _ => Ok(None),
    }
}

fn reset_page(
    visit: &Visit,
    status: StatusCode,
    form: Form,
    link: &str,
    person: &Person,
) -> Response<Body> {
    let page = ResetPage {
        shell: visit.shell(""),
        form,
        action: format!("/reset/{link}"),
        email: person.email.clone(),
    };
    visit.page(status, &page)
}

/// One's own account.
pub(super) async fn account(by: SignedIn) -> Result<Response<Body>, Fault> {
    own(&by, StatusCode::OK, ("", Form::default())).await
}

/// Changes one's own password.
pub(super) async fn password(posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let (former, new) = (text(&form, "former"), text(&form, "password"));
    match account::change_password(&by.visit.site, (&by.person, by.visit.address), former, new)
        .await
    {
        Ok(()) => Ok(by.visit.go("/sign-in")),
        Err(Refused::Fields(faults)) => {
            own(&by, StatusCode::UNPROCESSABLE_ENTITY, ("password", again(faults))).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// What was typed is not shown again: it is all passwords.
fn again(faults: Vec<FieldFault>) -> Form {
    Form::again(&Parameters::default(), faults)
}

/// The page, with the form that was sent, named by its panel.
pub(super) async fn own(
    by: &SignedIn,
    status: StatusCode,
    (panel, form): (&str, Form),
) -> Result<Response<Body>, Fault> {
    let person = &by.person;
    let partner = match person.role.partner_id() {
        Some(id) => by.visit.site.store.partner(id).await?.map(|partner| partner.name),
        None => None,
    };
    let (password_form, factor_form) = match panel {
        "factor" => (Form::default(), form),
        _ => (form, Form::default()),
    };
    let factor = match person.factor_since {
        Some(since) => FactorState::On {
            since: day(since),
            left: factor::recovery_codes_left(&by.visit.site, person).await?,
        },
        None if factor::exempt(&by.visit.site, person) => FactorState::Exempt,
        None => FactorState::Off,
    };
    let page = AccountPage {
        shell: by.visit.shell("account"),
        password_form,
        factor_form,
        factor,
        email: person.email.clone(),
        name: person.name.clone(),
        role: person.role.as_str(),
        partner,
    };
    Ok(by.visit.page(status, &page))
}

fn read(form: &Parameters) -> SignUpForm {
    SignUpForm {
        name: text(form, "name"),
        organisation: text(form, "organisation"),
        password: text(form, "password"),
    }
}

fn text(form: &Parameters, name: &str) -> String {
    form.value(name).unwrap_or_default().to_owned()
}

//! API clients: the page where owners, and staff for this company, make and remove what their programs
//! call the portal's API with.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::apps::secret_line;
use super::fault::Fault;
use super::visit::{Posted, SignedIn};
use crate::pages::portal::{ApiClientLine, ApiClientsPage, ApiScopeChoice, Form, NewApiSecret};
use crate::programme::api_client::{self, ApiClientForm};
use crate::programme::{Actor, Refused, app};
use crate::store::ClientRecord;

const PAGE: &str = "/account/api-clients";

/// All of them, and the form that makes one.
pub(super) async fn list(by: SignedIn) -> Result<Response<Body>, Fault> {
    page(&by, StatusCode::OK, Form::default(), None, &[]).await
}

/// Makes one, and shows its secret this once.
pub(super) async fn make(posted: Posted) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let actor = Actor::from(&by.person);
    let read = ApiClientForm {
        name: form.value("name").unwrap_or_default().to_owned(),
        scopes: ticked(&form).iter().map(|scope| (*scope).to_owned()).collect(),
    };
    match api_client::make(&by.visit.site, &actor, &read).await {
        Ok(made) => {
            let secret = made.secret.map(|secret| secret.expose().to_owned());
            let new = NewApiSecret { id: made.client_id, secret: secret.unwrap_or_default() };
            page(&by, StatusCode::OK, Form::default(), Some(new), &[]).await
        }
        Err(Refused::Fields(faults)) => {
            let again = Form::again(&form, faults);
            page(&by, StatusCode::UNPROCESSABLE_ENTITY, again, None, &ticked(&form)).await
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Makes a second secret, and shows it this once.
pub(super) async fn add_secret(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let actor = Actor::from(&by.person);
    let record = api_client::find(&by.visit.site, &actor, &id).await?;
    let secret = app::add_secret(&by.visit.site, &actor, &record).await?;
    let new = NewApiSecret { id, secret: secret.expose().to_owned() };
    page(&by, StatusCode::OK, Form::default(), Some(new), &[]).await
}

/// Removes one of two secrets.
pub(super) async fn remove_secret(
    Path((id, slot)): Path<(String, i64)>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let actor = Actor::from(&by.person);
    let record = api_client::find(&by.visit.site, &actor, &id).await?;
    app::remove_secret(&by.visit.site, &actor, &record, slot).await?;
    Ok(by.visit.go(PAGE))
}

/// Removes one.
pub(super) async fn remove(
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    api_client::remove(&by.visit.site, &Actor::from(&by.person), &id).await?;
    Ok(by.visit.go(PAGE))
}

fn ticked(form: &Parameters) -> Vec<&str> {
    form.values("scopes").collect()
}

async fn page(
    by: &SignedIn,
    status: StatusCode,
    form: Form,
    new: Option<NewApiSecret>,
    ticked: &[&str],
) -> Result<Response<Body>, Fault> {
    let actor = Actor::from(&by.person);
    let records = api_client::list(&by.visit.site, &actor).await?;
    let now = by.visit.site.clock.now();
    let page = ApiClientsPage {
        shell: by.visit.shell("account"),
        form,
        new,
        clients: records.into_iter().map(|record| line(record, now)).collect(),
        scopes: api_client::offered(&actor)
            .map(|scope| ApiScopeChoice {
                name: scope.name,
                sentence: scope.sentence,
                ticked: ticked.contains(&scope.name),
            })
            .collect(),
        staff: by.person.role.is_staff(),
        issuer: by.visit.site.base_url.clone(),
    };
    Ok(by.visit.page(status, &page))
}

fn line(record: ClientRecord, now: i64) -> ApiClientLine {
    let secrets = record.secrets.iter().map(|secret| secret_line(secret, now));
    ApiClientLine {
        secrets: secrets.collect(),
        scopes: record.client.scopes.to_string(),
        works: !record.client.disabled,
        id: record.client.id,
        name: record.client.name,
    }
}

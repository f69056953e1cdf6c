//! Partners, for managers.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::apps::{self, day};
use super::fault::Fault;
use super::part::{PAGE, cut};
use super::team;
use super::visit::{Posted, SignedIn};
use crate::pages::portal::{PartnerLine, PartnerPage, PartnersPage};
use crate::programme::{Actor, partner};
use crate::store::Partner;

/// The list.
pub(super) async fn list(by: SignedIn, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    Actor::from(&by.person).staff()?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let search = parameters.value("q").unwrap_or_default().trim().to_owned();
    let name = parameters.value("name").unwrap_or_default();
    let id = parameters.value("after").and_then(|id| Uuid::parse_str(id).ok());
    let after = (name, id.unwrap_or_default().into_bytes());
    let mut found = by.visit.site.store.partners_by_name(&search, after, PAGE + 1).await?;
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let next = cut(&mut found, PAGE).map(|last| {
        let id = Uuid::from_bytes(last.id);
        format!("/partners?q={}&name={}&after={id}", encoded(&search), encoded(&last.name))
    });
    let page = PartnersPage {
        shell: by.visit.shell("partners"),
        search,
        partners: found.into_iter().map(line).collect(),
        next,
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// One partner, with its people and apps.
pub(super) async fn show(
    by: SignedIn,
    Path(id): Path<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let site = &by.visit.site;
    let found = partner::find(site, &Actor::from(&by.person), id.into_bytes()).await?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let path = format!("/partners/{id}");
    let after = team::behind(&parameters, "people");
    let mut people = site.store.people_of(found.id, after, PAGE + 1).await?;
    let more_people = cut(&mut people, PAGE).map(|last| team::more(&path, "people", last.id));
    let apps = async |environment: Environment| {
        let after = parameters.value(environment.as_str()).unwrap_or("");
        let records = site.store.apps_of(found.id, environment, after, PAGE + 1).await?;
        Ok::<_, Fault>(apps::listed(records, environment, (&path, false)))
    };
    let page = PartnerPage {
        shell: by.visit.shell("partners"),
        since: day(found.created_at),
        people: people.into_iter().map(|person| team::line(person, &by.person)).collect(),
        more_people,
        lists: [apps(Environment::Staging).await?, apps(Environment::Production).await?],
        partner: line(found),
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// Says that it was verified.
pub(super) async fn verify(path: Path<Uuid>, posted: Posted) -> Result<Response<Body>, Fault> {
    set_verified(path, posted, true).await
}

/// Takes that back.
pub(super) async fn unverify(path: Path<Uuid>, posted: Posted) -> Result<Response<Body>, Fault> {
    set_verified(path, posted, false).await
}

/// Switches all of it off.
pub(super) async fn suspend(path: Path<Uuid>, posted: Posted) -> Result<Response<Body>, Fault> {
    switch(path, posted, true).await
}

/// Switches it on again.
pub(super) async fn resume(path: Path<Uuid>, posted: Posted) -> Result<Response<Body>, Fault> {
    switch(path, posted, false).await
}

async fn set_verified(
    Path(id): Path<Uuid>,
    posted: Posted,
    verified: bool,
) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let found = partner::find(site, &actor, id.into_bytes()).await?;
    partner::verify(site, &actor, &found, verified).await?;
    Ok(by.visit.go(&format!("/partners/{id}")))
}

async fn switch(Path(id): Path<Uuid>, posted: Posted, off: bool) -> Result<Response<Body>, Fault> {
    let by = posted.by;
    let (site, actor) = (&by.visit.site, Actor::from(&by.person));
    let found = partner::find(site, &actor, id.into_bytes()).await?;
    partner::switch(site, &actor, &found, off).await?;
    Ok(by.visit.go(&format!("/partners/{id}")))
}

fn line(partner: Partner) -> PartnerLine {
    PartnerLine {
        id: Uuid::from_bytes(partner.id).to_string(),
        name: partner.name,
        contact: partner.contact.unwrap_or_default(),
        verified: partner.verified,
        suspended: partner.suspended,
    }
}

//! What a partner takes along of an app: Postman files, and the token calls in seven languages. The
//! client's id, its redirect URI and the base URLs are filled in; a secret never is.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use axum::http::{Response, StatusCode};
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;

use super::super::answer;
use super::fault::Fault;
use super::visit::SignedIn;
use crate::pages::portal::{ExportsPage, SnippetLine};
use crate::postman;
use crate::programme::{Actor, app};
use crate::snippet::{Call, Language, Step};
use crate::store::ClientRecord;

/// The page.
pub(super) async fn show(
    by: SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let client = &record.client;
    let uris: Vec<String> = client.redirect_uris.iter().map(ToString::to_string).collect();
    // One of the registered ones, and never a text out of the URL.
    let wanted = parameters.value("redirect_uri");
    let chosen = uris.iter().find(|uri| Some(uri.as_str()) == wanted).or(uris.first());
    let call = |step| Call {
        base_url: base_url(&by, client.environment).unwrap_or_default(),
        client_id: client.id.clone(),
        redirect_uri: chosen.cloned().unwrap_or_default(),
        step,
    };
    let (exchange, refresh) = (call(Step::Exchange), call(Step::Refresh));
    let page = ExportsPage {
        shell: by.visit.shell("apps"),
        app_id: client.id.clone(),
        app_name: client.name.clone(),
        files: files(&by, &record)?,
        chosen: chosen.cloned().unwrap_or_default(),
        redirect_uris: uris,
        snippets: match client.is_public() {
            // They all prove a secret.
            true => Vec::new(),
            false => Language::ALL
                .into_iter()
                .map(|language| SnippetLine {
                    name: language.name(),
                    exchange: language.write(&exchange),
                    refresh: language.write(&refresh),
                })
                .collect(),
        },
    };
    Ok(by.visit.page(StatusCode::OK, &page))
}

/// One of the files.
pub(super) async fn file(
    by: SignedIn,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response<Body>, Fault> {
    let record = app::find(&by.visit.site, &Actor::from(&by.person), &id).await?;
    let content = if name == postman::COLLECTION_FILE {
        postman::collection()
    } else {
        let environment = Environment::ALL
            .into_iter()
            .find(|environment| postman::environment_file(*environment) == name)
            .ok_or(Fault::NotFound)?;
        let base_url = base_url(&by, environment).ok_or(Fault::NotFound)?;
        let half = half(&by, &record, environment).await?;
        let redirect_uri = half.as_ref().and_then(|half| half.client.redirect_uris.first());
        postman::environment(
            environment,
            &base_url,
            half.as_ref().map_or("", |half| half.client.id.as_str()),
            redirect_uri.map_or("", |uri| uri.as_str()),
        )
    };
    let mut response = answer::json(&by.visit.site, StatusCode::OK, &content);
    // The name is one of ours: it was compared.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The half of an app that is in that environment: itself, or its sibling.
async fn half(
    by: &SignedIn,
    record: &ClientRecord,
    environment: Environment,
) -> Result<Option<ClientRecord>, Fault> {
    if record.client.environment == environment {
        return Ok(Some(record.clone()));
    }
    let Some(sibling) = &record.listing.sibling else {
        return Ok(None);
    };
    let sibling = app::find(&by.visit.site, &Actor::from(&by.person), sibling).await?;
    Ok(Some(sibling).filter(|sibling| sibling.client.environment == environment))
}

fn base_url(by: &SignedIn, environment: Environment) -> Option<String> {
    let portal = by.visit.site.portal.as_ref()?;
    portal.site(environment).map(|site| site.base_url.clone())
}

/// The files that there are: each with its name, and what it is.
fn files(by: &SignedIn, record: &ClientRecord) -> Result<Vec<(String, String)>, Fault> {
    let collection = "The collection: the guide’s steps, the refresh, and two calls of the API";
    let mut files = vec![(postman::COLLECTION_FILE.to_owned(), collection.to_owned())];
    for site in &by.visit.portal()?.environments {
        let environment = site.environment;
        let is_own = environment == record.client.environment;
        let filled = is_own || record.listing.sibling.is_some();
        let words = match filled {
            true => format!("The environment {environment}, with the id of your app"),
            false => format!("The environment {environment}; your app has no half there yet"),
        };
        files.push((postman::environment_file(environment), words));
    }
    Ok(files)
}

//! `/openapi.json`: what the API takes and answers, made of the table of its operations.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ClientCredentials, Flow, OAuth2, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
    ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::super::super::answer;
use super::super::table::Described;
use super::show::Error;
use crate::programme::scope::SCOPES;
use crate::site::Site;

/// How the document calls the way in.
const SCHEME: &str = "portal";

/// The document, as it is served.
#[derive(Clone)]
pub(in crate::http) struct Document(Arc<OpenApi>);

impl Document {
    /// Makes it.
    pub(in crate::http) fn of(site: &Site, described: Described) -> Document {
        let at = |path: &str| format!("{}{path}", site.base_url);
        let scopes = SCOPES.map(|scope| (scope.name.to_owned(), scope.sentence.to_owned()));
        let flow = ClientCredentials::new(at("/oauth/token"), Scopes::from_iter(scopes));
        let mut components = ComponentsBuilder::new()
            .schemas_from_iter(described.schemas)
            .schema(Error::name(), Error::schema())
            .security_scheme(
                SCHEME,
                SecurityScheme::OAuth2(OAuth2::new([Flow::ClientCredentials(flow)])),
            );
        let mut beside = Vec::new();
        Error::schemas(&mut beside);
        components = components.schemas_from_iter(beside);
        let info = InfoBuilder::new()
            .title("The API of the partner programme")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "What the pages of the partner portal do, for programs. Tokens come from the \
                 portal's own /oauth/token, for an API client that an owner made on the page of \
                 API clients.",
            ));
        let document = OpenApiBuilder::new()
            .info(info)
            .servers(Some([ServerBuilder::new().url(site.base_url.clone()).build()]))
            .paths(described.paths)
            .components(Some(components.build()))
            .build();
        Document(Arc::new(document))
    }
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "readOpenapi",
    tag = "document",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)),
)]
pub(super) async fn openapi(
    State(site): State<Arc<Site>>,
    Extension(Document(document)): Extension<Document>,
) -> Response<Body> {
    let mut response = answer::json(&site, StatusCode::OK, &*document);
    let cache = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, cache);
    response
}

/// Says of an operation what follows from where it stands: who may call it, and how it is refused.
pub(in crate::http) fn complete(operation: &mut Operation, path: &str, scope: Option<&str>) {
    let Some(scope) = scope else {
        operation.security = Some(Vec::new());
        return;
    };
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, [scope])]);
    let mut refusals = vec![
        ("400", "The call is malformed: the message says what."),
        ("401", "There is no living token of the portal."),
        ("403", "The token has not the scope, or it is not for whom it acts to do."),
        ("503", "The server has too much to do, or cannot reach its store. Try again."),
    ];
    if path.contains('{') || has_parameter(operation, "client_id") {
        refusals.push(("404", "There is no such thing, or it is another partner's."));
    }
    if let Some(body) = &operation.request_body {
        refusals.push(("413", "The body is larger than is taken: 64 KiB, or 256 KiB of a logo."));
        refusals.push(("422", "Fields cannot be taken: each is named."));
        let is_json =
            matches!(body, RefOr::T(body) if body.content.contains_key("application/json"));
        if is_json {
            refusals.push(("415", "The body is not JSON."));
        }
    }
    if writes(operation) {
        refusals.push(("409", "It cannot be done as things stand: the message says why."));
        refusals.push(("429", "It was tried too often: `Retry-After` says when it may be again."));
    }
    for (status, words) in refusals {
        let content = ContentBuilder::new()
            .schema(Some(RefOr::Ref(Ref::from_schema_name(Error::name()))))
            .build();
        let response =
            ResponseBuilder::new().description(words).content("application/json", content).build();
        operation.responses.responses.insert(status.to_owned(), response.into());
    }
}

fn has_parameter(operation: &Operation, name: &str) -> bool {
    let parameters = operation.parameters.iter().flatten();
    parameters.into_iter().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == name,
        RefOr::Ref(_) => false,
    })
}

/// Everything but the answers of lists and reads names a change by its id.
fn writes(operation: &Operation) -> bool {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    !["list", "read", "find", "export"].iter().any(|reads| id.starts_with(reads))
}

//! The docs, served by the server itself: each `error_uri` leads here. They are the Markdown files
//! of `docs/`, rendered when they are asked for.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};
use rust_embed::RustEmbed;

use super::answer::{self, frame};
use super::home;
use super::request::RequestId;
use crate::pages::{self, DocsLink, DocsPage};
use crate::site::Site;

#[derive(RustEmbed)]
#[folder = "../../docs"]
#[include = "*.md"]
struct Docs;

/// The first page.
const INDEX: &str = "README";

/// `/docs/`
pub(super) async fn index(
    site: State<Arc<Site>>,
    request_id: Extension<RequestId>,
) -> Response<Body> {
    page(site, request_id, Ok(Path(INDEX.to_owned()))).await
}

/// `/docs`: relative links need the slash.
pub(super) async fn to_index(State(site): State<Arc<Site>>) -> Response<Body> {
    answer::redirect_within(&site, "/docs/")
}

/// `/docs/…`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    name: Result<Path<String>, PathRejection>,
) -> Response<Body> {
    let Some((name, markdown)) = known(name, markdown) else {
        return home::not_found(State(site), Extension(request_id)).await;
    };
    let page = DocsPage {
        frame: frame(&site, &request_id),
        title: title(&markdown),
        nav: nav(&name),
        html: render(&markdown),
    };
    answer::page(&site, StatusCode::OK, &page, None)
}

/// `/assets/…`: the name carries a hash of the content, so a browser may keep it for ever.
pub(super) async fn asset(
    State(site): State<Arc<Site>>,
    Extension(request_id): Extension<RequestId>,
    name: Result<Path<String>, PathRejection>,
) -> Response<Body> {
    match known(name, |name| pages::asset(&format!("/assets/{name}"))) {
        Some((_, (bytes, content_type))) => {
            let mut response =
                answer::respond(&site, StatusCode::OK, content_type, bytes.into_owned());
            let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
            response.headers_mut().insert(CACHE_CONTROL, forever);
            response
        }
        None => home::not_found(State(site), Extension(request_id)).await,
    }
}

/// `/favicon.ico`, which browsers ask for whatever a page says.
pub(super) async fn favicon(State(site): State<Arc<Site>>) -> Response<Body> {
    answer::redirect_within(&site, pages::favicon_url())
}

/// What stands under a name. A name that is not UTF-8 is nothing's.
fn known<T>(
    name: Result<Path<String>, PathRejection>,
    find: impl Fn(&str) -> Option<T>,
) -> Option<(String, T)> {
    let Path(name) = name.ok()?;
    let found = find(&name)?;
    Some((name, found))
}

fn markdown(name: &str) -> Option<String> {
    let file = Docs::get(&format!("{name}.md"))?;
    String::from_utf8(file.data.into_owned()).ok()
}

fn title(markdown: &str) -> String {
    let heading = markdown.lines().find_map(|line| line.strip_prefix("# "));
    heading.unwrap_or("Docs").trim().to_owned()
}

fn nav(current: &str) -> Vec<DocsLink> {
    let mut names: Vec<String> =
        Docs::iter().filter_map(|file| file.strip_suffix(".md").map(str::to_owned)).collect();
    // The index first, then folder by folder.
    names.sort_by_key(|name| (name != INDEX, name.clone()));
    names
        .into_iter()
        .filter_map(|name| {
            let title = title(&markdown(&name)?);
            let href = if name == INDEX { "/docs/".to_owned() } else { format!("/docs/{name}") };
            Some(DocsLink { href, title, current: name == current })
        })
        .collect()
}

fn render(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES;
    let events = Parser::new_ext(markdown, options).map(|event| match event {
        // In the repository a link names a file; here it names a page.
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = CowStr::from(dest_url.replace(".md", ""));
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        other => other,
    });
    let mut rendered = String::new();
    html::push_html(&mut rendered, events);
    rendered
}

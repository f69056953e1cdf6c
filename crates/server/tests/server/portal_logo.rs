//! The logo of an app, from the upload to the customer's pages.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use grantor::logo::{Logo, MAX_SIDE};
use grantor::site::{Registration, Settings};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use hyper::body::{Body, Frame, SizeHint};
use image::ImageFormat;
use reqwest::StatusCode;
use serde_json::json;

use crate::calls::{CHALLENGE, connect};
use crate::harness::{Answer, Page, Server, TestClient};
use crate::people::PARTNER_ID;
use crate::pictures::{BLUE, CANARY, bomb, noise, photograph, plain, png, polyglot, written};
use crate::portal_desk::{Desk, acts, record, standing};

const BOUNDARY: &str = "----the-boundary-of-a-test";
pub(crate) const MULTIPART: &str = "multipart/form-data; boundary=----the-boundary-of-a-test";
const FOREVER: &str = "public, max-age=31536000, immutable";

/// A form with a file, as a browser writes it.
pub(crate) fn body(token: Option<&str>, file: &[u8], name: &str, kind: &str) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(token) = token {
        let head = "Content-Disposition: form-data; name=\"csrf_token\"";
        body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n{token}\r\n").into_bytes());
    }
    let head = format!("Content-Disposition: form-data; name=\"logo\"; filename=\"{name}\"");
    body.extend(format!("--{BOUNDARY}\r\n{head}\r\nContent-Type: {kind}\r\n\r\n").into_bytes());
    body.extend(file);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    body
}

impl Desk {
    /// Uploads a file as the logo of an app.
    async fn upload(&self, app: &str, file: &[u8]) -> Page {
        let token = self.form_token().await;
        self.send(app, body(Some(&token), file, "logo.png", "image/png")).await
    }

    async fn send(&self, app: &str, body: Vec<u8>) -> Page {
        self.send_with(app, body, &[("content-type", MULTIPART)]).await
    }

    async fn send_with(&self, app: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Page {
        let request = self.browser.http.post(self.url(&format!("/apps/{app}/logo"))).body(body);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Page::read(request.send().await.unwrap()).await
    }
}

/// Where the logo stands on a page.
fn source(page: &Page) -> Option<String> {
    let after = page.text.split("<img class=\"logo\" src=\"").nth(1)?;
    Some(after.split('"').next().unwrap().to_owned())
}

/// A picture at an address, with its headers.
async fn picture(
    url: &str,
    cookies: Option<&Desk>,
) -> (StatusCode, Vec<(String, String)>, Vec<u8>) {
    let own = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let http = cookies.map_or(own.unwrap(), |desk| desk.browser.http.clone());
    let response = http.get(url).send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let named = |name: &str| {
        let value = headers.get(name).map_or("", |value| value.to_str().unwrap());
        (name.to_owned(), value.to_owned())
    };
    let names = [
        "content-type",
        "cache-control",
        "x-content-type-options",
        "content-security-policy",
        "cross-origin-resource-policy",
    ];
    let headers = names.map(named).to_vec();
    (status, headers, response.bytes().await.unwrap().to_vec())
}

fn served(cached: &str) -> Vec<(String, String)> {
    [
        ("content-type", "image/png"),
        ("cache-control", cached),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox; frame-ancestors 'none'"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// The customer's pages that name an app: sign-in, consent, connected apps.
async fn customers_pages(server: &Server, app: &TestClient) -> Vec<Page> {
    let browser = server.browser();
    let sign_in = browser.get(&server.authorize_url(app, "")).await;
    let businesses = browser.sign_in(&sign_in).await;
    let all = businesses.values("business");
    let fields: Vec<(&str, &str)> = all.iter().map(|id| ("business", id.as_str())).collect();
    let answer = browser.submit(&businesses, &fields).await;
    let consent = browser.get(&answer.absolute(&answer.location())).await;
    assert_eq!(consent.step().as_deref(), Some("consent"));
    browser.submit(&consent, &[("decision", "allow")]).await;
    connect(server, app).await;
    let connected = browser.get(&server.url("/connections")).await;
    connected.assert_page(200, "Connected apps");
    vec![sign_in, businesses, consent, connected]
}

async fn s22_a_logo_is_drawn_anew_served_by_us_and_shown_where_the_app_is_named(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Table planner").await;
    let page_of_app = format!("/apps/{}", app.id);
    let before = owner.get(&page_of_app).await;
    before.assert_page(200, "It has none yet.");
    assert_eq!(source(&before), None);
    assert!(before.text.contains("logo-none\" aria-hidden=\"true\">T<"), "{}", before.text);

    let uploaded = owner.upload(&app.id, &polyglot()).await;
    assert_eq!(
        (uploaded.status.as_u16(), uploaded.location()),
        (303, format!("{page_of_app}#logo"))
    );
    let drawn = Logo::draw(&polyglot()).unwrap();
    let own = source(&owner.get(&page_of_app).await).unwrap();
    let (status, headers, png) = picture(&owner.url(&own), Some(&owner)).await;
    let private = "private, max-age=31536000, immutable";
    assert_eq!((status.as_u16(), headers, png.as_slice()), (200, served(private), drawn.png()));
    assert!(!String::from_utf8_lossy(&png).contains("canary"));
    for path in ["/apps", &page_of_app] {
        let staff = Desk::manager(&server).await.get(path).await;
        assert_eq!(source(&staff), Some(own.clone()), "{path}");
    }

    let pages = customers_pages(&server, &app).await;
    let at = source(&pages[0]).unwrap();
    assert!(at.starts_with("/logos/") && at.len() > 64, "{at}");
    for page in &pages {
        assert_eq!(source(page).as_ref(), Some(&at), "{}", page.text);
        assert!(page.header("content-security-policy").contains("img-src 'self'"));
    }
    let (status, headers, png) = picture(&server.url(&at), None).await;
    assert_eq!((status.as_u16(), headers, png.as_slice()), (200, served(FOREVER), drawn.png()));

    // The same again is no change, another one has another address, and the log says it in words.
    assert_eq!(owner.upload(&app.id, &png).await.status, 303);
    assert_eq!(owner.upload(&app.id, &photograph()).await.status, 303);
    assert_eq!(picture(&server.url(&at), None).await.0, 404);
    assert_eq!(picture(&owner.url(&own), Some(&owner)).await.0, 404);
    let press = owner.post(&format!("{page_of_app}/logo/remove"), &[]).await;
    assert_eq!((press.status.as_u16(), press.location()), (303, format!("{page_of_app}#logo")));
    let expected =
        ["client.created", "client.logo_changed", "client.logo_changed", "client.logo_removed"];
    assert_eq!(acts(&server, &app.id).await, expected);
    owner.get("/activity").await.assert_page(200, "client logo removed");
    assert_eq!(server.count("logos"), 0);
    assert_eq!(source(&owner.get(&page_of_app).await), None);
    assert_eq!(source(&server.browser().get(&server.authorize_url(&app, "")).await), None);
    // Twice is once.
    assert_eq!(owner.post(&format!("{page_of_app}/logo/remove"), &[]).await.status, 303);
    assert_eq!(acts(&server, &app.id).await, expected);
}

async fn s22_what_is_not_what_it_says_is_refused_beside_its_field_and_changes_nothing(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Planner").await;
    owner.upload(&app.id, &png(8, 8)).await;
    let before = (standing(&server), record(&server, &app.id).await.listing.logo);
    let whole = written(&plain(64, 64, BLUE), ImageFormat::Png);
    let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\">{CANARY}</svg>");
    let too_large = noise(265);
    assert!((256 * 1024 + 1..310 * 1024).contains(&too_large.len()), "{}", too_large.len());
    for (file, words) in [
        (svg.as_bytes(), "no PNG, JPEG or WebP picture"),
        (b"<!doctype html>", "no PNG, JPEG or WebP picture"),
        (b"GIF89a\x01\0\x01\0\0\0\0;", "no PNG, JPEG or WebP picture"),
        (&bomb(), "has 60000 × 60000 pixels"),
        (&whole[..whole.len() / 2], "it is damaged, or was cut off"),
        (b"", "Choose a file first"),
        (&too_large, "at most 256 KiB"),
    ] {
        let page = owner.upload(&app.id, file).await;
        page.assert_page(422, words);
        assert!(page.text.contains("id=\"logo-fault\""), "{}", page.text);
        assert!(page.text.contains("<title>Error: "), "{}", page.text);
        assert!(!page.text.contains("canary"), "{}", page.text);
    }
    let after = (standing(&server), record(&server, &app.id).await.listing.logo);
    assert_eq!(after, before);
}

async fn s16_an_upload_that_is_too_large_is_refused_before_it_is_read(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Planner").await;
    let send = async |body: Stuck| {
        let url = owner.url(&format!("/apps/{}/logo", app.id));
        let request = owner.browser.http.post(url).header("content-type", MULTIPART);
        let sent = request.body(reqwest::Body::wrap(body)).send();
        let answer = tokio::time::timeout(Duration::from_secs(5), sent).await;
        Page::read(answer.expect("an answer to a body that never ends").unwrap()).await
    };
    // Of the first nothing ever comes: who waited for it would never answer.
    let announced = Stuck { announced: Some(400_000_000), comes: None };
    send(announced).await.assert_page(413, "larger than this page takes");
    // Where no length is announced, the reading ends where it is too much.
    let token = owner.form_token().await;
    let large = body(Some(&token), &vec![b'x'; 321 * 1024], "logo.png", "image/png");
    let comes = Some(large[..large.len() - 100].to_vec().into());
    send(Stuck { announced: None, comes }).await.assert_page(413, "larger than this page takes");
    assert_eq!(server.count("logos"), 0);
    assert_eq!(acts(&server, &app.id).await, ["client.created"]);
}

/// A body that sticks after what comes.
struct Stuck {
    announced: Option<u64>,
    comes: Option<Bytes>,
}

impl Body for Stuck {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.comes.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

async fn s22_an_upload_counts_only_from_a_page_of_ours_and_for_the_own_app(server: Server) {
    let owner = Desk::owner(&server).await;
    let stranger = Desk::stranger(&server).await;
    let app = owner.make_app("Planner").await;
    let before = standing(&server);
    let (own, other) = (owner.form_token().await, stranger.form_token().await);
    let form = |token: Option<&str>| body(token, &png(8, 8), "logo.png", "image/png");
    for wrong in [None, Some(""), Some("nonsense"), Some(other.as_str())] {
        owner.send(&app.id, form(wrong)).await.assert_page(403, "This form is too old");
    }
    let from_elsewhere = [("content-type", MULTIPART), ("sec-fetch-site", "cross-site")];
    let page = owner.send_with(&app.id, form(Some(&own)), &from_elsewhere).await;
    page.assert_page(403, "This form is too old");
    let urlencoded = [("content-type", "application/x-www-form-urlencoded")];
    let page = owner.send_with(&app.id, form(Some(&own)), &urlencoded).await;
    page.assert_page(400, "could not be read");
    let end = format!("--{BOUNDARY}--\r\n");
    let once = form(Some(&own));
    let twice = [&once[..once.len() - end.len()], &form(None)].concat();
    owner.send(&app.id, twice).await.assert_page(400, "could not be read");
    let cut = once[..once.len() - end.len() - 10].to_vec();
    owner.send(&app.id, cut).await.assert_page(400, "could not be read");

    // Another partner's app does not exist, and nobody's body is read.
    let page = stranger.upload(&app.id, &png(8, 8)).await;
    assert_eq!(page.status, 404, "{}", page.text);
    let page = stranger.post(&format!("/apps/{}/logo/remove", app.id), &[]).await;
    assert_eq!(page.status, 404);
    let nobody = Page::read(
        server
            .browser()
            .http
            .post(owner.url(&format!("/apps/{}/logo", app.id)))
            .header("content-type", MULTIPART)
            .body(form(Some(&own)))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert!(nobody.location().starts_with("/sign-in"), "{}", nobody.text);
    assert_eq!((standing(&server), server.count("logos")), (before, 0));

    owner.upload(&app.id, &png(8, 8)).await;
    let at = source(&owner.get(&format!("/apps/{}", app.id)).await).unwrap();
    assert_eq!(picture(&owner.url(&at), Some(&stranger)).await.0, 404);
    assert_eq!(picture(&owner.url(&at), None).await.0, 303);
    // An address is good for one client of one environment.
    let twin = stranger.make_app("Twin").await;
    let public = source(&server.browser().get(&server.authorize_url(&app, "")).await).unwrap();
    assert_eq!(picture(&server.url(&public), None).await.0, 200);
    let id = |id: &str| crate::harness::encode(id);
    for wrong in [
        server.url(&public.replace(&id(&app.id).replace('-', "%2D"), &id(&twin.id))),
        format!("{}{public}", server.production.base_url),
        server.url(&public[..public.len() - 2]),
        server.url(&format!("{public}%ff")),
    ] {
        assert_ne!(wrong, server.url(&public));
        assert_eq!(picture(&wrong, None).await.0, 404, "{wrong}");
    }
}

async fn a_production_app_begins_with_the_logo_of_its_staging_app_and_then_has_its_own(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = owner.make_app("Planner").await;
    owner.upload(&app.id, &png(30, 30)).await;
    let request = owner.ask(&app.id).await;
    let own = source(&owner.get(&format!("/apps/{}", app.id)).await);
    assert!(own.is_some());
    for path in ["/requests", &request] {
        assert_eq!(source(&manager.get(path).await), own, "{path}");
    }
    assert_eq!(manager.decide(&request, "1", "approve").await.status, 303);
    let staging = record(&server, &app.id).await;
    let production = record(&server, staging.listing.sibling.as_ref().unwrap()).await;
    assert_eq!(production.client.environment, Environment::Production);
    assert_eq!(production.listing.logo, staging.listing.logo);
    let id = &production.client.id;
    let shown = source(&owner.get(&format!("/apps/{id}")).await).unwrap();
    assert_eq!(picture(&owner.url(&shown), Some(&owner)).await.0, 200);

    // On production it changes at once, as on staging, and each has its own.
    owner.upload(id, &photograph()).await;
    assert_eq!(record(&server, &app.id).await.listing.logo, staging.listing.logo);
    assert_ne!(record(&server, id).await.listing.logo, staging.listing.logo);
    assert_eq!(acts(&server, id).await, ["client.logo_changed"]);
    owner.post(&format!("/apps/{}/logo/remove", app.id), &[]).await;
    assert!(record(&server, id).await.listing.logo.is_some());
}

async fn d4_of_two_changes_of_a_logo_the_one_that_saw_the_other_stands(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Planner").await;
    let seen = record(&server, &app.id).await;
    let (first, second) = (Logo::draw(&png(8, 8)).unwrap(), Logo::draw(&noise(20)).unwrap());
    let act = crate::people::somebody(grantor::store::Role::Operator);
    let act = act.act(&server.portal, "client.logo_changed", "");
    let store = &server.portal.store;
    assert!(store.change_logo(&seen, Some(&first), &act).await.unwrap());
    assert!(!store.change_logo(&seen, Some(&second), &act).await.unwrap());
    assert!(!store.change_logo(&seen, None, &act).await.unwrap());
    let now = record(&server, &app.id).await;
    assert_eq!(now.listing.logo, Some(first.digest()));
    let kept = store.logo(Environment::Staging, &app.id, first.digest()).await.unwrap();
    assert_eq!(kept.as_deref(), Some(first.png()));
    assert!(store.change_logo(&now, Some(&second), &act).await.unwrap());
    assert_eq!(store.logo(Environment::Staging, &app.id, first.digest()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s22_a_client_that_registered_itself_has_no_logo_and_nothing_is_fetched_for_it() {
    let registration_scopes = Scope::parse("financial-api").unwrap();
    let registration = Registration::Open;
    let settings = Settings { registration, registration_scopes, ..Settings::default() };
    let server = Server::start_with(settings, true).await;
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let document = json!({
        "client_name": "An Agent",
        "redirect_uris": ["https://agent.example/callback"],
        "scope": "financial-api",
        "logo_uri": format!("https://{}/logo.png", receiver.local_addr().unwrap()),
    });
    let request = reqwest::Client::new().post(server.url("/oauth/register")).json(&document);
    let made = Answer::read(request.send().await.unwrap()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let app = TestClient {
        id: made.text("client_id").to_owned(),
        secret: made.text("client_secret").to_owned(),
        redirect_uri: "https://agent.example/callback".to_owned(),
    };
    let pkce = format!("&code_challenge={CHALLENGE}&code_challenge_method=S256");
    let page = server.browser().get(&server.authorize_url(&app, &pkce)).await;
    page.assert_page(200, "An Agent");
    assert_eq!(source(&page), None);
    // Not by its manager either.
    let manager = Desk::manager(&server).await;
    let page = manager.get(&format!("/apps/{}", app.id)).await;
    page.assert_page(200, "An Agent");
    assert!(!page.text.contains("multipart/form-data"), "{}", page.text);
    manager.upload(&app.id, &png(8, 8)).await.assert_page(409, "has no logo");
    assert_eq!(server.count("logos"), 0);
    let fetched = tokio::time::timeout(Duration::from_millis(300), receiver.accept()).await;
    assert!(fetched.is_err(), "somebody fetched it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s21_past_the_bound_an_upload_is_told_to_come_again() {
    let logos = grantor::logo::Logos::default();
    let large = Bytes::from(written(&plain(1500, 1500, BLUE), ImageFormat::Png));
    let draws = (0..12).map(|_| logos.draw(large.clone()));
    let drawn = futures_util::future::join_all(draws).await;
    let done = drawn.iter().filter(|drawn| drawn.is_ok()).count();
    let busy = drawn.iter().filter(|drawn| **drawn == Err(grantor::logo::NotDrawn::Busy)).count();
    assert!(done >= 2 && busy > 0 && done + busy == 12, "{done} done, {busy} busy");
    assert!(logos.draw(large).await.unwrap().png().len() < (MAX_SIDE * MAX_SIDE * 5) as usize);
}

async fn s22_a_program_gives_its_app_a_logo_which_is_drawn_anew(server: Server) {
    let token = server.api_token(PARTNER_ID).await;
    let app = server.app(PARTNER_ID, 1).await;
    let place = format!("/api/v1/apps/{app}/logo");
    let put = async |picture: Vec<u8>| {
        let url = format!("{}{place}", server.portal.base_url);
        let request = reqwest::Client::new().put(url).bearer_auth(&token);
        let request = request.header("content-type", "image/png").body(picture);
        Answer::read(request.send().await.unwrap()).await
    };
    let before = server.count("audit");
    for (wrong, status, error) in [
        (b"<svg/>".to_vec(), 422, "fields"),
        (Vec::new(), 422, "fields"),
        (vec![0; 256 * 1024 + 1], 422, "fields"),
        (vec![0; 300 * 1024], 413, "too_large"),
    ] {
        let refused = put(wrong).await;
        assert_eq!((refused.status, refused.text("error")), (status, error), "{refused:?}");
    }
    let told = put(vec![0; 300 * 1024]).await;
    assert!(told.text("message").contains("larger than 256 KiB, and that is the most"), "{told:?}");
    assert_eq!(server.count("audit"), before);
    let given = put(png(8, 8)).await;
    let name = given.body["logo"].as_str().unwrap_or_default().to_owned();
    assert_eq!((given.status, name.len()), (200, 64), "{given:?}");
    let public = format!("{}/logos/{app}/{name}", server.staging.base_url);
    assert_eq!(reqwest::get(public).await.unwrap().status(), 200);
    let other = server.api_token(server.another_partner().await).await;
    assert_eq!(server.call(&other, "DELETE", &place, None).await.status, 404);
    let taken = server.call(&token, "DELETE", &place, None).await;
    assert_eq!((taken.status, &taken.body["logo"]), (200, &serde_json::Value::Null));
}

on_both_engines! {
    s22_a_program_gives_its_app_a_logo_which_is_drawn_anew,
    s22_a_logo_is_drawn_anew_served_by_us_and_shown_where_the_app_is_named,
    s22_what_is_not_what_it_says_is_refused_beside_its_field_and_changes_nothing,
    s16_an_upload_that_is_too_large_is_refused_before_it_is_read,
    s22_an_upload_counts_only_from_a_page_of_ours_and_for_the_own_app,
    a_production_app_begins_with_the_logo_of_its_staging_app_and_then_has_its_own,
    d4_of_two_changes_of_a_logo_the_one_that_saw_the_other_stands,
}

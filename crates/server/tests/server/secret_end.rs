//! Client secrets that end by themselves, where the operator wants that.

use grantor::secret_end;
use grantor::site::Settings;
use grantor::store::TOLD_BEFORE_SECONDS;

use crate::harness::{Server, TestClient};
use crate::portal_desk::{Desk, record, secret};

const DAY: i64 = 24 * 3600;
const LIFE: i64 = 90 * DAY;

async fn server(ttl: i64) -> Server {
    let client_secret_ttl_seconds = Some(ttl);
    Server::start_with(Settings { client_secret_ttl_seconds, ..Settings::default() }, true).await
}

async fn ends(server: &Server, app: &TestClient) -> Vec<i64> {
    let secrets = record(server, &app.id).await.secrets;
    secrets.iter().map(|secret| secret.expires_at.unwrap_or_default()).collect()
}

async fn status(server: &Server, app: &TestClient) -> (u16, String) {
    let answer =
        server.token(app, &[("grant_type", "refresh_token"), ("refresh_token", "x")]).await;
    (answer.status, answer.body.to_string())
}

on_both_engines! {
    an_owner_is_told_once_before_a_secret_ends_by_mail_and_by_webhook,
    a_secret_that_is_gone_holds_up_nobody,
}

/// As a row of before looks whose secret was voided.
async fn a_secret_that_is_gone_holds_up_nobody(server: Server) {
    let owner = Desk::owner(&server).await;
    let (gone, there) = (owner.make_app("Gone").await, owner.make_app("There").await);
    let soon = server.clock.now() + DAY;
    for (id, rest) in [(&gone.id, ", secret_1_digest = NULL"), (&there.id, "")] {
        let ending =
            format!("UPDATE clients SET secret_1_expires_at = {soon}{rest} WHERE id = '{id}'");
        assert_eq!(server.execute(&ending), 1);
    }
    server.clock.advance(DAY);
    assert_eq!(secret_end::tell(&server.staging).await.unwrap(), 1);
}

#[tokio::test]
async fn u5_a_secret_works_until_its_end_and_says_since_when_it_does_not() {
    let server = server(LIFE).await;
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Short lived").await;
    let made_at = server.clock.now();
    assert_eq!(ends(&server, &app).await, [made_at + LIFE]);
    owner.get(&format!("/apps/{}", app.id)).await.assert_page(200, "Works until");
    server.clock.advance(LIFE - 1);
    // It is the code that is wrong, and no more the client.
    assert_eq!(status(&server, &app).await.0, 400);
    server.clock.advance(31);
    let (refused, words) = status(&server, &app).await;
    assert_eq!(refused, 401);
    assert!(words.contains("This client secret ended 30 seconds ago"), "{words}");
    // Who does not have it learns nothing of that.
    let wrong = TestClient { secret: "wrong".into(), id: app.id.clone(), ..server.demo_client() };
    let (refused, words) = status(&server, &wrong).await;
    assert!(refused == 401 && words.contains("The client secret is wrong"), "{words}");

    let owner = Desk::owner(&server).await;
    owner.get(&format!("/apps/{}", app.id)).await.assert_page(200, "<strong>Ended ");
    let page = owner.post(&format!("/apps/{}/secrets", app.id), &[]).await;
    let second = TestClient { secret: secret(&page), ..app };
    assert_eq!(status(&server, &second).await.0, 400);
    // The one that works stays while the other has ended.
    let kept = owner.post(&format!("/apps/{}/secrets/2/remove", second.id), &[]).await;
    kept.assert_page(409, "only secret that works");
    // The place of one that went is not haunted by its end.
    owner.post(&format!("/apps/{}/secrets/1/remove", second.id), &[]).await;
    owner.post(&format!("/apps/{}/secrets", second.id), &[]).await;
    let until = server.clock.now() + LIFE;
    assert_eq!(ends(&server, &second).await, [until, until]);
}

async fn an_owner_is_told_once_before_a_secret_ends_by_mail_and_by_webhook(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Short lived").await;
    let until = server.clock.now() + LIFE;
    let id = &app.id;
    let ending = format!("UPDATE clients SET secret_1_expires_at = {until} WHERE id = '{id}'");
    assert_eq!(server.execute(&ending), 1);
    let url = "https://hooks.example.com/grantor";
    let form = [
        ("environment", "staging"),
        ("url", url),
        ("events", "secret.expiring"),
        ("enabled", "on"),
    ];
    owner.post("/webhooks/new", &form).await.assert_page(200, url);
    let (site, other) = (&server.staging, &server.production);
    server.clock.advance(LIFE - TOLD_BEFORE_SECONDS - 1);
    assert_eq!(secret_end::tell(site).await.unwrap(), 0);
    server.clock.advance(1);
    assert_eq!(secret_end::tell(other).await.unwrap(), 0);
    let before = server.count("outbox");
    let both = tokio::join!(secret_end::tell(site), secret_end::tell(site));
    assert_eq!(both.0.unwrap() + both.1.unwrap(), 1);
    assert_eq!(secret_end::tell(site).await.unwrap(), 0);
    assert_eq!(server.count("outbox"), before + 2, "a mail, and a call");
    let mails = server.browser().get(&format!("{}/mailbox", server.portal.base_url)).await.text;
    assert!(mails.contains("A client secret ends soon") && mails.contains(id), "{mails}");
    let hint = &app.secret[app.secret.len() - 4..];
    let calls = server.number(&format!(
        "SELECT COUNT(*) FROM outbox WHERE body LIKE '%\"type\":\"secret.expiring\"%' \
         AND body LIKE '%{id}%' AND body LIKE '%\"secret_hint\":\"{hint}\"%'"
    ));
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn of_a_short_life_half_is_over_when_its_owner_is_told() {
    let server = server(2 * DAY).await;
    Desk::owner(&server).await.make_app("Very short lived").await;
    server.clock.advance(DAY - 1);
    assert_eq!(secret_end::tell(&server.staging).await.unwrap(), 0);
    server.clock.advance(1);
    assert_eq!(secret_end::tell(&server.staging).await.unwrap(), 1);
}

#[tokio::test]
async fn without_a_setting_no_secret_ends() {
    let server = Server::start().await;
    let app = Desk::owner(&server).await.make_app("Long lived").await;
    assert_eq!(record(&server, &app.id).await.secrets[0].expires_at, None);
    server.clock.advance(10 * 365 * DAY);
    assert_eq!(secret_end::tell(&server.staging).await.unwrap(), 0);
    assert_eq!(status(&server, &app).await.0, 400);
}

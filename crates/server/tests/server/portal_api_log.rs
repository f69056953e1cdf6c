//! The request log, the integration report and hard cases by the portal's API.

use grantor::store::COMPANY_ID;
use grantor_protocol::environment::Environment;
use serde_json::{Value, json};

use crate::harness::{Answer, Server, TestClient};
use crate::people::{PARTNER_ID, tampered};
use crate::portal_desk::acts;

/// Waits until all calls are written.
async fn written(server: &Server) {
    for site in [&server.staging, &server.production] {
        site.request_log.flush(site.environment, &site.store).await;
    }
    // The server itself may be at it, once a second.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

/// A client of the demo partner.
async fn app(server: &Server) -> TestClient {
    server.client_with(Environment::Staging, |client| client.partner_id = PARTNER_ID).await
}

fn items(answer: &Answer) -> &[Value] {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().unwrap()
}

async fn u7_u8_a_program_reads_why_a_call_failed_and_the_same_call_done_right(server: Server) {
    let (token, company) = (server.api_token(PARTNER_ID).await, server.api_token(COMPANY_ID).await);
    let app = app(&server).await;
    let code = server.code(&app, "&state=xyzzy").await;
    server.clock.advance(61);
    let late = server.exchange(&app, &code).await;
    late.assert_error(400, "invalid_grant", "expired 1 second ago");
    written(&server).await;
    let request_id = late.headers["x-request-id"].to_str().unwrap();
    let calls = format!("/api/v1/apps/{}/calls", app.id);
    for by in [&token, &company] {
        let listed = server.call(by, "GET", &calls, None).await;
        let call = &items(&listed)[0];
        assert_eq!(call["request_id"], request_id, "the newest first");
        assert_eq!((&call["outcome"], &call["status"]), (&json!("refused"), &json!(400)));
        assert_eq!(call["cause"]["name"], "code.expired");
        assert!(call["cause"]["words"].as_str().unwrap().contains("expired 1 second ago"));
        let docs = format!("{}/docs/reference/errors#code-expired", server.portal.base_url);
        assert_eq!(call["cause"]["docs_url"], docs);
        assert_eq!(call["proved"], true);
        let shown = server.call(by, "GET", &format!("{calls}/{request_id}"), None).await;
        assert_eq!(&shown.body["call"], call);
        let curl = shown.text("done_right");
        let begin = format!("curl '{}/oauth/token'", server.staging.base_url);
        assert!(curl.starts_with(&begin) && curl.contains("code=$CODE"), "{curl}");
        // However it was pasted.
        let pasted = format!("/api/v1/calls?request_id=+{}+", request_id.to_uppercase());
        let found = server.call(by, "GET", &pasted, None).await;
        assert_eq!(found.body["items"], json!([call]));
        for secret in [code.as_str(), &app.secret, "xyzzy"] {
            assert!(!listed.body.to_string().contains(secret), "{secret}");
            assert!(!shown.body.to_string().contains(secret), "{secret}");
        }
    }
    for (query, status) in
        [("?request_id=0123456789abcdef", 200), ("?request_id=a%00", 400), ("", 400)]
    {
        let found = server.call(&token, "GET", &format!("/api/v1/calls{query}"), None).await;
        assert_eq!(found.status, status, "{query}: {found:?}");
        assert!(status == 400 || items(&found).is_empty(), "{found:?}");
    }
}

async fn a_log_comes_in_parts_and_is_its_partners_and_the_companys_alone(server: Server) {
    let another = server.another_partner().await;
    let (token, other) = (server.api_token(PARTNER_ID).await, server.api_token(another).await);
    let (app, second) = (app(&server).await, app(&server).await);
    let mut last = String::new();
    for _ in 0..5 {
        let refused = server.exchange(&app, "no-code").await;
        last = refused.headers["x-request-id"].to_str().unwrap().to_owned();
        server.clock.advance(1);
    }
    server.exchange(&second, "no-code").await;
    written(&server).await;
    let calls = format!("/api/v1/apps/{}/calls", app.id);
    let (mut seen, mut next, mut cursors) = (Vec::new(), format!("{calls}?limit=2"), Vec::new());
    loop {
        let part = server.call(&token, "GET", &next, None).await;
        seen.extend(items(&part).iter().map(|call| call["called_at"].as_str().unwrap().to_owned()));
        let Some(cursor) = part.body["next_cursor"].as_str() else { break };
        next = format!("{calls}?limit=2&cursor={cursor}");
        cursors.push(cursor.to_owned());
    }
    assert_eq!((seen.len(), cursors.len()), (5, 2), "{seen:?}");
    assert!(seen.is_sorted_by(|one, next| one > next), "{seen:?}");
    let cursor = &cursors[0];
    for path in [
        format!("/api/v1/apps/{}/calls?cursor={cursor}", second.id),
        format!("{calls}?cursor={}", tampered(cursor)),
        format!("{calls}?cursor=1800000000000-{last}"),
        format!("/api/v1/audit?cursor={cursor}"),
    ] {
        let refused = server.call(&token, "GET", &path, None).await;
        assert_eq!((refused.status, refused.text("error")), (400, "cursor"), "{path}");
    }
    let place = format!("/api/v1/apps/{}", app.id);
    for path in [
        calls.clone(),
        format!("{calls}?cursor={cursor}"),
        format!("{calls}/{last}"),
        format!("{place}/report"),
        format!("{place}/trials"),
    ] {
        let refused = server.call(&other, "GET", &path, None).await;
        assert_eq!((refused.status, refused.text("error")), (404, "not_found"), "{path}");
    }
    // Neither by its id alone, nor under an app of one's own.
    let found = format!("/api/v1/calls?request_id={last}");
    assert!(items(&server.call(&other, "GET", &found, None).await).is_empty());
    let under = format!("/api/v1/apps/{}/calls/{last}", second.id);
    assert_eq!(server.call(&token, "GET", &under, None).await.status, 404);
}

async fn a_hard_case_is_begun_by_its_partner_on_staging_and_stands_in_the_report(server: Server) {
    let (token, company) = (server.api_token(PARTNER_ID).await, server.api_token(COMPANY_ID).await);
    let other = server.api_token(server.another_partner().await).await;
    let app = app(&server).await;
    let trials = format!("/api/v1/apps/{}/trials", app.id);
    let begin = async |by: &str, trial: Value| {
        server.call(by, "POST", &trials, Some(&json!({ "trial": trial }))).await
    };
    // There is nothing yet that could end, and nothing is noted of it.
    let entries = server.count("audit");
    for trial in ["end_grant", "expire_token"] {
        let refused = begin(&token, json!(trial)).await;
        assert_eq!((refused.status, refused.text("error")), (409, "conflict"), "{trial}");
    }
    for trial in [json!("reboot"), json!(1), Value::Null] {
        assert_eq!(begin(&token, trial).await.status, 400);
    }
    let more = json!({ "trial": "deny_consent", "client_id": "another" });
    assert_eq!(server.call(&token, "POST", &trials, Some(&more)).await.status, 400);
    assert_eq!(begin(&company, json!("deny_consent")).await.status, 403);
    assert_eq!(begin(&other, json!("deny_consent")).await.status, 404);
    assert_eq!((server.count("audit"), server.count("trials")), (entries, 0));

    let armed = begin(&token, json!("deny_consent")).await;
    assert_eq!(items(&armed)[0]["trial"], "deny_consent");
    assert_eq!(items(&armed)[0]["happened_at"], Value::Null);
    server.staging.trials.look(&server.staging.store, server.clock.now()).await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&app, "&state=s1")).await;
    let denied = browser.sign_in(&page).await;
    denied.assert_refused(&app.redirect_uri, "access_denied", "chose not to allow");
    let listed = server.call(&company, "GET", &trials, None).await;
    assert!(items(&listed)[0]["happened_at"].is_string(), "{listed:?}");
    server.clock.advance(1);
    let code = server.code(&app, "&state=s2").await;
    let tokens = server.exchange(&app, &code).await;
    assert_eq!(begin(&token, json!("end_grant")).await.status, 200);
    let refresh = server.refresh(&app, tokens.text("refresh_token")).await;
    refresh.assert_error(400, "invalid_grant", "");
    assert_eq!(acts(&server, &app.id).await, ["trial.begun", "trial.begun"]);

    written(&server).await;
    let report = format!("/api/v1/apps/{}/report", app.id);
    let report = server.call(&company, "GET", &report, None).await;
    let lines = report.body["lines"].as_array().unwrap();
    let line = |subject: &str| lines.iter().find(|line| line["subject"] == subject).unwrap();
    assert_eq!(line("state")["state"], "green", "{report:?}");
    assert_eq!(line("denial")["state"], "green", "connected again: {report:?}");
    assert_eq!(line("pkce")["state"], "red");
    assert_eq!(line("newest_token")["state"], "open");
    assert!(line("newest_token")["how"].as_str().unwrap().starts_with("Refresh twice"));

    // On production nothing is made to happen.
    let live =
        server.client_with(Environment::Production, |client| client.partner_id = PARTNER_ID).await;
    let trials = format!("/api/v1/apps/{}/trials", live.id);
    let body = json!({ "trial": "deny_consent" });
    assert_eq!(server.call(&token, "POST", &trials, Some(&body)).await.status, 404);
    assert_eq!(server.call(&token, "GET", &trials, None).await.status, 404);
    let report = format!("/api/v1/apps/{}/report", live.id);
    assert_eq!(server.call(&token, "GET", &report, None).await.status, 200);
}

on_both_engines! {
    u7_u8_a_program_reads_why_a_call_failed_and_the_same_call_done_right,
    a_log_comes_in_parts_and_is_its_partners_and_the_companys_alone,
    a_hard_case_is_begun_by_its_partner_on_staging_and_stands_in_the_report,
}

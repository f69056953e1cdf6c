//! The portal as an issuer: tokens for its own API, for clients that come for themselves, and nothing
//! else; and the page where owners make such clients.

use grantor::programme::scope::SCOPES;
use grantor::store::{COMPANY_ID, Role};
use grantor_protocol::environment::Environment;
use reqwest::StatusCode;
use serde_json::json;

use crate::calls::Call;
use crate::harness::{Answer, Server, TestClient};
use crate::people::PARTNER_ID;
use crate::portal_account::act;

const FOR_ITSELF: [(&str, &str); 1] = [("grant_type", "client_credentials")];

async fn get(server: &Server, path: &str) -> Answer {
    let url = format!("{}{path}", server.portal.base_url);
    Answer::read(reqwest::get(url).await.unwrap()).await
}

#[tokio::test]
async fn a_token_of_the_portal_has_the_scopes_of_its_client_and_no_more() {
    let server = Server::start().await;
    let client = server.api_client(PARTNER_ID, &["audit:read"]).await;
    let answer = server.portal_token(&client, &FOR_ITSELF).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.text("scope"),
        "apps:write log:read programme:read requests:write secrets:write team:read team:write \
         test-customers:write trials:write webhooks:write"
    );
    assert!(answer.body.get("refresh_token").is_none());
    for (scope, words) in [("audit:read", "'audit:read'"), ("requests:decide", "'requests:decide'")]
    {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        server.portal_token(&client, &form).await.assert_error(400, "invalid_scope", words);
    }
    // For its own API, by the name that the API says of itself; and for no other.
    let named = get(&server, "/.well-known/oauth-protected-resource").await;
    let form = [("grant_type", "client_credentials"), ("resource", named.text("resource"))];
    let answer = server.portal_token(&client, &form).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let apps = "/api/v1/apps?environment=staging";
    assert_eq!(server.call(answer.text("access_token"), "GET", apps, None).await.status, 200);
    let form = [("grant_type", "client_credentials"), ("resource", &server.staging.base_url)];
    server.portal_token(&client, &form).await.assert_error(400, "invalid_target", "");
}

#[tokio::test]
async fn nothing_but_client_credentials_works_at_the_portal_and_its_metadata_says_so() {
    let server = Server::start().await;
    let client = server.api_client(PARTNER_ID, &[]).await;
    for form in [
        vec![
            ("grant_type", "authorization_code"),
            ("code", "x"),
            ("redirect_uri", "https://a.example"),
        ],
        vec![("grant_type", "refresh_token"), ("refresh_token", "x")],
        vec![("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", "x")],
    ] {
        let answer = server.portal_token(&client, &form).await;
        answer.assert_error(400, "unsupported_grant_type", "client_credentials alone");
    }
    let metadata = get(&server, "/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.body["grant_types_supported"], json!(["client_credentials"]));
    assert_eq!(metadata.body["issuer"], json!(server.portal.base_url));
    assert_eq!(metadata.body["protected_resources"], json!([server.portal.base_url]));
    let resource = get(&server, "/.well-known/oauth-protected-resource").await;
    assert_eq!(resource.body["authorization_servers"], json!([server.portal.base_url]));
    assert_eq!(resource.body["scopes_supported"].as_array().unwrap().len(), SCOPES.len());
    for path in ["/oauth/authorize", "/oauth/register", "/oauth/par", "/device"] {
        assert_eq!(get(&server, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn u4_who_comes_to_the_wrong_issuer_is_told_where_it_belongs_once_it_is_proved() {
    let server = Server::start().await;
    let of_portal = server.api_client(PARTNER_ID, &[]).await;
    let of_staging = server.demo_client();
    let wrong = TestClient { secret: "wrong".to_owned(), ..server.demo_client() };
    let answer = server.portal_token(&of_staging, &FOR_ITSELF).await;
    answer.assert_error(401, "invalid_client", "belongs to staging, and this is portal");
    let answer = server.portal_token(&wrong, &FOR_ITSELF).await;
    answer.assert_error(401, "invalid_client", "No client with this id is known here");
    let answer = Call::to(&server.staging).basic(&of_portal).form(&FOR_ITSELF).send().await;
    answer.assert_error(401, "invalid_client", "belongs to portal, and this is staging");
}

#[tokio::test]
async fn u5_an_owner_makes_an_api_client_whose_secret_is_shown_once_and_removing_it_ends_its_tokens()
 {
    let server = Server::start().await;
    let owner = server.signed_in("owner@example.com", Role::Owner { partner_id: PARTNER_ID }).await;
    let at = |path: &str| format!("/account/api-clients{path}");
    // A scope that is the company's alone is not to be had, whatever the form says.
    let form = [("name", "Nightly"), ("scopes", "requests:decide")];
    let refused = server.post_form(&owner, &at(""), &form).await;
    refused.assert_page(422, "not among those that are offered");
    let form = [("name", "Nightly"), ("scopes", "programme:read"), ("scopes", "apps:write")];
    let made = server.post_form(&owner, &at(""), &form).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let (client, apps) = (shown(&made.text), "/api/v1/apps?environment=staging");
    let answer = server.portal_token(&client, &FOR_ITSELF).await;
    assert_eq!(answer.text("scope"), "apps:write programme:read", "{answer:?}");
    let token = answer.text("access_token").to_owned();
    assert_eq!(server.call(&token, "GET", apps, None).await.status, 200);

    let page = owner.get(&format!("{}{}", server.portal.base_url, at(""))).await;
    assert!(page.text.contains(&client.id) && !page.text.contains(&client.secret));
    // A second secret works beside the first; there is no third, and the last one stays.
    let second = server.post_form(&owner, &at(&format!("/{}/secrets", client.id)), &[]).await;
    let with_second = shown(&second.text);
    assert_eq!(server.portal_token(&with_second, &FOR_ITSELF).await.status, 200);
    assert_eq!(server.portal_token(&client, &FOR_ITSELF).await.status, 200);
    let third = server.post_form(&owner, &at(&format!("/{}/secrets", client.id)), &[]).await;
    third.assert_page(409, "never a third");
    let remove = at(&format!("/{}/secrets/1/remove", client.id));
    assert_eq!(server.post_form(&owner, &remove, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(server.portal_token(&client, &FOR_ITSELF).await.status, 401);
    let remove = at(&format!("/{}/secrets/2/remove", client.id));
    server.post_form(&owner, &remove, &[]).await.assert_page(409, "only secret");

    let remove = at(&format!("/{}/remove", client.id));
    assert_eq!(server.post_form(&owner, &remove, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(server.call(&token, "GET", apps, None).await.status, 401);
    assert_eq!(server.portal_token(&with_second, &FOR_ITSELF).await.status, 401);
    let acts = server.number(&format!(
        "SELECT COUNT(*) FROM audit WHERE client_id = '{}' AND actor = 'owner@example.com (owner)'",
        client.id
    ));
    assert_eq!(acts, 4, "created, a secret added, one removed, removed");
}

#[tokio::test]
async fn a_manager_makes_api_clients_of_the_company_which_is_no_partner_that_anybody_sees() {
    let server = Server::start().await;
    let manager = server.signed_in("manager@example.com", Role::Manager).await;
    let form = [("name", "Report"), ("scopes", "programme:read")];
    let made = server.post_form(&manager, "/account/api-clients", &form).await;
    let answer = server.portal_token(&shown(&made.text), &FOR_ITSELF).await;
    let token = answer.text("access_token");
    let partners = server.call(token, "GET", "/api/v1/partners", None).await;
    assert_eq!(partners.body["items"].as_array().unwrap().len(), 1, "{partners:?}");
    let company = uuid::Uuid::from_bytes(COMPANY_ID);
    let read = server.call(token, "GET", &format!("/api/v1/partners/{company}"), None).await;
    assert_eq!(read.status, 404, "{read:?}");
    assert_eq!(server.portal.store.partners().await.unwrap().len(), 1);
}

async fn an_api_client_that_is_switched_off_or_whose_partner_is_ends_with_its_tokens(
    server: Server,
) {
    let apps = "/api/v1/apps?environment=staging";
    let client = server.api_client(PARTNER_ID, &[]).await;
    let other = server.api_token(PARTNER_ID).await;
    let answer = server.portal_token(&client, &FOR_ITSELF).await;
    let token = answer.text("access_token");
    let store = &server.portal.store;
    assert!(store.set_client_disabled(Environment::Portal, &client.id, true).await.unwrap());
    let refused = server.call(token, "GET", apps, None).await;
    assert_eq!((refused.status, refused.text("error")), (401, "invalid_token"));
    assert_eq!(server.call(&other, "GET", apps, None).await.status, 200);
    assert!(
        store.switch_partner(PARTNER_ID, true, &act(&server, "partner.suspended")).await.unwrap()
    );
    assert_eq!(server.call(&other, "GET", apps, None).await.status, 401);
}

/// The id and the secret that a page shows once.
fn shown(text: &str) -> TestClient {
    let mut picked = text.split("<code class=\"pick\">").skip(1);
    let mut next = || picked.next().unwrap().split('<').next().unwrap().to_owned();
    TestClient { id: next(), secret: next(), redirect_uri: String::new() }
}

on_both_engines! {
    an_api_client_that_is_switched_off_or_whose_partner_is_ends_with_its_tokens,
}

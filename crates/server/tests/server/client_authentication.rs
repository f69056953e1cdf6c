//! Who calls `/oauth/token`, and what is said to whoever does not prove it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::site::Settings;
use grantor_protocol::client::ClientSecret;
use grantor_protocol::environment::Environment;

use crate::calls::{Call, assert_opens, assert_unspent, exchange_form, issue, row, tokens};
use crate::harness::{Answer, Server, TestClient, basic};
use crate::secrets::{add_secret, remove_secret};

fn header_of(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

async fn with_header(server: &Server, header: &[u8], form: &[(&str, &str)]) -> Answer {
    Call::to(&server.staging).header("Authorization", header).form(form).send().await
}

#[track_caller]
fn assert_unauthorized(answer: &Answer, words: &str) {
    answer.assert_error(401, "invalid_client", words);
    assert_eq!(
        answer.headers["www-authenticate"],
        "Basic realm=\"grantor staging\", charset=\"UTF-8\""
    );
}

#[tokio::test]
async fn s14_u8_each_malformed_basic_is_401_with_its_own_words_and_the_code_still_works() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let right = header_of(&format!("{id}:{secret}"));
    let encoded = right.strip_prefix("Basic ").unwrap();
    let (front, back) = encoded.split_at(20);
    for (header, words) in [
        (format!("Bearer {encoded}"), "does not begin with Basic"),
        (encoded.to_owned(), "does not begin with Basic"),
        ("Basic".to_owned(), "Nothing stands behind the word Basic"),
        (format!("Basic \"{encoded}\""), "quotes around the Base64"),
        (format!("Basic {front} {back}"), "a blank or a line end inside the Base64"),
        (format!("Basic {front}\t{back}"), "a blank or a line end inside the Base64"),
        (format!("Basic {id}:{secret}"), "are not encoded in Base64"),
        ("Basic !!!!".to_owned(), "is not Base64"),
        (header_of(&format!("{id}:{secret}\n")), "use echo -n"),
        (header_of(&format!("{id}:{secret}\r\n")), "use echo -n"),
        (header_of(&format!("{id}: {secret}")), "blanks or quotes around the id or the secret"),
        (
            header_of(&format!("\"{id}\":\"{secret}\"")),
            "blanks or quotes around the id or the secret",
        ),
        (header_of(&format!("{id}{secret}")), "has no colon"),
        (header_of(&format!(":{secret}")), "nothing before or behind the colon"),
        (header_of(&format!("{id}:")), "nothing before or behind the colon"),
        (header_of(&format!("{id}:%z{secret}")), "not followed by two hexadecimal digits"),
        (header_of(&format!("{id}:a%00b")), "not followed by two hexadecimal digits"),
        (format!("Basic {}", "A".repeat(5000)), "is too long"),
    ] {
        let answer = with_header(&server, header.as_bytes(), &form).await;
        assert_unauthorized(&answer, words);
        assert!(
            answer.text("error_description").contains("The right form is Authorization: Basic")
        );
    }
    let answer = with_header(&server, b"Basic \xff\xfe", &form).await;
    assert_unauthorized(&answer, "is not Base64");
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s14_percent_encoded_parts_and_any_case_of_the_word_basic_are_taken() {
    let server = Server::start().await;
    let client = server.client().await;
    let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let dashes = |text: &str| text.replace('-', "%2d");
    for header in [
        header_of(&format!("{}:{}", percent(&client.id), percent(&client.secret))),
        header_of(&format!("{}:{}", dashes(&client.id), dashes(&client.secret))),
        basic(&client.id, &client.secret).replace("Basic", "bAsIc"),
        basic(&client.id, &client.secret).replace("Basic ", "Basic   "),
    ] {
        let issued = issue(&server.staging, &client).await;
        let form = exchange_form(&client, &issued);
        let answer = with_header(&server, header.as_bytes(), &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn s14_two_ways_to_authenticate_are_refused_and_the_code_still_works() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    for name in ["client_secret", "client-secret"] {
        let form = [&form[..], &[(name, client.secret.as_str())]].concat();
        let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
        answer.assert_error(400, "invalid_request", "authenticates in two ways at once");
    }
    let twice = Call::to(&server.staging).basic(&client).basic(&client).form(&form).send().await;
    twice.assert_error(400, "invalid_request", "authenticates in two ways at once");
    let empty = [&form[..], &[("client_secret", "")]].concat();
    let answer = Call::to(&server.staging).basic(&client).form(&empty).send().await;
    assert_eq!(answer.status, 200, "sent without a value is not sent: {answer:?}");
    let next = issue(&server.staging, &client).await;
    assert_unspent(&server, &client, &next).await;
}

#[tokio::test]
async fn u8_credentials_in_the_body_are_answered_with_the_right_header() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let id = [("client_id", client.id.as_str()), ("client_secret", client.secret.as_str())];
    let form = [&exchange_form(&client, &issued)[..], &id].concat();
    let answer = Call::to(&server.staging).form(&form).send().await;
    let words = "stands in the body. Send it in the header instead: Authorization: Basic";
    assert_unauthorized(&answer, words);
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s14_who_does_not_prove_the_secret_gets_nothing_and_spends_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let public = server.client_with(Environment::Staging, |new| new.secret = None).await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    let named = [&form[..], &[("client_id", client.id.as_str())]].concat();
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let cases = [
        (Call::to(&server.staging), &form, "The client did not say who it is"),
        (Call::to(&server.staging), &named, "This client has a secret and has to prove it"),
    ];
    for (call, form, words) in cases {
        assert_unauthorized(&call.form(form).send().await, words);
    }
    for (header, words) in [
        (basic(id, "wrong"), "The client secret is wrong"),
        (basic(id, &secret[1..]), "The client secret is wrong"),
        (basic(id, &secret.to_lowercase()), "The client secret is wrong"),
        (basic("devp-staging-nobody", secret), "No client with this id is known here"),
        (basic(&id.to_uppercase(), secret), "No client with this id is known here"),
        (header_of(&format!("{id}:%22{secret}%22")), "right but for blanks, quotes"),
        (basic(&public.id, "anything"), "This client has no secret"),
    ] {
        assert_unauthorized(&with_header(&server, header.as_bytes(), &form).await, words);
    }
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn u4_staging_credentials_on_production_are_named_only_once_the_secret_is_proved() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    let wrong =
        TestClient { id: client.id.clone(), secret: "wrong".into(), redirect_uri: String::new() };
    for (client, words) in [
        (&client, "This client belongs to staging, and this is production."),
        (&wrong, "No client with this id is known here, and this is production."),
    ] {
        let answer = Call::to(&server.production).basic(client).form(&form).send().await;
        answer.assert_error(401, "invalid_client", words);
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("production"));
    }
    let here = server.client_with(Environment::Production, |_| ()).await;
    let answer = Call::to(&server.staging).basic(&here).form(&form).send().await;
    answer.assert_error(401, "invalid_client", "This client belongs to production");
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn u5_a_second_secret_works_beside_the_first_and_the_last_use_of_each_is_known() {
    let server = Server::start().await;
    let client = server.client().await;
    let (site, store) = (&server.staging, &server.staging.store);
    let second = site.random.secret();
    let digest = (ClientSecret::new(second.clone()).digest(), "last".to_owned());
    assert_eq!(add_secret(store, &client.id, &digest).await, Some(2));
    let also = TestClient { secret: second, id: client.id.clone(), ..client };
    let start = server.clock.now();
    for (seconds, secret) in [(1, &client.secret), (2, &also.secret)] {
        server.clock.advance(seconds);
        let issued = issue(site, &also).await;
        let who = TestClient {
            id: also.id.clone(),
            secret: secret.clone(),
            redirect_uri: also.redirect_uri.clone(),
        };
        assert_eq!(server.exchange(&who, &issued.code).await.status, 200);
    }
    site.usage.flush(store).await;
    let record = store.client(&also.id).await.unwrap().unwrap();
    let used: Vec<_> = record.secrets.iter().map(|secret| (secret.slot, secret.used_at)).collect();
    assert_eq!(used, [(1, Some(start + 1)), (2, Some(start + 3))]);

    assert!(remove_secret(store, &also.id, 1).await);
    let issued = issue(site, &also).await;
    let former = TestClient {
        id: also.id.clone(),
        secret: client.secret,
        redirect_uri: also.redirect_uri.clone(),
    };
    assert_unauthorized(&server.exchange(&former, &issued.code).await, "client secret is wrong");
    assert_unspent(&server, &also, &issued).await;
    site.usage.flush(store).await;
    let record = store.client(&also.id).await.unwrap().unwrap();
    assert_eq!((record.secrets.len(), record.secrets[0].slot), (1, 2));
}

#[tokio::test]
async fn s14_a_disabled_client_is_told_so_once_it_proved_itself_and_loses_its_grants() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let store = &server.staging.store;
    assert!(store.set_client_disabled(Environment::Staging, &client.id, true).await.unwrap());
    let answer = server.exchange(&client, &issued.code).await;
    assert_unauthorized(&answer, "This client has been switched off");
    let (header, form) = (basic(&client.id, "wrong"), exchange_form(&client, &issued));
    let wrong = with_header(&server, header.as_bytes(), &form).await;
    assert_unauthorized(&wrong, "The client secret is wrong");
    assert_opens(&server, living.text("access_token"), false).await;

    assert!(store.set_client_disabled(Environment::Staging, &client.id, false).await.unwrap());
    assert_opens(&server, living.text("access_token"), false).await;
    let answer = server.refresh(&client, living.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "The connection was ended");
    let answer = server.exchange(&client, &issued.code).await;
    answer.assert_error(400, "invalid_grant", "The connection was ended");
    assert!(!row(&server, issued.grant_id).await.in_force);
    let renewed = tokens(&server, &client).await;
    assert_opens(&server, renewed.text("access_token"), true).await;
}

#[tokio::test]
async fn s26_outside_dev_the_demo_client_is_a_stranger_even_where_it_stands_in_the_store() {
    let server = Server::start_with(Settings::default(), false).await;
    let demo = server.demo_client();
    let answer = server.refresh(&demo, "gr_refresh_x").await;
    answer.assert_error(401, "invalid_client", "No client with this id is known here");
    let page = server.browser().get(&server.authorize_url(&demo, "")).await;
    assert_eq!(page.status, 400, "{}", page.text);
    assert!(page.text.contains("This app is not known here"), "{}", page.text);
}

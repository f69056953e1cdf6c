//! Codes: how long they live, what they are bound to, and what becomes of one that comes again.

use std::sync::Arc;

use grantor_protocol::environment::Environment;
use grantor_protocol::grant::GrantStatus;

use crate::calls::{
    BISTRO, Call, Issued, OTHER_VERIFIER, VERIFIER, assert_opens, assert_unspent, challenge,
    database_bytes, exchange_form, holds, issue, issue_with, row, tokens,
};
use crate::harness::{Answer, Server, TestClient};

async fn with_verifier(
    server: &Server,
    client: &TestClient,
    issued: &Issued,
    verifier: &str,
) -> Answer {
    let form = [&exchange_form(client, issued)[..], &[("code_verifier", verifier)]].concat();
    server.token(client, &form).await
}

async fn issue_with_challenge(server: &Server, client: &TestClient) -> Issued {
    issue_with(&server.staging, client, |grant| grant.code_challenge = Some(challenge())).await
}

async fn public_client(server: &Server) -> TestClient {
    server.client_with(Environment::Staging, |new| new.secret = None).await
}

/// What a public client sends: its id, and no header.
async fn as_public(server: &Server, client: &TestClient, form: &[(&str, &str)]) -> Answer {
    let form = [form, &[("client_id", client.id.as_str())]].concat();
    Call::to(&server.staging).form(&form).send().await
}

async fn s10_a_code_lives_sixty_seconds_and_not_one_more(server: Server) {
    let client = server.client().await;
    let (in_time, late) =
        (issue(&server.staging, &client).await, issue(&server.staging, &client).await);
    server.clock.advance(59);
    assert_eq!(server.exchange(&client, &in_time.code).await.status, 200);
    server.clock.advance(1);
    let answer = server.exchange(&client, &late.code).await;
    answer.assert_error(400, "invalid_grant", "The code expired 0 seconds ago");
    server.clock.advance(1);
    let answer = server.exchange(&client, &late.code).await;
    answer.assert_error(400, "invalid_grant", "The code expired 1 second ago. Ask for a new one.");
    server.clock.advance(3599);
    let answer = server.exchange(&client, &late.code).await;
    answer.assert_error(400, "invalid_grant", "The code expired 3600 seconds ago");
    assert_eq!(row(&server, late.grant_id).await.status, GrantStatus::Pending);
}

#[tokio::test]
async fn s10_the_database_holds_nothing_that_makes_a_code_or_a_token() {
    let server = Server::start().await;
    let client = server.client().await;
    let code = server.code(&client, "").await;
    let answer = server.exchange(&client, &code).await;
    let refreshed = server.refresh(&client, answer.text("refresh_token")).await;
    assert_eq!(refreshed.status, 200);
    let bytes = database_bytes(server.folder.path());
    assert!(holds(&bytes, client.id.as_bytes()), "the dump is not the database");
    for token in [
        code.as_str(),
        answer.text("access_token"),
        answer.text("refresh_token"),
        refreshed.text("refresh_token"),
    ] {
        use base64::Engine as _;
        let encoded = token.splitn(3, '_').nth(2).unwrap();
        assert!(!holds(&bytes, token.as_bytes()));
        assert!(!holds(&bytes, encoded.as_bytes()));
        let sealed = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded).unwrap();
        assert!(!holds(&bytes, &sealed));
        assert!(!holds(&bytes, &sealed[sealed.len() - 32..]), "its MAC stands in the database");
    }
    assert!(!holds(&bytes, client.secret.as_bytes()));
}

async fn s11_a_replay_that_proves_everything_in_the_codes_life_ends_what_came_from_it(
    server: Server,
) {
    let client = server.client().await;
    for (verifier, after) in [(None, 0), (None, 59), (Some(VERIFIER), 11)] {
        let issued = issue_with(&server.staging, &client, |grant| {
            grant.code_challenge = verifier.map(|_| challenge());
        })
        .await;
        let mut form = exchange_form(&client, &issued);
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        let first = server.token(&client, &form).await;
        assert_eq!(first.status, 200, "{first:?}");
        let bystander = tokens(&server, &client).await;
        server.clock.advance(after);
        let words = format!("The code was used {after} seconds ago. A code works once.");
        server.token(&client, &form).await.assert_error(400, "invalid_grant", &words);
        assert_opens(&server, first.text("access_token"), false).await;
        let refresh = server.refresh(&client, first.text("refresh_token")).await;
        refresh.assert_error(400, "invalid_grant", "The connection was ended");
        let again = server.token(&client, &form).await;
        again.assert_error(400, "invalid_grant", "The connection was ended");
        // Another connection of the same customer and client lives on.
        assert_opens(&server, bystander.text("access_token"), true).await;
    }
}

async fn s11_a_replay_that_proves_less_is_denied_and_changes_nothing(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let issued = issue_with_challenge(&server, &client).await;
    let first = with_verifier(&server, &client, &issued, VERIFIER).await;
    assert_eq!(first.status, 200, "{first:?}");
    let before = row(&server, issued.grant_id).await;
    server.clock.advance(20);

    let form = [&exchange_form(&client, &issued)[..], &[("code_verifier", VERIFIER)]].concat();
    let wrong_secret =
        TestClient { id: client.id.clone(), secret: "wrong".into(), redirect_uri: String::new() };
    let answer = server.token(&wrong_secret, &form).await;
    answer.assert_error(401, "invalid_client", "The client secret is wrong");
    let answer = server.token(&other, &form).await;
    answer.assert_error(400, "invalid_grant", "issued to another client");
    let answer = with_verifier(&server, &client, &issued, OTHER_VERIFIER).await;
    answer.assert_error(400, "invalid_grant", "code_verifier does not match");
    let answer = server.exchange(&client, &issued.code).await;
    answer.assert_error(400, "invalid_grant", "send its code_verifier in the body");
    let elsewhere = TestClient { redirect_uri: "https://mycompany.com/".into(), ..client };
    let answer = with_verifier(&server, &elsewhere, &issued, VERIFIER).await;
    answer.assert_error(400, "invalid_grant", "The redirect_uri differs");

    assert_eq!(row(&server, issued.grant_id).await, before);
    assert_opens(&server, first.text("access_token"), true).await;
    assert_eq!(server.refresh(&elsewhere, first.text("refresh_token")).await.status, 200);
}

async fn s11_a_replay_after_the_codes_own_expiry_is_denied_and_changes_nothing(server: Server) {
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let first = server.exchange(&client, &issued.code).await;
    server.clock.advance(60);
    let answer = server.exchange(&client, &issued.code).await;
    answer.assert_error(400, "invalid_grant", "The code was used 60 seconds ago");
    assert_opens(&server, first.text("access_token"), true).await;
    assert_eq!(server.refresh(&client, first.text("refresh_token")).await.status, 200);
}

async fn s11_d11_a_double_submit_with_pkce_within_ten_seconds_ends_nothing(server: Server) {
    let (client, public) = (server.client().await, public_client(&server).await);
    for (client, has_secret) in [(&client, true), (&public, false)] {
        let issued = issue_with_challenge(&server, client).await;
        let mut form = exchange_form(client, &issued);
        form.push(("code_verifier", VERIFIER));
        let send = async || match has_secret {
            true => server.token(client, &form).await,
            false => as_public(&server, client, &form).await,
        };
        let first = send().await;
        assert_eq!(first.status, 200, "{first:?}");
        for seconds in [0, 1, 9] {
            server.clock.advance(seconds);
            send().await.assert_error(400, "invalid_grant", "The code was used");
        }
        assert_opens(&server, first.text("access_token"), true).await;
    }
}

async fn s12_s13_a_check_that_fails_burns_nothing_and_u7_says_which_it_was(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let plain = issue(&server.staging, &client).await;
    let proved = issue_with_challenge(&server, &client).await;

    server.exchange(&other, &plain.code).await.assert_error(
        400,
        "invalid_grant",
        "This code was issued to another client.",
    );
    for wrong in [
        "https://mycompany.com/redirection/ikentoo/",
        "https://mycompany.com/redirection/Ikentoo",
        "https://mycompany.com/redirection/ikentoo?x=1",
        "http://mycompany.com/redirection/ikentoo",
    ] {
        let elsewhere = TestClient {
            id: client.id.clone(),
            secret: client.secret.clone(),
            redirect_uri: wrong.to_owned(),
        };
        let answer = server.exchange(&elsewhere, &plain.code).await;
        answer.assert_error(400, "invalid_grant", "The redirect_uri differs");
    }
    let answer = with_verifier(&server, &client, &plain, VERIFIER).await;
    answer.assert_error(400, "invalid_grant", "asked for without a code_challenge");
    let answer = server.exchange(&client, &proved.code).await;
    answer.assert_error(400, "invalid_grant", "send its code_verifier in the body");
    let answer = with_verifier(&server, &client, &proved, OTHER_VERIFIER).await;
    answer.assert_error(400, "invalid_grant", "The code_verifier does not match");
    for malformed in ["short", "a\u{e9}JftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXkXX"] {
        let answer = with_verifier(&server, &client, &proved, malformed).await;
        answer.assert_error(400, "invalid_request", "43 to 128 letters");
    }

    assert_unspent(&server, &client, &plain).await;
    assert_eq!(row(&server, proved.grant_id).await.status, GrantStatus::Pending);
    assert_eq!(with_verifier(&server, &client, &proved, VERIFIER).await.status, 200);
}

async fn u7_a_public_client_is_told_the_cause_only_once_its_verifier_matched(server: Server) {
    let (public, other) = (public_client(&server).await, public_client(&server).await);
    let issued = issue_with_challenge(&server, &public).await;
    let mut form = exchange_form(&public, &issued);
    form.push(("code_verifier", VERIFIER));
    let wrong = [&form[..3], &[("code_verifier", OTHER_VERIFIER)]].concat();
    let generic = "The code is not valid for this client, redirect URI and verifier.";

    as_public(&server, &other, &form).await.assert_error(400, "invalid_grant", generic);
    as_public(&server, &public, &wrong).await.assert_error(400, "invalid_grant", generic);
    as_public(&server, &public, &form[..3]).await.assert_error(400, "invalid_grant", generic);
    let elsewhere = [("redirect_uri", "https://mycompany.com/"), form[0], form[1], form[3]];
    as_public(&server, &public, &elsewhere).await.assert_error(400, "invalid_grant", generic);
    server.clock.advance(65);
    as_public(&server, &public, &wrong).await.assert_error(400, "invalid_grant", generic);
    let answer = as_public(&server, &public, &form).await;
    answer.assert_error(400, "invalid_grant", "The code expired 5 seconds ago");
    let nonsense = [("code", "nonsense"), form[0], form[2], form[3]];
    as_public(&server, &public, &nonsense).await.assert_error(400, "invalid_grant", generic);
}

async fn u7_what_is_no_code_is_named_to_a_client_that_proved_itself(server: Server) {
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let cut = &issued.code[..issued.code.len() - 1];
    for (code, words) in [
        (living.text("refresh_token"), "This is a token and no code"),
        (living.text("access_token"), "This is a token and no code"),
        (cut, "This is not a code of this server"),
        ("VlWFo0", "This is not a code of this server"),
        (&format!("{} ", issued.code), "This is not a code of this server"),
    ] {
        server.exchange(&client, code).await.assert_error(400, "invalid_grant", words);
    }
    server.execute("DELETE FROM grants WHERE generation = 0");
    let answer = server.exchange(&client, &issued.code).await;
    answer.assert_error(400, "invalid_grant", "This code is no longer known");
    assert_opens(&server, living.text("access_token"), true).await;
}

async fn u4_a_code_and_a_refresh_token_of_the_other_environment_are_named(server: Server) {
    let staging = server.client().await;
    let production = server.client_with(Environment::Production, |_| ()).await;
    let issued = issue(&server.staging, &staging).await;
    let living = tokens(&server, &staging).await;
    let form = exchange_form(&production, &issued);
    let answer = Call::to(&server.production).basic(&production).form(&form).send().await;
    let words = "This code was issued in staging, and this is production. Use it in staging.";
    answer.assert_error(400, "invalid_grant", words);
    let refresh_token = living.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let answer = Call::to(&server.production).basic(&production).form(&form).send().await;
    answer.assert_error(400, "invalid_grant", "This refresh token was issued in staging");
    assert_unspent(&server, &staging, &issued).await;
    assert_eq!(server.refresh(&staging, refresh_token).await.status, 200);
}

async fn s12_a_public_client_cannot_redeem_a_code_that_has_no_challenge(server: Server) {
    let public = public_client(&server).await;
    let issued = issue(&server.staging, &public).await;
    let answer = as_public(&server, &public, &exchange_form(&public, &issued)).await;
    answer.assert_error(400, "invalid_grant", "The code is not valid for this client");
    assert_eq!(row(&server, issued.grant_id).await.status, GrantStatus::Pending);
}

async fn d10_a_clock_that_goes_back_ends_nothing_and_makes_no_code_live_for_ever(server: Server) {
    let client = server.client().await;
    let proved = issue_with_challenge(&server, &client).await;
    let first = with_verifier(&server, &client, &proved, VERIFIER).await;
    assert_eq!(first.status, 200, "{first:?}");
    server.clock.advance(-3600);
    let answer = with_verifier(&server, &client, &proved, VERIFIER).await;
    answer.assert_error(400, "invalid_grant", "The code was used 0 seconds ago");
    server.clock.advance(3600);
    assert_opens(&server, first.text("access_token"), true).await;
    let late = issue(&server.staging, &client).await;
    server.clock.advance(-3600);
    server.clock.advance(3660);
    let answer = server.exchange(&client, &late.code).await;
    answer.assert_error(400, "invalid_grant", "The code expired 0 seconds ago");
}

async fn s10_of_thirty_two_parallel_exchanges_of_one_code_exactly_one_succeeds(server: Server) {
    let server = Arc::new(server);
    let client = server.client().await;
    for with_challenge in [false, true] {
        let issued = issue_with(&server.staging, &client, |grant| {
            grant.code_challenge = with_challenge.then(challenge);
            grant.businesses = vec![BISTRO];
        })
        .await;
        let mut form = exchange_form(&client, &issued);
        if with_challenge {
            form.push(("code_verifier", VERIFIER));
        }
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..32 {
            calls.spawn(Call::to(&server.staging).basic(&client).form(&form).send());
        }
        let answers = calls.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.status == 200);
        assert_eq!(won.len(), 1, "{answers:?}");
        for answer in lost {
            answer.assert_error(400, "invalid_grant", "The co");
            let words = answer.text("error_description");
            let known = ["The code was used 0 seconds ago", "The connection was ended"];
            assert!(known.iter().any(|known| words.starts_with(known)), "{words}");
            assert!(!with_challenge || words.starts_with(known[0]), "{words}");
        }
        // With PKCE a double submit harms nobody; without it nobody can tell it from a theft.
        assert_opens(&server, won[0].text("access_token"), with_challenge).await;
        let refresh = server.refresh(&client, won[0].text("refresh_token")).await;
        assert_eq!(refresh.status, if with_challenge { 200 } else { 400 }, "{refresh:?}");
    }
}

on_both_engines! {
    s10_a_code_lives_sixty_seconds_and_not_one_more,
    s11_a_replay_that_proves_everything_in_the_codes_life_ends_what_came_from_it,
    s11_a_replay_that_proves_less_is_denied_and_changes_nothing,
    s11_a_replay_after_the_codes_own_expiry_is_denied_and_changes_nothing,
    s11_d11_a_double_submit_with_pkce_within_ten_seconds_ends_nothing,
    s12_s13_a_check_that_fails_burns_nothing_and_u7_says_which_it_was,
    u7_a_public_client_is_told_the_cause_only_once_its_verifier_matched,
    u7_what_is_no_code_is_named_to_a_client_that_proved_itself,
    u4_a_code_and_a_refresh_token_of_the_other_environment_are_named,
    s12_a_public_client_cannot_redeem_a_code_that_has_no_challenge,
    d10_a_clock_that_goes_back_ends_nothing_and_makes_no_code_live_for_ever,
    s10_of_thirty_two_parallel_exchanges_of_one_code_exactly_one_succeeds,
}

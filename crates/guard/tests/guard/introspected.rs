//! Tokens that are asked about.

use std::time::Duration;

use grantor_protocol::jose::Algorithm;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::issuer::{Answer, Api, Issuer, NOW, RESOURCE, key};
use crate::log::Log;

fn living() -> Value {
    json!({
        "active": true,
        "token_type": "bearer",
        "sub": "customer-1",
        "client_id": "client-1",
        "scope": "financial-api",
        "exp": NOW + 3600,
        "aud": RESOURCE,
        "businesses": ["9765040300495493", "9765040300495494"],
        "locations": ["9765040300495501"],
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut said = living();
    match value {
        Value::Null => {
            said.as_object_mut().unwrap().remove(member);
        }
        value => said[member] = value,
    }
    said
}

async fn asked() -> (Issuer, Api) {
    let issuer = Issuer::start().await;
    issuer.answer(200, living());
    let api = Api::trusting(&issuer, |plan| plan.asking("finance-backend", "s:e/c ret"));
    (issuer, api)
}

#[tokio::test]
async fn a_sealed_token_is_asked_about_by_the_api_which_proves_itself() {
    let (issuer, api) = asked().await;
    let answer = api.bearer("/v1/takings", "gr_access_a+b/c").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "financial-api"));
    let (headers, body) = issuer.last_question();
    assert_eq!(body, "token=gr_access_a%2Bb%2Fc&token_type_hint=access_token");
    // RFC 6749 2.3.1: form-encoded, then Base64 of finance-backend:s%3Ae%2Fc+ret.
    assert_eq!(headers["authorization"], "Basic ZmluYW5jZS1iYWNrZW5kOnMlM0FlJTJGYytyZXQ=");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
}

#[tokio::test]
async fn u10_a_revoked_token_opens_for_two_seconds_more_at_the_most() {
    let (issuer, api) = asked().await;
    assert_eq!(api.status("t").await, 200);
    issuer.answer(200, json!({ "active": false }));
    api.time.set(1);
    assert_eq!((api.status("t").await, issuer.introspect_asked()), (200, 1));
    api.time.set(2);
    assert_eq!((api.status("t").await, issuer.introspect_asked()), (401, 2));
    // That it opens nothing is kept for as long.
    issuer.answer(200, living());
    api.time.set(3);
    assert_eq!((api.status("t").await, issuer.introspect_asked()), (401, 2));
    api.time.set(4);
    assert_eq!((api.status("t").await, issuer.introspect_asked()), (200, 3));
}

#[tokio::test]
async fn an_api_may_keep_answers_for_up_to_five_seconds_or_not_at_all() {
    let issuer = Issuer::start().await;
    issuer.answer(200, living());
    let long = Api::trusting(&issuer, |plan| plan.asking("a", "b").kept_seconds(200));
    assert_eq!((long.status("t").await, issuer.introspect_asked()), (200, 1));
    long.time.set(4);
    assert_eq!((long.status("t").await, issuer.introspect_asked()), (200, 1));
    long.time.set(5);
    assert_eq!((long.status("t").await, issuer.introspect_asked()), (200, 2));
    let never = Api::trusting(&issuer, |plan| plan.asking("a", "b").kept_seconds(0));
    assert_eq!((never.status("t").await, issuer.introspect_asked()), (200, 3));
    assert_eq!((never.status("t").await, issuer.introspect_asked()), (200, 4));
}

#[tokio::test]
async fn d10_a_clock_that_goes_back_keeps_no_answer_alive() {
    let (issuer, api) = asked().await;
    assert_eq!(api.status("t").await, 200);
    issuer.answer(200, json!({ "active": false }));
    api.time.set(-1);
    assert_eq!(api.status("t").await, 401);
}

#[tokio::test]
async fn an_answer_that_no_decision_can_be_made_of_is_503_and_never_a_yes() {
    let (issuer, api) = asked().await;
    let questions = [
        (200, json!({})),
        (200, json!({ "active": "true" })),
        (200, json!("active")),
        (200, with("sub", Value::Null)),
        (200, with("client_id", Value::Null)),
        (200, with("exp", Value::Null)),
        (200, with("aud", json!({}))),
        (200, with("iss", json!(["https://elsewhere.example"]))),
        (200, with("cnf", json!({ "x5t#S256": "A" }))),
        (200, with("businesses", json!([1]))),
        (401, json!({ "error": "invalid_client" })),
        (301, living()),
        (201, living()),
        (500, living()),
        (200, json!({ "active": true, "filler": "x".repeat(70_000) })),
    ];
    for (number, (status, body)) in questions.into_iter().enumerate() {
        issuer.answer(status, body);
        let answer = api.bearer("/v1/who", &format!("token-{number}")).await;
        assert_eq!(answer.status, 503, "question {number}");
        assert!(!answer.headers.contains_key("www-authenticate"), "question {number}");
    }
    // A fault is not kept.
    issuer.answer(200, living());
    assert_eq!(api.status("token-0").await, 200);
}

#[tokio::test]
async fn s17_a_token_for_another_api_or_of_another_kind_opens_nothing() {
    let (issuer, api) = asked().await;
    let cases = [
        (with("aud", json!("https://orders.example.com")), 401),
        (with("aud", json!(["https://orders.example.com", RESOURCE])), 200),
        (with("aud", Value::Null), 401),
        (with("aud", json!([])), 401),
        (with("iss", json!(issuer.url())), 200),
        (with("iss", json!(format!("{}/", issuer.url()))), 401),
        (with("iss", json!("https://elsewhere.example")), 401),
        (with("token_type", Value::Null), 401),
        (with("token_type", json!("refresh_token")), 401),
        (with("token_type", json!("Bearer")), 200),
        (with("exp", json!(NOW)), 401),
    ];
    for (number, (said, status)) in cases.into_iter().enumerate() {
        issuer.answer(200, said);
        assert_eq!(api.status(&format!("token-{number}")).await, status, "case {number}");
    }
}

#[tokio::test]
async fn the_operator_of_the_api_is_told_what_an_answer_lacks_and_never_the_token() {
    let (issuer, api) = asked().await;
    let (log, _listening) = Log::listen();
    let url = format!("{}/oauth/introspect", issuer.url());
    let warned = |lack: &str| {
        format!("WARN message=guard.token_not_taken url={url:?} lack=\"the server {lack}\"\n")
    };
    for (number, (said, logged)) in [
        (with("aud", Value::Null), warned("does not say (aud) which API this token is for")),
        (
            with("iss", json!("https://elsewhere.example")),
            warned("says that another issuer gave this token"),
        ),
        // A wrong token is its caller's to mend.
        (with("aud", json!("https://orders.example.com")), String::new()),
        (json!({ "active": false }), String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        issuer.answer(200, said);
        assert_eq!(api.status(&format!("secret-{number}")).await, 401, "{number}");
        assert_eq!(log.take(), logged, "{number}");
    }
}

#[tokio::test]
async fn many_calls_with_one_token_at_once_ask_once() {
    let (issuer, api) = asked().await;
    issuer.take_its_time(Duration::from_millis(50));
    let together = |count: u32| {
        let calls: Vec<_> = (0..count)
            .map(|_| {
                let api = api.clone();
                tokio::spawn(async move { api.status("t").await })
            })
            .collect();
        async move {
            let mut statuses = Vec::new();
            for call in calls {
                statuses.push(call.await.unwrap());
            }
            statuses
        }
    };
    assert_eq!(together(30).await, [200; 30]);
    assert_eq!(issuer.introspect_asked(), 1);
    // And one fault is the answer to all that waited for it.
    api.time.set(2);
    issuer.answer(500, json!({}));
    assert_eq!(together(30).await, [503; 30]);
    assert_eq!(issuer.introspect_asked(), 2);
}

/// A call with the token that waits for its answer; it has been sent when this returns.
async fn begun(issuer: &Issuer, api: &Api) -> JoinHandle<u16> {
    let asked = issuer.introspect_asked();
    let api = api.clone();
    let call = tokio::spawn(async move { api.status("t").await });
    while issuer.introspect_asked() == asked {
        tokio::task::yield_now().await;
    }
    call
}

#[tokio::test]
async fn u10_a_call_joins_no_question_that_was_asked_longer_ago_than_an_answer_is_kept() {
    let (issuer, api) = asked().await;
    issuer.take_its_time(Duration::from_millis(300));
    let early = begun(&issuer, &api).await;
    // It ends while the first answer is on its way.
    issuer.answer(200, json!({ "active": false }));
    api.time.set(1);
    let joins = tokio::spawn({
        let api = api.clone();
        async move { api.status("t").await }
    });
    tokio::task::yield_now().await;
    api.time.set(2);
    assert_eq!(api.status("t").await, 401);
    assert_eq!((early.await.unwrap(), joins.await.unwrap()), (200, 200));
    assert_eq!(issuer.introspect_asked(), 2);
    // Nor does the older answer count again because it came later.
    assert_eq!((api.status("t").await, issuer.introspect_asked()), (401, 2));
}

#[tokio::test]
async fn where_nothing_is_kept_no_call_joins_a_question_that_was_asked_before_it_came() {
    let issuer = Issuer::start().await;
    issuer.answer(200, living());
    let api = Api::trusting(&issuer, |plan| plan.asking("a", "b").kept_seconds(0));
    issuer.take_its_time(Duration::from_millis(300));
    let early = begun(&issuer, &api).await;
    issuer.answer(200, json!({ "active": false }));
    assert_eq!(api.status("t").await, 401);
    assert_eq!((early.await.unwrap(), issuer.introspect_asked()), (200, 2));
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_nobodys_answer_along() {
    let (issuer, api) = asked().await;
    issuer.take_its_time(Duration::from_millis(100));
    let first = {
        let api = api.clone();
        tokio::spawn(async move { api.status("t").await })
    };
    tokio::time::sleep(Duration::from_millis(30)).await;
    let second = {
        let api = api.clone();
        tokio::spawn(async move { api.status("t").await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    first.abort();
    assert_eq!(second.await.unwrap(), 200);
}

#[tokio::test]
async fn with_both_sources_a_signed_token_of_the_issuer_is_offline_and_all_else_is_asked_about() {
    let issuer = Issuer::start().await;
    let ours = key(Algorithm::Es256, Some("one"));
    issuer.publish(&[&ours]);
    issuer.answer(200, living());
    let api = Api::trusting(&issuer, |plan| plan.offline().asking("finance-backend", "secret"));
    let mut claims = living();
    for (claim, value) in [("iss", json!(issuer.url())), ("iat", json!(NOW)), ("jti", json!("1"))] {
        claims[claim] = value;
    }
    assert_eq!(api.status(&ours.sign("at+jwt", &claims).unwrap()).await, 200);
    assert_eq!((issuer.jwks_asked(), issuer.introspect_asked()), (1, 0));
    assert_eq!(api.status("gr_access_x").await, 200);
    assert_eq!((issuer.jwks_asked(), issuer.introspect_asked()), (1, 1));
    claims["iss"] = json!("https://elsewhere.example");
    assert_eq!(api.status(&ours.sign("at+jwt", &claims).unwrap()).await, 200);
    assert_eq!((issuer.jwks_asked(), issuer.introspect_asked()), (1, 2));
    // What says that it is the issuer's, and is not signed by it, is nobody else's to vouch for.
    claims["iss"] = json!(issuer.url());
    let forged = key(Algorithm::Es256, Some("one")).sign("at+jwt", &claims).unwrap();
    assert_eq!(api.status(&forged).await, 401);
    assert_eq!(issuer.introspect_asked(), 2);
}

#[tokio::test]
async fn a_business_or_a_location_that_the_token_does_not_name_is_403() {
    let (issuer, api) = asked().await;
    let call = async |path: &str| -> Answer { api.bearer(path, "t").await };
    assert_eq!(call("/v1/business/9765040300495494").await.status, 200);
    assert_eq!(call("/v1/location/9765040300495501").await.status, 200);
    for path in ["/v1/business/9765040300495495", "/v1/location/9765040300495502"] {
        let answer = call(path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.challenge().contains("error=\"insufficient_scope\""), "{path}");
    }
    // A token that names none is for none.
    let mut said = with("businesses", Value::Null);
    said.as_object_mut().unwrap().remove("locations");
    issuer.answer(200, said);
    api.time.set(2);
    for path in ["/v1/business/9765040300495494", "/v1/location/9765040300495501"] {
        assert_eq!(call(path).await.status, 403, "{path}");
    }
    assert_eq!(call("/v1/mine").await.body, "customer-1");
    issuer.answer(200, with("sub", json!("client-1")));
    api.time.set(4);
    assert_eq!(call("/v1/mine").await.status, 403);
}

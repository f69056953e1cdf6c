use grantor_protocol::api::Apis;
use grantor_protocol::authorization_request::AuthorizationRequest;
use grantor_protocol::authorization_step::{
    Consent, Decision, Progress, SignedIn, Situation, Step, next, optional_scopes,
};
use grantor_protocol::authorize_error::AuthorizeFault;
use grantor_protocol::client::Client;
use grantor_protocol::openid::SubjectHint;
use grantor_protocol::parameters::Parameters;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;

use crate::fixtures::{REDIRECT_URI, client, public_client};

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

/// The request for both scopes that have to be allowed, with `more` behind it.
fn request(client: &Client, more: &str) -> AuthorizationRequest {
    let query = format!(
        "response_type=code&scope=financial-api+orders-api&redirect_uri={}\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
         &code_challenge_method=S256&{more}",
        client.redirect_uris[0]
    );
    AuthorizationRequest::parse(&Parameters::parse(query.as_bytes()), client, &Apis::default())
        .unwrap()
}

fn asking(client: &Client, scopes: &str) -> AuthorizationRequest {
    AuthorizationRequest { scope: scope(scopes), ..request(client, "") }
}

/// For that request, and for business 1.
fn consent() -> Consent {
    Consent {
        scope: scope("financial-api orders-api"),
        asked_scope: scope("financial-api orders-api"),
        resources: Resources::default(),
        businesses: vec![1],
        redirect_uri: REDIRECT_URI.into(),
        counter: 0,
    }
}

fn allow(optional: &str) -> Decision {
    Decision::Allow { optional_scopes: scope(optional) }
}

fn step(
    (client, request): (&Client, &AuthorizationRequest),
    businesses: &[i64],
    consent: Option<&Consent>,
    progress: Progress<'_>,
) -> Step {
    let customer =
        Some(SignedIn { subject: "casey", signed_in_seconds_ago: 100, businesses, consent });
    next(&Situation { request, client, customer, progress })
}

fn issued_silently(scopes: &str, businesses: &[i64]) -> Step {
    let businesses = businesses.to_vec();
    Step::Issue { scope: scope(scopes), businesses, allowed_now: false }
}

#[test]
fn the_steps_follow_one_another_to_a_code_for_what_was_allowed() {
    let client = client();
    let asked = request(&client, "");
    let at = |progress| step((&client, &asked), &[1, 2, 3], None, progress);
    let nobody = Situation {
        request: &asked,
        client: &client,
        customer: None,
        progress: Progress::default(),
    };
    assert_eq!(next(&nobody), Step::SignIn);
    let mut progress = Progress { signed_in: true, ..Progress::default() };
    assert_eq!(at(progress), Step::ChooseBusinesses { ticked: vec![1, 2, 3] });
    progress.businesses = Some(&[3, 1]);
    assert_eq!(at(progress), Step::AskConsent { businesses: vec![1, 3] });
    let allow = allow("");
    progress.decision = Some(&allow);
    let scope = asked.scope.clone();
    assert_eq!(at(progress), Step::Issue { scope, businesses: vec![1, 3], allowed_now: true });
    progress.decision = Some(&Decision::Deny);
    assert_eq!(at(progress), Step::Refuse(AuthorizeFault::AccessDenied));
}

#[test]
fn with_no_business_or_one_there_is_nothing_to_choose() {
    let client = client();
    let asked = request(&client, "");
    let allow = allow("");
    for held in [&[][..], &[7]] {
        let forged = Progress { businesses: Some(&[9]), ..Progress::default() };
        for progress in [Progress::default(), forged] {
            let step = step((&client, &asked), held, None, progress);
            assert_eq!(step, Step::AskConsent { businesses: held.to_vec() });
        }
        let progress = Progress { decision: Some(&allow), ..Progress::default() };
        let (scope, businesses) = (asked.scope.clone(), held.to_vec());
        let issued = Step::Issue { scope, businesses, allowed_now: true };
        assert_eq!(step((&client, &asked), held, None, progress), issued);
    }
}

#[test]
fn s9_a_forged_choice_reaches_no_business_of_another_account() {
    let client = client();
    let asked = request(&client, "");
    let allow = allow("");
    let choose = Step::ChooseBusinesses { ticked: vec![1, 2] };
    for forged in [&[8, 9][..], &[]] {
        for decision in [None, Some(&allow)] {
            let progress = Progress { signed_in: true, businesses: Some(forged), decision };
            assert_eq!(step((&client, &asked), &[1, 2], None, progress), choose);
        }
    }
    let mixed = Progress { signed_in: true, businesses: Some(&[9, 2, 2]), decision: Some(&allow) };
    let issued = Step::Issue { scope: asked.scope.clone(), businesses: vec![2], allowed_now: true };
    assert_eq!(step((&client, &asked), &[1, 2], None, mixed), issued);
}

#[test]
fn s9_allow_without_a_choice_where_there_are_many_allows_nothing() {
    let client = client();
    let allow = allow("");
    let progress = Progress { decision: Some(&allow), ..Progress::default() };
    assert_eq!(
        step((&client, &request(&client, "")), &[1, 2], None, progress),
        Step::ChooseBusinesses { ticked: vec![1, 2] }
    );
}

#[test]
fn s9_allow_and_deny_of_nobody_who_is_signed_in_are_not_heard() {
    let client = client();
    let allow = allow("");
    for (more, expected) in
        [("", Step::SignIn), ("prompt=none", Step::Refuse(AuthorizeFault::LoginRequired))]
    {
        for decision in [&allow, &Decision::Deny] {
            let progress = Progress { decision: Some(decision), ..Progress::default() };
            let request = request(&client, more);
            let situation =
                Situation { request: &request, client: &client, customer: None, progress };
            assert_eq!(next(&situation), expected);
        }
    }
}

#[test]
fn prompt_none_shows_no_page_and_names_what_would_have_been_asked() {
    let client = client();
    let asked = request(&client, "prompt=none");
    let at = |held: &[i64], consent| step((&client, &asked), held, consent, Progress::default());
    let refused = Step::Refuse(AuthorizeFault::ConsentRequired);
    assert_eq!(at(&[1, 2], None), refused);
    assert_eq!(at(&[1], None), refused);
    let silent = issued_silently("financial-api orders-api", &[1]);
    assert_eq!(at(&[1], Some(&consent())), silent);
}

#[test]
fn prompt_login_and_consent_ask_again_in_spite_of_a_consent() {
    let client = client();
    let consent = consent();
    let at = |more: &str, progress| {
        step((&client, &request(&client, more)), &[1], Some(&consent), progress)
    };
    let signed_in = Progress { signed_in: true, ..Progress::default() };
    let silent = issued_silently("financial-api orders-api", &[1]);
    let ask = Step::AskConsent { businesses: vec![1] };
    assert_eq!(at("", Progress::default()), silent);
    assert_eq!(at("prompt=login", Progress::default()), Step::SignIn);
    assert_eq!(at("prompt=login", signed_in), silent);
    assert_eq!(at("prompt=consent", Progress::default()), ask);
    assert_eq!(at("prompt=consent+login", Progress::default()), Step::SignIn);
    assert_eq!(at("prompt=consent+login", signed_in), ask);
    let allow = allow("");
    let allowed = Progress { decision: Some(&allow), ..signed_in };
    assert!(matches!(at("prompt=consent", allowed), Step::Issue { allowed_now: true, .. }));
}

#[test]
fn s9_consent_is_silent_only_for_a_proved_approved_client_at_an_https_address_elsewhere() {
    let at =
        |uri: &str| Client { redirect_uris: vec![RedirectUri::register(uri).unwrap()], ..client() };
    let unapproved = Client { approved: false, ..client() };
    let demo = Client { demo: true, ..at("http://127.0.0.1/callback") };
    for (client, silent) in [
        (client(), true),
        (public_client(), false),
        (Client { demo: true, ..public_client() }, false),
        (unapproved.clone(), false),
        (Client { demo: true, ..unapproved }, false),
        (at("http://127.0.0.1:4000/callback"), false),
        (at("http://[::1]/callback"), false),
        (at("http://localhost:3000/callback"), false),
        (at("https://localhost/callback"), false),
        (at("https://127.0.0.1/callback"), false),
        (at("com.example.app:/callback"), false),
        (demo, true),
    ] {
        let redirect_uri = client.redirect_uris[0].to_string();
        let consent = Consent { redirect_uri, ..consent() };
        let asked = request(&client, "");
        let found = step((&client, &asked), &[1], Some(&consent), Progress::default());
        let expected = if silent {
            issued_silently("financial-api orders-api", &[1])
        } else {
            Step::AskConsent { businesses: vec![1] }
        };
        assert_eq!(found, expected, "{client:?}");
    }
}

#[test]
fn s9_consent_is_silent_only_for_what_was_asked_at_that_address() {
    let client = client();
    let ask = Step::AskConsent { businesses: vec![1] };
    let elsewhere = Consent { redirect_uri: format!("{REDIRECT_URI}/"), ..consent() };
    let left_out = Consent {
        scope: scope("financial-api"),
        asked_scope: scope("financial-api items"),
        ..consent()
    };
    for (scopes, consent, expected) in [
        ("financial-api orders-api", &consent(), issued_silently("financial-api orders-api", &[1])),
        ("orders-api", &consent(), issued_silently("orders-api", &[1])),
        ("financial-api items", &consent(), ask.clone()),
        ("financial-api", &elsewhere, ask.clone()),
        ("financial-api items", &left_out, issued_silently("financial-api", &[1])),
        ("items", &left_out, ask.clone()),
        ("financial-api orders-api", &left_out, ask),
    ] {
        let asked = asking(&client, scopes);
        let found = step((&client, &asked), &[1], Some(consent), Progress::default());
        assert_eq!(found, expected, "{scopes} {consent:?}");
    }
}

#[test]
fn s9_a_silent_consent_covers_no_business_that_is_no_longer_the_customers() {
    let client = client();
    let asked = request(&client, "");
    let ask = |businesses: &[i64]| Step::AskConsent { businesses: businesses.to_vec() };
    let silent = |businesses: &[i64]| issued_silently("financial-api orders-api", businesses);
    for (consented, held, expected) in [
        (&[1, 2][..], &[1, 2][..], silent(&[1, 2])),
        (&[1, 2], &[2, 3], silent(&[2])),
        (&[1], &[1, 2, 3], silent(&[1])),
        (&[1, 2], &[3], ask(&[3])),
        (&[1, 2], &[3, 4], Step::ChooseBusinesses { ticked: vec![3, 4] }),
        (&[1, 2], &[], ask(&[])),
        (&[], &[], silent(&[])),
        (&[], &[1], ask(&[1])),
    ] {
        let consent = Consent { businesses: consented.to_vec(), ..consent() };
        let found = step((&client, &asked), held, Some(&consent), Progress::default());
        assert_eq!(found, expected, "{consented:?} {held:?}");
    }
}

#[test]
fn s9_who_has_begun_to_choose_is_not_answered_from_another_tab() {
    let client = client();
    let progress = Progress { businesses: Some(&[2]), ..Progress::default() };
    let asked = request(&client, "");
    assert_eq!(
        step((&client, &asked), &[1, 2], Some(&consent()), progress),
        Step::AskConsent { businesses: vec![2] }
    );
}

#[test]
fn u9_only_optional_scopes_can_be_left_out_and_none_can_be_added() {
    let mut client = client();
    for (optional, asked, ticked, allowed) in [
        ("items", "financial-api items", "items", "financial-api items"),
        ("items", "financial-api items", "", "financial-api"),
        ("items", "financial-api", "items orders-api", "financial-api"),
        ("", "financial-api items", "", "financial-api items"),
        ("orders-api", "financial-api items", "", "financial-api items"),
        // All that is asked for is optional: then nothing of it is.
        ("items", "items", "", "items"),
        ("items orders-api", "items orders-api", "items", "items orders-api"),
    ] {
        client.optional_scopes = scope(optional);
        let asked = asking(&client, asked);
        let decision = allow(ticked);
        let progress = Progress { decision: Some(&decision), ..Progress::default() };
        let (scope, businesses) = (scope(allowed), vec![1]);
        let issued = Step::Issue { scope, businesses, allowed_now: true };
        assert_eq!(step((&client, &asked), &[1], None, progress), issued);
    }
    assert_eq!(optional_scopes(&asking(&client, "items orders-api"), &client), Scope::default());
}

#[test]
fn a_session_that_is_older_than_max_age_or_anothers_takes_the_password_again() {
    let client = client();
    let fresh = Progress { signed_in: true, ..Progress::default() };
    let ask = Step::AskConsent { businesses: vec![1] };
    let refused = Step::Refuse(AuthorizeFault::LoginRequired);
    for (more, before, after) in [
        ("max_age=100", ask.clone(), ask.clone()),
        ("max_age=99", Step::SignIn, ask.clone()),
        ("max_age=0", Step::SignIn, ask.clone()),
        ("prompt=none&max_age=99", refused.clone(), Step::Refuse(AuthorizeFault::ConsentRequired)),
    ] {
        let request = request(&client, more);
        let at = |progress| step((&client, &request), &[1], None, progress);
        assert_eq!(at(Progress::default()), before, "{more}");
        assert_eq!(at(fresh), after, "{more}");
    }
    let is = |subject: &str| Some(SubjectHint::Is(subject.to_owned()));
    for (subject, before, after) in [
        (is("casey"), ask.clone(), ask.clone()),
        // Who then signs in is still somebody else: the client gets no code of that customer.
        (is("robin"), Step::SignIn, refused.clone()),
        (Some(SubjectHint::Unreadable), Step::SignIn, ask),
    ] {
        let request = AuthorizationRequest { subject: subject.clone(), ..request(&client, "") };
        let at = |progress| step((&client, &request), &[1], None, progress);
        assert_eq!(at(Progress::default()), before, "{subject:?}");
        assert_eq!(at(fresh), after, "{subject:?}");
        let quiet = request_quietly(&client, subject.clone());
        let expected = if subject == is("casey") { issued() } else { refused.clone() };
        let at = step((&client, &quiet), &[1], Some(&consent()), Progress::default());
        assert_eq!(at, expected, "{subject:?}");
    }
}

fn request_quietly(client: &Client, subject: Option<SubjectHint>) -> AuthorizationRequest {
    AuthorizationRequest { subject, ..request(client, "prompt=none") }
}

fn issued() -> Step {
    issued_silently("financial-api orders-api", &[1])
}

#[test]
fn a_consent_is_silent_for_the_apis_that_it_was_given_for_and_no_others() {
    let client = client();
    let named = |texts: &[&str]| Resources::parse(texts.iter().copied()).unwrap();
    let (a, b) = ("https://a.example", "https://b.example");
    let ask = Step::AskConsent { businesses: vec![1] };
    for (given, asked, expected) in [
        (&[][..], &[][..], issued()),
        // It was given for whichever API knows the scopes.
        (&[], &[a], issued()),
        (&[a, b], &[b], issued()),
        (&[a], &[a, b], ask.clone()),
        (&[a], &[], ask),
    ] {
        let consent = Consent { resources: named(given), ..consent() };
        let request = AuthorizationRequest { resources: named(asked), ..request(&client, "") };
        let at = step((&client, &request), &[1], Some(&consent), Progress::default());
        assert_eq!(at, expected, "{given:?} {asked:?}");
    }
}

//! Revocation and introspection: what is read of a call, and what follows from seal and row.

use grantor_protocol::access_token::{
    AccessFault, AccessToken, CLOCK_SKEW_SECONDS, LiveAccess, TokenRow, check_access,
};
use grantor_protocol::api::Apis;
use grantor_protocol::client::Client;
use grantor_protocol::client_authentication::{ClientFault, PresentedClient};
use grantor_protocol::client_call::ClientCall;
use grantor_protocol::grant::{Active, Binding, Grant, GrantStatus};
use grantor_protocol::redirect_uri::RedirectUriDigest;
use grantor_protocol::scope::Scope;
use grantor_protocol::token_error::{RequestFault, TokenError};
use grantor_protocol::token_introspection::{
    ActiveToken, Asker, Introspection, IntrospectionRequest, SealedToken, introspect,
};
use grantor_protocol::token_revocation::{
    NothingToEnd, Revocation, RevocationRequest, check_revocation,
};
use proptest::prelude::*;

use crate::fixtures::{REDIRECT_URI, client, public_client};

const NOW: i64 = 1_800_000_000;
const FORM: &str = "application/x-www-form-urlencoded";
const BASIC: &[u8] = b"Basic aWQ6c2VjcmV0"; // id:secret

fn call<'a>(query: &'a str, body: &'a str, authorization: &'a [&'a [u8]]) -> ClientCall<'a> {
    ClientCall {
        query: query.as_bytes(),
        content_type: (!body.is_empty()).then_some(FORM),
        authorization,
        body: body.as_bytes(),
    }
}

/// What both requests answer, which is the same.
fn refused(query: &str, body: &str, authorization: &[&[u8]]) -> TokenError {
    let revocation = RevocationRequest::parse(&call(query, body, authorization)).err();
    let introspection = IntrospectionRequest::parse(&call(query, body, authorization)).err();
    assert_eq!(revocation, introspection);
    revocation.unwrap_or_else(|| panic!("{query} {body} was taken"))
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

/// A grant at generation 3, with two scopes.
fn living() -> Grant {
    Grant {
        id: [1; 16],
        client_id: client().id,
        customer_id: [2; 16],
        scope: scope("financial-api orders-api"),
        businesses: vec![1],
        redirect_uri: RedirectUriDigest::of(REDIRECT_URI),
        code_challenge: None,
        code_expires_at: NOW + 30,
        ends_at: None,
        binding: Binding::default(),
        openid: None,
        status: GrantStatus::Active(Active {
            generation: 3,
            redeemed_at: NOW - 100,
            turned_at: NOW - 50,
            idle_expires_at: NOW + 1000,
            repeated: false,
            repeats_running: 0,
        }),
        in_force: true,
    }
}

fn pending() -> Grant {
    Grant { status: GrantStatus::Pending, ..living() }
}

fn revoked() -> Grant {
    Grant { status: GrantStatus::Revoked { at: NOW - 1 }, ..living() }
}

fn row(grant: Grant) -> TokenRow {
    TokenRow { grant, token_revoked: false }
}

fn access() -> AccessToken {
    AccessToken {
        generation: 3,
        expires_at: NOW + 600,
        issued_at: NOW - 50,
        scope: scope("orders-api"),
        binding: Binding::default(),
    }
}

fn refresh(generation: i64) -> SealedToken {
    SealedToken::Refresh { generation, expires_at: NOW + 1000 }
}

fn other_client() -> Client {
    Client { id: "another".into(), ..client() }
}

const INACTIVE: Introspection = Introspection::Inactive { alarm: false };
const ALARM: Introspection = Introspection::Inactive { alarm: true };

#[test]
fn s17_a_call_names_its_token_and_its_client_in_one_way_and_a_hint_changes_nothing() {
    for (body, authorization, id, is_public) in [
        ("token=t", &[BASIC][..], "id", false),
        ("token=t&token_type_hint=nonsense", &[BASIC], "id", false),
        ("token=t&client_id=id&client_secret=", &[BASIC], "id", false),
        ("token=t&client_id=app", &[], "app", true),
        ("client-id=app&token=t&token_type_hint=", &[], "app", true),
    ] {
        let parsed = RevocationRequest::parse(&call("lang=en", body, authorization));
        let RevocationRequest(form) = parsed.unwrap_or_else(|error| panic!("{body}: {error:?}"));
        assert_eq!((form.token.as_str(), form.client.client_id()), ("t", id));
        assert_eq!(matches!(form.client, PresentedClient::Public { .. }), is_public, "{body}");
        assert!(IntrospectionRequest::parse(&call("lang=en", body, authorization)).is_ok());
    }
}

#[test]
fn s14_s16_what_is_wrong_with_a_call_has_its_name_and_the_query_is_taken_for_nothing() {
    use RequestFault::{
        Contradiction, ContradictsBasic, Missing, Parameter, QueryNotAllowed, SecretInUrl,
        TwoWaysOfAuthentication,
    };
    for (query, body, authorization, fault) in [
        ("", "", &[BASIC][..], Missing { name: "token" }),
        ("", "token=", &[BASIC], Missing { name: "token" }),
        ("", "token_type_hint=access_token", &[BASIC], Missing { name: "token" }),
        ("token=t", "", &[BASIC], SecretInUrl { name: "token" }),
        ("token=t", "token=t", &[BASIC], SecretInUrl { name: "token" }),
        ("token=%ff", "token=t", &[BASIC], SecretInUrl { name: "token" }),
        ("access-token=t", "token=t", &[BASIC], SecretInUrl { name: "access_token" }),
        ("client_secret=s", "token=t", &[BASIC], SecretInUrl { name: "client_secret" }),
        ("client_id=id", "token=t", &[BASIC], QueryNotAllowed),
        ("client-id=id", "token=t", &[], QueryNotAllowed),
        ("token_type_hint=x", "token=t", &[BASIC], QueryNotAllowed),
        ("", "token=t&client_id=a&client-id=b", &[], Contradiction { name: "client_id" }),
        ("", "token=t&client_id=other", &[BASIC], ContradictsBasic),
        ("", "token=t", &[BASIC, BASIC], TwoWaysOfAuthentication),
        ("", "token=t&client_secret=s", &[BASIC], TwoWaysOfAuthentication),
    ] {
        assert_eq!(
            refused(query, body, authorization),
            TokenError::Request(fault),
            "{query} {body}"
        );
    }
    let twice = refused("", "token=a&token=b", &[BASIC]);
    assert!(matches!(twice, TokenError::Request(Parameter(_))), "{twice:?}");
    for (body, fault) in [
        ("token=t", ClientFault::Missing),
        ("token=t&client_secret=s", ClientFault::SecretInBody),
        ("token=t&client_id=a&client-secret=s", ClientFault::SecretInBody),
    ] {
        assert_eq!(refused("", body, &[]), TokenError::Client(fault), "{body}");
    }
    let json = ClientCall { content_type: Some("application/json"), ..call("", "{}", &[BASIC]) };
    let error = RevocationRequest::parse(&json).err();
    assert_eq!(error, Some(TokenError::Request(RequestFault::JsonBody)));
}

#[test]
fn s17_an_access_token_is_what_stands_in_seal_and_row_and_never_more() {
    let live = |token: &AccessToken, row: &TokenRow| check_access(token, Some(row), NOW);
    let both = AccessToken { scope: scope("orders-api items"), ..access() };
    let expected = LiveAccess {
        scope: scope("orders-api"),
        binding: Binding::default(),
        expires_at: NOW + 600,
    };
    assert_eq!(live(&both, &row(living())), Ok(expected.clone()));
    let older = AccessToken { generation: 1, ..access() };
    assert_eq!(live(&older, &row(living())), Ok(expected.clone()));
    let bounded = row(Grant { ends_at: Some(NOW + 5), ..living() });
    let sooner = LiveAccess { expires_at: NOW + 5, ..expected };
    assert_eq!(live(&access(), &bounded), Ok(sooner));

    let early = |by| AccessToken { issued_at: NOW + by, ..access() };
    assert!(live(&early(CLOCK_SKEW_SECONDS), &row(living())).is_ok());
    for (token, row, fault) in [
        (AccessToken { expires_at: NOW, ..access() }, row(living()), AccessFault::Expired),
        (early(CLOCK_SKEW_SECONDS + 1), row(living()), AccessFault::FromTheFuture),
        (early(i64::MAX - NOW), row(living()), AccessFault::FromTheFuture),
        (access(), row(pending()), AccessFault::AheadOfRow),
        (access(), row(revoked()), AccessFault::Ended),
        (access(), row(Grant { in_force: false, ..living() }), AccessFault::Ended),
        (access(), row(Grant { ends_at: Some(NOW), ..living() }), AccessFault::Ended),
        (access(), TokenRow { grant: living(), token_revoked: true }, AccessFault::Revoked),
        (AccessToken { generation: 4, ..access() }, row(living()), AccessFault::AheadOfRow),
        // The operator hears of it although the row is over (D3).
        (
            AccessToken { generation: 4, ..access() },
            row(Grant { in_force: false, ..living() }),
            AccessFault::AheadOfRow,
        ),
    ] {
        assert_eq!(live(&token, &row), Err(fault), "{token:?} {row:?}");
    }
    assert_eq!(check_access(&access(), None, NOW), Err(AccessFault::Unknown));
}

#[test]
fn s17_introspection_says_something_of_a_clients_own_living_tokens_alone() {
    let own = row(living());
    let ask =
        |token: &SealedToken, row: &TokenRow| introspect(token, Some(row), alone(&client()), NOW);
    let of_access = ActiveToken {
        scope: scope("orders-api"),
        customer_id: [2; 16],
        expires_at: NOW + 600,
        issued_at: NOW - 50,
        binding: Binding::default(),
    };
    let token = SealedToken::Access(access());
    assert_eq!(ask(&token, &own), Introspection::Active(of_access.clone()));
    let of_refresh =
        ActiveToken { scope: living().scope, expires_at: NOW + 1000, ..of_access.clone() };
    assert_eq!(ask(&refresh(3), &own), Introspection::Active(of_refresh));

    let elsewhere = row(Grant { client_id: "another".into(), ..living() });
    let out_of_force = row(Grant { in_force: false, ..living() });
    for (token, row, expected) in [
        (SealedToken::Code, &own, INACTIVE),
        (SealedToken::Code, &row(pending()), INACTIVE),
        (refresh(2), &own, INACTIVE),
        (refresh(4), &own, ALARM),
        (refresh(1), &row(pending()), ALARM),
        (refresh(3), &row(revoked()), INACTIVE),
        (refresh(3), &out_of_force, INACTIVE),
        (refresh(3), &row(Grant { ends_at: Some(NOW), ..living() }), INACTIVE),
        (SealedToken::Refresh { generation: 3, expires_at: NOW }, &own, INACTIVE),
        (refresh(3), &elsewhere, INACTIVE),
        (token.clone(), &elsewhere, INACTIVE),
        (token.clone(), &out_of_force, INACTIVE),
        (token.clone(), &row(pending()), ALARM),
        (token.clone(), &TokenRow { token_revoked: true, ..own.clone() }, INACTIVE),
    ] {
        assert_eq!(ask(&token, row), expected, "{token:?} {row:?}");
    }
    assert_eq!(introspect(&token, None, alone(&client()), NOW), INACTIVE);
    assert_eq!(introspect(&token, Some(&own), alone(&other_client()), NOW), INACTIVE);
    let idle = introspect(&refresh(3), Some(&own), alone(&client()), NOW + 1000);
    assert_eq!(idle, INACTIVE);
}

#[test]
fn s17_a_revocation_ends_what_is_the_clients_own_and_nothing_else() {
    let of = |token: &SealedToken, grant: &Grant, client: &Client| {
        check_revocation(token, Some(grant), client, NOW)
    };
    let token = SealedToken::Access(access());
    let grant_ends = Revocation::EndGrant { alarm: false };
    let old = SealedToken::Refresh { generation: 1, expires_at: NOW - 1 };
    let expired = SealedToken::Access(AccessToken { expires_at: NOW, ..access() });
    let newer = SealedToken::Access(AccessToken { generation: 4, ..access() });
    let late_code = Grant { code_expires_at: NOW, ..living() };
    for (token, grant, expected) in [
        (&refresh(3), living(), grant_ends),
        (&refresh(2), living(), grant_ends),
        (&old, living(), grant_ends),
        (&refresh(4), living(), Revocation::EndGrant { alarm: true }),
        (&refresh(1), pending(), Revocation::EndGrant { alarm: true }),
        (&SealedToken::Code, pending(), grant_ends),
        (&SealedToken::Code, living(), grant_ends),
        (&SealedToken::Code, late_code, Revocation::Nothing(NothingToEnd::Expired)),
        (&token, living(), Revocation::EndToken { alarm: false }),
        (&newer, living(), Revocation::EndToken { alarm: true }),
        (&expired, living(), Revocation::Nothing(NothingToEnd::Expired)),
        (&token, revoked(), Revocation::Nothing(NothingToEnd::Ended)),
        (&refresh(3), revoked(), Revocation::Nothing(NothingToEnd::Ended)),
    ] {
        assert_eq!(of(token, &grant, &client()), expected, "{token:?} {grant:?}");
        assert_eq!(of(token, &grant, &public_client()), expected, "{token:?} {grant:?}");
        let of_another = of(token, &grant, &other_client());
        assert_eq!(of_another, Revocation::Nothing(NothingToEnd::OtherClient));
        let unknown = check_revocation(token, None, &client(), NOW);
        assert_eq!(unknown, Revocation::Nothing(NothingToEnd::Unknown));
    }
}

proptest! {
    #[test]
    fn s16_any_call_is_read_without_a_panic(
        query in prop::collection::vec(any::<u8>(), 0..80),
        body in prop::collection::vec(any::<u8>(), 0..200),
        header in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let call = ClientCall {
            query: &query,
            content_type: Some(FORM),
            authorization: &[&header],
            body: &body,
        };
        let _ = RevocationRequest::parse(&call);
    }

    #[test]
    fn s17_what_is_active_is_the_clients_own_in_force_and_within_the_grant(
        generation in 0..6_i64,
        issued in -200..200_i64,
        expires in -200..2000_i64,
        ends in prop::option::of(-10..10_i64),
        (in_force, token_revoked, own, is_refresh) in any::<(bool, bool, bool, bool)>(),
    ) {
        let token = if is_refresh {
            SealedToken::Refresh { generation, expires_at: NOW + expires }
        } else {
            let (issued_at, expires_at) = (NOW + issued, NOW + expires);
            let scope = scope("orders-api items");
            SealedToken::Access(AccessToken { generation, expires_at, issued_at, scope, ..access() })
        };
        let grant = Grant { in_force, ends_at: ends.map(|by| NOW + by), ..living() };
        let asks = if own { client() } else { other_client() };
        let row = TokenRow { grant, token_revoked };
        if let Introspection::Active(said) = introspect(&token, Some(&row), alone(&asks), NOW) {
            prop_assert!(own && in_force && generation <= 3 && said.expires_at > NOW);
            prop_assert!(said.issued_at <= NOW + CLOCK_SKEW_SECONDS);
            prop_assert!(said.scope.is_within(&row.grant.scope));
            prop_assert!(is_refresh || !token_revoked);
            prop_assert!(ends.is_none_or(|by| said.expires_at <= NOW + by));
        }
    }
}

/// Who checks no API: its own tokens are all that it may ask about.
fn alone(client: &Client) -> Asker<'_> {
    static NONE: std::sync::LazyLock<Apis> = std::sync::LazyLock::new(Apis::default);
    Asker { client, apis: &NONE }
}

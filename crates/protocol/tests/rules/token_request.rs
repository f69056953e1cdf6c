use grantor_protocol::client_authentication::{BasicFault, ClientFault, PresentedClient};
use grantor_protocol::client_call::ClientCall;
use grantor_protocol::parameters::ParameterFault;
use grantor_protocol::pkce::PkceFault;
use grantor_protocol::token_error::{RequestFault, TokenError};
use grantor_protocol::token_request::{TokenGrant, TokenRequest};
use proptest::prelude::*;

const FORM: &str = "application/x-www-form-urlencoded";
const BASIC: &[u8] = b"Basic aWQ6c2VjcmV0"; // id:secret
const CODE: &str = "grant_type=authorization_code&code=c&redirect_uri=https://a.example/cb";
const REFRESH: &str = "grant_type=refresh_token&refresh_token=r";
const SECRET_PARAMETERS: [&str; 3] = ["client_secret", "refresh_token", "code_verifier"];

fn parse(query: &str, body: &str, authorization: &[&[u8]]) -> Result<TokenRequest, TokenError> {
    TokenRequest::parse(&ClientCall {
        query: query.as_bytes(),
        content_type: (!body.is_empty()).then_some(FORM),
        authorization,
        body: body.as_bytes(),
    })
}

fn refused(query: &str, body: &str, authorization: &[&[u8]]) -> TokenError {
    match parse(query, body, authorization) {
        Err(error) => error,
        Ok(_) => panic!("{query} {body} was taken"),
    }
}

fn fault(query: &str, body: &str, authorization: &[&[u8]]) -> RequestFault {
    match refused(query, body, authorization) {
        TokenError::Request(fault) => fault,
        other => panic!("{query} {body}: {other:?}"),
    }
}

#[test]
fn s14_the_guides_query_and_a_standard_form_say_the_same() {
    let guide = format!("{CODE}&client-id=id");
    let form = format!("{CODE}&client_id=id");
    let both = format!("{form}&client-id=id");
    for (query, body, from_query) in [
        (guide.as_str(), "", true),
        ("", form.as_str(), false),
        (guide.as_str(), form.as_str(), true),
        ("", both.as_str(), false),
        ("", CODE, false),
        (CODE, "code_verifier=", true),
        ("lang=en", form.as_str(), false),
    ] {
        let request = parse(query, body, &[BASIC]).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(request.client.client_id(), "id");
        assert_eq!(request.from_query, from_query, "{query} {body}");
        match request.grant {
            TokenGrant::AuthorizationCode { code, redirect_uri, code_verifier } => {
                assert_eq!((code.as_str(), redirect_uri.as_str()), ("c", "https://a.example/cb"));
                assert!(code_verifier.is_none());
            }
            TokenGrant::RefreshToken { .. }
            | TokenGrant::DeviceCode { .. }
            | TokenGrant::ClientCredentials { .. } => {
                panic!("a refresh")
            }
        }
    }
}

#[test]
fn s14_an_id_that_contradicts_another_is_refused_wherever_the_two_stand() {
    let contradiction = RequestFault::Contradiction { name: "client_id" };
    for (query, body) in [
        ("client-id=a", format!("{REFRESH}&client_id=b")),
        ("client_id=a", format!("{REFRESH}&client-id=b")),
        ("client_id=a", format!("{REFRESH}&client_id=b")),
        ("", format!("{REFRESH}&client_id=a&client-id=b")),
        ("client-id=b", format!("{REFRESH}&client_id=a&client-id=a")),
    ] {
        match fault(query, &body, &[]) {
            RequestFault::Contradiction { name } => assert!(name.starts_with("client"), "{name}"),
            other => panic!("{query} {body}: {other:?}"),
        }
    }
    assert_eq!(fault("", &format!("{REFRESH}&client_id=a&client-id=b"), &[BASIC]), contradiction);
    for name in ["client_id", "client-id"] {
        let other = format!("{name}=other");
        assert_eq!(fault(&other, REFRESH, &[BASIC]), RequestFault::ContradictsBasic);
        let body = format!("{REFRESH}&{other}");
        assert_eq!(fault("", &body, &[BASIC]), RequestFault::ContradictsBasic);
    }
}

#[test]
fn s14_two_ways_of_authentication_are_refused() {
    let body = format!("{REFRESH}&client_secret=secret");
    assert_eq!(fault("", &body, &[BASIC]), RequestFault::TwoWaysOfAuthentication);
    assert_eq!(fault("", REFRESH, &[BASIC, BASIC]), RequestFault::TwoWaysOfAuthentication);
}

#[test]
fn u8_a_secret_in_the_body_is_told_where_it_belongs() {
    for body in ["client_secret=secret", "client-secret=secret", "client_id=id&client-secret=s"] {
        let error = refused("", &format!("{REFRESH}&{body}"), &[]);
        assert_eq!(error, TokenError::Client(ClientFault::SecretInBody));
        assert!(error.wire().description.contains("Authorization: Basic"));
        assert!(!error.wire().description.contains("secret="));
    }
}

#[test]
fn s14_an_empty_secret_in_the_body_is_none() {
    let body = format!("{REFRESH}&client_id=id&client_secret=");
    assert!(matches!(
        parse("", &body, &[]).map(|request| request.client),
        Ok(PresentedClient::Public { client_id }) if client_id == "id"
    ));
    let with_header = format!("{REFRESH}&client_secret=");
    assert!(parse("", &with_header, &[BASIC]).is_ok());
}

#[test]
fn s14_who_says_nothing_and_whose_header_is_no_basic_is_an_invalid_client() {
    for (authorization, expected) in [
        (vec![], ClientFault::Missing),
        (vec![&b"Bearer abc"[..]], ClientFault::Basic(BasicFault::OtherScheme)),
        (vec![&b"Basic aWQ6c2VjcmV0Cg=="[..]], ClientFault::Basic(BasicFault::NewlineEncoded)),
    ] {
        assert_eq!(refused("", REFRESH, &authorization), TokenError::Client(expected));
    }
}

#[test]
fn s14_a_secret_in_the_url_is_refused_by_name_whatever_its_value() {
    for (query, name) in [
        ("client_secret=s", "client_secret"),
        ("client-secret=s", "client_secret"),
        ("client_secret", "client_secret"),
        ("client_secret=%ff", "client_secret"),
        ("client_secret[]=s", "client_secret"),
        ("client%5Fsecret=s", "client_secret"),
        ("refresh_token=r", "refresh_token"),
        ("refresh-token=r", "refresh_token"),
        ("code_verifier=v", "code_verifier"),
        ("client_assertion=a", "client_assertion"),
    ] {
        for body in ["", REFRESH] {
            let query = format!("{CODE}&{query}");
            assert_eq!(fault(&query, body, &[BASIC]), RequestFault::SecretInUrl { name });
        }
    }
}

#[test]
fn u8_a_json_body_is_recognised_with_and_without_its_type() {
    let json = |content_type| {
        TokenRequest::parse(&ClientCall {
            query: b"",
            content_type,
            authorization: &[BASIC],
            body: b" \n{\"grant_type\":\"refresh_token\"}",
        })
        .err()
    };
    for (content_type, expected) in [
        (Some("application/json; charset=utf-8"), RequestFault::JsonBody),
        (Some("Application/JSON"), RequestFault::JsonBody),
        (Some("text/plain"), RequestFault::JsonBody),
        (None, RequestFault::JsonBody),
    ] {
        assert_eq!(json(content_type), Some(TokenError::Request(expected)));
    }
    let call = ClientCall {
        query: b"",
        content_type: Some("multipart/form-data; boundary=x"),
        authorization: &[BASIC],
        body: b"--x",
    };
    assert_eq!(
        TokenRequest::parse(&call).err(),
        Some(TokenError::Request(RequestFault::ContentType))
    );
}

#[test]
fn s5_s16_a_parameter_twice_or_too_long_or_in_two_places_is_refused() {
    let long = format!("{CODE}&state={}", "a".repeat(10_000));
    let repeated = ParameterFault::Repeated { name: "code".into() };
    let too_long = ParameterFault::TooLong { name: "state".into(), bytes: 10_000 };
    for (query, body, expected) in [
        ("", format!("{CODE}&code=c"), RequestFault::Parameter(repeated.clone())),
        (CODE, "code=c&code=c".to_owned(), RequestFault::Parameter(repeated)),
        ("", long, RequestFault::Parameter(too_long)),
        (CODE, "code=d".to_owned(), RequestFault::Contradiction { name: "code" }),
        (CODE, REFRESH.to_owned(), RequestFault::Contradiction { name: "grant_type" }),
    ] {
        assert_eq!(fault(query, &body, &[BASIC]), expected);
    }
}

#[test]
fn what_is_missing_or_unsupported_is_named() {
    for (body, expected) in [
        ("scope=a", RequestFault::Missing { name: "grant_type" }),
        ("grant_type=authorization_code", RequestFault::Missing { name: "code" }),
        ("grant_type=authorization_code&code=c", RequestFault::Missing { name: "redirect_uri" }),
        (
            "grant_type=refresh_token&refresh_token=",
            RequestFault::Missing { name: "refresh_token" },
        ),
        ("grant_type=password&username=u", RequestFault::GrantTypeUnsupported),
        ("grant_type=Authorization_Code", RequestFault::GrantTypeUnsupported),
    ] {
        assert_eq!(fault("", body, &[BASIC]), expected, "{body}");
    }
    let body = format!("{CODE}&code_verifier=short");
    assert_eq!(fault("", &body, &[BASIC]), RequestFault::Pkce(PkceFault::VerifierMalformed));
}

#[test]
fn s14_a_scope_in_the_query_is_never_taken() {
    let request =
        parse("scope=items", REFRESH, &[BASIC]).unwrap_or_else(|error| panic!("{error:?}"));
    assert!(!request.from_query);
    assert!(matches!(request.grant, TokenGrant::RefreshToken { scope: None, .. }));
}

fn form() -> impl Strategy<Value = String> {
    let name = "(grant_type|code|redirect_uri|client_id|client-id|client_secret|refresh_token|\
                code_verifier|scope|\\PC{0,6})";
    let value =
        "(authorization_code|refresh_token|FROM_HERE|id|[%a-f0-9]{0,5}|[a-z]{43}|\\PC{0,20})";
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(pair, 0..7).prop_map(|pairs| pairs.join("&"))
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(BASIC.to_vec()), prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn s14_no_call_panics_and_nothing_secret_is_taken_from_the_query(
        query in form(),
        body in form(),
        headers in prop::collection::vec(header(), 0..3),
        content_type in prop::option::of("(application/x-www-form-urlencoded(; charset=utf-8)?|\\PC{0,20})"),
    ) {
        // What stands in the query is marked, so that it is known again.
        let query = query.replace("FROM_HERE", "FROM_QUERY");
        let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
        let call = ClientCall {
            query: query.as_bytes(),
            content_type: content_type.as_deref(),
            authorization: &headers,
            body: body.as_bytes(),
        };
        match TokenRequest::parse(&call) {
            Err(error) => {
                error.wire();
            }
            Ok(request) => {
                let stands = |name: &&str| query.split('&').any(|pair| pair.starts_with(*name));
                prop_assert_eq!(SECRET_PARAMETERS.iter().find(|name| stands(name)), None);
                if let TokenGrant::RefreshToken { refresh_token, scope } = request.grant {
                    prop_assert_ne!(refresh_token, "FROM_QUERY");
                    prop_assert_ne!(scope.as_deref(), Some("FROM_QUERY"));
                }
            }
        }
    }

    #[test]
    fn s14_any_bytes_are_a_call_without_a_panic(
        query in prop::collection::vec(any::<u8>(), 0..200),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let call = ClientCall {
            query: &query,
            content_type: Some(FORM),
            authorization: &[BASIC],
            body: &body,
        };
        let _ = TokenRequest::parse(&call);
    }
}

#[test]
fn s14_a_secret_in_the_body_and_an_assertion_are_ways_of_their_own() {
    let body = format!("{REFRESH}&client_id=id&client_secret=secret");
    let read = parse("", &body, &[]).map(|request| request.client);
    let Ok(PresentedClient::Post(post)) = read else { panic!("not taken") };
    assert_eq!((post.client_id.as_str(), post.client_secret.expose()), ("id", "secret"));

    // The header {"alg":"ES256"}, the claims {"sub":"id"}, and a signature that nobody reads here.
    let assertion = "client_assertion=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJpZCJ9.AAAA";
    let typ = "client_assertion_type=\
               urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    for more in ["", "&client_id=id"] {
        let body = format!("{REFRESH}&{typ}&{assertion}{more}");
        let read = parse("", &body, &[]).map(|request| request.client);
        let Ok(PresentedClient::Assertion { client_id, .. }) = read else { panic!("not taken") };
        assert_eq!(client_id, "id");
    }
    let contradiction = RequestFault::Contradiction { name: "client_id" };
    let two_ways = RequestFault::TwoWaysOfAuthentication;
    for (more, authorization, expected) in [
        (format!("{typ}&{assertion}&client_id=other"), vec![], contradiction),
        (format!("{typ}&{assertion}&client_secret=s"), vec![], two_ways.clone()),
        (format!("{typ}&{assertion}"), vec![BASIC], two_ways),
        (typ.to_owned(), vec![], RequestFault::Missing { name: "client_assertion" }),
        (assertion.to_owned(), vec![], RequestFault::Missing { name: "client_assertion_type" }),
        (
            format!("client_assertion_type=x&{assertion}"),
            vec![],
            RequestFault::AssertionTypeUnsupported,
        ),
    ] {
        assert_eq!(fault("", &format!("{REFRESH}&{more}"), &authorization), expected, "{more}");
    }
}

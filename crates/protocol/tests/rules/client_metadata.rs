//! Client metadata: the specification's examples, and a corpus of hostile registrations (S22,
//! CVE-2026-22752), each with the one fault that it has.

use grantor_protocol::client::{ClientKeys, SecretMethods};
use grantor_protocol::client_metadata::{ClientMetadata, ClientMethod, MetadataFault};
use grantor_protocol::jose::KeyFault;
use grantor_protocol::redirect_uri::RegistrationFault;
use grantor_protocol::scope::ScopeFault;
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(document: &Value) -> Result<ClientMetadata, MetadataFault> {
    ClientMetadata::parse(document.to_string().as_bytes())
}

/// A good document with one member changed.
fn with(name: &str, value: Value) -> Value {
    let mut document = json!({ "redirect_uris": ["https://app.example/cb"] });
    document[name] = value;
    document
}

#[test]
fn the_example_of_rfc_7591_3_1_is_taken() {
    let read = parse(&json!({
        "redirect_uris": ["https://client.example.org/callback", "https://client.example.org/callback2"],
        "client_name": "My Example Client",
        "client_name#ja-Jpan-JP": "\u{30AF}\u{30E9}",
        "token_endpoint_auth_method": "client_secret_basic",
        "logo_uri": "https://client.example.org/logo.png",
        "jwks_uri": "https://client.example.org/my_public_keys.jwks",
        "example_extension_parameter": "example_value"
    }))
    .unwrap();
    assert_eq!(read.client_name.as_deref(), Some("My Example Client"));
    assert_eq!(read.redirect_uris.len(), 2);
    assert_eq!(read.method, ClientMethod::Secret(SecretMethods::Basic));
    assert!(read.grant_types.authorization_code && !read.grant_types.refresh_token);
    assert!(matches!(&read.keys, Some(ClientKeys::Uri(_))));
    let document = Value::Object(read.document());
    assert_eq!(document["logo_uri"], "https://client.example.org/logo.png");
    assert!(document.get("example_extension_parameter").is_none());
}

#[test]
fn s24_what_is_the_servers_is_not_set_by_a_client() {
    let read = parse(&json!({
        "redirect_uris": ["https://app.example/cb"],
        "client_id": "mine", "client_secret": "mine", "approved": true, "demo": true,
        "disabled": false, "partner_id": "x", "verified": true, "pkce_required": false,
        "registration_access_token": "mine", "optional_scopes": "orders-api"
    }))
    .unwrap();
    let document = Value::Object(read.document());
    for name in ["client_id", "client_secret", "approved", "demo", "registration_access_token"] {
        assert!(document.get(name).is_none(), "{name}");
    }
}

#[test]
fn what_was_registered_reads_as_it_was_written() {
    for document in [
        json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "Ünïcode 寿司",
            "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"],
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
            "dpop_bound_access_tokens": true, "require_pushed_authorization_requests": true,
            "id_token_signed_response_alg": "EdDSA", "contacts": ["dev@example.com"],
            "post_logout_redirect_uris": ["https://app.example/bye"], "scope": "a b" }),
        json!({ "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["client_credentials"], "response_types": [] }),
    ] {
        let read = parse(&document).unwrap();
        assert_eq!(parse(&Value::Object(read.document())), Ok(read), "{document}");
    }
}

/// RFC 7591 2 names Basic for it, and whoever did not choose may send the secret either way.
#[test]
fn s14_no_method_is_basic_on_paper_and_either_in_practice() {
    let read = parse(&json!({ "redirect_uris": ["https://app.example/cb"] })).unwrap();
    assert_eq!(read.method, ClientMethod::Secret(SecretMethods::Any));
    assert_eq!(read.document()["token_endpoint_auth_method"], "client_secret_basic");
}

fn redirect_uri_cases() -> Vec<(Value, MetadataFault)> {
    use RegistrationFault::{
        Fragment, Host, HttpOutsideLoopback, Length, NotAbsolute, NotAscii, NotNormal,
        ReservedParameter, Scheme, UserInfo,
    };
    [
        ("javascript:alert(1)", Scheme),
        ("JavaScript:alert(1)", Scheme),
        ("java\tscript:alert(1)", NotAscii),
        ("data:text/html,<script>alert(1)</script>", Scheme),
        ("DATA:text/html;base64,AAAA", Scheme),
        ("vbscript:msgbox(1)", Scheme),
        ("file:///etc/passwd", Scheme),
        ("about:blank", Scheme),
        ("blob:https://app.example/1", Scheme),
        ("ftp://app.example/cb", Scheme),
        ("http://app.example/cb", HttpOutsideLoopback),
        ("http://127.0.0.1.evil.example/cb", HttpOutsideLoopback),
        ("http://169.254.169.254/latest/meta-data", HttpOutsideLoopback),
        ("https://app.example/cb#part", Fragment),
        ("https://user:pass@app.example/cb", UserInfo),
        ("https://*.example/cb", Host),
        ("https://app.example/../cb", NotNormal),
        ("https://APP.example/cb", NotNormal),
        ("https://app.example:443/cb", NotNormal),
        ("https://app.example\\cb", NotNormal),
        ("https://app.example/cb?code=x", ReservedParameter),
        ("https://app.example/cb?state=x", ReservedParameter),
        ("https://app.example/\u{202e}cb", NotAscii),
        ("https://app.example/ cb", NotAscii),
        ("/relative", NotAbsolute),
        ("//app.example/cb", NotAbsolute),
        ("", Length),
    ]
    .into_iter()
    .map(|(uri, fault)| (with("redirect_uris", json!([uri])), MetadataFault::RedirectUri(fault)))
    .collect()
}

fn link_cases() -> Vec<(Value, MetadataFault)> {
    let mut cases = Vec::new();
    for name in ["client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri"] {
        for uri in [
            "javascript:alert(1)",
            "data:image/svg+xml,<svg onload=alert(1)>",
            "http://app.example/logo.png",
            "HTTPS://app.example/logo.png",
            "https://user@app.example/logo.png",
            "https://app.example/\"><script>",
            "https:\\\\app.example",
            "not a link",
        ] {
            cases.push((with(name, json!(uri)), MetadataFault::Link { name }));
        }
    }
    cases
}

fn member_cases() -> Vec<(Value, MetadataFault)> {
    let wrong = |name| MetadataFault::WrongType { name };
    let private = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }] });
    let secret = json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] });
    let many: Vec<String> = (0..21).map(|at| format!("https://app.example/{at}")).collect();
    vec![
        (with("client_name", json!("")), MetadataFault::Name),
        (with("client_name", json!("   ")), MetadataFault::Name),
        (with("client_name", json!("a\nb")), MetadataFault::Name),
        (with("client_name", json!("Bank \u{202e}elpmaxe")), MetadataFault::Name),
        (with("client_name", json!("Ba\u{200b}nk")), MetadataFault::Name),
        (with("client_name", json!("Bank\u{3164}")), MetadataFault::Name),
        (with("client_name", json!("Ba\u{2800}nk")), MetadataFault::Name),
        (with("client_name", json!("Ba\u{034f}nk")), MetadataFault::Name),
        (with("client_name", json!("Ba\u{ffa0}nk")), MetadataFault::Name),
        (with("client_name", json!("Ba\u{fe0f}nk")), MetadataFault::Name),
        (with("client_name", json!("Ba\u{e0100}nk")), MetadataFault::Name),
        (with("client_name", json!("\u{1f512} Verified by the Bank")), MetadataFault::Name),
        (with("client_name", json!("Bank \u{2713}")), MetadataFault::Name),
        (with("client_name", json!("Bank \u{2705}")), MetadataFault::Name),
        (with("client_name", json!("Bank \u{f8ff}")), MetadataFault::Name),
        (with("client_name", json!("x".repeat(81))), MetadataFault::Name),
        (with("client_name", json!(7)), wrong("client_name")),
        (with("redirect_uris", json!("https://app.example/cb")), wrong("redirect_uris")),
        (with("redirect_uris", json!([7])), wrong("redirect_uris")),
        (with("redirect_uris", json!([])), MetadataFault::RedirectUriMissing),
        (with("redirect_uris", json!(many)), MetadataFault::TooManyRedirectUris),
        (
            with("token_endpoint_auth_method", json!("client_secret_jwt")),
            MetadataFault::MethodUnsupported,
        ),
        (
            with("token_endpoint_auth_method", json!("tls_client_auth")),
            MetadataFault::MethodUnsupported,
        ),
        (with("token_endpoint_auth_method", json!("NONE")), MetadataFault::MethodUnsupported),
        (with("token_endpoint_auth_method", json!("private_key_jwt")), MetadataFault::KeysMissing),
        (with("grant_types", json!(["password"])), MetadataFault::GrantTypeUnsupported),
        (with("grant_types", json!(["implicit"])), MetadataFault::GrantTypeUnsupported),
        (with("grant_types", json!([])), MetadataFault::GrantTypeMissing),
        (with("grant_types", json!(["refresh_token"])), MetadataFault::GrantTypeMissing),
        (with("response_types", json!(["token"])), MetadataFault::ResponseTypeUnsupported),
        (with("response_types", json!(["code id_token"])), MetadataFault::ResponseTypeUnsupported),
        (
            json!({ "token_endpoint_auth_method": "none", "grant_types": ["client_credentials"] }),
            MetadataFault::GrantNeedsProof,
        ),
        (with("scope", json!("a,b")), MetadataFault::Scope(ScopeFault::Commas)),
        (with("scope", json!("a\"b")), MetadataFault::Scope(ScopeFault::BadCharacter)),
        (with("scope", json!(["a"])), wrong("scope")),
        (with("jwks", private), MetadataFault::Keys(KeyFault::Private)),
        (with("jwks", secret), MetadataFault::Keys(KeyFault::Symmetric)),
        (
            json!({ "redirect_uris": ["https://app.example/cb"], "jwks": { "keys": [] },
                "jwks_uri": "https://app.example/jwks" }),
            MetadataFault::KeysTwice,
        ),
        (with("id_token_signed_response_alg", json!("none")), MetadataFault::AlgorithmUnsupported),
        (with("id_token_signed_response_alg", json!("HS256")), MetadataFault::AlgorithmUnsupported),
        (with("dpop_bound_access_tokens", json!("true")), wrong("dpop_bound_access_tokens")),
        (with("contacts", json!(["a@b\r\nBcc: c@d"])), wrong("contacts")),
        (with("contacts", json!(vec!["a@b"; 6])), wrong("contacts")),
        (with("software_id", json!("a\u{0}b")), wrong("software_id")),
        (with("subject_type", json!("pairwise")), wrong("subject_type")),
        (json!([]), MetadataFault::NotAnObject),
        (json!("text"), MetadataFault::NotAnObject),
    ]
}

#[test]
fn s22_cve_2026_22752_a_corpus_of_hostile_registrations_is_refused_each_with_its_cause() {
    let cases: Vec<_> =
        redirect_uri_cases().into_iter().chain(link_cases()).chain(member_cases()).collect();
    assert!(cases.len() >= 100, "only {}", cases.len());
    for (document, expected) in cases {
        assert_eq!(parse(&document).err(), Some(expected), "{document}");
    }
    for (text, expected) in [
        ("", MetadataFault::NotJson),
        ("{", MetadataFault::NotJson),
        (r#"{"redirect_uris":[],"redirect_uris":[]}"#, MetadataFault::Repeated),
        (r#"{"jwks":{"keys":[],"keys":[]}}"#, MetadataFault::Repeated),
    ] {
        assert_eq!(ClientMetadata::parse(text.as_bytes()).err(), Some(expected), "{text}");
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(ClientMetadata::parse(deep.as_bytes()), Err(MetadataFault::NotJson));
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(ClientMetadata::parse(long.as_bytes()), Err(MetadataFault::TooLong));
}

#[test]
fn u8_every_refusal_says_what_to_do_in_characters_that_rfc_6749_allows() {
    for (_, fault) in redirect_uri_cases().into_iter().chain(link_cases()).chain(member_cases()) {
        let words = fault.words();
        assert!(
            words.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
            "{words}"
        );
        assert!(words.ends_with('.') && words.len() < 300, "{words}");
        assert!(["invalid_redirect_uri", "invalid_client_metadata"].contains(&fault.code()));
    }
}

#[test]
fn s22_a_published_document_names_its_own_address_once_and_holds_no_secret() {
    const ID: &str = "https://app.example/client.json";
    let read = |members: &str| {
        let text = format!("{{\"redirect_uris\":[\"https://app.example/cb\"]{members}}}");
        ClientMetadata::parse_published(ID, text.as_bytes())
    };
    let named = format!(",\"client_id\":\"{ID}\"");
    let taken = read(&named).unwrap();
    assert_eq!(taken.method, ClientMethod::None);
    let null = format!("{named},\"token_endpoint_auth_method\":null");
    assert_eq!(read(&null).unwrap().method, ClientMethod::None);
    for (members, expected) in [
        ("", MetadataFault::ClientIdDiffers),
        (r#","client_id":"https://app.example/Client.json""#, MetadataFault::ClientIdDiffers),
        (r#","client_id":["https://app.example/client.json"]"#, MetadataFault::ClientIdDiffers),
        // What one reader takes for the last, another takes for the first.
        (&format!(r#","client_id":"https://b.example/"{named}"#), MetadataFault::Repeated),
        (&format!(r#"{named},"redirect_uris":[]"#), MetadataFault::Repeated),
        (
            &format!(r#"{named},"token_endpoint_auth_method":"client_secret_post""#),
            MetadataFault::SecretInDocument,
        ),
        (
            &format!(r#"{named},"token_endpoint_auth_method":"private_key_jwt""#),
            MetadataFault::KeysMissing,
        ),
    ] {
        assert_eq!(read(members), Err(expected), "{members}");
    }
}

proptest! {
    #[test]
    fn s22_any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = ClientMetadata::parse(&bytes);
    }

    #[test]
    fn s22_any_text_in_any_member_is_read_without_a_panic(text in "\\PC{0,60}") {
        for name in ["client_name", "scope", "logo_uri", "jwks_uri", "software_id"] {
            let _ = parse(&with(name, json!(text)));
        }
        let _ = parse(&with("redirect_uris", json!([text])));
    }
}

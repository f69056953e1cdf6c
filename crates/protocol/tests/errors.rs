//! Every cause and the words for it, as one table. To read what a partner's developer reads, open
//! `snapshots/errors__every_error.snap`.
//!
//! The lists hold an example beside the pattern of each variant, and `every!` makes a match without
//! a wildcard of the patterns: a new variant does not compile until it has its row here.

#![expect(clippy::unwrap_used, reason = "clippy takes only what stands in #[test] for a test")]

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};

use grantor_protocol::authorize_error::{AuthorizeFault, PageFault};
use grantor_protocol::client_assertion::ClientAssertionFault;
use grantor_protocol::client_authentication::{BasicFault, ClientFault};
use grantor_protocol::device::DeviceFault;
use grantor_protocol::dpop::ProofFault;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::{CodeFault, RefreshFault};
use grantor_protocol::parameters::ParameterFault;
use grantor_protocol::pkce::PkceFault;
use grantor_protocol::proof_error::ProofError;
use grantor_protocol::redirect_uri::Difference;
use grantor_protocol::resource::ResourceFault;
use grantor_protocol::scope::ScopeFault;
use grantor_protocol::token_error::{RequestFault, TokenError, TokenWire};

const MILD: &str = "scope_x";
const HOSTILE: &str = "\"\\<script>\r\nSet-Cookie: a=b\u{0}\u{202e}é🙂";

macro_rules! every {
    ($(fn $list:ident($text:ident) -> $kind:ty { $($pattern:pat => $examples:expr,)+ })+) => {
        $(fn $list($text: &str) -> Vec<$kind> {
            let _ = $text;
            let row = |fault: &$kind| match fault { $($pattern => stringify!($pattern)),+ };
            let mut all: Vec<$kind> = Vec::new();
            $(for example in $examples {
                assert_eq!(row(&example), stringify!($pattern), "{example:?}");
                all.push(example);
            })+
            all
        })+
    };
}

every! {
    fn parameter_faults(text) -> ParameterFault {
        ParameterFault::Repeated { .. } => [ParameterFault::Repeated { name: text.into() }],
        ParameterFault::ArrayLike { .. } => [ParameterFault::ArrayLike { name: text.into() }],
        ParameterFault::TooLong { .. } => [ParameterFault::TooLong { name: text.into(), bytes: 10_000 }],
        ParameterFault::NameTooLong => [ParameterFault::NameTooLong],
        ParameterFault::TooMany => [ParameterFault::TooMany],
        ParameterFault::BadEncoding { name: Some(_) } => [ParameterFault::BadEncoding { name: Some(text.into()) }],
        ParameterFault::BadEncoding { name: None } => [ParameterFault::BadEncoding { name: None }],
    }

    fn scope_faults(text) -> ScopeFault {
        ScopeFault::Commas => [ScopeFault::Commas],
        ScopeFault::BadCharacter => [ScopeFault::BadCharacter],
        ScopeFault::TooMany => [ScopeFault::TooMany],
        ScopeFault::NotAllowed { meant: None, .. } => [ScopeFault::NotAllowed { scope: text.into(), meant: None }],
        ScopeFault::NotAllowed { meant: Some(_), .. } => [ScopeFault::NotAllowed { scope: text.into(), meant: Some(text.replace('_', "-")) }],
    }

    fn resource_faults(text) -> ResourceFault {
        ResourceFault::NotAbsolute => [ResourceFault::NotAbsolute],
        ResourceFault::Fragment => [ResourceFault::Fragment],
        ResourceFault::TooMany => [ResourceFault::TooMany],
        ResourceFault::Unknown { .. } => [ResourceFault::Unknown { resource: text.into() }],
        ResourceFault::NoScope { .. } => [ResourceFault::NoScope { resource: text.into() }],
    }

    fn pkce_faults(text) -> PkceFault {
        PkceFault::MethodNotS256 => [PkceFault::MethodNotS256],
        PkceFault::ChallengeMissing => [PkceFault::ChallengeMissing],
        PkceFault::ChallengeMalformed => [PkceFault::ChallengeMalformed],
        PkceFault::Required => [PkceFault::Required],
        PkceFault::VerifierMalformed => [PkceFault::VerifierMalformed],
    }

    fn differences(text) -> Difference {
        Difference::TrailingSlash => [Difference::TrailingSlash],
        Difference::Case => [Difference::Case],
        Difference::Scheme => [Difference::Scheme],
        Difference::Port => [Difference::Port],
        Difference::Encoding => [Difference::Encoding],
        Difference::Query => [Difference::Query],
        Difference::Path => [Difference::Path],
        Difference::Unknown => [Difference::Unknown],
    }

    fn page_faults(text) -> PageFault {
        PageFault::ClientIdMissing => [PageFault::ClientIdMissing],
        PageFault::ClientUnknown { .. } => [PageFault::ClientUnknown { sent: text.into() }],
        PageFault::ClientDisabled => [PageFault::ClientDisabled],
        PageFault::RedirectUriMissing => [PageFault::RedirectUriMissing],
        PageFault::RedirectUriDiffers { .. } => differences(text)
            .into_iter()
            .map(|difference| PageFault::RedirectUriDiffers { sent: text.into(), difference }),
        PageFault::ClientDocument { .. } => [PageFault::ClientDocument { why: "Its host cannot be reached.".into() }],
        PageFault::RequestUriUnknown => [PageFault::RequestUriUnknown],
        PageFault::TooManyTries { .. } => [1, 90, 91, 900].map(|wait_seconds| PageFault::TooManyTries { wait_seconds }),
        PageFault::Parameter(_) => parameter_faults(text).into_iter().map(PageFault::Parameter),
    }

    fn authorize_faults(text) -> AuthorizeFault {
        AuthorizeFault::Parameter(_) => parameter_faults(text).into_iter().map(AuthorizeFault::Parameter),
        AuthorizeFault::ResponseTypeMissing => [AuthorizeFault::ResponseTypeMissing],
        AuthorizeFault::ResponseTypeUnsupported => [AuthorizeFault::ResponseTypeUnsupported],
        AuthorizeFault::ResponseModeUnsupported => [AuthorizeFault::ResponseModeUnsupported],
        AuthorizeFault::PushRequired => [AuthorizeFault::PushRequired],
        AuthorizeFault::RequestObjectUnsupported => [AuthorizeFault::RequestObjectUnsupported],
        AuthorizeFault::RequestUriUnsupported => [AuthorizeFault::RequestUriUnsupported],
        AuthorizeFault::Scope(_) => scope_faults(text).into_iter().map(AuthorizeFault::Scope),
        AuthorizeFault::Pkce(_) => pkce_faults(text).into_iter().map(AuthorizeFault::Pkce),
        AuthorizeFault::MaxAgeMalformed => [AuthorizeFault::MaxAgeMalformed],
        AuthorizeFault::ClaimsMalformed => [AuthorizeFault::ClaimsMalformed],
        AuthorizeFault::Resource(_) => resource_faults(text).into_iter().map(AuthorizeFault::Resource),
        AuthorizeFault::ThumbprintMalformed => [AuthorizeFault::ThumbprintMalformed],
        AuthorizeFault::PromptUnknown => [AuthorizeFault::PromptUnknown],
        AuthorizeFault::PromptNoneWithOthers => [AuthorizeFault::PromptNoneWithOthers],
        AuthorizeFault::LoginRequired => [AuthorizeFault::LoginRequired],
        AuthorizeFault::ConsentRequired => [AuthorizeFault::ConsentRequired],
        AuthorizeFault::AccessDenied => [AuthorizeFault::AccessDenied],
    }

    fn request_faults(text) -> RequestFault {
        RequestFault::Method => [RequestFault::Method],
        RequestFault::RequestUriPushed => [RequestFault::RequestUriPushed],
        RequestFault::BodyIncomplete => [RequestFault::BodyIncomplete],
        RequestFault::BodyTooLarge { .. } => [RequestFault::BodyTooLarge { limit: 16_384 }],
        RequestFault::JsonBody => [RequestFault::JsonBody],
        RequestFault::ContentType => [RequestFault::ContentType],
        RequestFault::Parameter(_) => parameter_faults(text).into_iter().map(RequestFault::Parameter),
        RequestFault::Missing { .. } => [RequestFault::Missing { name: "grant_type" }],
        RequestFault::Contradiction { .. } => [RequestFault::Contradiction { name: "client_id" }],
        RequestFault::ContradictsBasic => [RequestFault::ContradictsBasic],
        RequestFault::TwoWaysOfAuthentication => [RequestFault::TwoWaysOfAuthentication],
        RequestFault::SecretInUrl { .. } => ["client_secret", "refresh_token", "token"].map(|name| RequestFault::SecretInUrl { name }),
        RequestFault::QueryNotAllowed => [RequestFault::QueryNotAllowed],
        RequestFault::AssertionTypeUnsupported => [RequestFault::AssertionTypeUnsupported],
        RequestFault::GrantTypeUnsupported => [RequestFault::GrantTypeUnsupported],
        RequestFault::ClientCredentialsOnly => [RequestFault::ClientCredentialsOnly],
        RequestFault::Pkce(_) => pkce_faults(text).into_iter().map(RequestFault::Pkce),
    }

    fn proof_errors(text) -> ProofError {
        ProofError::TwoHeaders => [ProofError::TwoHeaders],
        ProofError::NotText => [ProofError::NotText],
        ProofError::Fault(_) => [
            ProofFault::MethodDiffers,
            ProofFault::UriDiffers,
            ProofFault::UriMalformed,
            ProofFault::TooOld { seconds_ago: 400 },
            ProofFault::FromTheFuture,
            ProofFault::TokenIdLength,
            ProofFault::TokenHashMissing,
            ProofFault::TokenHashDiffers,
            ProofFault::NonceMissing,
            ProofFault::NonceDiffers,
        ].map(ProofError::Fault),
        ProofError::Replayed => [ProofError::Replayed],
        ProofError::OtherKeyThanNamed => [ProofError::OtherKeyThanNamed],
        ProofError::Required => [ProofError::Required],
        ProofError::Unavailable => [ProofError::Unavailable],
    }

    fn basic_faults(text) -> BasicFault {
        BasicFault::OtherScheme => [BasicFault::OtherScheme],
        BasicFault::Empty => [BasicFault::Empty],
        BasicFault::TooLong => [BasicFault::TooLong],
        BasicFault::Quoted => [BasicFault::Quoted],
        BasicFault::BlankInside => [BasicFault::BlankInside],
        BasicFault::NotEncoded => [BasicFault::NotEncoded],
        BasicFault::OtherAlphabet => [BasicFault::OtherAlphabet],
        BasicFault::NotBase64 => [BasicFault::NotBase64],
        BasicFault::NewlineEncoded => [BasicFault::NewlineEncoded],
        BasicFault::StrayAround => [BasicFault::StrayAround],
        BasicFault::NotText => [BasicFault::NotText],
        BasicFault::NoColon => [BasicFault::NoColon],
        BasicFault::EmptyPart => [BasicFault::EmptyPart],
        BasicFault::BadEscape => [BasicFault::BadEscape],
    }

    fn client_faults(text) -> ClientFault {
        ClientFault::Basic(_) => basic_faults(text).into_iter().map(ClientFault::Basic),
        ClientFault::Missing => [ClientFault::Missing],
        ClientFault::Unknown { .. } => Environment::ALL.map(|here| ClientFault::Unknown { here }),
        ClientFault::OtherEnvironment { .. } => Environment::ALL
            .map(|here| ClientFault::OtherEnvironment { here, belongs_to: here.other() }),
        ClientFault::WrongSecret => [ClientFault::WrongSecret],
        ClientFault::SecretEnded { .. } => [ClientFault::SecretEnded { seconds_ago: 90 }],
        ClientFault::StrayAroundSecret => [ClientFault::StrayAroundSecret],
        ClientFault::SecretMissing => [ClientFault::SecretMissing],
        ClientFault::SecretUnexpected => [ClientFault::SecretUnexpected],
        ClientFault::SecretInBody => [ClientFault::SecretInBody],
        ClientFault::SecretInHeader => [ClientFault::SecretInHeader],
        ClientFault::AssertionMissing => [ClientFault::AssertionMissing],
        ClientFault::AssertionUnexpected => [ClientFault::AssertionUnexpected],
        ClientFault::Assertion(_) => [
            ClientAssertionFault::IssuerDiffers,
            ClientAssertionFault::SubjectDiffers,
            ClientAssertionFault::AudienceNotOne,
            ClientAssertionFault::AudienceDiffers,
            ClientAssertionFault::Expired { seconds_ago: 90 },
            ClientAssertionFault::ExpiresTooLate { limit: 600 },
            ClientAssertionFault::NotYetValid,
            ClientAssertionFault::FromTheFuture,
            ClientAssertionFault::TokenIdLength,
        ].map(ClientFault::Assertion),
        ClientFault::AssertionReplayed => [ClientFault::AssertionReplayed],
        ClientFault::KeysUnavailable => [ClientFault::KeysUnavailable],
        ClientFault::SecretNeededHere => [ClientFault::SecretNeededHere],
        ClientFault::Disabled => [ClientFault::Disabled],
    }

    fn code_faults(text) -> CodeFault {
        CodeFault::Unreadable => [CodeFault::Unreadable],
        CodeFault::OtherEnvironment { .. } => Environment::ALL
            .map(|here| CodeFault::OtherEnvironment { here, issued_in: here.other() }),
        CodeFault::OtherKind => [CodeFault::OtherKind],
        CodeFault::Unknown => [CodeFault::Unknown],
        CodeFault::OtherClient => [CodeFault::OtherClient],
        CodeFault::RedirectUriDiffers => [CodeFault::RedirectUriDiffers],
        CodeFault::VerifierMissing => [CodeFault::VerifierMissing],
        CodeFault::VerifierUnexpected => [CodeFault::VerifierUnexpected],
        CodeFault::VerifierWrong => [CodeFault::VerifierWrong],
        CodeFault::Expired { .. } => [0, 1, 75].map(|seconds_ago| CodeFault::Expired { seconds_ago }),
        CodeFault::Used { .. } => [3].map(|seconds_ago| CodeFault::Used { seconds_ago }),
        CodeFault::Ended => [CodeFault::Ended],
        CodeFault::ProofMissing => [CodeFault::ProofMissing],
        CodeFault::KeyDiffers => [CodeFault::KeyDiffers],
    }

    fn refresh_faults(text) -> RefreshFault {
        RefreshFault::Unreadable => [RefreshFault::Unreadable],
        RefreshFault::OtherEnvironment { .. } => Environment::ALL
            .map(|here| RefreshFault::OtherEnvironment { here, issued_in: here.other() }),
        RefreshFault::OtherKind => [RefreshFault::OtherKind],
        RefreshFault::Unknown => [RefreshFault::Unknown],
        RefreshFault::OtherClient => [RefreshFault::OtherClient],
        RefreshFault::Expired { .. } => [86_400].map(|seconds_ago| RefreshFault::Expired { seconds_ago }),
        RefreshFault::Reused { .. } => [Some(90), None].map(|seconds_ago| RefreshFault::Reused { seconds_ago }),
        RefreshFault::ClockWentBack => [RefreshFault::ClockWentBack],
        RefreshFault::AheadOfRow => [RefreshFault::AheadOfRow],
        RefreshFault::ProofMissing => [RefreshFault::ProofMissing],
        RefreshFault::KeyDiffers => [RefreshFault::KeyDiffers],
        RefreshFault::Ended => [RefreshFault::Ended],
    }

    fn device_faults(text) -> DeviceFault {
        DeviceFault::Unknown => [DeviceFault::Unknown],
        DeviceFault::OtherClient => [DeviceFault::OtherClient],
        DeviceFault::Pending => [DeviceFault::Pending],
        DeviceFault::SlowDown { .. } => [DeviceFault::SlowDown { interval_seconds: 10 }],
        DeviceFault::Denied => [DeviceFault::Denied],
        DeviceFault::Expired => [DeviceFault::Expired],
        DeviceFault::Used => [DeviceFault::Used],
        DeviceFault::Ended => [DeviceFault::Ended],
    }

    fn token_errors(text) -> TokenError {
        TokenError::Request(_) => request_faults(text).into_iter().map(TokenError::Request),
        TokenError::Client(_) => client_faults(text).into_iter().map(TokenError::Client),
        TokenError::Code { proved: true, .. } => code_faults(text).into_iter().map(|fault| TokenError::Code { fault, proved: true }),
        TokenError::Code { proved: false, .. } => code_faults(text).into_iter().map(|fault| TokenError::Code { fault, proved: false }),
        TokenError::Refresh { proved: true, .. } => refresh_faults(text).into_iter().map(|fault| TokenError::Refresh { fault, proved: true }),
        TokenError::Refresh { proved: false, .. } => refresh_faults(text).into_iter().map(|fault| TokenError::Refresh { fault, proved: false }),
        TokenError::Scope(_) => scope_faults(text).into_iter().map(TokenError::Scope),
        TokenError::Resource(_) => resource_faults(text).into_iter().map(TokenError::Resource),
        TokenError::PushedPage(_) => page_faults(text).into_iter().map(TokenError::PushedPage),
        TokenError::Pushed(_) => authorize_faults(text).into_iter().map(TokenError::Pushed),
        TokenError::ClientScope(_) => scope_faults(text).into_iter().map(TokenError::ClientScope),
        TokenError::Device(_) => device_faults(text).into_iter().map(TokenError::Device),
        TokenError::DevicesNotAllowed => [TokenError::DevicesNotAllowed],
        TokenError::GrantTypeNotAllowed => [TokenError::GrantTypeNotAllowed],
        TokenError::TooManyTries { .. } => [TokenError::TooManyTries { wait_seconds: 900 }],
        TokenError::Unavailable => [TokenError::Unavailable],
        TokenError::Proof(_) => proof_errors(text).into_iter().map(TokenError::Proof),
    }
}

fn is_proved(error: &TokenError) -> bool {
    match error {
        TokenError::Code { proved, .. } | TokenError::Refresh { proved, .. } => *proved,
        TokenError::Request(_)
        | TokenError::Client(_)
        | TokenError::Scope(_)
        | TokenError::ClientScope(_)
        | TokenError::Resource(_)
        | TokenError::PushedPage(_)
        | TokenError::Pushed(_)
        | TokenError::Device(_)
        | TokenError::DevicesNotAllowed
        | TokenError::GrantTypeNotAllowed
        | TokenError::Proof(_)
        | TokenError::TooManyTries { .. }
        | TokenError::Unavailable => true,
    }
}

fn unproved_wires() -> Vec<TokenWire> {
    let errors = token_errors(MILD);
    errors.iter().filter(|error| !is_proved(error)).map(TokenError::wire).collect()
}

/// Every text that goes to a client.
fn descriptions(text: &str) -> Vec<String> {
    let token = token_errors(text).into_iter().map(|error| error.wire().description);
    let authorize = authorize_faults(text).into_iter().map(|fault| fault.wire().description);
    token.chain(authorize).collect()
}

fn row(table: &mut String, cause: &impl Debug, wire: &str, words: &[&str]) {
    writeln!(table, "{cause:?}\n    {wire}").unwrap();
    for line in words {
        writeln!(table, "    {line}").unwrap();
    }
}

#[test]
fn u7_u8_every_error() {
    let mut table = String::from("# Shown on a page of /oauth/authorize\n\n");
    for fault in page_faults(MILD) {
        let words = fault.words();
        let anchor = format!("#{}", words.anchor);
        row(&mut table, &fault, &anchor, &[words.title, &words.what_happened, &words.what_to_do]);
    }
    table.push_str("\n# Redirected from /oauth/authorize\n\n");
    for fault in authorize_faults(MILD) {
        let wire = fault.wire();
        row(&mut table, &fault, &format!("{} #{}", wire.code, wire.anchor), &[&wire.description]);
    }
    table.push_str("\n# Answered by /oauth/token, /oauth/revoke and /oauth/introspect\n\n");
    for error in token_errors(MILD) {
        let wire = error.wire();
        let start = format!("{} {} #{}", wire.status, wire.code, wire.anchor);
        row(&mut table, &error, &start, &[&wire.description]);
    }
    insta::assert_snapshot!("every_error", table);
}

#[test]
fn every_description_is_made_of_what_rfc_6749_allows_even_with_hostile_text_inside() {
    for text in [MILD, HOSTILE, &HOSTILE.repeat(300), ""] {
        for description in descriptions(text) {
            let allowed = |byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(description.bytes().all(allowed), "{description}");
            assert!(description.len() < 400, "{} bytes: {description}", description.len());
            assert!(description.ends_with(['.', '?', ')']), "{description}");
            assert!(!description.contains("  "), "{description}");
        }
    }
}

#[test]
fn s22_no_page_repeats_more_of_a_strangers_text_than_its_harmless_characters() {
    for fault in page_faults(&HOSTILE.repeat(300)) {
        let words = fault.words();
        for line in [words.title, &words.what_happened, &words.what_to_do] {
            assert!(line.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{line}");
            assert!(line.len() < 400, "{line}");
        }
    }
}

#[test]
fn every_401_is_an_invalid_client_and_every_invalid_client_a_401() {
    for error in token_errors(MILD) {
        let wire = error.wire();
        assert_eq!(wire.status == 401, wire.code == "invalid_client", "{error:?}");
        assert_eq!(wire.status == 401, matches!(error, TokenError::Client(_)), "{error:?}");
    }
}

#[test]
fn the_codes_are_those_of_the_standards() {
    // What is pushed is refused with the codes of authorize, which are below.
    let is_own = |error: &&TokenError| !matches!(error, TokenError::Pushed(_));
    let token: BTreeSet<&str> =
        token_errors(MILD).iter().filter(is_own).map(|error| error.wire().code).collect();
    let expected = [
        "access_denied",
        "authorization_pending",
        "expired_token",
        "slow_down",
        "invalid_client",
        "invalid_dpop_proof",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
        "use_dpop_nonce",
    ];
    assert_eq!(token, BTreeSet::from(expected));
    let authorize: BTreeSet<&str> =
        authorize_faults(MILD).iter().map(|fault| fault.wire().code).collect();
    let expected = [
        "access_denied",
        "consent_required",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "login_required",
        "request_not_supported",
        "request_uri_not_supported",
        "unsupported_response_type",
    ];
    assert_eq!(authorize, BTreeSet::from(expected));
}

#[test]
fn u7_who_proved_nothing_reads_the_same_whatever_the_cause() {
    let wires = unproved_wires();
    let of_codes = wires.iter().filter(|wire| wire.anchor == "code").count();
    assert_eq!(of_codes, code_faults(MILD).len());
    assert_eq!(wires.len() - of_codes, refresh_faults(MILD).len());
    let texts: BTreeSet<&str> = wires.iter().map(|wire| wire.description.as_str()).collect();
    assert_eq!(texts.len(), 2);
    for wire in &wires {
        assert_eq!((wire.status, wire.code), (400, "invalid_grant"));
        for word in
            ["expired", "used", "second", "another", "ended", "staging", "production", "match"]
        {
            assert!(!wire.description.contains(word), "{}", wire.description);
        }
    }
}

#[test]
fn u4_the_error_for_an_unknown_client_names_this_environment_and_the_other_one_its_own() {
    for here in Environment::ALL {
        let unknown = TokenError::Client(ClientFault::Unknown { here }).wire().description;
        assert!(unknown.contains("is not known") || unknown.contains("known here"), "{unknown}");
        assert!(unknown.contains(&format!("this is {here}")), "{unknown}");
        let belongs_to = here.other();
        let other = TokenError::Client(ClientFault::OtherEnvironment { here, belongs_to });
        let other = other.wire().description;
        assert!(other.contains(&format!("belongs to {belongs_to}")), "{other}");
    }
}

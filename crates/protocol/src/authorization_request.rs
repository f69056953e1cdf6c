//! The request to `/oauth/authorize` (RFC 6749 4.1.1).
//!
//! 1. [`client_id`] says for which client: the caller loads it;
//! 2. [`AuthorizationRequest::parse`] proves the redirect URI before it looks at anything else, so
//!    that each later fault knows where it may go: a page, or that URI.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api::Apis;
use crate::authorize_error::{AuthorizeError, AuthorizeFault, PageFault};
use crate::client::Client;
use crate::openid::{self, OpenIdParameters, SubjectHint};
use crate::parameters::Parameters;
use crate::pkce::{CodeChallenge, PkceFault};
use crate::redirect_uri::{ProvedRedirectUri, RedirectUri};
use crate::resource::Resources;
use crate::scope::Scope;

/// A request whose every part is proved or within its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// The client's id.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: ProvedRedirectUri,
    /// How it goes there.
    pub response_mode: ResponseMode,
    /// Handed back as it came.
    pub state: Option<String>,
    /// What is asked for: the client's own scopes where the request names none.
    pub scope: Scope,
    /// The APIs that the tokens are to be for (RFC 8707 2.1).
    pub resources: Resources,
    /// The challenge that the exchange must answer.
    pub code_challenge: Option<CodeChallenge>,
    /// The thumbprint of the key that the exchange must prove (RFC 9449 10).
    pub dpop_jkt: Option<[u8; 32]>,
    /// What the client wants the customer to be asked.
    pub prompt: Prompt,
    /// How long ago the password may have been entered, in seconds.
    pub max_age_seconds: Option<i64>,
    /// The e-mail address that the client expects.
    pub login_hint: Option<String>,
    /// An ID token of the customer that the client expects, as it was sent. Whoever has the keys
    /// reads it, and says in `subject` whom it means.
    pub id_token_hint: Option<String>,
    /// The customer that the client expects.
    pub subject: Option<SubjectHint>,
    /// What is asked for of the customer, where the scope `openid` is.
    pub openid: Option<OpenIdParameters>,
}

/// How an answer goes to its redirect URI (OAuth 2.0 Multiple Response Types 2.1, Form Post Response
/// Mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of a redirect.
    #[default]
    Query,
    /// In a form that the browser posts.
    FormPost,
}

/// The `prompt` parameter (OpenID Connect Core 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Show nothing: answer at once or refuse.
    pub none: bool,
    /// Ask for the password again.
    pub login: bool,
    /// Ask for consent again.
    pub consent: bool,
}

/// The client that a request is for.
///
/// # Errors
/// A [`PageFault`], because nothing is proved yet.
pub fn client_id(parameters: &Parameters) -> Result<&str, PageFault> {
    once(parameters, "client_id")?.ok_or(PageFault::ClientIdMissing)
}

impl AuthorizationRequest {
    /// Reads the request of `client`, for some of the environment's `apis`.
    ///
    /// # Errors
    /// [`AuthorizeError::Page`] until the redirect URI is proved, [`AuthorizeError::Redirect`]
    /// after that.
    pub fn parse(
        parameters: &Parameters,
        client: &Client,
        apis: &Apis,
    ) -> Result<AuthorizationRequest, AuthorizeError> {
        let redirect_uri = prove_redirect_uri(parameters, client).map_err(AuthorizeError::Page)?;
        // RFC 9700 4.11.2: from here on the fault may travel; state travels with it.
        let state = parameters.value("state").map(str::to_owned);
        // Where the mode itself is wrong its error goes by the usual one.
        let mode = ResponseMode::read(parameters, &redirect_uri);
        let response_mode = mode.unwrap_or_default();
        let read = match mode {
            Some(_) => Details::read(parameters, client, apis),
            None => Err(AuthorizeFault::ResponseModeUnsupported),
        };
        match read {
            Ok(details) => Ok(AuthorizationRequest {
                client_id: client.id.clone(),
                redirect_uri,
                response_mode,
                state,
                scope: details.scope,
                resources: details.resources,
                code_challenge: details.code_challenge,
                dpop_jkt: details.dpop_jkt,
                prompt: details.prompt,
                max_age_seconds: details.max_age_seconds,
                login_hint: parameters.value("login_hint").map(str::to_owned),
                id_token_hint: parameters.value("id_token_hint").map(str::to_owned),
                subject: details.openid.as_ref().and_then(demanded_subject),
                openid: details.openid,
            }),
            Err(fault) => {
                let mode = response_mode;
                Err(AuthorizeError::Redirect { redirect_uri, state, mode, fault })
            }
        }
    }
}

impl ResponseMode {
    /// Reads it; `None` for one that is not supported, or not for this redirect URI: nothing but a
    /// web server takes a form.
    fn read(parameters: &Parameters, redirect_uri: &ProvedRedirectUri) -> Option<ResponseMode> {
        let is_web = ["https://", "http://"].iter().any(|s| redirect_uri.as_str().starts_with(s));
        match parameters.value("response_mode") {
            None | Some("query") => Some(ResponseMode::Query),
            Some("form_post") if is_web => Some(ResponseMode::FormPost),
            Some(_) => None,
        }
    }
}

fn prove_redirect_uri(
    parameters: &Parameters,
    client: &Client,
) -> Result<ProvedRedirectUri, PageFault> {
    if client.disabled {
        return Err(PageFault::ClientDisabled);
    }
    let sent = once(parameters, "redirect_uri")?.ok_or(PageFault::RedirectUriMissing)?;
    RedirectUri::prove(&client.redirect_uris, sent).ok_or_else(|| PageFault::RedirectUriDiffers {
        sent: sent.to_owned(),
        difference: RedirectUri::difference(&client.redirect_uris, sent),
    })
}

/// A parameter that decides where an answer may go: a fault in it is for the page.
fn once<'a>(parameters: &'a Parameters, name: &str) -> Result<Option<&'a str>, PageFault> {
    match parameters.fault_of(name) {
        Some(fault) => Err(PageFault::Parameter(fault.clone())),
        None => Ok(parameters.value(name)),
    }
}

fn demanded_subject(openid: &OpenIdParameters) -> Option<SubjectHint> {
    openid.subject.clone().map(SubjectHint::Is)
}

struct Details {
    scope: Scope,
    resources: Resources,
    code_challenge: Option<CodeChallenge>,
    dpop_jkt: Option<[u8; 32]>,
    prompt: Prompt,
    max_age_seconds: Option<i64>,
    openid: Option<OpenIdParameters>,
}

impl Details {
    fn read(
        parameters: &Parameters,
        client: &Client,
        apis: &Apis,
    ) -> Result<Details, AuthorizeFault> {
        if let Some(fault) = parameters.fault() {
            return Err(AuthorizeFault::Parameter(fault.clone()));
        }
        match parameters.value("response_type") {
            None => return Err(AuthorizeFault::ResponseTypeMissing),
            Some("code") => {}
            Some(_) => return Err(AuthorizeFault::ResponseTypeUnsupported),
        }
        // OpenID Connect Core 6.1 and 6.2: said aloud, because to ignore them would drop what the
        // client meant to protect.
        if parameters.contains("request") {
            return Err(AuthorizeFault::RequestObjectUnsupported);
        }
        if parameters.contains("request_uri") {
            return Err(AuthorizeFault::RequestUriUnsupported);
        }
        let (scope, openid) = scope_and_openid(parameters, client)?;
        let resources = Resources::parse(parameters.values("resource"))
            .and_then(|requested| apis.asked(&requested, &scope))
            .map_err(AuthorizeFault::Resource)?;
        let code_challenge = CodeChallenge::parse(
            parameters.value("code_challenge"),
            parameters.value("code_challenge_method"),
        )
        .map_err(AuthorizeFault::Pkce)?;
        if code_challenge.is_none() && client.pkce_required() {
            return Err(AuthorizeFault::Pkce(PkceFault::Required));
        }
        let prompt = Prompt::parse(parameters.value("prompt"))?;
        let dpop_jkt = match parameters.value("dpop_jkt") {
            None => None,
            Some(text) => Some(thumbprint(text).ok_or(AuthorizeFault::ThumbprintMalformed)?),
        };
        let max_age_seconds = max_age(parameters)?;
        Ok(Details { scope, resources, code_challenge, dpop_jkt, prompt, max_age_seconds, openid })
    }
}

/// What is asked for. A claim that is asked for by name takes the scope that allows it, as far as
/// the client may ask for that.
fn scope_and_openid(
    parameters: &Parameters,
    client: &Client,
) -> Result<(Scope, Option<OpenIdParameters>), AuthorizeFault> {
    let scope = Scope::requested(parameters.value("scope"), &client.scopes)
        .map_err(AuthorizeFault::Scope)?;
    if !scope.contains(openid::OPENID) {
        return Ok((scope, None));
    }
    let openid = OpenIdParameters::read(parameters).map_err(|_| AuthorizeFault::ClaimsMalformed)?;
    let of_claims = openid.scopes_of_claims().intersection(&client.scopes);
    Ok((scope.union(&of_claims), Some(openid)))
}

/// OpenID Connect Core 3.1.2.1.
fn max_age(parameters: &Parameters) -> Result<Option<i64>, AuthorizeFault> {
    let Some(text) = parameters.value("max_age") else {
        return Ok(None);
    };
    let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.then(|| text.parse().ok()).flatten();
    seconds.map(Some).ok_or(AuthorizeFault::MaxAgeMalformed)
}

/// RFC 9449 10: a SHA-256 in base64url.
fn thumbprint(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

impl Prompt {
    fn parse(text: Option<&str>) -> Result<Prompt, AuthorizeFault> {
        let mut prompt = Prompt::default();
        for word in text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
            match word {
                "none" => prompt.none = true,
                // To choose another account is to sign in again.
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => return Err(AuthorizeFault::PromptUnknown),
            }
        }
        // OpenID Connect Core 3.1.2.1: "none" stands alone.
        if prompt.none && (prompt.login || prompt.consent) {
            return Err(AuthorizeFault::PromptNoneWithOthers);
        }
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixtures::{REDIRECT_URI, client, public_client};
    use crate::parameters::{MAX_PARAMETERS, ParameterFault};
    use crate::redirect_uri::Difference;
    use crate::scope::ScopeFault;
    use proptest::prelude::*;

    const START: &str = "response_type=code&client_id=devp-staging-mycompany\
                         &redirect_uri=https%3A%2F%2Fmycompany.com%2Fredirection%2Fikentoo&state=s";
    const CHALLENGE: &str = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn parse(query: &str, client: &Client) -> Result<AuthorizationRequest, AuthorizeError> {
        AuthorizationRequest::parse(&Parameters::parse(query.as_bytes()), client, &Apis::default())
    }

    fn redirected(query: &str, client: &Client) -> (AuthorizeFault, Option<String>) {
        match parse(query, client) {
            Err(AuthorizeError::Redirect { redirect_uri, state, mode: _, fault }) => {
                assert_eq!(redirect_uri.as_str(), REDIRECT_URI, "{query}");
                (fault, state)
            }
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn the_guides_first_step_is_taken_and_the_clients_own_scopes_apply() {
        let request = parse(START, &client()).unwrap();
        assert_eq!(request.client_id, "devp-staging-mycompany");
        assert_eq!(request.redirect_uri.as_str(), REDIRECT_URI);
        assert_eq!(request.state.as_deref(), Some("s"));
        assert_eq!(request.scope, client().scopes);
        assert_eq!(request.code_challenge, None);
        assert_eq!(request.prompt, Prompt::default());
    }

    #[test]
    fn s3_until_the_redirect_uri_is_proved_every_fault_is_for_the_page() {
        let named = |fault: fn(String) -> ParameterFault| {
            PageFault::Parameter(fault("redirect_uri".to_owned()))
        };
        let repeated = named(|name| ParameterFault::Repeated { name });
        let badly_encoded = named(|name| ParameterFault::BadEncoding { name: Some(name) });
        let array_like = named(|name| ParameterFault::ArrayLike { name });
        let differs = PageFault::RedirectUriDiffers {
            sent: "https://evil.example/".into(),
            difference: Difference::Unknown,
        };
        let again = format!("&redirect_uri={REDIRECT_URI}");
        let hidden = format!("{}redirect_uri={REDIRECT_URI}", "a&".repeat(MAX_PARAMETERS));
        for (query, fault) in [
            ("response_type=token".to_owned(), PageFault::RedirectUriMissing),
            ("redirect_uri=&response_type=token".to_owned(), PageFault::RedirectUriMissing),
            ("redirect_uri=https://evil.example/&scope=a&scope=b".to_owned(), differs.clone()),
            (format!("{START}{again}"), repeated.clone()),
            (format!("redirect_uri=https://evil.example/{again}"), repeated.clone()),
            (format!("redirect_uri=%ff{again}"), badly_encoded.clone()),
            (format!("scope=a&scope=b&redirect_uri=%ff{again}"), badly_encoded),
            (format!("redirect_uri[]=https://evil.example/{again}"), array_like),
            (hidden, PageFault::Parameter(ParameterFault::TooMany)),
        ] {
            assert_eq!(parse(&query, &client()), Err(AuthorizeError::Page(fault)), "{query}");
        }
    }

    #[test]
    fn s3_a_disabled_client_gets_a_page_even_for_a_registered_redirect_uri() {
        let disabled = Client { disabled: true, ..client() };
        assert_eq!(parse(START, &disabled), Err(AuthorizeError::Page(PageFault::ClientDisabled)));
    }

    #[test]
    fn s3_s5_the_client_id_is_read_before_anything_is_proved() {
        let read = |query: &str| client_id(&Parameters::parse(query.as_bytes())).map(str::to_owned);
        let repeated = ParameterFault::Repeated { name: "client_id".into() };
        let badly_encoded = ParameterFault::BadEncoding { name: Some("client_id".into()) };
        assert_eq!(read(START).as_deref(), Ok("devp-staging-mycompany"));
        assert_eq!(read("state=s"), Err(PageFault::ClientIdMissing));
        assert_eq!(read("client_id="), Err(PageFault::ClientIdMissing));
        assert_eq!(read("client_id=a&client_id=a"), Err(PageFault::Parameter(repeated)));
        assert_eq!(read("client_id=a%00"), Err(PageFault::Parameter(badly_encoded)));
    }

    #[test]
    fn s5_after_that_a_repeated_parameter_goes_back_with_the_state() {
        for (tail, name) in
            [("&scope=a&scope=a", "scope"), ("&code_challenge[]=x", "code_challenge")]
        {
            let (fault, state) = redirected(&format!("{START}{tail}"), &client());
            match fault {
                AuthorizeFault::Parameter(
                    ParameterFault::Repeated { name: named }
                    | ParameterFault::ArrayLike { name: named },
                ) => assert_eq!(named, name),
                other => panic!("{other:?}"),
            }
            assert_eq!(state.as_deref(), Some("s"));
        }
    }

    #[test]
    fn s5_a_state_that_stands_twice_is_not_handed_back() {
        for tail in ["&state=t", "&state=%ff", "&state[]=t"] {
            assert_eq!(redirected(&format!("{START}{tail}"), &client()).1, None, "{tail}");
        }
    }

    #[test]
    fn what_is_not_supported_is_named_and_not_ignored() {
        let query = START.replace("response_type=code&", "");
        assert_eq!(redirected(&query, &client()).0, AuthorizeFault::ResponseTypeMissing);
        for kind in ["token", "code+token", "CODE", "id_token"] {
            let query = START.replace("response_type=code", &format!("response_type={kind}"));
            assert_eq!(redirected(&query, &client()).0, AuthorizeFault::ResponseTypeUnsupported);
        }
        for (tail, fault) in [
            ("&response_mode=fragment", AuthorizeFault::ResponseModeUnsupported),
            ("&request=eyJ", AuthorizeFault::RequestObjectUnsupported),
            ("&request_uri=https://a.example/r", AuthorizeFault::RequestUriUnsupported),
            ("&prompt=create", AuthorizeFault::PromptUnknown),
        ] {
            let query = format!("{START}{tail}");
            assert_eq!(redirected(&query, &client()), (fault, Some("s".to_owned())), "{tail}");
        }
        let mode = |mode: &str| parse(&format!("{START}&response_mode={mode}"), &client());
        assert_eq!(mode("query").unwrap().response_mode, ResponseMode::Query);
        assert_eq!(mode("form_post").unwrap().response_mode, ResponseMode::FormPost);
        // What comes after a mode that was understood goes back by it.
        match parse(&format!("{START}&response_mode=form_post&prompt=create"), &client()) {
            Err(AuthorizeError::Redirect { mode, .. }) => assert_eq!(mode, ResponseMode::FormPost),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn u8_a_scope_with_an_underscore_names_the_one_that_was_meant() {
        let not_allowed = ScopeFault::NotAllowed {
            scope: "financial_api".into(),
            meant: Some("financial-api".into()),
        };
        for (tail, fault) in [
            ("&scope=financial_api", not_allowed),
            ("&scope=financial-api,items", ScopeFault::Commas),
        ] {
            let (found, _) = redirected(&format!("{START}{tail}"), &client());
            assert_eq!(found, AuthorizeFault::Scope(fault));
        }
    }

    #[test]
    fn s6_who_has_to_use_pkce_cannot_leave_it_out_or_weaken_it() {
        let mut bound = client();
        bound.settings.pkce_required = true;
        for client in [public_client(), bound] {
            for (tail, fault) in [
                (String::new(), PkceFault::Required),
                (format!("&{CHALLENGE}"), PkceFault::MethodNotS256),
                (format!("&{CHALLENGE}&code_challenge_method=plain"), PkceFault::MethodNotS256),
                ("&code_challenge_method=S256".to_owned(), PkceFault::ChallengeMissing),
                ("&code_challenge=&code_challenge_method=".to_owned(), PkceFault::Required),
            ] {
                let (found, _) = redirected(&format!("{START}{tail}"), &client);
                assert_eq!(found, AuthorizeFault::Pkce(fault), "{tail}");
            }
            let whole = format!("{START}&{CHALLENGE}&code_challenge_method=S256");
            assert!(parse(&whole, &client).unwrap().code_challenge.is_some());
        }
    }

    #[test]
    fn prompts_combine_but_none_stands_alone() {
        let prompt = |text: &str| parse(&format!("{START}&prompt={text}"), &client());
        for (text, none, login, consent) in [
            ("", false, false, false),
            ("none", true, false, false),
            ("none+none", true, false, false),
            ("login", false, true, false),
            ("select_account", false, true, false),
            ("consent", false, false, true),
            ("consent++login", false, true, true),
        ] {
            let read = prompt(text).map(|request| request.prompt);
            assert_eq!(read, Ok(Prompt { none, login, consent }), "{text}");
        }
        for text in ["none+login", "consent+none", "none+select_account"] {
            let (fault, _) = redirected(&format!("{START}&prompt={text}"), &client());
            assert_eq!(fault, AuthorizeFault::PromptNoneWithOthers, "{text}");
        }
    }

    fn pair() -> impl Strategy<Value = String> {
        let name = "(redirect_uri|client_id|response_type|scope|state|prompt|code_challenge|\
                    code_challenge_method|request|redirect_uri\\[\\]|\\PC{0,6})";
        let value = prop_oneof![
            Just(REDIRECT_URI.to_owned()),
            Just("https://mycompany.com@evil.example/redirection/ikentoo".to_owned()),
            Just("code".to_owned()),
            Just("none login".to_owned()),
            "[%a-f0-9]{0,9}",
            "\\PC{0,30}",
        ];
        (name, value).prop_map(|(name, value)| format!("{name}={value}"))
    }

    proptest! {
        #[test]
        fn s3_no_query_panics_or_is_redirected_elsewhere(
            pairs in prop::collection::vec(pair(), 0..8),
            public in any::<bool>(),
        ) {
            let client = if public { public_client() } else { client() };
            match parse(&pairs.join("&"), &client) {
                Ok(request) => {
                    prop_assert_eq!(request.redirect_uri.as_str(), REDIRECT_URI);
                    prop_assert!(request.scope.is_within(&client.scopes));
                    prop_assert!(!public || request.code_challenge.is_some());
                }
                Err(AuthorizeError::Redirect { redirect_uri, fault, .. }) => {
                    prop_assert_eq!(redirect_uri.as_str(), REDIRECT_URI);
                    let sent = pairs.iter().filter(|pair| pair.starts_with("redirect_uri"));
                    prop_assert_eq!(sent.count(), 1);
                    fault.wire();
                }
                Err(AuthorizeError::Page(fault)) => {
                    fault.words();
                }
            }
        }
    }
}

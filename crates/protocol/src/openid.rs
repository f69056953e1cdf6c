//! OpenID Connect Core 1.0, as far as it is more than OAuth: who the customer is.
//!
//! 1. [`OpenIdParameters::read`] is what an authorization request with the scope `openid` asks for;
//! 2. [`IdToken`] is what an exchange answers beside its access token, [`at_hash`] ties the two
//!    together;
//! 3. [`CustomerClaims::chosen`] is what may be said of a customer, in an ID token or at
//!    `/oauth/userinfo`;
//! 4. [`read_hint`] reads an ID token of ours that a client sends back (`id_token_hint`).

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::client::IdTokenAlgorithm;
use crate::jose::json::{Members, Value, parse_object};
use crate::jose::{Algorithm, Demand, Jwk, TypeDemand, UnverifiedJws};
use crate::parameters::Parameters;
use crate::scope::Scope;

/// The scope that makes an authorization request one of OpenID Connect.
pub const OPENID: &str = "openid";
/// The scope whose absence may mean that there is no refresh token.
pub const OFFLINE_ACCESS: &str = "offline_access";
/// The scopes of OpenID Connect (5.4, 11): no request gets one that does not name it.
pub const SCOPES: [&str; 4] = [OPENID, "profile", "email", OFFLINE_ACCESS];
/// What can be said of a customer, and the scope that allows it (5.4).
const CLAIMS: [(&str, &str); 2] = [("name", "profile"), ("email", "email")];
/// The `claims_supported` of the metadata.
pub const CLAIMS_SUPPORTED: [&str; 9] =
    ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "name", "email"];
/// How long an ID token is good, in seconds: it is read once, when it comes.
pub const ID_TOKEN_SECONDS: i64 = 3600;
/// No `id_token_hint` is longer, in bytes.
pub const MAX_HINT_BYTES: usize = 4096;

/// What an authorization request asks for beyond OAuth (3.1.2.1, 5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenIdParameters {
    /// Handed back in the ID token as it came.
    pub nonce: Option<String>,
    /// The names of the claims that `claims` wants in the ID token, of those that are known.
    pub id_token_claims: Vec<String>,
    /// And at `/oauth/userinfo`.
    pub userinfo_claims: Vec<String>,
    /// The customer that `claims` demands.
    pub subject: Option<String>,
}

/// Which customer a request is for, where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectHint {
    /// the one with this `sub`
    Is(String),
    /// an ID token that is not, or no more, one of ours: nobody can say whom it means
    Unreadable,
}

/// Why the parameter `claims` cannot be read (5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsRequestFault {
    /// not a JSON object of objects, or a member stands twice
    Malformed,
}

impl OpenIdParameters {
    /// Reads them.
    ///
    /// # Errors
    /// [`ClaimsRequestFault`]
    pub fn read(parameters: &Parameters) -> Result<OpenIdParameters, ClaimsRequestFault> {
        let nonce = parameters.value("nonce").map(str::to_owned);
        let Some(text) = parameters.value("claims") else {
            return Ok(OpenIdParameters { nonce, ..OpenIdParameters::default() });
        };
        let claims = parse_object(text.as_bytes()).map_err(|_| ClaimsRequestFault::Malformed)?;
        let (id_token, userinfo) = (part(&claims, "id_token")?, part(&claims, "userinfo")?);
        Ok(OpenIdParameters {
            nonce,
            subject: demanded_subject(id_token),
            id_token_claims: known_claims(id_token),
            userinfo_claims: known_claims(userinfo),
        })
    }

    /// The scopes that its claims take: to ask for somebody's address is to ask for the scope
    /// `email`, so that the consent page says so.
    pub fn scopes_of_claims(&self) -> Scope {
        let named = |claim: &str| {
            self.id_token_claims.iter().chain(&self.userinfo_claims).any(|held| held == claim)
        };
        let scopes: Vec<&str> =
            CLAIMS.iter().filter(|(claim, _)| named(claim)).map(|(_, scope)| *scope).collect();
        Scope::parse(&scopes.join(" ")).unwrap_or_default()
    }
}

/// One of the two parts of `claims`; `None` where it is not asked for.
fn part<'a>(
    claims: &'a Members<'a>,
    name: &str,
) -> Result<Option<&'a Members<'a>>, ClaimsRequestFault> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(ClaimsRequestFault::Malformed),
    }
}

/// What is not known is ignored (5.5: a claim is voluntary unless it is said to be essential, and
/// even then its absence is no error).
fn known_claims(part: Option<&Members<'_>>) -> Vec<String> {
    let wanted = |claim: &&str| part.is_some_and(|members| members.contains_key(*claim));
    CLAIMS.iter().map(|(claim, _)| *claim).filter(wanted).map(str::to_owned).collect()
}

/// 5.5.1: `{"id_token": {"sub": {"value": "..."}}}`.
fn demanded_subject(part: Option<&Members<'_>>) -> Option<String> {
    part?.get("sub")?.get("value")?.as_str().map(str::to_owned)
}

/// What is said of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CustomerClaims {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address. Whether it was verified is the company's own knowledge, and not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl CustomerClaims {
    /// Those of a customer's claims that `scope` allows and `wanted` names; all that are allowed
    /// where `wanted` is `None`.
    #[must_use]
    pub fn chosen(self, scope: &Scope, wanted: Option<&[String]>) -> CustomerClaims {
        let is_chosen = |claim: &str| {
            let allowed = CLAIMS.iter().any(|(known, by)| *known == claim && scope.contains(by));
            allowed && wanted.is_none_or(|wanted| wanted.iter().any(|held| held == claim))
        };
        CustomerClaims {
            name: self.name.filter(|_| is_chosen("name")),
            email: self.email.filter(|_| is_chosen("email")),
        }
    }
}

/// The claims of an ID token (2).
#[derive(Clone, Debug, Serialize)]
pub struct IdToken<'a> {
    /// The issuer.
    pub iss: &'a str,
    /// The customer.
    pub sub: &'a str,
    /// The client.
    pub aud: &'a str,
    /// In Unix seconds.
    pub exp: i64,
    /// In Unix seconds.
    pub iat: i64,
    /// When the password was entered, in Unix seconds.
    pub auth_time: i64,
    /// From the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<&'a str>,
    /// [`at_hash`]
    pub at_hash: String,
    /// What was asked for by `claims`.
    #[serde(flatten)]
    pub customer: CustomerClaims,
}

/// The left half of the access token's hash, in base64url (3.1.3.6). The hash is that of the ID
/// token's algorithm; Ed25519's is SHA-512.
pub fn at_hash(algorithm: IdTokenAlgorithm, access_token: &str) -> String {
    let hash = match algorithm {
        IdTokenAlgorithm::Rs256 | IdTokenAlgorithm::Es256 => &SHA256,
        IdTokenAlgorithm::EdDsa => &SHA512,
    };
    let whole = digest(hash, access_token.as_bytes());
    let half = whole.as_ref().len() / 2;
    URL_SAFE_NO_PAD.encode(&whole.as_ref()[..half])
}

/// What an ID token of ours says that a client sends back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The customer.
    pub subject: String,
    /// The client that it was made for.
    pub client_id: String,
}

/// Reads an ID token of `issuer` by its keys. One that has expired is taken: it says whom the client
/// means, and opens nothing (OpenID Connect RP-Initiated Logout 1.0, 4). `None` for what is not, or
/// no more, verifiable.
pub fn read_hint(token: &str, issuer: &str, keys: &[Jwk]) -> Option<Hint> {
    let demand = Demand {
        algorithms: &[Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
        // An access token that is signed by the same keys is no ID token (RFC 8725 3.11).
        typ: TypeDemand::OneOf(&["JWT"]),
        max_bytes: MAX_HINT_BYTES,
    };
    let verified = UnverifiedJws::parse(token, &demand).ok()?.verify(keys).ok()?;
    let claims = verified.claims().ok()?;
    (claims.text("iss") == Ok(issuer)).then_some(())?;
    Some(Hint {
        subject: claims.text("sub").ok()?.to_owned(),
        client_id: claims.text("aud").ok()?.to_owned(),
    })
}

impl From<IdTokenAlgorithm> for Algorithm {
    fn from(algorithm: IdTokenAlgorithm) -> Algorithm {
        match algorithm {
            IdTokenAlgorithm::Rs256 => Algorithm::Rs256,
            IdTokenAlgorithm::Es256 => Algorithm::Es256,
            IdTokenAlgorithm::EdDsa => Algorithm::EdDsa,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{SigningKey, generate};
    use serde_json::json;

    #[test]
    fn at_hash_is_that_of_the_specifications_own_example() {
        // OpenID Connect Core A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(IdTokenAlgorithm::Rs256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        // SHA-512 has twice the half.
        assert_eq!(at_hash(IdTokenAlgorithm::EdDsa, token).len(), 43);
    }

    #[test]
    fn the_claims_parameter_names_what_is_known_and_the_scopes_that_it_takes() {
        // OpenID Connect Core 5.5, its example.
        let text = r#"{"userinfo": {"given_name": {"essential": true}, "nickname": null,
            "email": {"essential": true}, "picture": null},
            "id_token": {"auth_time": {"essential": true}, "name": null,
            "acr": {"values": ["urn:mace:incommon:iap:silver"]},
            "sub": {"value": "248289761001"}}}"#;
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let form = format!("nonce=n-0S6_WzA2Mj&claims={encoded}");
        let read = OpenIdParameters::read(&Parameters::parse(form.as_bytes())).unwrap();
        assert_eq!(read.nonce.as_deref(), Some("n-0S6_WzA2Mj"));
        assert_eq!(
            (read.id_token_claims.join(" "), read.userinfo_claims.join(" ")),
            ("name".into(), "email".into())
        );
        assert_eq!(read.subject.as_deref(), Some("248289761001"));
        assert_eq!(read.scopes_of_claims().to_string(), "email profile");
        for malformed in ["x", "[]", "{\"id_token\":[]}", "{\"userinfo\":{},\"userinfo\":{}}"] {
            let form = format!("claims={malformed}");
            let read = OpenIdParameters::read(&Parameters::parse(form.as_bytes()));
            assert_eq!(read, Err(ClaimsRequestFault::Malformed), "{malformed}");
        }
    }

    #[test]
    fn of_a_customer_no_more_is_said_than_the_scope_allows_and_the_request_names() {
        let whole = CustomerClaims { name: Some("N".into()), email: Some("e".into()) };
        let scope = |text| Scope::parse(text).unwrap();
        let only = |name: bool, email: bool| CustomerClaims {
            name: name.then(|| "N".into()),
            email: email.then(|| "e".into()),
        };
        assert_eq!(whole.clone().chosen(&scope("openid"), None), only(false, false));
        assert_eq!(whole.clone().chosen(&scope("openid profile"), None), only(true, false));
        let all = scope("openid profile email");
        assert_eq!(whole.clone().chosen(&all, None), whole);
        assert_eq!(whole.clone().chosen(&all, Some(&["email".into()])), only(false, true));
        assert_eq!(whole.chosen(&scope("profile"), Some(&["email".into()])), only(false, false));
    }

    #[test]
    fn s27_a_hint_is_an_id_token_of_this_issuer_by_its_own_key_and_nothing_else() {
        let key = |kid: &str| {
            let der = generate(Algorithm::Es256).unwrap();
            SigningKey::from_pkcs8(Algorithm::Es256, &der, Some(kid.into())).unwrap()
        };
        let (ours, other) = (key("a"), key("a"));
        let claims = json!({ "iss": "https://i", "sub": "s", "aud": "c", "exp": 1 });
        let keys = [ours.public().clone()];
        let read = |token: &str| read_hint(token, "https://i", &keys);
        let token = ours.sign("JWT", &claims).unwrap();
        let hint = Hint { subject: "s".into(), client_id: "c".into() };
        assert_eq!(read(&token), Some(hint));
        assert_eq!(read_hint(&token, "https://j", &keys), None);
        assert_eq!(read(&other.sign("JWT", &claims).unwrap()), None);
        assert_eq!(read(&ours.sign("at+jwt", &claims).unwrap()), None);
        assert_eq!(read(&token[..token.len() - 2]), None);
    }
}

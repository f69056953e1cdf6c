//! What comes next in the browser: one pure function, asked again after each step.
//!
//! The steps never lead to one another. Each comes back to `/oauth/authorize`, and [`next`] looks
//! at all that is known by then: sign in, choose businesses, consent, and at last a code or a
//! refusal.

use crate::authorization_request::AuthorizationRequest;
use crate::authorize_error::AuthorizeFault;
use crate::client::Client;
use crate::openid::SubjectHint;
use crate::resource::Resources;
use crate::scope::Scope;

/// All that is known when the question is asked.
pub struct Situation<'a> {
    /// The request.
    pub request: &'a AuthorizationRequest,
    /// Its client.
    pub client: &'a Client,
    /// The customer who is signed in in this browser.
    pub customer: Option<SignedIn<'a>>,
    /// What the customer did for this very request so far.
    pub progress: Progress<'a>,
}

/// A customer who is signed in.
pub struct SignedIn<'a> {
    /// Who it is, as an ID token says it.
    pub subject: &'a str,
    /// How long ago the password was entered, in seconds.
    pub signed_in_seconds_ago: i64,
    /// The businesses of the account, in order.
    pub businesses: &'a [i64],
    /// What the customer allowed this client before, if that still stands.
    pub consent: Option<&'a Consent>,
}

/// What the customer did for this very request so far.
#[derive(Clone, Copy, Default)]
pub struct Progress<'a> {
    /// Entered the password.
    pub signed_in: bool,
    /// Chose these businesses.
    pub businesses: Option<&'a [i64]>,
    /// Pressed Allow or Deny.
    pub decision: Option<&'a Decision>,
}

/// What was pressed on the consent page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allow, with the optional scopes whose boxes are ticked.
    Allow {
        /// those scopes
        optional_scopes: Scope,
    },
    /// Deny.
    Deny,
}

/// What a customer allowed a client: a fact of its own, that outlives the grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The scopes.
    pub scope: Scope,
    /// The scopes that were on the page when it was given: one that was left out then is not asked
    /// for again.
    pub asked_scope: Scope,
    /// For which APIs; none named: for all that know the scopes.
    pub resources: Resources,
    /// The businesses.
    pub businesses: Vec<i64>,
    /// Where the code went.
    pub redirect_uri: String,
    /// Raised when the customer takes it back.
    pub counter: i64,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Show the sign-in page.
    SignIn,
    /// Show the boxes, with these ticked.
    ChooseBusinesses {
        /// those ticked
        ticked: Vec<i64>,
    },
    /// Show what is asked for.
    AskConsent {
        /// for these businesses
        businesses: Vec<i64>,
    },
    /// Insert a grant and redirect with its code.
    Issue {
        /// with this scope
        scope: Scope,
        /// for these businesses
        businesses: Vec<i64>,
        /// whether the customer said so just now, so that the consent's row is written too
        allowed_now: bool,
    },
    /// Redirect with an error.
    Refuse(AuthorizeFault),
}

/// Decides the next step.
pub fn next(situation: &Situation<'_>) -> Step {
    let Situation { request, client, customer, progress } = situation;
    let enough = |customer: &&SignedIn<'_>| progress.signed_in || is_enough(request, customer);
    let Some(customer) = customer.as_ref().filter(enough) else {
        return interaction(request, Step::SignIn, AuthorizeFault::LoginRequired);
    };
    // Who entered the password is not whom the client means (OpenID Connect Core 3.1.2.1).
    if let Some(SubjectHint::Is(subject)) = &request.subject
        && subject != customer.subject
    {
        return Step::Refuse(AuthorizeFault::LoginRequired);
    }
    if let Some(Decision::Deny) = progress.decision {
        return Step::Refuse(AuthorizeFault::AccessDenied);
    }
    let of_account = |ids: &[i64]| -> Vec<i64> {
        customer.businesses.iter().copied().filter(|id| ids.contains(id)).collect()
    };
    if let Some(consent) = silent_consent(situation, customer) {
        return Step::Issue {
            scope: request.scope.intersection(&consent.scope),
            businesses: of_account(&consent.businesses),
            allowed_now: false,
        };
    }
    let chosen = match (progress.businesses, customer.businesses) {
        (_, []) => Vec::new(),
        (_, [only]) => vec![*only],
        (Some(chosen), _) => of_account(chosen),
        (None, _) => Vec::new(),
    };
    if chosen.is_empty() && !customer.businesses.is_empty() {
        let step = Step::ChooseBusinesses { ticked: customer.businesses.to_vec() };
        return interaction(request, step, AuthorizeFault::ConsentRequired);
    }
    match progress.decision {
        Some(Decision::Allow { optional_scopes }) => Step::Issue {
            scope: allowed_scope(request, client, optional_scopes),
            businesses: chosen,
            allowed_now: true,
        },
        Some(Decision::Deny) | None => {
            let step = Step::AskConsent { businesses: chosen };
            interaction(request, step, AuthorizeFault::ConsentRequired)
        }
    }
}

/// Whether a session that was there before the request will do for it.
fn is_enough(request: &AuthorizationRequest, customer: &SignedIn<'_>) -> bool {
    let is_recent = request.max_age_seconds.is_none_or(|max| customer.signed_in_seconds_ago <= max);
    let is_meant = match &request.subject {
        None => true,
        Some(SubjectHint::Is(subject)) => subject == customer.subject,
        Some(SubjectHint::Unreadable) => false,
    };
    !request.prompt.login && is_recent && is_meant
}

/// The scopes that a customer gets to leave out on the consent page.
pub fn optional_scopes(request: &AuthorizationRequest, client: &Client) -> Scope {
    let optional = request.scope.intersection(&client.optional_scopes);
    // If every scope were optional, Allow with no box ticked would allow nothing.
    if optional == request.scope { Scope::default() } else { optional }
}

fn allowed_scope(request: &AuthorizationRequest, client: &Client, ticked: &Scope) -> Scope {
    let optional = optional_scopes(request, client);
    request.scope.without(&optional.without(ticked))
}

/// The consent that lets a code be issued without asking (rule 8 of the design): only to a client
/// that authenticates itself, that somebody approved, and whose redirect URI is https, because a
/// loopback port or a custom scheme can be anybody's, and a certificate for `localhost` too. The
/// demo client of dev is the exception.
fn silent_consent<'a>(situation: &Situation<'a>, customer: &SignedIn<'a>) -> Option<&'a Consent> {
    let Situation { request, client, progress, .. } = situation;
    let consent = customer.consent?;
    let trusted = !client.is_public()
        && client.approved
        && (client.demo
            || (request.redirect_uri.is_https() && !request.redirect_uri.is_loopback()));
    // Where none of the businesses is the customer's any more, the consent is about nothing that
    // is here.
    let same_businesses = match (consent.businesses.as_slice(), customer.businesses) {
        ([], []) => true,
        (consented, held) => consented.iter().any(|id| held.contains(id)),
    };
    let covers = request.scope.is_within(&consent.asked_scope)
        && !request.scope.intersection(&consent.scope).is_empty()
        && consent.resources.cover(&request.resources)
        && consent.redirect_uri == request.redirect_uri.as_str()
        && same_businesses;
    // Who has begun to choose is not answered with what was chosen in another tab meanwhile.
    let asked_again =
        request.prompt.consent || progress.businesses.is_some() || progress.decision.is_some();
    (trusted && covers && !asked_again).then_some(consent)
}

/// A page, or its error where the client wants to see none (OpenID Connect Core 3.1.2.6).
fn interaction(request: &AuthorizationRequest, page: Step, error: AuthorizeFault) -> Step {
    if request.prompt.none { Step::Refuse(error) } else { page }
}

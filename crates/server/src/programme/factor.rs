//! The second factor of people of the portal: managers and operators need one, developers may have
//! one.
//!
//! 1. [`missing`] says what a session is without: until it has that, it is nobody's;
//! 2. [`begin`] draws a secret and [`confirm`] takes the first code of it, and gives recovery codes;
//! 3. [`pass`] takes a code at sign-in; [`remove`] and a new secret need the password and a code;
//! 4. tries are counted for each person, before anything is looked at: whoever knows the password
//!    guesses a code no faster by asking many times at once.

use super::account::{address, mail, right_password};
use super::{Actor, FieldFault, Refused};
use crate::demo;
use crate::keys::KeysError;
use crate::second_factor::{self, FactorSecret, RecoveryCode};
use crate::site::Site;
use crate::store::{Act, Confirmed, Factor, Once, Person, Spent, SteppedUp, StoreError};

/// How many tries a person has in [`TRIES_SECONDS`]: with three codes of a million that are right at
/// a time, a year of trying finds one of them with a chance of about two in three, and the person is
/// told of the first quarter of an hour.
const TRIES: i64 = 10;
const TRIES_SECONDS: i64 = 900;

/// What a session is without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// a code of the factor that the person has
    Code,
    /// the factor itself, which the person has to have
    Enrolment,
}

/// What is missing in a session that showed its factor at that time, or not at all.
pub fn missing(site: &Site, person: &Person, factor_at: Option<i64>) -> Option<Missing> {
    match (person.factor_since, factor_at) {
        (Some(_), None) => Some(Missing::Code),
        (Some(_), Some(_)) => None,
        (None, _) if person.role.is_staff() && !exempt(site, person) => Some(Missing::Enrolment),
        (None, _) => None,
    }
}

/// A newcomer to `grantor dev` looks around as the demo's manager without any app.
pub fn exempt(site: &Site, person: &Person) -> bool {
    site.dev.is_some() && person.email == demo::MANAGER_EMAIL
}

/// Draws a first secret for somebody who just gave the password. One that is there already stays.
///
/// # Errors
/// [`Refused`]
pub async fn begin_first(site: &Site, person: &Person) -> Result<(), Refused> {
    if site.store.factor(person.id).await?.next.is_some() {
        return Ok(());
    }
    let secret = FactorSecret::generate(&site.random);
    begun(site.keys.begin_factor(person.id, &secret, None).await?)
}

/// Draws a secret for somebody who is signed in; in the place of another one, once it is confirmed.
///
/// # Errors
/// [`Refused`]: a password or a code that is not right.
pub async fn begin(
    site: &Site,
    person: &Person,
    (password, code): (String, &str),
) -> Result<(), Refused> {
    count_try(site, person).await?;
    right_password(site, person, password).await?;
    let factor = site.store.factor(person.id).await?;
    let secret = FactorSecret::generate(&site.random);
    if factor.secret.is_none() {
        return begun(site.keys.begin_factor(person.id, &secret, None).await?);
    }
    let spent = check(site, person, &factor, code).await?;
    let act = act(site, person, "factor.renewal_begun", &spent)?;
    match site.keys.begin_factor(person.id, &secret, Some((&spent, &act))).await? {
        true => Ok(()),
        false => Err(wrong()),
    }
}

fn begun(done: bool) -> Result<(), Refused> {
    match done {
        true => Ok(()),
        false => Err(Refused::Conflict("Your second factor was changed meanwhile.".to_owned())),
    }
}

/// The secret that waits to be confirmed.
///
/// # Errors
/// [`Refused`]
pub async fn waiting(site: &Site, person: &Person) -> Result<Option<FactorSecret>, Refused> {
    match site.store.factor(person.id).await?.next {
        Some(encrypted) => Ok(site.keys.factor_secret(person.id, &encrypted).await?),
        None => Ok(None),
    }
}

/// Takes the first code of a secret. From now on it is asked for at each sign-in, and all other
/// sessions end. Answers with the recovery codes.
///
/// # Errors
/// [`Refused`]
pub async fn confirm(
    site: &Site,
    person: &Person,
    session: &SteppedUp,
    code: &str,
) -> Result<Vec<RecoveryCode>, Refused> {
    let factor = site.store.factor(person.id).await?;
    let gone = || Refused::Conflict("There is no key that waits to be confirmed.".to_owned());
    let encrypted = factor.next.ok_or_else(gone)?;
    let secret = site.keys.factor_secret(person.id, &encrypted).await?.ok_or_else(gone)?;
    let step = secret.step(code, site.clock.now()).ok_or_else(wrong)?;
    let (codes, digests) = second_factor::recovery_codes(&site.random, person.id);
    let name = match factor.secret {
        Some(_) => "factor.renewed",
        None => "factor.enrolled",
    };
    let mut act = Actor::from(person).act(site, name, "");
    let words = "A second factor was set up for your account in the partner portal. Each sign-in \
                 asks for a code of it from now on, and all other sessions ended.";
    tell(site, person, &mut act, ("A second factor was set up", words))?;
    let confirmed =
        Confirmed { person_id: person.id, secret: &encrypted, step, recovery_codes: &digests };
    match site.keys.confirm_factor(&confirmed, session, &act).await? {
        true => Ok(codes),
        false => Err(Refused::Conflict("Your second factor was changed meanwhile.".to_owned())),
    }
}

/// Takes a code, or a recovery code, of somebody who signs in.
///
/// # Errors
/// [`Refused`]
pub async fn pass(
    site: &Site,
    person: &Person,
    session: &SteppedUp,
    code: &str,
) -> Result<(), Refused> {
    count_try(site, person).await?;
    let factor = site.store.factor(person.id).await?;
    let spent = check(site, person, &factor, code).await?;
    let note = match spent {
        Spent::Step(_) => None,
        Spent::RecoveryCode { .. } => Some(act(site, person, "factor.recovery_code", &spent)?),
    };
    let now = site.clock.now();
    match site.store.pass_factor(person.id, &spent, (session, now), note.as_ref()).await? {
        true => Ok(()),
        false => Err(wrong()),
    }
}

/// Removes the factor of a developer, who does not need one.
///
/// # Errors
/// [`Refused`]
pub async fn remove(
    site: &Site,
    person: &Person,
    session: &SteppedUp,
    (password, code): (String, &str),
) -> Result<(), Refused> {
    if person.role.is_staff() {
        return Err(Refused::NotAllowed);
    }
    count_try(site, person).await?;
    right_password(site, person, password).await?;
    let factor = site.store.factor(person.id).await?;
    let spent = check(site, person, &factor, code).await?;
    let act = act(site, person, "factor.removed", &spent)?;
    match site.store.remove_factor(person.id, &spent, session, &act).await? {
        true => Ok(()),
        false => Err(wrong()),
    }
}

/// How many recovery codes somebody has left.
///
/// # Errors
/// [`Refused`]
pub async fn recovery_codes_left(site: &Site, person: &Person) -> Result<usize, Refused> {
    Ok(second_factor::count(&site.store.factor(person.id).await?.recovery_codes))
}

/// What the code proves, to be spent by the write that it is for.
async fn check(
    site: &Site,
    person: &Person,
    factor: &Factor,
    code: &str,
) -> Result<Spent, Refused> {
    let encrypted = factor.secret.as_ref().ok_or_else(wrong)?;
    let secret = site.keys.factor_secret(person.id, encrypted).await?.ok_or_else(wrong)?;
    let fresh = |step: &i64| factor.step.is_none_or(|used| used < *step);
    if let Some(step) = secret.step(code, site.clock.now()).filter(fresh) {
        return Ok(Spent::Step(step));
    }
    let left = second_factor::without(&factor.recovery_codes, person.id, code).ok_or_else(wrong)?;
    Ok(Spent::RecoveryCode { stored: factor.recovery_codes.clone(), left })
}

/// One text for a code that never was right, and one that was used.
fn wrong() -> Refused {
    let words = "This code is not right, or was used already. Wait for the next one.".to_owned();
    Refused::Fields(vec![FieldFault { field: "code", words }])
}

/// A try is a value that can be used once, so all processes count together. Where none is left, the
/// person is told: somebody knows the password.
async fn count_try(site: &Site, person: &Person) -> Result<(), Refused> {
    let now = site.clock.now();
    let window = now / TRIES_SECONDS;
    let until = (window + 1) * TRIES_SECONDS;
    for nth in 0..TRIES {
        let try_of = format!("{window}/{nth}");
        let parts = [person.id.as_slice(), try_of.as_bytes()];
        if site.store.use_once(site.environment, Once::FactorTry, parts, until).await? {
            return Ok(());
        }
    }
    let told = format!("{window}/told");
    let parts = [person.id.as_slice(), told.as_bytes()];
    if site.store.use_once(site.environment, Once::FactorTry, parts, until).await? {
        let text = format!(
            "Somebody gave the password of your account in the partner portal, and then ten codes \
             within a quarter of an hour.\n\nIf it was not you, set a new password at once: \
             {}/forgotten\n",
            site.base_url
        );
        let to = address(&person.email)?;
        site.store.post_mail(&mail(site, to, "Many codes were tried", text)?).await?;
    }
    let words = format!(
        "Too many codes were tried. Try again in {} minutes.",
        (until - now).div_euclid(60) + 1
    );
    Err(Refused::Fields(vec![FieldFault { field: "code", words }]))
}

/// The note and the mail of an act that a code was spent for.
fn act(site: &Site, person: &Person, name: &'static str, spent: &Spent) -> Result<Act, Refused> {
    let by = match spent {
        Spent::Step(_) => String::new(),
        Spent::RecoveryCode { left, .. } => {
            format!("by a recovery code, {} left", second_factor::count(left))
        }
    };
    let mut act = Actor::from(person).act(site, name, by.clone());
    let (subject, words) = match name {
        "factor.removed" => (
            "Your second factor was removed",
            "The second factor of your account in the partner portal was removed, and all other \
             sessions ended."
                .to_owned(),
        ),
        "factor.recovery_code" => (
            "A recovery code was used",
            format!("Somebody signed in to your account in the partner portal {by}."),
        ),
        _ => (
            "Your second factor is being renewed",
            format!(
                "Somebody with your password and a code of yours began to set up another second \
                 factor for your account in the partner portal.{}",
                if by.is_empty() { String::new() } else { format!(" It was {by}.") }
            ),
        ),
    };
    tell(site, person, &mut act, (subject, &words))?;
    Ok(act)
}

fn tell(
    site: &Site,
    person: &Person,
    act: &mut Act,
    (subject, words): (&str, &str),
) -> Result<(), Refused> {
    let text = format!(
        "{words}\n\nIf it was not you, set a new password at once: {}/forgotten\n\
         Then write to your partner manager.\n",
        site.base_url
    );
    act.mails.push(mail(site, address(&person.email)?, subject, text)?);
    Ok(())
}

impl From<KeysError> for Refused {
    fn from(error: KeysError) -> Refused {
        match error {
            KeysError::Store(error) => error.into(),
            KeysError::Contended => Refused::Busy,
            error => Refused::Store(StoreError::Engine(error.to_string())),
        }
    }
}

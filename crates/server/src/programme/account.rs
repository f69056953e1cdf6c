//! Accounts of the portal: signing up, a forgotten password, a new one.
//!
//! Nobody learns here who has an account: a mail is written in any case, and it alone says more.

use std::net::IpAddr;

use grantor_protocol::environment::Environment;

use super::app::name_fault;
use super::{Actor, FieldFault, Refused};
use crate::link::Link;
use crate::mail::{Mail, MailAddress};
use crate::password::{
    MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS, Password, PasswordError, Unfit, unfit,
};
use crate::site::{SignUp, Site};
use crate::store::{NewPerson, Partner, Person, Role};
use crate::throttle::{self, Caller, Credential};

/// What somebody fills in who signs up.
#[derive(Default)]
pub struct SignUpForm {
    /// The person's name.
    pub name: String,
    /// The organisation that integrates; only where a new one comes.
    pub organisation: String,
    /// The password.
    pub password: String,
}

/// Writes a mail to whoever wants to sign up with that address.
///
/// # Errors
/// [`Refused`]: an address that is none, or a portal that takes nobody.
pub async fn ask_to_sign_up(site: &Site, email: &str, from: IpAddr) -> Result<(), Refused> {
    if site.portal.as_ref().is_none_or(|portal| portal.sign_up != SignUp::Open) {
        return Err(Refused::NotAllowed);
    }
    let to = address(email)?;
    take_mail(site, ("sign-up", &to), from).await?;
    let known = site.store.customer(Environment::Portal, to.as_str()).await?.is_some();
    let text = if known {
        format!(
            "Somebody asked to sign up for the partner portal with this address, and it has an \
             account already.\n\nSign in: {base}/sign-in\nForgotten the password? {base}/forgotten\n\n\
             If it was not you, you need not do anything.\n",
            base = site.base_url
        )
    } else {
        let link = Link::SignUp { email: to.as_str().to_owned() }.address(site);
        format!(
            "Welcome. Follow this link to sign up for the partner portal; it works for one day:\n\n\
             {link}\n\nIf it was not you who asked, you need not do anything.\n"
        )
    };
    Ok(site.store.post_mail(&mail(site, to, "Sign up for the partner portal", text)?).await?)
}

/// Makes the account of somebody who read the mail, and the partner with it.
///
/// # Errors
/// [`Refused`]
pub async fn sign_up(site: &Site, email: &str, form: SignUpForm) -> Result<(), Refused> {
    let organisation = form.organisation.trim().to_owned();
    let mut faults = Vec::new();
    if let Some(words) = name_fault(&organisation, "The organisation's name") {
        faults.push(FieldFault { field: "organisation", words });
    }
    let now = site.clock.now();
    let partner = Partner {
        id: site.random.id(&site.clock),
        name: organisation,
        contact: Some(email.to_owned()),
        verified: false,
        created_at: now,
        suspended: false,
    };
    let role = Role::Owner { partner_id: partner.id };
    join(site, (email, role), (Some(&partner), None), form, faults).await
}

/// Makes a person, with what belongs to it.
///
/// # Errors
/// [`Refused`]
pub(super) async fn join(
    site: &Site,
    (email, role): (&str, Role),
    (partner, invitation): (Option<&Partner>, Option<[u8; 16]>),
    form: SignUpForm,
    mut faults: Vec<FieldFault>,
) -> Result<(), Refused> {
    let name = form.name.trim().to_owned();
    if let Some(words) = name_fault(&name, "Your name") {
        faults.push(FieldFault { field: "name", words });
    }
    if let Some(fault) = password_fault(&form.password) {
        faults.push(fault);
    }
    if !faults.is_empty() {
        return Err(Refused::Fields(faults));
    }
    // Before anything is hashed: a link that was used costs nothing any more.
    let used = || {
        Refused::Conflict(
            "This link was used already, or the address has an account. Sign in instead.".into(),
        )
    };
    if site.store.customer(Environment::Portal, email).await?.is_some() {
        return Err(used());
    }
    if let Some(id) = invitation
        && site.store.invitation(id).await?.is_none()
    {
        return Err(used());
    }
    let hash = hash(site, form.password).await?;
    let person = NewPerson {
        id: site.random.id(&site.clock),
        email,
        name: &name,
        password_hash: &hash,
        role,
        demo: false,
    };
    let actor = Actor { name: email.to_owned(), id: Some(person.id), role, behalf: None };
    let act = actor.act(site, "person.joined", format!("{name} as {}", role.as_str()));
    match site.store.add_person(&person, partner, invitation, &act).await? {
        true => Ok(()),
        false => Err(used()),
    }
}

/// Writes a mail with which a password can be set anew, if the address has an account.
///
/// # Errors
/// [`Refused`]: an address that is none.
pub async fn forgotten(site: &Site, email: &str, from: IpAddr) -> Result<(), Refused> {
    let to = address(email)?;
    take_mail(site, ("forgotten", &to), from).await?;
    let known = site.store.credentials(Environment::Portal, to.as_str()).await?;
    let text = match known {
        Some(known) => {
            let link = Link::Reset { person_id: known.customer_id, counter: known.counter };
            format!(
                "Follow this link to set a new password for the partner portal; it works for one \
                 hour, and once:\n\n{}\n\nIf it was not you who asked, you need not do anything: \
                 your password stays.\n",
                link.address(site)
            )
        }
        None => "Somebody asked for a new password for the partner portal with this address, and \
                 it has no account there.\n\nIf it was not you, you need not do anything.\n"
            .to_owned(),
    };
    Ok(site
        .store
        .post_mail(&mail(site, to, "A new password for the partner portal", text)?)
        .await?)
}

/// Counts a mail that whoever asks for it need not be the owner of (S20).
///
/// Each purpose has a count of its own: whoever uses one up, by naming somebody else's address, keeps
/// nobody from the other.
async fn take_mail(
    site: &Site,
    (purpose, to): (&str, &MailAddress),
    from: IpAddr,
) -> Result<(), Refused> {
    let name = format!("{purpose} {}", to.as_str());
    let subject = throttle::Subject::new(Credential::Mail, name.as_bytes());
    Ok(site.throttle.count(&subject, from).await?)
}

/// Sets the password of somebody who read the mail.
///
/// # Errors
/// [`Refused`]: a link that was used already.
pub async fn reset(
    site: &Site,
    (person, counter): (&Person, i64),
    password: String,
) -> Result<(), Refused> {
    set(site, person, counter, password, "password.reset").await
}

/// Sets another password of somebody who knows the one before. All sessions end.
///
/// # Errors
/// [`Refused`]
pub async fn change_password(
    site: &Site,
    (person, address): (&Person, IpAddr),
    former: String,
    password: String,
) -> Result<(), Refused> {
    // As at sign-in: whoever sits at an open browser may not guess for ever (S20).
    let subject = throttle::Subject::new(Credential::Password, person.email.as_bytes());
    let taken = site.throttle.take(&subject, Caller { address, browser: None }).await?;
    let counter = match right_password(site, person, former).await {
        Ok(counter) => counter,
        // A try that came to nothing is none: only a wrong password counts.
        Err(refused @ (Refused::Busy | Refused::Store(_))) => {
            site.throttle.give_back(taken).await;
            return Err(refused);
        }
        Err(refused) => return Err(refused),
    };
    site.throttle.right(taken).await;
    set(site, person, counter, password, "password.changed").await
}

/// Checks the present password, the field `former` of a form. Answers with the counter that stood
/// with it.
///
/// # Errors
/// [`Refused`]
pub(super) async fn right_password(
    site: &Site,
    person: &Person,
    former: String,
) -> Result<i64, Refused> {
    let stored = site.store.credentials(Environment::Portal, &person.email).await?;
    let stored = stored.ok_or(Refused::NotFound)?;
    match site.passwords.verify(Password::new(former), Some(stored.password_hash)).await {
        Ok(true) => Ok(stored.counter),
        Ok(false) => Err(Refused::Fields(vec![FieldFault {
            field: "former",
            words: "This is not your password.".to_owned(),
        }])),
        Err(_) => Err(Refused::Busy),
    }
}

async fn set(
    site: &Site,
    person: &Person,
    counter: i64,
    password: String,
    name: &'static str,
) -> Result<(), Refused> {
    if let Some(fault) = password_fault(&password) {
        return Err(Refused::Fields(vec![fault]));
    }
    let hash = hash(site, password).await?;
    let mut act = Actor::from(person).act(site, name, "");
    let words = "The password of your account in the partner portal was set anew, and all its \
                 sessions ended.\n\nIf it was not you, ask for a new one at once: ";
    let text = format!("{words}{}/forgotten\n", site.base_url);
    act.mails.push(mail(site, address(&person.email)?, "Your password was changed", text)?);
    match site.store.set_person_password(person.id, counter, &hash, &act).await? {
        true => Ok(()),
        false => Err(Refused::Conflict(
            "The password was changed meanwhile. Ask for a new link.".to_owned(),
        )),
    }
}

/// An address, in lower case.
///
/// # Errors
/// [`Refused::Fields`]
pub fn address(text: &str) -> Result<MailAddress, Refused> {
    MailAddress::parse(&text.trim().to_lowercase()).ok_or_else(|| {
        Refused::Fields(vec![FieldFault {
            field: "email",
            words: "Write an e-mail address.".to_owned(),
        }])
    })
}

/// A mail of the portal.
///
/// # Errors
/// [`Refused::Conflict`] for a subject that is none, which no subject of ours is.
pub(super) fn mail(
    site: &Site,
    to: MailAddress,
    subject: &str,
    text: String,
) -> Result<Mail, Refused> {
    let mail = Mail::new((&site.clock, &site.random), to, subject, text);
    mail.ok_or_else(|| Refused::Conflict("The mail has no subject.".into()))
}

fn password_fault(password: &str) -> Option<FieldFault> {
    let words = match unfit(password)? {
        Unfit::Short => {
            format!("A password has at least {MIN_PASSWORD_CHARACTERS} characters.")
        }
        Unfit::Long => format!("A password has at most {MAX_PASSWORD_BYTES} bytes."),
        Unfit::Known => {
            "Everybody knows this password from the documentation. Choose another.".to_owned()
        }
    };
    Some(FieldFault { field: "password", words })
}

async fn hash(site: &Site, password: String) -> Result<String, Refused> {
    site.passwords.hash(Password::new(password)).await.map_err(|error| match error {
        PasswordError::Busy | PasswordError::Corrupt => Refused::Busy,
        PasswordError::Length => {
            Refused::Fields(vec![FieldFault { field: "password", words: error.to_string() }])
        }
    })
}

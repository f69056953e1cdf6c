//! Tells partners which of their client secrets end soon: by webhook, and by mail to their owners.
//!
//! Every server looks now and then; each secret is told once, whoever is first.

use crate::mail::{Mail, MailAddress};
use crate::site::Site;
use crate::store::{EndingSecret, Role, StoreError};
use crate::webhook::{Event, time};

/// How many secrets of a place one step takes. What is left comes with the next.
const SECRETS: i64 = 200;
/// More than a partner has.
const PEOPLE: i64 = 1_000;

/// Tells all of an environment's that are near their end. Answers how many.
///
/// # Errors
/// [`StoreError`]: what was told until then stays told.
pub async fn tell(site: &Site) -> Result<u64, StoreError> {
    let mut told = 0;
    for secret in site.store.ending_secrets(site.environment, site.clock.now(), SECRETS).await? {
        let event =
            Event::SecretExpiring { hint: secret.hint.clone(), expires_at: secret.expires_at };
        let notice = site.notice(&secret.client_id, event);
        let mails = mails(site, &secret).await?;
        told += u64::from(site.store.tell_secret_ends(&secret, &notice, &mails).await?);
    }
    Ok(told)
}

async fn mails(site: &Site, secret: &EndingSecret) -> Result<Vec<Mail>, StoreError> {
    let Some(portal) = &site.portal_url else {
        return Ok(Vec::new());
    };
    let text = format!(
        "A client secret of {} on {} ends at {}: the one that ends in {}.\n\nMake a second one, \
         which works at once beside it, and give it to your servers before then:\n\n\
         {portal}/apps/{}\n",
        secret.client_name,
        site.environment,
        time(secret.expires_at),
        secret.hint,
        secret.client_id
    );
    let people = site.store.people_of(secret.partner_id, [0; 16], PEOPLE).await?;
    let owners = people
        .iter()
        .filter(|person| matches!(person.role, Role::Owner { .. }) && !person.disabled);
    let mail = |to| {
        let subject = "A client secret ends soon";
        Mail::new((&site.clock, &site.random), to, subject, text.clone())
    };
    Ok(owners.filter_map(|owner| MailAddress::parse(&owner.email)).filter_map(mail).collect())
}

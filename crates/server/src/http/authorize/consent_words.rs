//! What a customer allows, in the customer's own words: what for, and how long.

use grantor_protocol::client::Client;
use jiff::Timestamp;

use crate::site::Site;

/// One plain sentence for each scope that is known of the platform.
const SENTENCES: [(&str, &str); 10] = [
    ("financial-api", "See sales, payments and other financial figures of your business."),
    ("orders-api", "See your menus and locations, and place and follow orders for you."),
    ("items", "See and change the items that you sell."),
    ("propertymanagement", "Exchange room charges with your property management system."),
    ("staff-api", "See the members of your staff and their shifts."),
    ("reservation-api", "See and change reservations."),
    ("openid", "Know that it is you, by a number that stands for your account."),
    ("profile", "See your name."),
    ("email", "See your e-mail address."),
    ("offline_access", "Stay connected while you are away."),
];

/// What a scope is for.
pub(in crate::http) fn sentence(scope: &str) -> String {
    SENTENCES.iter().find(|(known, _)| *known == scope).map_or_else(
        || format!("Use \u{201c}{scope}\u{201d} for you."),
        |(_, text)| (*text).to_owned(),
    )
}

/// How long a connection lasts.
pub(in crate::http) fn lasts(site: &Site, client: &Client) -> String {
    let settings = &site.settings;
    if !client.settings.refresh_tokens {
        return format!("For {}.", duration(settings.access_token_ttl_seconds));
    }
    let idle = duration(settings.refresh_token_idle_seconds);
    match settings.grant_ttl_seconds {
        Some(ttl) => format!(
            "For {}, or until it is not used for {idle}, or you disconnect it.",
            duration(ttl)
        ),
        None => format!("Until you disconnect it, or it is not used for {idle}."),
    }
}

/// A time, for people.
pub(in crate::http) fn moment(unix_seconds: i64) -> String {
    match Timestamp::from_second(unix_seconds) {
        Ok(time) => time.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// A length of time, for people.
pub(in crate::http) fn duration(seconds: i64) -> String {
    let (count, unit) = match seconds {
        day if day % 86_400 == 0 => (day / 86_400, "day"),
        hour if hour % 3_600 == 0 => (hour / 3_600, "hour"),
        minute if minute % 60 == 0 => (minute / 60, "minute"),
        second => (second, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

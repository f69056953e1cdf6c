//! What a customer allows, in the customer's own words: what for, and how long.

use grantor_protocol::client::Client;
use jiff::Timestamp;

pub(in crate::http) use crate::catalogue::sentence;
use crate::site::Site;

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

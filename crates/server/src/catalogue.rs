//! The scopes that are known of the platform: what each is for, in a customer's words, and whether it
//! changes anything. A scope that is not listed is taken for one that does.

/// One scope.
pub struct KnownScope {
    /// As the API names it.
    pub name: &'static str,
    /// As a customer understands it.
    pub sentence: &'static str,
    /// Whether whoever holds it can change something.
    pub writes: bool,
}

const fn reads(name: &'static str, sentence: &'static str) -> KnownScope {
    KnownScope { name, sentence, writes: false }
}

const fn writes(name: &'static str, sentence: &'static str) -> KnownScope {
    KnownScope { name, sentence, writes: true }
}

/// All that are known.
pub const SCOPES: [KnownScope; 10] = [
    reads("financial-api", "See sales, payments and other financial figures of your business."),
    writes("orders-api", "See your menus and locations, and place and follow orders for you."),
    writes("items", "See and change the items that you sell."),
    writes("propertymanagement", "Exchange room charges with your property management system."),
    reads("staff-api", "See the members of your staff and their shifts."),
    writes("reservation-api", "See and change reservations."),
    reads("openid", "Know that it is you, by a number that stands for your account."),
    reads("profile", "See your name."),
    reads("email", "See your e-mail address."),
    reads("offline_access", "Stay connected while you are away."),
];

/// What a scope is for.
pub fn sentence(scope: &str) -> String {
    known(scope).map_or_else(
        || format!("Use \u{201c}{scope}\u{201d} for you."),
        |known| known.sentence.to_owned(),
    )
}

/// Whether whoever holds it can change something.
pub fn changes_something(scope: &str) -> bool {
    known(scope).is_none_or(|known| known.writes)
}

fn known(scope: &str) -> Option<&'static KnownScope> {
    SCOPES.iter().find(|known| known.name == scope)
}

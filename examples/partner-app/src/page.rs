//! The pages. What comes from elsewhere is escaped.

use crate::grantor::{Business, Fault};

/// Nobody is connected yet.
pub(crate) fn connect(note: Option<&str>) -> String {
    let note = note.map(|note| format!("<p role=\"status\">{note}</p>")).unwrap_or_default();
    page(
        "Table Planner",
        &format!("{note}<p>Connect your account to plan your tables.</p>{}", BUTTON),
    )
}

/// Somebody was, and is not any more.
pub(crate) fn reconnect() -> String {
    let words = "<p role=\"status\">Your account is not connected any more: the connection was \
                 ended, or not used for long. Connect again to go on.</p>";
    page("Reconnect required", &format!("{words}{BUTTON}"))
}

/// What is connected.
pub(crate) fn businesses(businesses: &[Business]) -> String {
    let list: String = businesses
        .iter()
        .map(|business| {
            let locations: Vec<String> =
                business.locations.iter().map(|location| escaped(&location.name)).collect();
            format!("<li>{}: {}</li>", escaped(&business.name), locations.join(", "))
        })
        .collect();
    page("Your businesses", &format!("<ul>{list}</ul>"))
}

/// Something went wrong, which the customer cannot mend.
pub(crate) fn failed(fault: &Fault) -> String {
    let words = format!("<p role=\"alert\">{}</p>", escaped(&fault.to_string()));
    page("That did not work", &format!("{words}<p><a href=\"/\">Try again</a></p>"))
}

const BUTTON: &str = "<form method=\"post\" action=\"/connect\"><button>Connect</button></form>";

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><main><h1>{title}</h1>{body}</main></html>"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for each in text.chars() {
        match each {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

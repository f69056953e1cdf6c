//! Every page, filled with hostile text.

use askama::Template;

use super::*;

const HOSTILE: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u{202E}gpj.exe";

fn text() -> String {
    HOSTILE.to_owned()
}

fn frame() -> Frame {
    Frame {
        environment: "staging",
        dev: true,
        lang: "en",
        stylesheet: stylesheet_url().to_owned(),
        request_id: text(),
    }
}

fn app() -> App {
    App {
        name: text(),
        organisation: text(),
        verified: true,
        website: Some(format!("https://{HOSTILE}")),
        logo: Some(format!("/logos/{HOSTILE}")),
    }
}

fn sign_in() -> SignInPage {
    SignInPage {
        frame: frame(),
        app: Some(app()),
        form_action: text(),
        csrf_token: text(),
        email: HOSTILE.replace('\u{202E}', ""),
        fault: Some(text()),
        forgotten: true,
        demo: Some(DemoLogin { email: "demo@example.com".to_owned(), password: "demo".to_owned() }),
    }
}

fn businesses() -> BusinessesPage {
    BusinessesPage {
        frame: frame(),
        app: app(),
        account_email: text(),
        form_action: text(),
        csrf_token: text(),
        businesses: vec![BusinessChoice {
            id: 9_765_040_300_495_493,
            name: text(),
            locations: vec![text(); 7],
            ticked: true,
        }],
        fault: Some(text()),
        switch_account_url: text(),
    }
}

fn consent() -> ConsentPage {
    ConsentPage {
        frame: frame(),
        app: app(),
        account_email: text(),
        businesses: vec![text()],
        scopes: [true, false]
            .map(|required| ScopeLine {
                name: "financial-api".to_owned(),
                sentence: text(),
                required,
            })
            .into(),
        apis: vec!["The orders API".to_owned()],
        lasts: text(),
        destination_host: text(),
        form_action: text(),
        csrf_token: text(),
        switch_account_url: text(),
        approved: false,
    }
}

fn message() -> MessagePage {
    MessagePage {
        frame: frame(),
        title: text(),
        what_happened: text(),
        what_to_do: text(),
        facts: vec![(text(), text()), (text(), HOSTILE.repeat(60))],
        registered: vec![text()],
        docs_url: Some(text()),
        portal_url: Some(text()),
        retry_url: Some(text()),
    }
}

fn code() -> CodePage {
    CodePage {
        frame: frame(),
        code: Some(text()),
        state: Some(text()),
        issuer: Some(text()),
        seconds_left: 42,
        command: text(),
        basic_note: text(),
        error: None,
        authorize_url: text(),
        style_nonce: text(),
    }
}

fn home() -> HomePage {
    HomePage { frame: frame(), issuer: text(), authorize_url: Some(text()), docs_url: text() }
}

fn connections() -> ConnectionsPage {
    ConnectionsPage {
        frame: frame(),
        account_email: text(),
        csrf_token: text(),
        done: Some(text()),
        count: 2,
        next: Some(text()),
        apps: [true, false]
            .map(|connected| ConnectedApp {
                client_id: text(),
                app: app(),
                approved: connected,
                facts: vec![("Last used", text())],
                sentences: vec![text()],
                businesses: vec![text(), text()],
                connected,
            })
            .into(),
        what_ends: text(),
        renewed_every: text(),
    }
}

fn disconnect_all() -> DisconnectAllPage {
    DisconnectAllPage {
        frame: frame(),
        csrf_token: text(),
        names: vec![text(), text()],
        what_ends: text(),
    }
}

fn password(field: PasswordField) -> PasswordPage {
    let fault = Some(PasswordFault { field, words: HOSTILE });
    PasswordPage { frame: frame(), account_email: text(), csrf_token: text(), done: None, fault }
}

fn docs() -> DocsPage {
    DocsPage {
        frame: frame(),
        title: text(),
        nav: vec![DocsLink { href: text(), title: text(), current: true }],
        html: "<table><tr><td>1</td></tr></table><pre><code>x</code></pre>".to_owned(),
    }
}

fn every_page() -> Vec<(&'static str, String)> {
    let expired = CodePage { seconds_left: 0, ..code() };
    let denied = CodePage { error: Some((text(), Some(text()))), ..code() };
    [
        ("sign in", sign_in().render()),
        ("businesses", businesses().render()),
        ("consent", consent().render()),
        ("message", message().render()),
        ("code", code().render()),
        ("expired code", expired.render()),
        ("denied", denied.render()),
        ("home", home().render()),
        ("connections", connections().render()),
        ("disconnect all", disconnect_all().render()),
        ("password", password(PasswordField::New).render()),
        ("docs", docs().render()),
    ]
    .map(|(name, html)| (name, html.expect("the page renders")))
    .into()
}

#[test]
fn no_page_lets_hostile_text_become_markup() {
    for (name, html) in every_page() {
        assert!(!html.contains("<script"), "{name}: a script element");
        let without_logos = html.replace("<img class=\"logo\" src=\"/logos/", "");
        assert!(!without_logos.contains("<img"), "{name}: an image element");
        assert!(html.contains("&#60;script&#62;"), "{name}: shows the text");
        assert!(!html.contains("\"'>"), "{name}: a raw quote");
        assert!(html.contains("&#34;&#39;&#62;"), "{name}: escaped quotes");
        assert!(html.contains("&#38;amp;"), "{name}: an escaped ampersand");
    }
}

#[test]
fn a_direction_override_never_reaches_what_is_read() {
    for (name, html) in every_page() {
        assert!(html.contains("[U+202E]"), "{name}: shows the override");
        for (at, _) in html.match_indices('\u{202E}') {
            // Inside an attribute of a form or a link the value must stay as it is.
            let before = &html[..at];
            assert!(
                before.rfind('<') > before.rfind("\">"),
                "{name}: a raw override in text after {}",
                &before[before.len().saturating_sub(80)..]
            );
        }
    }
}

#[test]
fn every_page_has_one_heading_and_one_main_part_and_says_where_it_is() {
    for (name, html) in every_page() {
        assert_eq!(html.matches("<h1").count(), 1, "{name}: h1");
        assert_eq!(html.matches("<main").count(), 1, "{name}: main");
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        assert!(html.contains("Development server (staging):</strong> demo data"), "{name}");
        assert!(html.contains("Environment: </span>Staging"), "{name}");
        for forbidden in [" style=", " onclick=", "data:", "javascript:", "http://"] {
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
    }
}

#[test]
fn staging_is_marked_and_production_carries_no_banner() {
    let mut page = home();
    page.frame.dev = false;
    let staging = page.render().expect("the page renders");
    assert!(staging.contains("bar-staging"));
    assert!(!staging.contains("Development"));

    page.frame.environment = "production";
    let production = page.render().expect("the page renders");
    assert!(!production.contains("class=\"bar"));
    assert!(production.contains("Environment: </span>Production"));
}

#[test]
fn a_fault_is_announced_tied_to_its_fields_and_named_in_the_title() {
    for html in [sign_in().render(), businesses().render()] {
        let html = html.expect("the page renders");
        assert!(html.contains("<title>Error: "));
        assert!(html.contains("id=\"fault\" class=\"fault\" role=\"alert\""));
        assert!(html.contains("aria-invalid=\"true\" aria-describedby=\"fault\""));
    }
    let calm = SignInPage { fault: None, ..sign_in() };
    let html = calm.render().expect("the page renders");
    assert!(html.contains("<title>Sign in"));
    assert!(!html.contains("role=\"alert\"") && !html.contains("aria-invalid"));
}

#[test]
fn a_fault_of_the_new_password_is_tied_to_the_one_field_that_it_is_about() {
    use PasswordField::{Again, Current, New};
    for (field, id) in
        [(Current, "current_password"), (New, "new_password"), (Again, "new_password_again")]
    {
        let html = password(field).render().expect("the page renders");
        assert!(html.contains("<title>Error: Change your password"));
        assert_eq!(html.matches("aria-invalid=\"true\"").count(), 1, "{id}");
        let input = html.split("<input ").find(|tag| tag.starts_with(&format!("id=\"{id}\"")));
        let input = input.and_then(|tag| tag.split('>').next()).expect("the field");
        assert!(input.contains("aria-invalid=\"true\"") && input.contains("fault\""), "{input}");
    }
    let calm = PasswordPage { fault: None, ..password(New) };
    let html = calm.render().expect("the page renders");
    assert!(html.contains("aria-describedby=\"rule\"") && !html.contains("aria-invalid"));
    assert_eq!(html.matches("autocomplete=\"new-password\"").count(), 2);
    assert_eq!(html.matches("autocomplete=\"current-password\"").count(), 1);
}

#[test]
fn an_app_that_nobody_reviewed_is_marked_among_the_connected_ones_as_on_consent() {
    let html = connections().render().expect("the page renders");
    assert_eq!(html.matches("Nobody has reviewed this app.").count(), 1);
    assert_eq!(html.matches("Verified organisation").count(), 2);
}

#[test]
fn a_website_that_is_not_https_is_never_a_link() {
    for website in ["javascript:alert(1)", "http://app.example", "JavaScript:x", "data:x"] {
        let mut page = consent();
        page.app.website = Some(website.to_owned());
        let html = page.render().expect("the page renders");
        assert!(!html.contains(website), "{website}");
    }
}

#[test]
fn allow_and_deny_are_one_kind_of_button_and_enter_presses_neither() {
    let html = consent().render().expect("the page renders");
    for decision in ["allow", "deny"] {
        let button = format!(
            "<button class=\"button\" type=\"submit\" name=\"decision\" value=\"{decision}\">"
        );
        assert_eq!(html.matches(&button).count(), 1, "{decision}");
    }
    let first_button = html.find("<button").expect("there are buttons");
    assert!(
        html[first_button..].starts_with("<button type=\"submit\" formmethod=\"dialog\" hidden>")
    );
    // Only the optional scope is a checkbox; the required one is told.
    assert_eq!(html.matches("name=\"scope\" value=\"financial-api\" checked").count(), 1);
    assert_eq!(html.matches(">Required<").count(), 1);
}

#[test]
fn the_countdown_is_plain_text_with_one_number_in_the_style() {
    let html = code().render().expect("the page renders");
    assert!(html.contains(">:root{--code-seconds:42}</style>"));
    assert!(html.contains("It expires about 42 seconds after this page was sent."));

    let expired = CodePage { seconds_left: -3, ..code() };
    let html = expired.render().expect("the page renders");
    assert!(html.contains("This code has expired") && !html.contains("<style"));
    assert!(html.contains("Get a new code"));
}

#[test]
fn tables_and_code_in_the_docs_scroll_by_keyboard() {
    let html = docs().render().expect("the page renders");
    assert!(html.contains("tabindex=\"0\"><table>") && html.contains("</table></div>"));
    assert!(html.contains("<pre tabindex=\"0\">"));
}

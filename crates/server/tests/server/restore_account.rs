//! D5: what customers ended and changed by themselves since a backup.

use crate::harness::{Browser, Page, form_body};
use crate::installation::{Installation, PASSWORD};
use crate::program::new_browser;

const NEW_PASSWORD: &str = "another password of the tests";

async fn signed_in(house: &Installation, email: &str) -> (Browser, Page) {
    let browser = new_browser();
    let page = browser.get(&format!("{}/connections", house.base_url)).await;
    let page = browser.sign_in_as(&page, email, PASSWORD).await;
    (browser, page)
}

async fn press(browser: &Browser, page: &Page, path: &str, fields: &[(&str, &str)]) {
    let token = page.hidden("csrf_token");
    let body = form_body(&[&[("csrf_token", token.as_str())], fields].concat());
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = browser.post(&page.absolute(path), &headers, body).await;
    assert!(answer.location().contains("?done="), "{} {}", answer.status, answer.text);
}

async fn d5_what_customers_disconnected_stays_ended_and_a_password_of_their_own_ends_nothing(
    mut house: Installation,
) {
    let [one, all, own] = ["one@example.com", "all@example.com", "own@example.com"];
    for email in [one, all, own] {
        house.customer(email).await;
    }
    let (app, other) = (house.app(&[]).await, house.app(&[]).await);
    let of_one = [app.connect(one).await, other.connect(one).await];
    let of_all = [app.connect(all).await, other.connect(all).await];
    let of_own = app.connect(own).await;
    house.json(&["backup", "b1"]).await;
    let (browser, page) = signed_in(&house, one).await;
    let fields = [("step", "disconnect"), ("client_id", app.id.as_str())];
    press(&browser, &page, "/connections", &fields).await;
    let (browser, page) = signed_in(&house, all).await;
    press(&browser, &page, "/connections", &[("step", "disconnect_all")]).await;
    let (browser, page) = signed_in(&house, own).await;
    let fields = [
        ("step", "password"),
        ("current_password", PASSWORD),
        ("new_password", NEW_PASSWORD),
        ("new_password_again", NEW_PASSWORD),
    ];
    press(&browser, &page, "/account/password", &fields).await;
    house.kill().await;

    let restored = house.restore(&["--void-passwords"]).await;
    assert_eq!(restored["passwords_changed"].as_array().unwrap().len(), 1, "{restored}");
    assert_eq!(restored["done"]["passwords_voided"], 1, "{restored}");
    house.serve().await;
    for (app, tokens, lives) in [
        (&app, &of_one[0], false),
        (&other, &of_one[1], true),
        (&app, &of_all[0], false),
        (&other, &of_all[1], false),
        (&app, &of_own, true),
    ] {
        let answer = app.refresh(tokens.text("refresh_token")).await;
        assert_eq!(answer.status, if lives { 200 } else { 400 }, "{answer:?}");
    }
}

installed_on_both_engines! {
    d5_what_customers_disconnected_stays_ended_and_a_password_of_their_own_ends_nothing,
}

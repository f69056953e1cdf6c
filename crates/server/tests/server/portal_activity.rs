//! The activity of one app in the portal, and the same by the API.

use std::collections::BTreeSet;

use grantor::store::{Act, COMPANY_ID, Role};
use serde_json::Value;

use crate::calls::act_of_test;
use crate::harness::{Page, Server};
use crate::people::PARTNER_ID;
use crate::portal_desk::{Desk, acts, record};

/// How many entries a page shows.
const PAGE: usize = 100;

/// The numbers of the entries on a page, in its order.
fn numbers(page: &Page) -> Vec<i64> {
    let after = page.text.split("<code class=\"quiet\">#").skip(1);
    after.filter_map(|after| after.split('<').next()?.parse().ok()).collect()
}

async fn u3_every_step_about_an_app_stands_on_its_page_of_activity_and_no_other_apps(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let [app, other] = [owner.make_app("Ours").await, owner.make_app("Beside").await];
    let request = owner.ask(&app.id).await;
    assert_eq!(manager.decide(&request, "1", "decline").await.status, 303);
    let path = format!("/apps/{}/activity", app.id);
    owner.get(&format!("/apps/{}", app.id)).await.assert_page(200, &format!("href=\"{path}\""));
    for desk in [&owner, &manager] {
        let page = desk.get(&path).await;
        for words in ["client created", "request made", "request declined", ">Ours<"] {
            page.assert_page(200, words);
        }
        assert!(!page.text.contains("Beside") && !page.text.contains(&other.id), "{}", page.text);
        assert_eq!(numbers(&page).len(), acts(&server, &app.id).await.len());
        assert!(numbers(&page).is_sorted_by(|one, next| one > next), "{}", page.text);
    }
    let stranger = Desk::stranger(&server).await;
    assert_eq!(stranger.get(&path).await.status, 404);
    assert_eq!(manager.get("/apps/devp-staging-none/activity").await.status, 404);
}

async fn u3_a_production_app_points_to_the_activity_of_the_one_on_staging(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = owner.make_app("Ours").await;
    let request = owner.ask(&app.id).await;
    assert_eq!(manager.decide(&request, "1", "approve").await.status, 303);
    let production = record(&server, &app.id).await.listing.sibling.unwrap();
    let page = owner.get(&format!("/apps/{production}/activity")).await;
    page.assert_page(200, &format!("href=\"/apps/{}/activity\"", app.id));
    owner.get(&format!("/apps/{}/activity", app.id)).await.assert_page(200, "request approved");
}

async fn s24_the_activity_of_an_app_is_shown_in_parts_each_entry_once(server: Server) {
    let owner = Desk::owner(&server).await;
    let [app, other] = [owner.make_app("Ours").await, owner.make_app("Beside").await];
    for _ in 0..PAGE + 20 {
        for id in [&app.id, &other.id] {
            let act = Act {
                client_id: Some(id.clone()),
                partner_id: Some(PARTNER_ID),
                ..act_of_test("client.changed")
            };
            server.portal.store.note_act(&act).await.unwrap();
        }
    }
    let of_app = format!("SELECT COUNT(*) FROM audit WHERE client_id = '{}'", app.id);
    let there = server.number(&of_app);
    let (mut seen, mut path) = (BTreeSet::new(), format!("/apps/{}/activity", app.id));
    let mut pages = 0;
    loop {
        let page = owner.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        let shown = numbers(&page);
        assert!(shown.len() <= PAGE && shown.iter().all(|number| seen.insert(*number)), "{path}");
        pages += 1;
        let prefix = format!("href=\"/apps/{}/activity?before=", app.id);
        let Some((_, after)) = page.text.split_once(&prefix) else { break };
        path = format!("/apps/{}/activity?before={}", app.id, after.split('"').next().unwrap());
    }
    assert_eq!((pages, i64::try_from(seen.len()).unwrap()), (2, there));
    for cursor in ["", "0", "-1", "9223372036854775808", "%00", "%FF", "zzz"] {
        let page = owner.get(&format!("/apps/{}/activity?before={cursor}", app.id)).await;
        assert!(page.status == 200 && !page.text.contains(&other.id), "{cursor}");
    }
}

async fn u3_what_an_operator_does_by_a_command_is_seen_by_the_partner_it_concerns(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Ours").await;
    // As `grantor client disable` does it: see tests/command/acts.rs.
    let record = record(&server, &app.id).await;
    let act = Act {
        actor: "grantor client (operator)".to_owned(),
        client_id: Some(app.id.clone()),
        partner_id: Some(PARTNER_ID),
        ..act_of_test("client.suspended")
    };
    assert!(server.portal.store.switch_app(&record, true, &act).await.unwrap());
    for path in ["/activity".to_owned(), format!("/apps/{}/activity", app.id)] {
        let page = owner.get(&path).await;
        page.assert_page(200, "client suspended");
        page.assert_page(200, "grantor client (operator)");
    }
    let path = format!("/api/v1/audit?client_id={}", app.id);
    for of in [PARTNER_ID, COMPANY_ID] {
        let token = server.api_token(of).await;
        let log = server.call(&token, "GET", &path, None).await;
        let names: Vec<&Value> =
            log.body["items"].as_array().unwrap().iter().map(|entry| &entry["act"]).collect();
        assert_eq!(names, ["client.suspended", "client.created"], "{log:?}");
    }
    let another = server.another_partner().await;
    let stranger = Role::Owner { partner_id: another };
    let browser = server.signed_in("owner@another.example", stranger).await;
    let page = browser.get(&format!("{}/activity", server.portal.base_url)).await;
    assert!(page.status == 200 && !page.text.contains("client suspended"), "{}", page.text);
}

on_both_engines! {
    u3_every_step_about_an_app_stands_on_its_page_of_activity_and_no_other_apps,
    u3_a_production_app_points_to_the_activity_of_the_one_on_staging,
    s24_the_activity_of_an_app_is_shown_in_parts_each_entry_once,
    u3_what_an_operator_does_by_a_command_is_seen_by_the_partner_it_concerns,
}

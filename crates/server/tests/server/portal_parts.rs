//! Lists that are long: each page shows a part, all parts together everything, and nothing twice. And
//! how many clients a partner can make, whatever it tries.

use std::collections::BTreeSet;
use std::sync::Arc;

use grantor::programme::app::{self, AppForm, MOST_APPS};
use grantor::programme::team::{self, MOST_PEOPLE};
use grantor::programme::{Actor, Refused};
use grantor::store::{NewPerson, Role};
use grantor_protocol::environment::Environment;
use uuid::Uuid;

use crate::calls::tokens;
use crate::harness::{Page, Server, unescape};
use crate::people::{PARTNER_ID, somebody};
use crate::portal_desk::{APP_URI, Desk};

on_both_engines! {
    s24_a_partner_that_makes_clients_all_at_once_has_a_hundred_and_is_told_so,
    s24_ten_thousand_clients_of_a_partner_are_shown_in_parts,
    s24_people_and_invitations_are_shown_in_parts,
    s24_many_connected_apps_are_shown_in_parts,
    s24_all_of_a_long_log_is_exported,
}

/// No page shows more of one list.
const PAGE: usize = 50;

fn form(name: &str) -> AppForm {
    AppForm {
        name: name.to_owned(),
        redirect_uris: vec![APP_URI.to_owned()],
        scopes: vec!["orders-api".to_owned()],
        ..AppForm::default()
    }
}

/// What stands behind `before` and before the next quotation mark, each time.
fn found(page: &Page, before: &str) -> Vec<String> {
    let after = page.text.split(before).skip(1);
    after.filter_map(|after| after.split('"').next()).map(unescape).collect()
}

/// The address of the next part of a list, whose links begin so.
fn next(page: &Page, prefix: &str) -> Option<String> {
    let links = page.text.split("href=\"").skip(1);
    let mut links = links.filter_map(|after| after.split_once("\">"));
    let next =
        links.find(|(link, words)| link.starts_with(prefix) && words.starts_with("Show more"));
    next.map(|(link, _)| unescape(link))
}

/// Follows a list to its end, and gives all that it shows.
async fn all(
    open: impl AsyncFn(&str) -> Page,
    (first, prefix): (&str, &str),
    before: &str,
) -> BTreeSet<String> {
    let (mut all, mut path) = (BTreeSet::new(), first.to_owned());
    loop {
        let page = open(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        let shown = found(&page, before);
        assert!(!shown.is_empty() && shown.len() <= PAGE, "{path}: {}", shown.len());
        assert!(shown.into_iter().all(|one| all.insert(one)), "{path} shows something twice");
        match next(&page, prefix) {
            Some(next) => path = next,
            None => return all,
        }
    }
}

async fn s24_a_partner_that_makes_clients_all_at_once_has_a_hundred_and_is_told_so(server: Server) {
    let partner_id = server.another_partner().await;
    let (portal, staging) = (Arc::clone(&server.portal), Arc::clone(&server.staging));
    let actor = somebody(Role::Owner { partner_id });
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (portal, staging, actor) = (Arc::clone(&portal), Arc::clone(&staging), actor.clone());
        tries.spawn(async move {
            let (mut made, mut refused) = (0, 0);
            for _ in 0..20 {
                match app::make(&portal, &staging, &actor, &form("Many")).await {
                    Ok(_) => made += 1,
                    Err(Refused::Conflict(words)) => {
                        assert!(words.contains("100 apps on staging, and that is the most"));
                        refused += 1;
                    }
                    // Others were faster, time and again: nothing was done.
                    Err(Refused::Busy) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            (made, refused)
        });
    }
    let (mut made, mut refused) = (0, 0);
    while let Some(done) = tries.join_next().await {
        let done = done.unwrap();
        (made, refused) = (made + done.0, refused + done.1);
    }
    assert!(made <= MOST_APPS && refused > 0, "{made} made, {refused} refused");
    while made < MOST_APPS {
        app::make(&portal, &staging, &actor, &form("Many")).await.unwrap();
        made += 1;
    }
    let more = app::make(&portal, &staging, &actor, &form("Many")).await;
    assert!(matches!(more, Err(Refused::Conflict(_))));
    let clients = "SELECT COUNT(*) FROM clients WHERE name = 'Many'";
    assert_eq!(server.number(clients), MOST_APPS);
    let created = "SELECT COUNT(*) FROM audit WHERE act = 'client.created'";
    assert_eq!(server.number(created), MOST_APPS, "what was refused left no entry");
    assert_eq!(portal.store.audit_fault().await.unwrap().0, None);
}

async fn s24_ten_thousand_clients_of_a_partner_are_shown_in_parts(server: Server) {
    // An operator may make more than a partner may; here as rows, because the pages are the matter.
    let owner = Desk::owner(&server).await;
    let one = owner.make_app("One").await;
    let columns = "environment, partner_id, name, redirect_uris, scopes, optional_scopes, public, \
         approved, disabled, demo, counter, refresh_tokens, parameters_in_query, pkce_required, \
         query_calls, created_at";
    server.alter(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
         INSERT INTO clients (id, key, {columns}) \
         SELECT 'devp-staging-more-' || CAST(10000 + n.i AS TEXT), n.i, {columns} \
         FROM clients, n WHERE id = '{}'",
        one.id
    ));
    let count = "SELECT COUNT(*) FROM clients WHERE environment = 'staging'";
    let held = usize::try_from(server.number(count)).unwrap();
    assert!(held >= 10_000);

    let full = app::make(
        &server.portal,
        &server.staging,
        &somebody(Role::Owner { partner_id: PARTNER_ID }),
        &form("Another"),
    )
    .await;
    assert!(matches!(full, Err(Refused::Conflict(_))));
    let manager = Desk::manager(&server).await;
    let partner = format!("/partners/{}", Uuid::from_bytes(PARTNER_ID));
    let before = "<a class=\"line-title\" href=\"/apps/devp-staging-";
    for (desk, first) in [(&owner, "/apps"), (&manager, "/apps"), (&manager, partner.as_str())] {
        let prefix = format!("{first}?staging=");
        let all = all(async |path| desk.get(path).await, (first, &prefix), before).await;
        assert_eq!(all.len(), held, "{first}");
    }
}

async fn s24_people_and_invitations_are_shown_in_parts(server: Server) {
    let owner = Desk::owner(&server).await;
    let site = &server.portal;
    for (role, by) in [
        (Role::Developer { partner_id: PARTNER_ID }, Role::Owner { partner_id: PARTNER_ID }),
        (Role::Manager, Role::Manager),
    ] {
        let by = somebody(by);
        for number in 0..70 {
            let name = role.as_str();
            let email = format!("{name}-{number}@many.example");
            let (id, password_hash) = (site.random.id(&site.clock), "none");
            let name = "Robin Rest";
            let person = NewPerson { id, email: &email, name, password_hash, role, demo: false };
            let act = by.act(site, "person.joined", email.as_str());
            assert!(site.store.add_person(&person, None, None, &act).await.unwrap());
            let guest = format!("guest-{email}");
            team::invite_as(site, &by, &guest, role).await.unwrap();
        }
    }
    let people = |of: &str| server.number(&format!("SELECT COUNT(*) FROM people WHERE {of}"));
    let (staff, partners) = (people("staff IS NOT NULL"), people("staff IS NULL"));
    let manager = Desk::manager(&server).await;
    let partner = format!("/partners/{}", Uuid::from_bytes(PARTNER_ID));
    for (desk, first, count) in
        [(&owner, "/team", partners), (&manager, "/team", staff), (&manager, &partner, partners)]
    {
        let (mut listed, mut path) = (BTreeSet::new(), first.to_owned());
        loop {
            let page = desk.get(&path).await;
            let section = page.text.split("id=\"people\"").nth(1).unwrap();
            let section = section.split("</section>").next().unwrap();
            let emails = section.split("wrap\"><bdi>").skip(1);
            let emails: Vec<&str> = emails.filter_map(|after| after.split('<').next()).collect();
            assert!(!emails.is_empty() && emails.len() <= PAGE, "{path}: {}", emails.len());
            assert!(emails.iter().all(|email| listed.insert((*email).to_owned())), "shown twice");
            let Some(more) = next(&page, &format!("{first}?people=")) else { break };
            path = more;
        }
        assert_eq!(i64::try_from(listed.len()).unwrap(), count, "{first}");
    }
    for desk in [&owner, &manager] {
        let open = async |path: &str| desk.get(path).await;
        let before = "<form method=\"post\" action=\"/team/invitations/";
        let guests = all(open, ("/team", "/team?invited="), before).await;
        assert_eq!(guests.len(), 70);
    }
    // A cursor that is none begins at the first, and shows nothing else.
    let odd = owner.get("/team?people=%27&invited=0").await;
    assert_eq!(odd.status, 200, "{}", odd.text);

    // The bound counts people and invitations, and is the partner's own.
    let by = somebody(Role::Owner { partner_id: PARTNER_ID });
    let role = Role::Developer { partner_id: PARTNER_ID };
    let held = partners + 70;
    for number in held..MOST_PEOPLE {
        team::invite_as(site, &by, &format!("more-{number}@many.example"), role).await.unwrap();
    }
    let full = team::invite_as(site, &by, "last@many.example", role).await;
    assert!(matches!(full, Err(Refused::Conflict(_))), "{full:?}");
    let other = server.another_partner().await;
    let other = Role::Owner { partner_id: other };
    team::invite_as(site, &somebody(other), "first@other.example", other).await.unwrap();
}

async fn s24_many_connected_apps_are_shown_in_parts(server: Server) {
    let mut ids = BTreeSet::new();
    for number in 0..120 {
        let made = server.client_with(Environment::Staging, |client| {
            client.name = format!("Connected {number}");
        });
        let client = made.await;
        tokens(&server, &client).await;
        ids.insert(client.id);
    }
    let browser = server.browser();
    let page = browser.get(&server.url("/connections")).await;
    let first = browser.sign_in(&page).await;
    first.assert_page(200, "Connected apps");
    let open = async |path: &str| browser.get(&server.url(path)).await;
    let before = "name=\"client_id\" value=\"";
    let shown = all(open, ("/connections", "/connections?after="), before).await;
    assert_eq!(shown, ids);
    // Whoever disconnects the last of a part begins again.
    let gone = open("/connections?after=devp-staging-gone").await;
    assert_eq!(found(&gone, before), found(&first, before));
    let last = next(&first, "/connections?after=").unwrap();
    assert!(open(&last).await.text.contains("Disconnect all apps"));
    let named = open("/connections/disconnect-all").await;
    assert_eq!(named.text.matches("<li><bdi>Connected ").count(), 120);
}

async fn s24_all_of_a_long_log_is_exported(server: Server) {
    let site = &server.portal;
    let act = somebody(Role::Owner { partner_id: PARTNER_ID }).act(site, "client.changed", "name");
    for _ in 0..1_203 {
        site.store.note_act(&act).await.unwrap();
    }
    let own = site.random.id(&site.clock);
    let other = Actor { id: Some(own), ..somebody(Role::Manager) };
    site.store.note_act(&other.act(site, "partner.verified", "Other Ltd")).await.unwrap();
    let (owner, manager) = (Desk::owner(&server).await, Desk::manager(&server).await);
    for (desk, of) in [(&owner, Some(PARTNER_ID)), (&manager, None)] {
        let export = desk.get("/activity.jsonl").await;
        assert_eq!(export.status, 200);
        let lines = export.text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<serde_json::Value> = lines.collect();
        let condition = if of.is_some() { "partner_id IS NOT NULL" } else { "number > 0" };
        let count = server.number(&format!("SELECT COUNT(*) FROM audit WHERE {condition}"));
        assert_eq!(i64::try_from(lines.len()).unwrap(), count);
        let number = |line: &serde_json::Value| line["number"].as_str().unwrap().parse().unwrap();
        let numbers: Vec<i64> = lines.iter().map(number).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "the oldest first");
        assert!(of.is_none() || lines.iter().all(|line| line["act"] != "partner.verified"));
        assert!(lines.iter().all(|line| line["at"].as_str().is_some_and(|at| at.ends_with('Z'))));
    }
}

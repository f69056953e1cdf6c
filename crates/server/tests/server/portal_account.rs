//! Accounts of the portal: signing up, invitations, passwords, roles, leaving.

use grantor::demo;
use grantor::link::{INVITATION_SECONDS, Link};
use grantor::programme::{Actor, account, factor, team};
use grantor::store::{Act, Person, Role};
use grantor::throttle::Limits;
use reqwest::StatusCode;

use crate::harness::{Browser, Page, Server, form_body};
use crate::portal_factor::add;

pub(crate) const EMAIL: &str = "robin@partner.example";
pub(crate) const PASSWORD: &str = "a password of Robin's own";
const OTHER: &str = "another password of Robin";

on_both_engines! {
    a_link_to_sign_up_works_once_also_at_once,
    a_link_to_reset_works_once_and_not_after_another_change,
    an_invitation_is_taken_once_and_not_after_its_time_nor_when_it_was_withdrawn,
    two_owners_who_remove_each_other_at_once_leave_one,
    the_last_manager_stays_also_where_two_remove_each_other_at_once,
    acts_at_once_are_numbered_without_a_gap_and_chained,
    an_audit_log_that_was_tampered_with_names_the_first_bad_entry,
    two_partners_may_invite_one_address_and_what_is_too_old_takes_no_room,
    a_new_password_takes_away_a_key_that_waits_to_be_confirmed,
}

/// Of what strangers may have sent to a mailbox, nothing keeps its owner from the rest.
#[tokio::test]
async fn s20_asking_for_sign_ups_keeps_nobody_from_a_new_password_and_invitations_are_bounded() {
    let server = Server::start().await;
    let partner_id = partner_of(&server).await;
    let robin = person(&server, EMAIL, Role::Owner { partner_id }).await;
    let browser = server.browser();
    let most = Limits::USUAL.mails_per_name;
    for at in 0..=most {
        let page = get(&server, &browser, "/sign-up").await;
        let answer = submit_to(&server, &browser, &page, "/sign-up", &[("email", EMAIL)]).await;
        assert_eq!(answer.status, if at < most { 200 } else { 429 });
        assert_eq!(answer.headers.contains_key("retry-after"), at == most);
    }
    let page = get(&server, &browser, "/forgotten").await;
    let answer = submit_to(&server, &browser, &page, "/forgotten", &[("email", EMAIL)]).await;
    answer.assert_page(200, "Look into your mailbox");

    let (actor, site) = (Actor::from(&robin), &server.portal);
    for _ in 0..most {
        let to = "victim@rest.example";
        team::invite(site, &actor, to, false).await.unwrap();
        let invited = site.store.invitations(Some(partner_id), [0; 16], 1).await.unwrap().remove(0);
        team::withdraw(site, &actor, invited.id).await.unwrap();
    }
    let written = server.count("outbox");
    assert!(team::invite(site, &actor, "victim@rest.example", false).await.is_err());
    assert_eq!(server.count("outbox"), written);
    team::invite(site, &actor, "other@rest.example", false).await.unwrap();
}

async fn two_partners_may_invite_one_address_and_what_is_too_old_takes_no_room(server: Server) {
    let own = partner_of(&server).await;
    let robin = person(&server, EMAIL, Role::Owner { partner_id: own }).await;
    let stranger = Actor::from(&crate::portal_desk::stranger(&server).await);
    let to = "cto@victim.example";
    team::invite(&server.portal, &stranger, to, false).await.unwrap();
    team::invite(&server.portal, &Actor::from(&robin), to, false).await.unwrap();
    assert!(team::invite(&server.portal, &Actor::from(&robin), to, false).await.is_err());
    server.clock.advance(INVITATION_SECONDS);
    team::invite(&server.portal, &Actor::from(&robin), "new@rest.example", false).await.unwrap();
    assert_eq!(server.count("invitations"), 1);
}

async fn a_new_password_takes_away_a_key_that_waits_to_be_confirmed(server: Server) {
    let partner_id = partner_of(&server).await;
    let robin = person(&server, EMAIL, Role::Owner { partner_id }).await;
    let site = &server.portal;
    factor::begin_first(site, &robin).await.unwrap();
    assert!(factor::waiting(site, &robin).await.unwrap().is_some());
    account::reset(site, (&robin, 0), OTHER.to_owned()).await.unwrap();
    assert!(factor::waiting(site, &robin).await.unwrap().is_none());
}

/// Adds a person of the portal.
pub(crate) async fn person(server: &Server, email: &str, role: Role) -> Person {
    let id = server.portal.random.id(&server.portal.clock);
    add(server, id, email, role).await;
    server.portal.store.person(id).await.unwrap().unwrap()
}

pub(crate) fn act(server: &Server, name: &'static str) -> Act {
    let nobody = Actor { name: "test".to_owned(), id: None, role: Role::Operator, behalf: None };
    nobody.act(&server.portal, name, "")
}

/// Signs in with the password, and gives the answer to it.
pub(crate) async fn sign_in(server: &Server, browser: &Browser, email: &str, path: &str) -> Page {
    sign_in_with(server, browser, (email, PASSWORD), path).await
}

async fn sign_in_with(
    server: &Server,
    browser: &Browser,
    (email, password): (&str, &str),
    path: &str,
) -> Page {
    let page = get(server, browser, path).await;
    submit_to(server, browser, &page, path, &[("email", email), ("password", password)]).await
}

async fn get(server: &Server, browser: &Browser, path: &str) -> Page {
    browser.get(&format!("{}{path}", server.portal.base_url)).await
}

/// Posts a form with the token of a page to that path.
pub(crate) async fn submit_to(
    server: &Server,
    browser: &Browser,
    page: &Page,
    path: &str,
    fields: &[(&str, &str)],
) -> Page {
    let token = page.hidden("csrf_token");
    let form: Vec<(&str, &str)> =
        [("csrf_token", token.as_str())].into_iter().chain(fields.iter().copied()).collect();
    let url = format!("{}{path}", server.portal.base_url);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    browser.post(&url, &headers, form_body(&form)).await
}

/// The path of a link in a mail.
fn path(server: &Server, link: &Link) -> String {
    link.address(&server.portal).strip_prefix(&server.portal.base_url).unwrap().to_owned()
}

async fn partner_of(server: &Server) -> [u8; 16] {
    server.portal.store.partners().await.unwrap()[0].id
}

const JOIN: [(&str, &str); 3] =
    [("name", "Robin"), ("organisation", "Planner Ltd"), ("password", PASSWORD)];

async fn a_link_to_sign_up_works_once_also_at_once(server: Server) {
    let partners = server.count("partners");
    let link = path(&server, &Link::SignUp { email: EMAIL.to_owned() });
    let (one, two) = (server.browser(), server.browser());
    let (first, second) = (get(&server, &one, &link).await, get(&server, &two, &link).await);
    first.assert_page(200, EMAIL);
    // What everybody reads in the documentation is nobody's password (S26).
    let known = [("name", "Robin"), ("organisation", "Table"), ("password", demo::PASSWORD)];
    let refused = submit_to(&server, &one, &first, &link, &known).await;
    refused.assert_page(422, "Everybody knows this password");
    let answers = tokio::join!(
        submit_to(&server, &one, &first, &link, &JOIN),
        submit_to(&server, &two, &second, &link, &JOIN),
    );
    let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let again = submit_to(&server, &one, &first, &link, &JOIN).await;
    again.assert_page(409, "This link was used already");
    assert_eq!(server.count("partners"), partners + 1, "a partner without people stays nowhere");
    server.clock.advance(24 * 3600);
    get(&server, &one, &link).await.assert_page(410, "This link does not work any more");
    // Another address in the link is another link.
    let mut forged = link.clone();
    forged.insert(20, 'A');
    get(&server, &one, &forged).await.assert_page(410, "This link does not work any more");
}

async fn a_link_to_reset_works_once_and_not_after_another_change(server: Server) {
    let partner_id = partner_of(&server).await;
    let robin = person(&server, EMAIL, Role::Developer { partner_id }).await;
    let link = path(&server, &Link::Reset { person_id: robin.id, counter: 0 });
    let browser = server.browser();
    let page = get(&server, &browser, &link).await;
    page.assert_page(200, EMAIL);
    let short = submit_to(&server, &browser, &page, &link, &[("password", "short")]).await;
    short.assert_page(422, "at least 12 characters");
    let fields = [("password", OTHER)];
    assert_eq!(submit_to(&server, &browser, &page, &link, &fields).await.location(), "/sign-in");
    let again = submit_to(&server, &browser, &page, &link, &fields).await;
    again.assert_page(410, "This link does not work any more");
    let answer = sign_in(&server, &browser, EMAIL, "/sign-in").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "the former password opens nothing");
    let answer = sign_in_with(&server, &browser, (EMAIL, OTHER), "/sign-in").await;
    assert_eq!(answer.location(), "/");

    // A link from before a change of the password is none after it.
    let former = path(&server, &Link::Reset { person_id: robin.id, counter: 1 });
    let change = account::change_password(
        &server.portal,
        (&robin, std::net::IpAddr::from([127, 0, 0, 1])),
        OTHER.into(),
        PASSWORD.into(),
    );
    change.await.unwrap();
    let page = get(&server, &browser, "/sign-in").await;
    let late = submit_to(&server, &browser, &page, &former, &fields).await;
    late.assert_page(410, "This link does not work any more");
    let gone = get(&server, &browser, "/account").await;
    assert!(gone.location().starts_with("/sign-in"), "all sessions ended");
}

async fn an_invitation_is_taken_once_and_not_after_its_time_nor_when_it_was_withdrawn(
    server: Server,
) {
    let partner_id = partner_of(&server).await;
    let owner = Actor::from(&person(&server, EMAIL, Role::Owner { partner_id }).await);
    let site = &server.portal;
    for email in ["one@p.example", "two@p.example", "three@p.example"] {
        team::invite(site, &owner, email, false).await.unwrap();
    }
    let again = team::invite(site, &owner, "one@p.example", false).await;
    assert!(again.is_err(), "an address is invited once");
    let invitations = site.store.invitations(Some(partner_id), [0; 16], 100).await.unwrap();
    let [one, two, three] = invitations.as_slice() else { panic!("{invitations:?}") };
    let paths = [one, two, three].map(|one| path(&server, &Link::Invitation { id: one.id }));
    let browser = server.browser();

    // The address is the invitation's, whatever is sent.
    let page = get(&server, &browser, &paths[0]).await;
    let fields = [&JOIN[..], &[("email", "evil@other.example"), ("role", "owner")]].concat();
    let joined = submit_to(&server, &browser, &page, &paths[0], &fields).await;
    joined.assert_page(200, "Your account is made");
    let people = site.store.people_of(partner_id, [0; 16], 100).await.unwrap();
    let found = people.iter().find(|person| person.email == one.email).unwrap();
    assert_eq!(found.role, Role::Developer { partner_id });
    assert!(people.iter().all(|person| !person.email.contains("evil")));
    let twice = submit_to(&server, &browser, &page, &paths[0], &JOIN).await;
    twice.assert_page(410, "This link does not work any more");

    // Another partner's owner cannot withdraw it; its own can.
    let other = Actor { role: Role::Owner { partner_id: [7; 16] }, ..owner.clone() };
    assert!(team::withdraw(site, &other, two.id).await.is_err());
    assert!(site.store.invitation(two.id).await.unwrap().is_some());
    team::withdraw(site, &owner, two.id).await.unwrap();
    get(&server, &browser, &paths[1]).await.assert_page(410, "does not work any more");

    let page = get(&server, &browser, &paths[2]).await;
    server.clock.advance(INVITATION_SECONDS);
    let late = submit_to(&server, &browser, &page, &paths[2], &JOIN).await;
    late.assert_page(410, "does not work any more");
    let count = people.len();
    assert_eq!(site.store.people_of(partner_id, [0; 16], 100).await.unwrap().len(), count);
}

async fn two_owners_who_remove_each_other_at_once_leave_one(server: Server) {
    let site = &server.portal;
    for round in 0..8_u8 {
        let partner_id = [round + 1; 16];
        let role = Role::Owner { partner_id };
        let (first, second) = (format!("a{round}@p.example"), format!("b{round}@p.example"));
        let first = person(&server, &first, role).await;
        let second = person(&server, &second, role).await;
        let (one, two) = (Actor::from(&first), Actor::from(&second));
        let done = match round % 2 {
            0 => tokio::join!(team::remove(site, &one, &second), team::remove(site, &two, &first)),
            _ => tokio::join!(
                team::set_owner(site, &one, &second, false),
                team::set_owner(site, &two, &first, false),
            ),
        };
        assert!(done.0.is_ok() != done.1.is_ok(), "{done:?}");
        let people = site.store.people_of(partner_id, [0; 16], 100).await.unwrap();
        let owners = people.iter().filter(|person| matches!(person.role, Role::Owner { .. }));
        assert_eq!(owners.count(), 1, "{people:?}");
    }
}

async fn the_last_manager_stays_also_where_two_remove_each_other_at_once(server: Server) {
    let site = &server.portal;
    let demo = site.store.staff([0; 16], 100).await.unwrap().remove(0);
    for round in 0..4 {
        let first = person(&server, &format!("a{round}@c.example"), Role::Manager).await;
        let second = person(&server, &format!("b{round}@c.example"), Role::Operator).await;
        for before in site.store.staff([0; 16], 100).await.unwrap() {
            if before.id != first.id && before.id != second.id {
                assert!(
                    site.store
                        .remove_person(&before, &act(&server, "person.removed"))
                        .await
                        .unwrap()
                );
            }
        }
        let by = act(&server, "person.removed");
        let done = tokio::join!(
            site.store.remove_person(&second, &by),
            site.store.remove_person(&first, &by),
        );
        assert!(done.0.unwrap() != done.1.unwrap());
        let left = site.store.staff([0; 16], 100).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_ne!(left[0].id, demo.id);
        assert!(!site.store.remove_person(&left[0], &by).await.unwrap(), "the last one stays");
    }
}

async fn acts_at_once_are_numbered_without_a_gap_and_chained(server: Server) {
    let site = &server.portal;
    let partner_id = partner_of(&server).await;
    let before = server.count("audit");
    let owner = Actor::from(&person(&server, EMAIL, Role::Owner { partner_id }).await);
    let emails: Vec<String> = (0..12).map(|nth| format!("guest{nth}@p.example")).collect();
    let invited = emails.iter().map(|email| team::invite(site, &owner, email, false));
    let invited = futures_util::future::join_all(invited).await;
    assert!(invited.iter().all(Result::is_ok), "{invited:?}");
    assert_eq!(server.count("audit"), before + 13);
    assert_eq!(server.number("SELECT MAX(number) FROM audit"), before + 13);
    assert_eq!(site.store.audit_fault().await.unwrap(), (None, before + 13));
}

async fn an_audit_log_that_was_tampered_with_names_the_first_bad_entry(server: Server) {
    let site = &server.portal;
    let partner_id = partner_of(&server).await;
    let owner = Actor::from(&person(&server, EMAIL, Role::Owner { partner_id }).await);
    for nth in 0..5 {
        team::invite(site, &owner, &format!("g{nth}@p.example"), false).await.unwrap();
    }
    let last = server.count("audit");
    assert_eq!(site.store.audit_fault().await.unwrap(), (None, last));
    let columns = "at, actor, actor_id, act, partner_id, client_id, detail, previous, hash";
    let cases = [
        // changed
        ("UPDATE audit SET detail = 'nothing' WHERE number = 4".to_owned(), 4),
        ("UPDATE audit SET at = at + 1 WHERE number = 3".to_owned(), 3),
        // deleted, also from the middle to the end but one
        ("DELETE FROM audit WHERE number = 5".to_owned(), 6),
        ("DELETE FROM audit WHERE number < 3".to_owned(), 3),
        // inserted: a copy of another at the end
        (
            format!(
                "INSERT INTO audit (number, {columns}) SELECT {}, {columns} FROM audit \
                 WHERE number = 2",
                last + 1
            ),
            last + 1,
        ),
    ];
    server.alter("CREATE TABLE kept AS SELECT * FROM audit");
    for (tampered, first_bad) in cases {
        assert!(server.execute(&tampered) > 0);
        assert_eq!(site.store.audit_fault().await.unwrap().0, Some(first_bad), "{tampered}");
        server.execute("DELETE FROM audit");
        server.execute("INSERT INTO audit SELECT * FROM kept");
        assert_eq!(site.store.audit_fault().await.unwrap(), (None, last));
    }
}

#[tokio::test]
async fn another_role_counts_at_once_in_a_session_that_stands() {
    let server = Server::start().await;
    let partner_id = partner_of(&server).await;
    let robin = person(&server, EMAIL, Role::Owner { partner_id }).await;
    let browser = server.browser();
    sign_in(&server, &browser, EMAIL, "/sign-in").await;
    let page = get(&server, &browser, "/team").await;
    page.assert_page(200, "Invite somebody");
    let developer = Role::Developer { partner_id };
    assert!(
        server
            .portal
            .store
            .set_role(&robin, developer, &act(&server, "person.role"))
            .await
            .unwrap()
    );
    let fields = [("email", "guest@p.example")];
    let refused = submit_to(&server, &browser, &page, "/team/invitations", &fields).await;
    refused.assert_page(403, "That is not yours to do");
    assert_eq!(server.count("invitations"), 0);
    assert!(!get(&server, &browser, "/team").await.text.contains("Invite somebody"));
    // Removed, it is nobody.
    let removed = act(&server, "person.removed");
    assert!(server.portal.store.remove_person(&robin, &removed).await.unwrap());
    assert!(get(&server, &browser, "/team").await.location().starts_with("/sign-in"));
}

/// An answer without what differs each time.
fn told(page: &Page) -> (u16, String) {
    let text = page.text.split("Request id").next().unwrap();
    let mut kept = String::new();
    for part in text.split("name=\"csrf_token\" value=\"") {
        kept.push_str(part.split_once('"').map_or(part, |(_, rest)| rest));
    }
    (page.status.as_u16(), kept)
}

#[tokio::test]
async fn s19_signing_up_and_a_forgotten_password_say_and_do_the_same_for_everybody() {
    let server = Server::start().await;
    let partner_id = partner_of(&server).await;
    person(&server, EMAIL, Role::Developer { partner_id }).await;
    for path in ["/sign-up", "/forgotten"] {
        let mut answers = Vec::new();
        for email in [EMAIL, "nobody@partner.example", " Robin@Partner.Example "] {
            let browser = server.browser();
            let page = get(&server, &browser, path).await;
            let metrics = server.portal.store.metrics();
            let before = [metrics.reads.read(), metrics.transactions.read(), hashed(&server)];
            let answer = submit_to(&server, &browser, &page, path, &[("email", email)]).await;
            let after = [metrics.reads.read(), metrics.transactions.read(), hashed(&server)];
            let work: Vec<u64> =
                after.iter().zip(before).map(|(after, before)| after - before).collect();
            answers.push((told(&answer), work));
        }
        assert_eq!(answers[0].0.0, 200);
        assert_eq!(answers[0], answers[1], "{path}: the same words, and the same work");
        assert_eq!(answers[0], answers[2], "{path}");
    }
    assert_eq!(server.count("outbox"), 6, "each got a mail");
}

fn hashed(server: &Server) -> u64 {
    server.portal.passwords.metrics().hashed.read()
}

#[tokio::test]
async fn a_name_or_address_with_line_ends_makes_no_header_of_a_mail() {
    let server = Server::start().await;
    let browser = server.browser();
    let page = get(&server, &browser, "/sign-up").await;
    let before = server.count("outbox");
    for hostile in [
        "robin@partner.example\r\nBcc: everybody@partner.example",
        "robin@partner.example\nSubject: hello",
        "\"robin\r\n\"@partner.example",
        "robin@partner.example, other@partner.example",
        "Robin <robin@partner.example>",
        "robin@partner.example\u{2028}x",
        "ro\u{202e}bin@partner.example",
        "robin\u{200b}@partner.example",
        "robin",
        "",
    ] {
        for path in ["/sign-up", "/forgotten"] {
            let answer = submit_to(&server, &browser, &page, path, &[("email", hostile)]).await;
            assert_eq!(answer.status.as_u16(), 422, "{hostile:?}");
            answer.assert_page(422, "Write an e-mail address.");
        }
    }
    assert_eq!(server.count("outbox"), before);
    // A name never stands in a header, and one with line ends is none.
    let link = path(&server, &Link::SignUp { email: EMAIL.to_owned() });
    for name in ["Robin\r\nBcc: x@y.example", "\u{202e}niboR", "Robin\0"] {
        let fields = [("name", name), ("organisation", "Planner"), ("password", PASSWORD)];
        let answer = submit_to(&server, &browser, &page, &link, &fields).await;
        assert_eq!(answer.status.as_u16(), 422, "{name:?}");
    }
}

#[tokio::test]
async fn signing_in_leads_to_a_path_of_ours_and_nowhere_else() {
    let server = Server::start().await;
    let partner_id = partner_of(&server).await;
    person(&server, EMAIL, Role::Developer { partner_id }).await;
    for (next, leads) in [
        ("%2Fteam", "/team"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%5C%2Fevil.example", "/"),
        ("%2F%09%2Fevil.example", "/"),
        ("%2F%0d%0aSet-Cookie%3A%20a%3Db", "/"),
        ("javascript%3Aalert(1)", "/"),
        ("%2Fteam&next=%2F%2Fevil.example", "/"),
    ] {
        let browser = server.browser();
        let path = format!("/sign-in?next={next}");
        let answer = sign_in(&server, &browser, EMAIL, &path).await;
        assert_eq!((answer.status.as_u16(), answer.location().as_str()), (303, leads), "{next}");
        // And for who is signed in already.
        assert_eq!(get(&server, &browser, &path).await.location(), leads, "{next}");
    }
}

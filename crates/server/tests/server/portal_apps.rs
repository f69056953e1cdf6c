//! Apps in the portal: what a partner makes and changes itself, and what nobody gets around.

use std::time::Duration;

use grantor::programme::app::MOST_APPS;
use grantor_protocol::environment::Environment;

use crate::harness::{Server, encode, form_body, unescape};
use crate::portal_desk::{
    APP_URI, Desk, FORM, acts, app_form, authenticates, client_id, demo_partner, record,
    request_form, secret, standing,
};

const STAGING: Environment = Environment::Staging;

async fn u1_u5_an_app_works_the_moment_it_is_made_and_its_secret_is_shown_once(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Sales at a glance").await;
    assert!(app.id.starts_with("devp-staging-sales-at-a-glance-"), "{}", app.id);
    let page = server.browser().get(&server.authorize_url(&app, "")).await;
    page.assert_page(200, "Sales at a glance");
    let code = server.code(&app, "").await;
    let tokens = server.exchange(&app, &code).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert_eq!(server.api("/f/data/businesses", tokens.text("access_token")).await.status, 200);

    let page = owner.get(&format!("/apps/{}", app.id)).await;
    page.assert_page(200, &format!("Ends in <code>{}</code>", &app.secret[app.secret.len() - 4..]));
    assert!(!page.text.contains(&app.secret));
    owner.get("/apps").await.assert_page(200, &app.id);
    for path in ["/activity", "/activity.jsonl"] {
        assert!(!owner.get(path).await.text.contains(&app.secret), "{path}");
    }
    assert_eq!(acts(&server, &app.id).await, ["client.created"]);
}

async fn u1_a_public_app_has_no_secret_and_uses_pkce(server: Server) {
    let owner = Desk::owner(&server).await;
    let mut form = app_form("In a browser");
    form.retain(|(name, _)| *name != "kind");
    form.push(("kind", "public"));
    let page = owner.post("/apps/new", &form).await;
    page.assert_page(200, "A public app has none.");
    let id = client_id(&page);
    let record = record(&server, &id).await;
    assert!(record.client.is_public() && record.client.settings.pkce_required);
    assert!(record.secrets.is_empty());
    let before = standing(&server);
    let refused = owner.post(&format!("/apps/{id}/secrets"), &[]).await;
    refused.assert_page(409, "A public app has no secret");
    assert_eq!(standing(&server), before);
}

async fn s22_what_is_wrong_is_said_beside_its_field_and_nothing_is_shown_raw(server: Server) {
    let owner = Desk::owner(&server).await;
    let before = standing(&server);
    let form = [
        ("name", "<script>alert(1)</script>\u{202E}"),
        ("website", "javascript:alert(\"1\")"),
        ("support_contact", "<b>nobody</b>"),
        ("redirect_uris", "http://evil.example/<i>\nhttps://a.example/#here\nhttps://*.example/"),
        ("scopes", "nonsense<u>"),
    ];
    let page = owner.post("/apps/new", &form).await;
    page.assert_page(422, "Something has to be mended below.");
    for field in ["name", "website", "support_contact", "redirect_uris", "scopes"] {
        assert!(page.text.contains(&format!("id=\"{field}-fault\"")), "{field}: {}", page.text);
    }
    for raw in ["<script>", "<b>nobody", "/<i>", "nonsense<u>", "alert(\"1\")"] {
        assert!(!page.text.split("<body").nth(1).unwrap().contains(raw), "{raw:?}");
    }
    // What was typed is there again, to be mended.
    assert_eq!(page.values("website"), ["javascript:alert(\"1\")"]);
    assert_eq!(standing(&server), before);

    for (field, value, words) in [
        ("name", "", "1 to 60 characters"),
        ("name", "Two\nlines", "one line"),
        ("name", "Hid\u{200B}den", "direction characters"),
        ("redirect_uris", "", "at least one address"),
        ("redirect_uris", "https://user:pass@a.example/", "https://user:pass@a.example/"),
        ("redirect_uris", "http://a.example/", "http://a.example/"),
        ("scopes", "", "Choose at least one"),
        ("scopes", "audit:read", "There is no audit:read here"),
    ] {
        let mut form = app_form("Right");
        form.retain(|(name, _)| *name != field);
        form.push((field, value));
        owner.post("/apps/new", &form).await.assert_page(422, words);
    }
    assert_eq!(standing(&server), before);
}

async fn s22_a_name_that_looks_like_markup_is_text_and_one_that_looks_like_another_is_none(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    // Alphabets stand side by side, word by word, as people write them.
    for name in ["<b>Bold</b> & \"quoted\"", "Столик Planner", "寿司テーブル", "Café Ünal 2"]
    {
        let app = owner.make_app(name).await;
        for path in [format!("/apps/{}", app.id), "/apps".to_owned(), "/activity".to_owned()] {
            let page = owner.get(&path).await;
            page.assert_page(200, name);
            assert!(!page.text.contains("<b>Bold"), "{path}");
        }
        assert!(app.id.is_ascii());
    }
    let before = standing(&server);
    // With a Cyrillic letter, or a Greek one.
    for name in ["T\u{430}ble Planner", "Tabl\u{3b5}", "Pl\u{430}nner"] {
        let refused = owner.post("/apps/new", &app_form(name)).await;
        refused.assert_page(422, "letters are of several alphabets");
    }
    assert_eq!(standing(&server), before);
}

async fn s24_fields_that_no_form_has_change_nothing(server: Server) {
    let stranger = Desk::stranger(&server).await;
    let partner = demo_partner(&server).await;
    let hex: String = partner.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let more = [
        ("partner_id", hex.as_str()),
        ("partner", "Demo Partner Ltd"),
        ("approved", "true"),
        ("verified", "true"),
        ("environment", "production"),
        ("id", "devp-production-chosen"),
        ("client_id", "devp-production-chosen"),
        ("disabled", "true"),
        ("demo", "true"),
        ("sibling", "devp-production-demo-partner-00000000000000000000000000000000"),
        ("secret", "chosen"),
        ("optional_scopes", "orders-api"),
        ("counter", "99"),
    ];
    let page = stranger.post("/apps/new", &[&app_form("Mass")[..], &more[..]].concat()).await;
    let (id, secret) = (client_id(&page), secret(&page));
    let assert_plain = async || {
        let made = record(&server, &id).await;
        assert_eq!(made.client.partner.name, "Other Ltd");
        assert_eq!(made.client.environment, STAGING);
        assert!(!made.client.approved && !made.client.disabled);
        assert!(!made.client.partner.verified);
        assert!(made.client.optional_scopes.is_empty());
        assert_eq!(made.listing.sibling, None);
        assert!(authenticates(&server, STAGING, (&id, &secret)).await);
    };
    assert!(id.starts_with("devp-staging-mass-") && secret != "chosen");
    assert_plain().await;
    let form = [&app_form("Mass again")[..], &more[..]].concat();
    let page = stranger.edit(&id, &form).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(record(&server, &id).await.client.name, "Mass again");
    assert_plain().await;
    assert!(server.portal.store.client("devp-production-chosen").await.unwrap().is_none());
}

async fn s24_what_is_another_partners_does_not_exist_on_any_route(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Ours").await;
    let request = owner.ask(&app.id).await;
    let stranger = Desk::stranger(&server).await;
    let before = standing(&server);
    let nobodys = "devp-staging-nobody-00000000000000000000000000000000";
    let no_request = "/requests/00000000-0000-0000-0000-000000000000";
    let at =
        |suffix: &str| [format!("/apps/{}{suffix}", app.id), format!("/apps/{nobodys}{suffix}")];
    for pair in ["", "/edit", "/request"].map(at) {
        for path in pair {
            let page = stranger.get(&path).await;
            page.assert_page(404, "There is no such page");
            assert!(!page.text.contains("Ours"));
        }
    }
    for suffix in ["/edit", "/request", "/secrets", "/secrets/1/remove", "/suspend", "/resume"] {
        for path in at(suffix) {
            let page = stranger.post(&path, &request_form("Not ours.")).await;
            page.assert_page(404, "There is no such page");
        }
    }
    for request in [request.as_str(), no_request] {
        for suffix in ["", "/answer"] {
            stranger.get(&format!("{request}{suffix}")).await.assert_page(404, "no such page");
        }
        for suffix in ["/answer", "/withdraw", "/decision"] {
            let fields = [
                &request_form("Not ours.")[..],
                &[("version", "1"), ("decision", "approve"), ("note", "Mine.")],
            ]
            .concat();
            stranger.post(&format!("{request}{suffix}"), &fields).await.assert_page(404, "no such");
        }
    }
    for path in ["/apps", "/requests", "/activity", "/activity.jsonl", "/team"] {
        let page = stranger.get(path).await;
        assert_eq!(page.status, 200);
        for word in [app.id.as_str(), "Ours", "Table Planner", "demo.example"] {
            assert!(!page.text.contains(word), "{word} at {path}");
        }
    }
    assert_eq!(standing(&server), before);
}

async fn s24_a_developer_makes_apps_and_nobody_of_a_partner_decides(server: Server) {
    let developer = Desk::developer(&server).await;
    let owner = Desk::owner(&server).await;
    let app = developer.make_app("By a developer").await;
    owner.get(&format!("/apps/{}", app.id)).await.assert_page(200, "By a developer");
    let request = developer.ask(&app.id).await;
    let partner = uuid::Uuid::from_bytes(demo_partner(&server).await.id);
    let before = standing(&server);
    for desk in [&developer, &owner] {
        for path in [format!("/apps/{}/suspend", app.id), format!("/apps/{}/resume", app.id)] {
            desk.post(&path, &[]).await.assert_page(403, "That is not yours to do");
        }
        for act in ["verify", "unverify", "suspend", "resume"] {
            let page = desk.post(&format!("/partners/{partner}/{act}"), &[]).await;
            page.assert_page(403, "That is not yours to do");
        }
        for path in ["/partners".to_owned(), format!("/partners/{partner}")] {
            desk.get(&path).await.assert_page(403, "That is not yours to do");
        }
        desk.decide(&request, "1", "approve").await.assert_page(403, "That is not yours to do");
    }
    let invitation = [("email", "friend@demo.example"), ("role", "owner")];
    let page = developer.post("/team/invitations", &invitation).await;
    page.assert_page(403, "That is not yours to do");
    assert_eq!(standing(&server), before);
    // Staff has no partner, so it makes no app.
    let page = Desk::manager(&server).await.post("/apps/new", &app_form("Mine")).await;
    page.assert_page(403, "That is not yours to do");
    assert_eq!(standing(&server), before);
}

async fn s9_no_form_of_the_portal_is_taken_from_another_site_or_browser(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = owner.make_app("Guarded").await;
    assert_eq!(owner.post(&format!("/apps/{}/secrets", app.id), &[]).await.status, 200);
    let request = owner.ask(&app.id).await;
    let partner = uuid::Uuid::from_bytes(demo_partner(&server).await.id);
    let id = &app.id;
    let of_owner = [
        "/apps/new".to_owned(),
        format!("/apps/{id}/edit"),
        format!("/apps/{id}/secrets"),
        format!("/apps/{id}/secrets/1/remove"),
        format!("/apps/{id}/request"),
        format!("{request}/answer"),
        format!("{request}/withdraw"),
        "/team/invitations".to_owned(),
        "/account/password".to_owned(),
        "/sign-out".to_owned(),
        "/sign-up".to_owned(),
        "/forgotten".to_owned(),
        "/sign-in".to_owned(),
    ];
    let of_manager = [
        format!("/apps/{id}/suspend"),
        format!("/apps/{id}/resume"),
        format!("/partners/{partner}/verify"),
        format!("/partners/{partner}/unverify"),
        format!("/partners/{partner}/suspend"),
        format!("/partners/{partner}/resume"),
        format!("{request}/decision"),
    ];
    let before = (standing(&server), server.count("sessions"));
    let [of_both, others] = [owner.form_token().await, manager.form_token().await];
    for (desk, paths, own, other) in
        [(&owner, &of_owner[..], &of_both, &others), (&manager, &of_manager[..], &others, &of_both)]
    {
        let fields = [
            &request_form("Forged.")[..],
            &[
                ("version", "1"),
                ("decision", "approve"),
                ("note", "Forged."),
                ("email", "friend@demo.example"),
            ],
        ]
        .concat();
        for path in paths {
            for (token, from) in [
                (None, "same-origin"),
                (Some("gr_form_nonsense"), "same-origin"),
                (Some(other.as_str()), "same-origin"),
                (Some(own.as_str()), "cross-site"),
                (Some(own.as_str()), "same-site"),
            ] {
                let token: Vec<_> = token.map(|token| ("csrf_token", token)).into_iter().collect();
                let body = form_body(&[&token[..], &fields].concat());
                let headers = [FORM, ("Sec-Fetch-Site", from)];
                let page = desk.browser.post(&desk.url(path), &headers, body).await;
                page.assert_page(403, "This form is too old");
            }
        }
    }
    assert_eq!((standing(&server), server.count("sessions")), before);
    // Who is not signed in is sent to sign in, whatever the form says.
    let nobody = server.browser().post(&owner.url("/apps/new"), &[FORM], "").await;
    assert_eq!((nobody.status.as_u16(), nobody.location().as_str()), (303, "/sign-in"));
}

async fn s24_a_cursor_that_was_tampered_with_shows_nothing_of_others(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Ours").await;
    owner.ask(&app.id).await;
    let stranger = Desk::stranger(&server).await;
    let own = stranger.make_app("Theirs").await;
    let cursors = [
        "",
        "0",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "%00",
        "%FF",
        "' OR 1=1 --",
        "00000000-0000-0000-0000-000000000000",
        "%",
        "zzz",
        &app.id,
    ];
    for cursor in cursors {
        let cursor = encode(cursor);
        for path in [
            format!("/apps?staging={cursor}&production={cursor}"),
            format!("/requests?after={cursor}&state={cursor}"),
            format!("/activity?before={cursor}"),
        ] {
            let page = stranger.get(&path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            assert!(!page.text.contains(&app.id) && !page.text.contains("Ours"), "{path}");
        }
    }
    stranger.get("/apps?staging=0").await.assert_page(200, &own.id);
    let manager = Desk::manager(&server).await;
    for cursor in cursors {
        let cursor = encode(cursor);
        let path = format!("/partners?q={cursor}&name={cursor}&after={cursor}");
        assert_eq!(manager.get(&path).await.status, 200, "{path}");
    }
}

async fn s24_a_partner_has_a_hundred_apps_at_most_and_they_are_shown_in_parts(server: Server) {
    let stranger = Desk::stranger(&server).await;
    let token = stranger.form_token().await;
    let body = form_body(&[&[("csrf_token", token.as_str())], &app_form("Many")[..]].concat());
    let mut last = 0;
    for _ in 0..=MOST_APPS {
        let page = stranger.browser.post(&stranger.url("/apps/new"), &[FORM], body.clone()).await;
        last = page.status.as_u16();
    }
    assert_eq!(last, 409);
    let sql = "SELECT COUNT(*) FROM clients WHERE name = 'Many'";
    assert_eq!(server.number(sql), MOST_APPS);
    let mut found = std::collections::BTreeSet::new();
    let mut path = "/apps".to_owned();
    loop {
        let page = stranger.get(&path).await;
        let ids = page.text.split("href=\"/apps/devp-staging-many-").skip(1);
        let ids: Vec<_> = ids.filter_map(|after| after.split('"').next()).collect();
        assert!(!ids.is_empty() && ids.len() <= 50, "{}", ids.len());
        assert!(ids.into_iter().all(|id| found.insert(id.to_owned())), "shown twice");
        let next = page.text.split("href=\"/apps?staging=").nth(1);
        let Some(next) = next.and_then(|after| after.split('"').next()) else { break };
        path = unescape(&format!("/apps?staging={next}"));
    }
    assert_eq!(i64::try_from(found.len()).unwrap(), MOST_APPS);
}

async fn u5_there_are_two_secrets_at_most_and_one_at_least(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Secrets").await;
    let page = format!("/apps/{}", app.id);
    let works = async |secret: &str| authenticates(&server, STAGING, (&app.id, secret)).await;
    assert!(works(&app.secret).await);
    let refused = owner.post(&format!("{page}/secrets/1/remove"), &[]).await;
    refused.assert_page(409, "the app's only secret");
    assert!(works(&app.secret).await);

    let second = secret(&owner.post(&format!("{page}/secrets"), &[]).await);
    assert!(works(&app.secret).await && works(&second).await);
    let third = owner.post(&format!("{page}/secrets"), &[]).await;
    third.assert_page(409, "there is never a third");
    let shown = owner.get(&page).await;
    assert!(!shown.text.contains(&second) && !shown.text.contains(&app.secret));

    for nothing in ["0", "3", "-1"] {
        let page = owner.post(&format!("{page}/secrets/{nothing}/remove"), &[]).await;
        assert!(page.status.is_client_error(), "{}", page.status);
    }
    let removed = owner.post(&format!("{page}/secrets/1/remove"), &[]).await;
    assert_eq!(removed.status, 303, "{}", removed.text);
    assert!(!works(&app.secret).await && works(&second).await);
    owner.post(&format!("{page}/secrets/2/remove"), &[]).await.assert_page(409, "only secret");
    assert!(works(&second).await);
    assert_eq!(acts(&server, &app.id).await, ["client.created", "secret.added", "secret.removed"]);
}

async fn u5_many_at_once_make_no_third_secret_and_take_no_last_one(server: Server) {
    let owner = Desk::owner(&server).await;
    let app = owner.make_app("Raced").await;
    let token = owner.form_token().await;
    let body = form_body(&[("csrf_token", token.as_str())]);
    let all = async |paths: Vec<String>| {
        let sent = paths.into_iter().map(|path| {
            let request = owner.browser.http.post(owner.url(&path)).header(FORM.0, FORM.1);
            tokio::spawn(request.body(body.clone()).send())
        });
        let mut done = Vec::new();
        for answer in sent.collect::<Vec<_>>() {
            done.push(answer.await.unwrap().unwrap().status().as_u16());
        }
        done
    };
    let added = all(vec![format!("/apps/{}/secrets", app.id); 6]).await;
    assert_eq!(added.iter().filter(|status| **status == 200).count(), 1, "{added:?}");
    assert_eq!(record(&server, &app.id).await.secrets.len(), 2);
    let both = [1, 2, 1, 2].map(|slot| format!("/apps/{}/secrets/{slot}/remove", app.id));
    let removed = all(both.to_vec()).await;
    assert_eq!(removed.iter().filter(|status| **status == 303).count(), 1, "{removed:?}");
    assert_eq!(record(&server, &app.id).await.secrets.len(), 1);
    let expected = ["client.created", "secret.added", "secret.removed"];
    assert_eq!(acts(&server, &app.id).await, expected);
}

async fn u2_on_production_more_scopes_and_new_hosts_wait_and_the_rest_changes_at_once(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    let staging = owner.make_app("Live").await;
    let request = owner.ask(&staging.id).await;
    let approved = Desk::manager(&server).await.decide(&request, "1", "approve").await;
    assert_eq!(approved.status, 303, "{}", approved.text);
    let id = record(&server, &staging.id).await.listing.sibling.unwrap();
    let before = standing(&server);
    for (field, value, words) in [
        ("scopes", "openid", "decides about more scopes: ask for openid"),
        ("redirect_uris", "https://new.example/cb", "a new host: ask for https://new.example"),
        ("redirect_uris", "https://app.example:444/cb", "ask for https://app.example:444"),
        ("redirect_uris", "https://sub.app.example/cb", "ask for https://sub.app.example"),
        ("redirect_uris", "http://127.0.0.1/cb", "ask for http://127.0.0.1"),
        ("redirect_uris", "com.example.app:/cb", "ask for com.example.app:"),
    ] {
        let mut form = app_form("Live");
        form.push((field, value));
        if field == "redirect_uris" {
            form.retain(|(name, held)| *name != field || *held == value);
        }
        owner.edit(&id, &form).await.assert_page(422, words);
    }
    assert_eq!(standing(&server), before);

    let both = format!("{APP_URI}\nhttps://app.example/other");
    let form = [
        ("name", "Live, renamed"),
        ("website", "https://app.example/about"),
        ("support_contact", "help@app.example"),
        ("redirect_uris", both.as_str()),
        ("scopes", "financial-api"),
        ("scopes", "orders-api"),
    ];
    let changed = owner.edit(&id, &form).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    let now = record(&server, &id).await;
    assert_eq!((now.client.name.as_str(), now.client.redirect_uris.len()), ("Live, renamed", 2));
    assert!(now.client.approved);
    let shown = owner.get(&format!("/apps/{id}")).await;
    shown.assert_page(200, "help@app.example");
    shown.assert_page(200, "https://app.example/about");
    // The customers of production read it from this moment on.
    let known = server.production.store.client(&id).await.unwrap().unwrap();
    assert_eq!(known.client.website.as_deref(), Some("https://app.example/about"));
    assert_eq!(acts(&server, &id).await.last().unwrap(), "client.changed");
}

async fn s17_a_client_or_a_partner_that_is_suspended_stops_within_a_second_on_every_process(
    server: Server,
) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let app = owner.make_app("Stopped").await;
    let other = server.start_another().await;
    let partner = uuid::Uuid::from_bytes(demo_partner(&server).await.id);
    for (path, act) in
        [(format!("/apps/{}", app.id), "client"), (format!("/partners/{partner}"), "partner")]
    {
        let code = server.code(&app, "").await;
        let tokens = server.exchange(&app, &code).await;
        let tokens = other.refresh(&app, tokens.text("refresh_token")).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        let pair = (app.id.as_str(), app.secret.as_str());

        let page = manager.post(&format!("{path}/suspend"), &[]).await;
        assert_eq!(page.status, 303, "{}", page.text);
        assert_eq!(other.api("/f/data/businesses", tokens.text("access_token")).await.status, 401);
        assert!(!authenticates(&server, STAGING, pair).await, "{act}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!authenticates(&other, STAGING, pair).await, "{act}");
        let again = manager.post(&format!("{path}/suspend"), &[]).await;
        again.assert_page(409, "It is in that state already.");

        let page = manager.post(&format!("{path}/resume"), &[]).await;
        assert_eq!(page.status, 303, "{}", page.text);
        tokio::time::sleep(Duration::from_secs(1)).await;
        for each in [&server, &other] {
            assert!(authenticates(each, STAGING, pair).await, "{act}");
            // What had ended stays ended: customers connect again.
            let refreshed = each.refresh(&app, tokens.text("refresh_token")).await;
            refreshed.assert_error(400, "invalid_grant", "");
        }
    }
    let found = acts(&server, &app.id).await;
    assert_eq!(found, ["client.created", "client.suspended", "client.resumed"]);
    let log = manager.get("/activity").await;
    for act in ["partner suspended", "partner resumed"] {
        log.assert_page(200, act);
    }
}

async fn s24_an_app_that_was_suspended_alone_stays_so_when_its_partner_comes_back(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let [alone, beside] = [owner.make_app("Alone").await, owner.make_app("Beside").await];
    let partner = format!("/partners/{}", uuid::Uuid::from_bytes(demo_partner(&server).await.id));
    for path in [format!("/apps/{}/suspend", alone.id), format!("{partner}/suspend")] {
        assert_eq!(manager.post(&path, &[]).await.status, 303);
    }
    // While its partner is suspended nothing of it works, and its people make nothing new work.
    let made = owner.post("/apps/new", &app_form("Meanwhile")).await;
    if made.status == 200 {
        let (id, secret) = (client_id(&made), secret(&made));
        assert!(!authenticates(&server, STAGING, (&id, &secret)).await, "made while suspended");
    }
    assert_eq!(manager.post(&format!("{partner}/resume"), &[]).await.status, 303);
    assert!(authenticates(&server, STAGING, (&beside.id, &beside.secret)).await);
    assert!(!authenticates(&server, STAGING, (&alone.id, &alone.secret)).await);
    assert_eq!(manager.post(&format!("/apps/{}/resume", alone.id), &[]).await.status, 303);
    assert!(authenticates(&server, STAGING, (&alone.id, &alone.secret)).await);
}

on_both_engines! {
    u1_u5_an_app_works_the_moment_it_is_made_and_its_secret_is_shown_once,
    u1_a_public_app_has_no_secret_and_uses_pkce,
    s22_what_is_wrong_is_said_beside_its_field_and_nothing_is_shown_raw,
    s22_a_name_that_looks_like_markup_is_text_and_one_that_looks_like_another_is_none,
    s24_fields_that_no_form_has_change_nothing,
    s24_what_is_another_partners_does_not_exist_on_any_route,
    s24_a_developer_makes_apps_and_nobody_of_a_partner_decides,
    s9_no_form_of_the_portal_is_taken_from_another_site_or_browser,
    s24_a_cursor_that_was_tampered_with_shows_nothing_of_others,
    s24_a_partner_has_a_hundred_apps_at_most_and_they_are_shown_in_parts,
    u5_there_are_two_secrets_at_most_and_one_at_least,
    u5_many_at_once_make_no_third_secret_and_take_no_last_one,
    u2_on_production_more_scopes_and_new_hosts_wait_and_the_rest_changes_at_once,
    s17_a_client_or_a_partner_that_is_suspended_stops_within_a_second_on_every_process,
    s24_an_app_that_was_suspended_alone_stays_so_when_its_partner_comes_back,
}

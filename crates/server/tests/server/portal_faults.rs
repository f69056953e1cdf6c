//! What goes wrong in the portal stands in the portal's own frame, for who is signed in.

use crate::harness::{Page, Server};
use crate::portal_desk::Desk;

const NOT_FOUND: &str = "There is no such page";

fn assert_frame(page: &Page, menu: &[&str]) {
    assert!(page.text.contains("<body class=\"portal\">"), "{}", page.text);
    assert!(page.text.contains("href=\"/docs/reference/errors#portal\""), "{}", page.text);
    for path in ["/apps", "/requests", "/webhooks", "/partners"] {
        let shown = page.text.contains(&format!("<li><a href=\"{path}\""));
        assert_eq!(shown, menu.contains(&path), "{path}: {}", page.text);
    }
    let signs_out = page.text.contains("action=\"/sign-out\"");
    assert_eq!(signs_out, !menu.is_empty(), "{}", page.text);
}

async fn what_is_not_there_is_told_in_the_frame_of_who_is_signed_in(server: Server) {
    let owner = Desk::owner(&server).await;
    let manager = Desk::manager(&server).await;
    let stranger = Desk::stranger(&server).await;
    let app = owner.make_app("Planner").await;
    let of_partner = ["/apps", "/requests", "/webhooks"];
    for path in ["/no-such-page", "/apps/none", "/logs/", "/playground/%ff"] {
        let page = owner.get(path).await;
        page.assert_page(404, NOT_FOUND);
        assert_frame(&page, &of_partner);
    }
    let page = manager.get("/no-such-page").await;
    page.assert_page(404, NOT_FOUND);
    assert_frame(&page, &["/apps", "/requests", "/partners"]);
    // What is another's looks like what is not there, to the letter.
    let page = stranger.get(&format!("/apps/{}", app.id)).await;
    page.assert_page(404, NOT_FOUND);
    assert_frame(&page, &of_partner);

    let nobody = server.browser().get(&owner.url("/no-such-page")).await;
    nobody.assert_page(404, NOT_FOUND);
    assert_frame(&nobody, &[]);
    assert_eq!(nobody.header("set-cookie"), "");
    // A form that went wrong, and a program, are told in theirs.
    let page = owner.post("/apps/none/secrets", &[]).await;
    page.assert_page(404, NOT_FOUND);
    assert_frame(&page, &of_partner);
    let program = server.browser().get(&owner.url("/api/v1/none")).await;
    assert_eq!(
        (program.status.as_u16(), program.header("content-type")),
        (404, "application/json")
    );
}

async fn an_address_that_takes_another_method_says_which(server: Server) {
    let owner = Desk::owner(&server).await;
    let page = owner.get("/apps/none/secrets").await;
    page.assert_page(405, "This address takes another method");
    assert_frame(&page, &["/apps", "/requests", "/webhooks"]);
    assert_eq!(page.header("allow"), "POST");
    let page = owner.post("/activity", &[]).await;
    page.assert_page(405, "This address takes another method");
    assert_eq!(page.header("allow"), "GET,HEAD");
}

on_both_engines! {
    what_is_not_there_is_told_in_the_frame_of_who_is_signed_in,
    an_address_that_takes_another_method_says_which,
}

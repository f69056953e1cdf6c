//! The guide, step by step, without a browser.

use crate::harness::{Server, basic, encode};
use reqwest::header::CONTENT_LENGTH;
use serde_json::json;

#[tokio::test]
async fn the_guide_leads_to_a_token_that_opens_the_api() {
    let server = Server::start().await;
    let client = server.demo_client();
    let code = server.code(&client, "").await;

    // Steps 3 to 7, as Postman sends them: Basic, the query of a POST, an empty body.
    let url = format!(
        "/oauth/token?code={code}&grant_type=authorization_code&client-id={}&redirect_uri={}",
        client.id,
        encode(&client.redirect_uri)
    );
    let response = reqwest::Client::new()
        .post(server.url(&url))
        .header("Authorization", basic(&client.id, &client.secret))
        .header(CONTENT_LENGTH, "0")
        .send()
        .await
        .unwrap();
    let answer = crate::harness::Answer::read(response).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["token_type"], "bearer");
    assert_eq!(answer.body["expires_in"], 3600);
    assert_eq!(answer.body["scope"], "financial-api orders-api");
    assert_eq!(answer.headers["cache-control"], "no-store");

    let businesses =
        server.api("/f/data/businesses?page=0&size=1000", answer.text("access_token")).await;
    assert_eq!(businesses.status, 200, "{businesses:?}");
    let list = &businesses.body["_embedded"]["businessList"];
    assert_eq!(list[0]["businessName"], "Bistro Aurora");
    assert_eq!(list[0]["businessId"], json!(9_765_040_300_495_493_i64));
    assert_eq!(list[1]["businessLocations"][0]["blName"], "Harbour Leith");

    let refreshed = server.refresh(&client, answer.text("refresh_token")).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_ne!(refreshed.text("refresh_token"), answer.text("refresh_token"));
    let orders = server.api("/o/op/data/businesses", refreshed.text("access_token")).await;
    assert_eq!(orders.body[0]["name"], "Bistro Aurora", "{orders:?}");
}

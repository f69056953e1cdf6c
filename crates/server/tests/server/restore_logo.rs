//! D5: the logo of an app comes back with it.

use grantor::clock::Clock;
use grantor::logo::Logo;
use grantor::store::{Address, Role, Store};
use grantor_protocol::environment::Environment;

use crate::installation::Installation;
use crate::people::somebody;
use crate::pictures::png;
use crate::program::new_browser;

async fn opened(house: &Installation) -> Store {
    let address = Address::parse(&house.store(), house.folder.path()).unwrap();
    Store::open(&address, &Clock::system()).await.unwrap()
}

async fn d5_a_backup_holds_the_logo_of_an_app_and_a_restore_brings_it_back(
    mut house: Installation,
) {
    let app = house.app(&[]).await;
    let store = opened(&house).await;
    let record = store.client(&app.id).await.unwrap().unwrap();
    let (kept, later) = (Logo::draw(&png(40, 40)).unwrap(), Logo::draw(&png(50, 50)).unwrap());
    let mut act = grantor::store::Act {
        at: 1,
        actor: somebody(Role::Operator).name,
        actor_id: None,
        act: "client.logo_changed",
        partner_id: None,
        client_id: None,
        detail: String::new(),
        mails: Vec::new(),
        notices: Vec::new(),
    };
    assert!(store.change_logo(&record, Some(&kept), &act).await.unwrap());
    let taken = house.json(&["backup", "b1"]).await;
    assert_eq!(taken["tables"]["logos"], 1, "{taken}");
    let record = store.client(&app.id).await.unwrap().unwrap();
    act.at = 2;
    assert!(store.change_logo(&record, Some(&later), &act).await.unwrap());
    drop(store);
    house.kill().await;

    house.restore(&[]).await;
    house.serve().await;
    let store = opened(&house).await;
    let found =
        async |logo: &Logo| store.logo(Environment::Staging, &app.id, logo.digest()).await.unwrap();
    assert_eq!(found(&kept).await.as_deref(), Some(kept.png()));
    assert_eq!(found(&later).await, None);
    let page = new_browser().get(&app.authorize_url()).await;
    page.assert_page(200, "<img class=\"logo\" src=\"/logos/");
}

installed_on_both_engines! {
    d5_a_backup_holds_the_logo_of_an_app_and_a_restore_brings_it_back,
}

use serde_json::Value;

use crate::house::{House, text};

const FILES: [&str; 3] = [
    "grantor.postman_collection.json",
    "grantor-staging.postman_environment.json",
    "grantor-production.postman_environment.json",
];

fn value(house: &House, file: &str, key: &str) -> String {
    let file: Value =
        serde_json::from_str(&std::fs::read_to_string(house.path(file)).unwrap()).unwrap();
    let values = file["values"].as_array().unwrap();
    text(values.iter().find(|value| value["key"] == key).unwrap(), "value").to_owned()
}

#[test]
fn u13_a_collection_and_two_environments_are_written_and_not_overwritten() {
    let house = House::new();
    let written = house.json(&["postman", "--output", "pm"]);
    assert_eq!(text(&written, "collection"), format!("pm/{}", FILES[0]));
    assert_eq!(written["environments"].as_array().unwrap().len(), 2);
    assert_eq!(value(&house, &format!("pm/{}", FILES[1]), "base_url"), "http://localhost:8300");
    assert_eq!(value(&house, &format!("pm/{}", FILES[2]), "base_url"), "http://localhost:8301");

    std::fs::remove_file(house.path("pm").join(FILES[0])).unwrap();
    house
        .run(&["postman", "--output", "pm"])
        .refused("there is a pm/grantor-staging.postman_environment.json already");
    assert!(!house.path("pm").join(FILES[0]).exists(), "nothing was written");
    house.run(&["postman", "--output", "pm", "--force"]).done();
    assert!(house.path("pm").join(FILES[0]).exists());
}

#[test]
fn u13_the_options_go_before_the_configuration_and_without_both_dev_is_meant() {
    let house = House::empty();
    house.run(&["postman"]).done();
    assert_eq!(value(&house, FILES[1], "base_url"), "http://127.0.0.1:8300");
    assert_eq!(value(&house, FILES[2], "base_url"), "http://127.0.0.1:8301");
    house.json(&[
        "postman",
        "--force",
        "--staging-url",
        "https://trial.example.com/",
        "--production-url",
        "https://api.example.com:8443",
        "--staging-client-id",
        "devp-staging-x",
        "--redirect-uri",
        "https://b.example/cb",
    ]);
    assert_eq!(value(&house, FILES[1], "base_url"), "https://trial.example.com");
    assert_eq!(value(&house, FILES[2], "base_url"), "https://api.example.com:8443");
    assert_eq!(value(&house, FILES[1], "client_id"), "devp-staging-x");
    assert_eq!(value(&house, FILES[2], "client_id"), "");
    assert_eq!(value(&house, FILES[2], "redirect_uri"), "https://b.example/cb");
    for url in ["api.example.com", "https://api.example.com/oauth", "ftp://a.example"] {
        house.run(&["postman", "--force", "--staging-url", url]).refused("is not a base URL");
    }
}

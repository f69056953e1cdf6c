use crate::house::{House, text};

const CREATE: [&str; 8] = [
    "customer",
    "create",
    "--environment",
    "staging",
    "--email",
    " Ada@Example.com",
    "--name",
    "Ada",
];

#[test]
fn a_customer_is_made_with_a_password_from_standard_input() {
    let house = House::new();
    let answer = house.run_with(&[&CREATE[..], &["--json"]].concat(), "correct horse battery\n");
    assert!(!answer.stdout.contains("horse") && !answer.stderr.contains("horse"));
    let made = answer.json();
    assert_eq!(text(&made, "email"), "ada@example.com");
    assert_eq!(text(&made, "environment"), "staging");

    house
        .run_with(&CREATE, "correct horse battery")
        .refused("there is a customer ada@example.com in staging already");
    let listed = house.json(&["customer", "list", "--environment", "staging"]);
    assert_eq!(listed["customers"].as_array().unwrap().len(), 1);
    assert_eq!(
        house.json(&["customer", "list", "--environment", "production"])["customers"],
        serde_json::json!([])
    );
}

#[test]
fn s26_the_password_of_dev_and_a_short_or_missing_one_are_refused() {
    let house = House::new();
    for (password, words) in [
        ("demo-password-for-dev-only\n", "this is the password of `grantor dev`"),
        ("too short\n", "at least 12 characters"),
        ("", "nothing came on standard input"),
        ("\n", "nothing came on standard input"),
    ] {
        house.run_with(&CREATE, password).refused(words);
    }
    assert_eq!(house.json(&["customer", "list"])["customers"], serde_json::json!([]));
    house.run_with(&CREATE, "correct horse battery").done();
    let set =
        ["customer", "set-password", "--environment", "staging", "--email", "ada@example.com"];
    house
        .run_with(&set, "demo-password-for-dev-only")
        .refused("this is the password of `grantor dev`");
    house.run_with(&set, "another horse battery").done();
    let other =
        ["customer", "set-password", "--environment", "production", "--email", "ada@example.com"];
    house
        .run_with(&other, "another horse battery")
        .refused("there is no customer ada@example.com in production");
}

#[test]
fn a_business_keeps_its_own_id_beyond_2_to_the_53_or_gets_a_random_one() {
    let house = House::new();
    house.run_with(&CREATE, "correct horse battery").done();
    let add = |more: &[&str]| {
        let given = [
            "customer",
            "add-business",
            "--environment",
            "staging",
            "--email",
            "ADA@example.com",
            "--currency",
            "eur",
        ];
        house.run(&[&given[..], more].concat())
    };
    add(&[
        "--name",
        "Bistro",
        "--id",
        "9765040300495493",
        "--location",
        "Aurora Ghent;BE;Europe/Brussels;9765040300495501",
        "--location",
        "Lyon; fr; Europe/Paris",
        "--json",
    ])
    .json();
    let other = add(&["--name", "Grill", "--json"]).json();
    assert!(other["id"].as_i64().unwrap() > 0);
    add(&["--name", "Bistro", "--id", "9765040300495493"])
        .refused("there is a business 9765040300495493");
    add(&["--name", "X", "--location", "Ghent;Belgium;Europe/Brussels"]).refused("is not a place");
    add(&["--name", "X", "--location", "Ghent"]).refused("is not a place");

    let customer = &house.json(&["customer", "list"])["customers"][0];
    assert_eq!(customer["businesses"].as_array().unwrap().len(), 2);
    let bistro =
        &customer["businesses"][usize::from(customer["businesses"][0]["name"] != "Bistro")];
    assert_eq!(bistro["id"], 9_765_040_300_495_493_i64);
    assert_eq!(bistro["currency"], "EUR");
    let places = bistro["locations"].as_array().unwrap();
    assert_eq!(places.len(), 2);
    assert!(
        places
            .iter()
            .any(|place| place["id"] == 9_765_040_300_495_501_i64 && place["country"] == "BE")
    );
    assert!(places.iter().any(|place| place["name"] == "Lyon" && place["country"] == "FR"));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let house = House::new();
    for email in ["ada", "@b", "a@", "a b@c", "a@b@c", "a\n@b"] {
        let mut arguments = CREATE.to_vec();
        arguments[5] = email;
        house.run_with(&arguments, "correct horse battery").refused("is not an e-mail address");
    }
}

#[test]
fn a_customer_is_shown_and_switched_off_and_on_and_the_answer_says_whether_it_changed() {
    let house = House::new();
    house.run_with(&CREATE, "correct horse battery").done();
    let of = ["--environment", "staging", "--email", "ada@example.com"];
    for (action, disabled, changed) in [
        ("disable", true, true),
        ("disable", true, false),
        ("enable", false, true),
        ("enable", false, false),
    ] {
        let answer = house.json(&[&["customer", action][..], &of].concat());
        assert_eq!((&answer["disabled"], &answer["changed"]), (&disabled.into(), &changed.into()));
        let shown = house.json(&[&["customer", "show"][..], &of].concat());
        assert_eq!((&shown["disabled"], text(&shown, "name")), (&disabled.into(), "Ada"));
    }
    let nobody = ["--environment", "staging", "--email", "nobody@example.com"];
    for action in ["show", "disable", "enable"] {
        house
            .run(&[&["customer", action][..], &nobody].concat())
            .refused("there is no customer nobody@example.com in staging");
    }
}

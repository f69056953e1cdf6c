use crate::house::{CREATE_CLIENT, House, text};

#[test]
fn u5_a_client_secret_is_shown_once_and_is_not_in_the_database() {
    let house = House::new();
    let client = house.client();
    let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    assert!(id.starts_with("devp-staging-table-planner-"), "{id}");
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    assert!(plain(id) && plain(secret) && secret.len() == 43);

    for arguments in [&["client", "show", id][..], &["client", "list"], &["client", "disable", id]]
    {
        let human = house.run(arguments).done();
        let json = house.run(&[arguments, &["--json"]].concat()).done();
        for answer in [human, json] {
            assert!(answer.stdout.contains(id));
            assert!(!answer.stdout.contains(secret) && !answer.stderr.contains(secret));
        }
    }
    let shown = house.json(&["client", "show", id]);
    assert_eq!(text(&shown["secrets"][0], "hint"), &secret[39..]);
    for file in ["grantor.db", "grantor.db-wal"] {
        let bytes = std::fs::read(house.path(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}

#[test]
fn u5_a_second_secret_is_added_a_third_and_removing_the_last_are_refused() {
    let house = House::new();
    let client = house.client();
    let id = text(&client, "client_id");
    let added = house.json(&["client", "add-secret", id]);
    assert_eq!(added["slot"], 2);
    assert_ne!(text(&added, "client_secret"), text(&client, "client_secret"));
    house.run(&["client", "add-secret", id]).refused("there is never a third");
    assert_eq!(house.json(&["client", "show", id])["secrets"].as_array().unwrap().len(), 2);

    house.json(&["client", "remove-secret", id, "--slot", "1"]);
    let last = house.run(&["client", "remove-secret", id, "--slot", "2"]);
    last.refused("this is the client's only secret");
    house.run(&["client", "remove-secret", id, "--slot", "1"]).refused("no secret in slot 1");
    let kept = house.json(&["client", "show", id]);
    assert_eq!(kept["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(kept["secrets"][0]["slot"], 2);

    assert_eq!(house.json(&["client", "add-secret", id])["slot"], 1);
}

#[test]
fn a_suspended_partner_gets_no_new_client_and_the_operator_is_told_why() {
    let house = House::new();
    house.client();
    house.json(&["partner", "disable", "planner ltd"]);
    let refused = house.run(&CREATE_CLIENT).refused("the partner Planner Ltd is suspended");
    assert!(refused.stderr.contains("hint: `grantor partner enable`"), "{refused:?}");
    assert_eq!(house.json(&["client", "list"])["clients"].as_array().unwrap().len(), 1);
    house.json(&["partner", "enable", "planner ltd"]);
    house.json(&CREATE_CLIENT);
}

#[test]
fn a_client_is_disabled_and_enabled_again_and_the_answer_says_whether_it_changed() {
    let house = House::new();
    let client = house.client();
    let id = text(&client, "client_id");
    for (action, disabled, changed) in [
        ("disable", true, true),
        ("disable", true, false),
        ("enable", false, true),
        ("enable", false, false),
    ] {
        let answer = house.json(&["client", action, id]);
        assert_eq!((&answer["disabled"], &answer["changed"]), (&disabled.into(), &changed.into()));
        assert_eq!(house.json(&["client", "show", id])["disabled"], disabled);
    }
    house.run(&["client", "disable", "devp-staging-nobody"]).refused("there is no client");
}

#[test]
fn the_options_of_a_client_are_kept() {
    let house = House::new();
    house.json(&[
        "partner",
        "create",
        "--name",
        "Planner Ltd",
        "--verified",
        "--contact",
        "Dev@Planner.example",
    ]);
    let more = [
        "--website",
        "https://planner.example",
        "--redirect-uri",
        "http://127.0.0.1/callback",
        "--optional-scope",
        "orders-api",
        "--pkce-required",
        "--no-refresh-tokens",
        "--no-query-parameters",
        "--refresh-window-seconds",
        "0",
        "--unapproved",
    ];
    let made = house.json(&[&CREATE_CLIENT[..], &more].concat());
    let shown = house.json(&["client", "show", text(&made, "client_id")]);
    assert_eq!(shown["website"], "https://planner.example/");
    assert_eq!(
        shown["redirect_uris"],
        serde_json::json!([
            "https://mycompany.com/redirection/ikentoo",
            "http://127.0.0.1/callback"
        ])
    );
    assert_eq!(shown["scopes"], serde_json::json!(["financial-api", "orders-api"]));
    assert_eq!(shown["optional_scopes"], serde_json::json!(["orders-api"]));
    assert_eq!(shown["refresh_window_seconds"], 0);
    assert_eq!(shown["partner"]["verified"], true);
    for (key, value) in [
        ("public", false),
        ("approved", false),
        ("pkce_required", true),
        ("refresh_tokens", false),
        ("parameters_in_query", false),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
}

#[test]
fn a_public_client_has_no_secret_and_gets_none() {
    let house = House::new();
    house.json(&["partner", "create", "--name", "Planner Ltd"]);
    let made = house.json(&[&CREATE_CLIENT[..], &["--public"]].concat());
    assert!(made["client_secret"].is_null());
    let id = text(&made, "client_id");
    assert_eq!(house.json(&["client", "show", id])["pkce_required"], true);
    house.run(&["client", "add-secret", id]).refused("a public client has no secret");
}

#[test]
fn all_that_is_wrong_with_a_client_is_told_at_once_and_nothing_is_made() {
    let house = House::new();
    house.json(&["partner", "create", "--name", "Planner Ltd"]);
    let answer = house.run(&[
        "client",
        "create",
        "--environment",
        "staging",
        "--partner",
        "Planner Ltd",
        "--name",
        " ",
        "--website",
        "planner",
        "--redirect-uri",
        "http://mycompany.com/cb",
        "--redirect-uri",
        "https://*.mycompany.com/cb",
        "--redirect-uri",
        "javascript:alert(1)",
        "--scope",
        "a,b",
        "--optional-scope",
        "c",
    ]);
    let answer = answer.refused("--name: a name has 1 to 100 characters");
    for words in [
        "--website: \"planner\" is not the address of a web site",
        "\"http://mycompany.com/cb\": it is http",
        "\"https://*.mycompany.com/cb\": its host is missing",
        "\"javascript:alert(1)\": its scheme cannot receive a code safely",
        "--scope: The scopes are joined by commas",
    ] {
        assert!(answer.stderr.contains(words), "{answer:?} does not say {words}");
    }
    assert_eq!(answer.stderr.matches("error: ").count(), 6);
    assert_eq!(house.json(&["client", "list"])["clients"], serde_json::json!([]));
}

#[test]
fn each_fault_of_a_redirect_uri_has_its_own_words_and_a_hint() {
    let house = House::new();
    house.json(&["partner", "create", "--name", "Planner Ltd"]);
    let long = format!("https://a.example/{}", "x".repeat(2000));
    let mut seen = std::collections::BTreeSet::new();
    for uri in [
        "",
        &long,
        "mycompany.com/cb",
        "https://a.example/ä",
        "https://a.example/#f",
        "https://me@a.example/",
        "http://a.example/",
        "data:text/html,x",
        "HTTPS://a.example/",
        "https://*.a.example/",
    ] {
        let mut arguments = CREATE_CLIENT.to_vec();
        arguments[9] = uri;
        let answer = house.run(&arguments).refused("--redirect-uri");
        assert!(answer.stderr.contains("hint: "), "{answer:?}");
        let (_, words) = answer.stderr.split_once("\": ").unwrap();
        seen.insert(words.lines().next().unwrap().to_owned());
    }
    assert_eq!(seen.len(), 9, "{seen:#?}");
}

#[test]
fn a_partner_is_found_by_id_or_by_name_and_two_of_one_name_are_not_mixed_up() {
    let house = House::new();
    let one = house.json(&["partner", "create", "--name", "Planner Ltd"]);
    house.json(&CREATE_CLIENT);
    house.json(&["partner", "create", "--name", "PLANNER LTD"]);
    house
        .run(&CREATE_CLIENT)
        .refused("several partners are called")
        .stderr
        .contains(text(&one, "id"));
    let mut arguments = CREATE_CLIENT.to_vec();
    arguments[5] = text(&one, "id");
    let made = house.json(&arguments);
    assert_eq!(text(&made, "partner"), "Planner Ltd");
    arguments[5] = "Nobody";
    house.run(&arguments).refused("there is no partner \"Nobody\"");
    assert_eq!(
        house.json(&["client", "list", "--environment", "staging"])["clients"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        house.json(&["client", "list", "--environment", "production"])["clients"],
        serde_json::json!([])
    );
}

#[test]
fn no_command_takes_a_secret_or_a_password_as_an_argument() {
    let house = House::new();
    let client = house.client();
    let id = text(&client, "client_id");
    for arguments in [
        &["client", "create", "--client-secret", "x"][..],
        &["client", "add-secret", id, "a-secret-of-my-own"],
        &["client", "add-secret", id, "--secret", "x"],
        &[
            "customer",
            "create",
            "--environment",
            "staging",
            "--email",
            "a@b.example",
            "--name",
            "A",
            "--password",
            "x",
        ],
        &[
            "customer",
            "set-password",
            "--environment",
            "staging",
            "--email",
            "a@b.example",
            "a password of mine",
        ],
        &["basic", "--client-id", id, "--client-secret", "x"],
        &["basic", "id:secret"],
    ] {
        house.run(arguments).refused("unexpected argument");
    }
    house.run(&["basic", "--client-id", "id:secret"]).refused("a client id has no colon");
}

#[test]
fn what_a_partner_named_itself_cannot_move_the_cursor_of_a_terminal() {
    let house = House::new();
    house
        .run(&["partner", "create", "--name", "a\u{1b}[2Jb"])
        .refused("without control characters");
    house.json(&["partner", "create", "--name", "a\u{202e}b"]);
    let list = house.run(&["partner", "list"]).done();
    assert!(!list.stdout.contains('\u{202e}') && list.stdout.contains("a\u{fffd}b"));
}

#[test]
fn a_partner_that_is_disabled_has_no_client_left_that_works_and_others_keep_theirs() {
    let house = House::new();
    let (partner, other) = ("Acme", "Other");
    let mut ids = Vec::new();
    for (name, environment) in [(partner, "staging"), (partner, "production"), (other, "staging")] {
        if house.run(&["partner", "show", name]).code != 0 {
            house.run(&["partner", "create", "--name", name]).done();
        }
        let create = [
            "client",
            "create",
            "--environment",
            environment,
            "--partner",
            name,
            "--name",
            "App",
            "--redirect-uri",
            "https://acme.example/cb",
            "--scope",
            "orders-api",
        ];
        ids.push(text(&house.json(&create), "client_id").to_owned());
    }
    let states = |name: &str| -> Vec<(String, bool)> {
        let shown = house.json(&["partner", "show", name]);
        let clients = shown["clients"].as_array().unwrap().iter();
        clients
            .map(|client| (text(client, "client_id").to_owned(), client["disabled"] == true))
            .collect()
    };
    assert_eq!(states(partner), [(ids[0].clone(), false), (ids[1].clone(), false)]);
    let answer = house.run(&["partner", "disable", partner]);
    assert!(answer.stderr.contains("All its connections ended"), "{answer:?}");
    assert_eq!(states(partner), [(ids[0].clone(), true), (ids[1].clone(), true)]);
    assert_eq!(states(other), [(ids[2].clone(), false)]);
    // One that was off before stays off.
    house.run(&["partner", "enable", partner]).done();
    house.run(&["client", "disable", &ids[0]]).done();
    house.run(&["partner", "disable", partner]).done();
    house.run(&["partner", "enable", partner]).done();
    assert_eq!(states(partner), [(ids[0].clone(), true), (ids[1].clone(), false)]);
    house.run(&["partner", "disable", "Nobody"]).refused("there is no partner");
}

#[test]
fn a_client_is_made_with_the_proof_that_it_is_to_have() {
    let house = House::new();
    house.client();
    let jwks = house.path("keys.json");
    let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    std::fs::write(&jwks, key).unwrap();
    let jwks = jwks.to_str().unwrap();
    for (more, authentication, grant_types, has_secret) in [
        (vec!["--auth", "client_secret_post"], "client_secret_post", 2, true),
        (vec!["--auth", "client_secret"], "client_secret", 2, true),
        (vec!["--auth", "private_key_jwt", "--jwks", jwks], "private_key_jwt", 2, false),
        (
            vec![
                "--auth",
                "private_key_jwt",
                "--jwks",
                jwks,
                "--assertion-audience-token-endpoint",
            ],
            "private_key_jwt",
            2,
            false,
        ),
        (vec!["--auth", "none"], "none", 2, false),
        (vec!["--client-credentials", "--dpop-required"], "client_secret_basic", 3, true),
    ] {
        let made = house.json(&[&CREATE_CLIENT[..], &more].concat());
        assert_eq!(made["client_secret"].is_string(), has_secret, "{more:?}");
        let shown = house.json(&["client", "show", text(&made, "client_id")]);
        assert_eq!(shown["authentication"], authentication);
        assert_eq!(shown["grant_types"].as_array().unwrap().len(), grant_types, "{shown}");
        assert_eq!(shown["dpop_required"], more.contains(&"--dpop-required"));
        let for_token = more.contains(&"--assertion-audience-token-endpoint");
        assert_eq!(shown["assertion_audience_token_endpoint"], for_token);
    }
    std::fs::write(house.path("private.json"), r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#).unwrap();
    let private = house.path("private.json");
    for (more, words) in [
        (vec!["--auth", "private_key_jwt"], "needs --jwks"),
        (vec!["--assertion-audience-token-endpoint"], "is for --auth private_key_jwt"),
        (vec!["--jwks", jwks], "--jwks and --jwks-uri are for --auth private_key_jwt"),
        (vec!["--jwks-uri", "https://a.example/jwks"], "--jwks and --jwks-uri are for"),
        (
            vec!["--auth", "private_key_jwt", "--jwks-uri", "http://a.example/jwks"],
            "would not be fetched",
        ),
        (vec!["--auth", "none", "--client-credentials"], "this one has nothing to"),
        (vec!["--auth", "private_key_jwt", "--jwks", private.to_str().unwrap()], "shared secret"),
        (vec!["--auth", "private_key_jwt", "--jwks", "/nowhere"], "cannot be read"),
    ] {
        house.run(&[&CREATE_CLIENT[..], &more].concat()).refused(words);
    }
}

#[test]
fn a_token_with_which_clients_register_is_shown_once() {
    let house = House::new();
    let made = house.json(&["client", "admit", "--environment", "staging", "--uses", "3"]);
    let token = text(&made, "initial_access_token");
    assert_eq!((token.len(), &made["uses"]), (43, &serde_json::json!(3)));
    for file in ["grantor.db", "grantor.db-wal"] {
        let bytes = std::fs::read(house.path(file)).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{file}");
    }
}

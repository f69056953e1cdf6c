use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::house::{House, text};

const HEADER: &str = "Authorization: Basic bXktaWQ6dGhlLXNlY3JldC1vZi1teS1hcHA=";

#[test]
fn the_header_is_made_of_an_id_and_a_secret_from_standard_input() {
    let house = House::empty();
    for input in [
        "the-secret-of-my-app",
        "the-secret-of-my-app\n",
        "the-secret-of-my-app\r\n",
        "my-id:the-secret-of-my-app\n",
    ] {
        let answer = house.run_with(&["basic", "--client-id", "my-id"], input).done();
        assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), (&*format!("{HEADER}\n"), ""));
    }
    let answer = house.run_with(&["basic"], "my-id:the-secret-of-my-app\n").done();
    assert_eq!(answer.stdout, format!("{HEADER}\n"));
    let json = house.run_with(&["basic", "--json"], "my-id:the-secret-of-my-app").json();
    assert_eq!(text(&json, "header"), HEADER);
    assert_eq!(text(&json, "value"), &HEADER["Authorization: ".len()..]);
    house.run_with(&["basic"], "no colon").refused("there is no colon");
    house
        .run_with(&["basic", "--client-id", "my-id"], "")
        .refused("nothing came on standard input");
    house.run_with(&["basic"], ":x").refused("the id or the secret is empty");
}

#[test]
fn blanks_and_quotes_around_a_secret_are_warned_about() {
    let house = House::empty();
    for (secret, words) in [
        (" x", "blanks around"),
        ("x\t", "blanks around"),
        ("\"x\"", "quotes around"),
        ("a%b", "something else than letters"),
    ] {
        let answer =
            house.run_with(&["basic", "--client-id", "my-id"], &format!("{secret}\n")).done();
        assert!(
            answer.stderr.starts_with("warning: ") && answer.stderr.contains(words),
            "{answer:?}"
        );
        let value = answer.stdout.trim().strip_prefix("Authorization: Basic ").unwrap();
        assert_eq!(STANDARD.decode(value).unwrap(), format!("my-id:{secret}").as_bytes());
    }
}

#[test]
fn a_header_is_explained_without_showing_its_secret() {
    let house = House::empty();
    for header in [
        HEADER,
        &HEADER["Authorization: ".len()..],
        &HEADER.to_lowercase().replace(&HEADER.to_lowercase()[21..], &HEADER[21..]),
    ] {
        let answer = house.run_with(&["basic", "--explain"], header).done();
        assert_eq!(
            answer.stdout,
            "client_id      my-id\nclient_secret  20 characters, ending in -app\n"
        );
        assert!(!answer.stderr.contains("the-secret"));
    }
    let json = house.run_with(&["basic", "--explain", "--json"], HEADER).json();
    assert_eq!(
        json,
        serde_json::json!({
            "valid": true, "client_id": "my-id", "client_secret_length": 20, "client_secret_hint": "-app"
        })
    );
    // The end of a short secret would be too much of it.
    let short = format!("Basic {}", STANDARD.encode("my-id:secret"));
    let answer = house.run_with(&["basic", "--explain"], &short).done();
    assert_eq!(answer.stdout, "client_id      my-id\nclient_secret  6 characters\n");
}

#[test]
fn u8_each_fault_of_a_header_is_named_with_a_way_to_mend_it() {
    let house = House::empty();
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for (header, words, hint) in [
        (basic("my-id:secret\n"), "There is a newline at the end", "echo -n"),
        (
            basic("my-id:\"secret\""),
            "There are blanks or quotes around",
            "leave out the blanks and quotes",
        ),
        (basic("my-id;secret"), "has no colon", "id:secret"),
        (basic(":secret"), "nothing before or behind the colon", "a variable of your script"),
        (basic("my-id:a%zz"), "a % is not followed", "%25"),
        (basic("my-id:a\u{7}b"), "control characters", "as they were shown"),
        (
            format!("Basic {}", URL_SAFE.encode("my-id:ÿÿÿÿ?>?>")),
            "URL-safe alphabet",
            "the standard alphabet",
        ),
        ("Basic \"bXktaWQ6c2VjcmV0\"".into(), "quotes around the Base64", "leave the quotes out"),
        ("Basic bXktaWQ6\nc2VjcmV0".into(), "inside the Base64", "-w0"),
        ("Basic my-id:secret".into(), "not encoded", "encode id:secret first"),
        ("Basic !".into(), "is not Base64", "copy it again"),
        ("Basic".into(), "Nothing stands behind", "put the Base64"),
        ("Bearer abc".into(), "does not begin with Basic", "write the word Basic"),
        ("bXktaWQ6c2VjcmV0".into(), "does not begin with Basic", "write the word Basic"),
        (format!("Basic {}", "A".repeat(5000)), "too long", "the id and the secret alone"),
    ] {
        let header = format!("Authorization: {header}\n");
        let answer = house.run_with(&["basic", "--explain"], &header).refused(words);
        assert!(answer.stderr.contains(hint), "{answer:?} does not hint {hint}");
        let json = house.run_with(&["basic", "--explain", "--json"], &header);
        assert_eq!(json.code, 1);
        let wrong: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(wrong["valid"], false);
        assert!(text(&wrong, "words").contains(words) && text(&wrong, "hint").contains(hint));
    }
}

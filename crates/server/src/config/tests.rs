use std::path::Path;

use crate::site::Registration;
use crate::throttle::Limits;
use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;

use super::*;

/// Two environments that are right; line 3 begins staging, line 6 production.
const RIGHT: &str = r#"store = "sqlite:grantor.db"
master_key_file = "master.key"
[environment.staging]
base_url = "https://api.trial.example.com"
listen = "127.0.0.1:8300"
[environment.production]
base_url = "https://api.example.com"
listen = "127.0.0.1:8301"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/grantor/grantor.toml"))
}

/// What is wrong, as `line: words`.
fn faults(text: &str) -> Vec<String> {
    let fault = |fault: &ConfigFault| {
        format!("{}: {}", fault.line.map_or_else(String::new, |line| line.to_string()), fault.words)
    };
    match parse(text) {
        Ok(config) => panic!("{config:?} was taken from {text}"),
        Err(error) => error.faults.iter().map(fault).collect(),
    }
}

/// `RIGHT`, with one line replaced.
fn with_line(line: usize, text: &str) -> String {
    let mut lines: Vec<&str> = RIGHT.lines().collect();
    lines[line - 1] = text;
    lines.join("\n")
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file_and_defaults_are_filled_in() {
    let config = parse(RIGHT).unwrap();
    assert_eq!(config.store.file(), Some(Path::new("/etc/grantor/grantor.db")));
    assert_eq!(config.master_key_file, Path::new("/etc/grantor/master.key"));
    assert_eq!(config.log_format, Format::Text);
    assert_eq!(config.metrics_listen, None);
    let names: Vec<_> = config.environments.iter().map(|found| found.environment).collect();
    assert_eq!(names, Environment::ALL);
    let staging = config.environment(Environment::Staging).unwrap();
    assert_eq!(staging.base_url, "https://api.trial.example.com");
    assert_eq!(staging.settings, Settings::default());
}

fn orders_and_staff() -> Apis {
    Apis::new(vec![
        Api {
            resource: "https://orders.example.com/v2".into(),
            name: "Orders".into(),
            scopes: Scope::parse("orders-api items").unwrap(),
            access_tokens: AccessTokenFormat::EdDsa,
            introspection_clients: vec!["orders".into()],
        },
        Api {
            resource: "urn:example:staff".into(),
            name: "urn:example:staff".into(),
            scopes: Scope::parse("staff-api").unwrap(),
            access_tokens: AccessTokenFormat::Sealed,
            introspection_clients: vec![],
        },
    ])
}

/// All that can be said.
const EVERYTHING: &str = r#"
store = "sqlite:/var/lib/grantor/g.db"
master_key_file = "/etc/keys/master.key"
log.format = "json"
metrics.listen = "10.0.0.5:9464"
[environment.production]
base_url = "HTTPS://Api.Example.com:443/"
listen = "[::]:443"
tls = { certificate = "tls/chain.pem", key = "tls/key.pem" }
trusted_proxies = ["10.0.0.7", "::ffff:10.0.0.8", "fd00::1"]
code_ttl_seconds = 30
access_token_ttl_seconds = 600
refresh_token_idle_seconds = 86400
grant_ttl_seconds = 31536000
client_secret_ttl_seconds = 7776000
refresh_window_seconds = 0
session_ttl_seconds = 600
parameters_in_query = false
dpop_nonce_required = true
registration = "token"
registration_scopes = "financial-api"
client_id_metadata_documents = true
unused_client_ttl_seconds = 86400
throttling.window_seconds = 600
throttling.failures_per_name = 30
request_log_ttl_seconds = 604800
[[environment.production.api]]
resource = "https://orders.example.com/v2"
name = "Orders"
scopes = "orders-api items"
access_tokens = "EdDSA"
introspection_clients = ["orders"]
[[environment.production.api]]
resource = "urn:example:staff"
scopes = "staff-api"
[mail]
host = "smtp.example.com"
from = "Example <accounts@example.com>"
"#;

#[test]
fn everything_that_can_be_said_is_understood() {
    let config = parse(EVERYTHING).unwrap();
    assert_eq!(config.store.file(), Some(Path::new("/var/lib/grantor/g.db")));
    assert_eq!(config.log_format, Format::Json);
    assert_eq!(config.metrics_listen, Some("10.0.0.5:9464".parse().unwrap()));
    let [production] = config.environments.as_slice() else { panic!("{config:?}") };
    assert_eq!(production.base_url, "https://api.example.com");
    assert_eq!(production.listen, "[::]:443".parse().unwrap());
    let tls = production.tls.clone().unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/grantor/tls/chain.pem"));
    assert_eq!(tls.key, Path::new("/etc/grantor/tls/key.pem"));
    let proxies: Vec<_> = production.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.7", "10.0.0.8", "fd00::1"]);
    assert_eq!(
        production.settings,
        Settings {
            code_ttl_seconds: 30,
            access_token_ttl_seconds: 600,
            refresh_token_idle_seconds: 86400,
            grant_ttl_seconds: Some(31_536_000),
            client_secret_ttl_seconds: Some(7_776_000),
            refresh_window_seconds: 0,
            session_ttl_seconds: 600,
            parameters_in_query: false,
            dpop_nonce_required: true,
            registration: Registration::Token,
            registration_scopes: Scope::parse("financial-api").unwrap(),
            apis: orders_and_staff(),
            client_id_metadata_documents: true,
            unused_client_ttl_seconds: 86400,
            throttling: Limits { window_seconds: 600, failures_per_name: 30, ..Limits::USUAL },
            request_log_ttl_seconds: 604_800,
            mail: true,
        }
    );
}

#[test]
fn the_configuration_of_init_loads_as_it_is() {
    let config = parse(include_str!("../command/init/grantor.toml")).unwrap();
    assert_eq!(config.environments.len(), 2);
    for environment in config.environments {
        assert_eq!(environment.settings, Settings::default());
    }
}

#[test]
fn the_defaults_that_init_writes_as_comments_are_the_defaults() {
    let text = include_str!("../command/init/grantor.toml");
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting)
                if setting.contains("_seconds = ")
                    || setting.contains("parameters_in_query = ")
                    || setting.contains("registration")
                    || setting.contains("throttling]")
                    || setting.starts_with("failures_per_")
                    || setting.starts_with("mails_per_")
                    || setting.contains("dpop_nonce_required = ") =>
            {
                setting
            }
            _ => line,
        })
        .collect();
    let config = parse(&uncommented.join("\n")).unwrap();
    let settings = &config.environment(Environment::Staging).unwrap().settings;
    assert_eq!(
        *settings,
        Settings { grant_ttl_seconds: Some(365 * 24 * 3600), ..Settings::default() }
    );
}

/// A line of `RIGHT`, what to put there, and what is then said.
const WRONG: &[(usize, &str, &str)] = &[
    (
        1,
        r#"store = "postgres://grantor@db.example/grantor?sslmode=disable""#,
        "1: store reaches db.example over the network without TLS",
    ),
    (1, r#"store = "grantor.db""#, "1: store does not say which database"),
    (
        1,
        r#"store = "postgres://db.example""#,
        "1: store is no PostgreSQL address: it names no database",
    ),
    (1, r#"store = "sqlite:""#, "1: store names no file"),
    (1, r#"store = "sqlite::memory:""#, "1: store names no file"),
    (2, r#"master_key_file = """#, "2: this names no file"),
    (
        2,
        r#"master_key = "x""#,
        "2: unknown key `master_key`, expected one of `store`, `store_password_file`, `store_ca_file`, `master_key_file`, `journal_file`, `log`, `metrics`, `mail`, `environment`",
    ),
    (4, r#"base_url = "api.example.com""#, "4: base_url is not a URL"),
    (4, r#"base_url = "ftp://api.example.com""#, "4: base_url is not an https URL"),
    (
        4,
        r#"base_url = "https://api.example.com/oauth""#,
        "4: base_url has more than a scheme, a host and a port",
    ),
    (
        4,
        r#"base_url = "https://api.example.com/?x""#,
        "4: base_url has more than a scheme, a host and a port",
    ),
    (
        4,
        r#"base_url = "https://me@api.example.com""#,
        "4: base_url has more than a scheme, a host and a port",
    ),
    (
        4,
        r#"base_url = "http://api.example.com""#,
        "4: base_url is http, which is for this machine alone",
    ),
    (
        4,
        r#"base_url = "http://localhost.example.com""#,
        "4: base_url is http, which is for this machine alone",
    ),
    (4, r#"base_url = "https://api.example.com""#, "7: staging and production have this base_url"),
    (5, r#"listen = "localhost:8300""#, "5: listen is not an address with a port"),
    (5, r#"listen = "127.0.0.1""#, "5: listen is not an address with a port"),
    (5, r#"listen = "127.0.0.1:0""#, "5: port 0 is another port at each start"),
    (
        5,
        r#"listen = "0.0.0.0:8300""#,
        "5: this address can be reached from other machines, without TLS",
    ),
    (5, "listen = 8300", "5: invalid type: integer `8300`, expected a string"),
    (
        6,
        "[environment.prodction]",
        "6: unknown key `prodction`, expected `staging` or `production`",
    ),
    (6, "[environment.staging]", "6: duplicate key"),
    (8, "listen = \"127.0.0.1:8301\"\ncode_ttl = 60", "9: unknown key `code_ttl`, expected one of"),
    (8, "listen = \"127.0.0.1:8301\"\ncode_ttl_seconds = 601", "9: 601 seconds is out of range"),
    (
        8,
        "listen = \"127.0.0.1:8301\"\naccess_token_ttl_seconds = 0",
        "9: 0 seconds is out of range",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\nthrottling.failures_per_address = 1",
        "9: 1 tries is out of range",
    ),
    (8, "listen = \"127.0.0.1:8301\"\nsession_ttl_seconds = -1", "9: -1 seconds is out of range"),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[[environment.staging.api]]\nresource = \"api\"\nscopes = \"a\"",
        "10: the resource of an API is an absolute URI",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[[environment.staging.api]]\nresource = \"https://a.example\"\n\
         scopes = \"a\"\naccess_tokens = \"HS256\"",
        "12: \"HS256\" is no kind of access token",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[[environment.staging.api]]\nresource = \"https://a.example\"\n\
         scopes = \"\"",
        "11: an API knows at least one scope",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[[environment.staging.api]]\nresource = \"https://a.example\"\n\
         scopes = \"a\"\n[[environment.staging.api]]\nresource = \"https://a.example/\"\nscopes = \"b\"",
        "13: two APIs have this resource",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\nrefresh_window_seconds = \"60s\"",
        "9: invalid type: string \"60s\", expected i64",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\ngrant_ttl_seconds = 1.5",
        "9: invalid type: floating point `1.5`, expected i64",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\nrefresh_token_idle_seconds = 60",
        "9: a refresh token would end before the access token",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\ntrusted_proxies = [\n\"10.0.0.7\",\n\"10.0.0.0/8\"]",
        "11: this proxy is not an IP address",
    ),
    (8, "listen = \"127.0.0.1:8301\"\ntls = { certificate = \"a\" }", "9: missing key `key`"),
    (
        8,
        "listen = \"127.0.0.1:8301\"\ntls = { certificate = \"a\", key = \"b\", chain = \"c\" }",
        "9: unknown key `chain`",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[log]\nformat = \"yaml\"",
        "10: unknown variant `yaml`, expected `text` or `json`",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[metrics]\nlisten = \"127.0.0.1:8300\"",
        "10: an environment listens on this address",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[metrics]\nlisten = \"localhost:9464\"",
        "10: listen is not an address with a port",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[metrics]\nlisten = \"127.0.0.1:0\"",
        "10: port 0 is another port at each start",
    ),
    (
        8,
        "listen = \"127.0.0.1:8301\"\n[metrics]\naddress = \"127.0.0.1:9464\"",
        "10: unknown key `address`, expected `listen`",
    ),
    (8, "listen = \"127.0.0.1:8301\"\n[metrics]", "9: missing key `listen`"),
    (8, "listen = \"127.0.0.1:8301", "8: "),
];

#[test]
fn each_fault_names_its_line() {
    for (line, text, words) in WRONG.iter().copied() {
        let found = faults(&with_line(line, text));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(words), "{text}: {found:?} is not {words}");
    }
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(faults(""), ["1: missing key `store`"]);
    assert_eq!(
        faults("store = \"sqlite:g.db\"\nmaster_key_file = \"k\""),
        ["1: there is no environment"]
    );
    assert_eq!(
        faults(&RIGHT.replace("listen = \"127.0.0.1:8301\"\n", "")),
        ["6: missing key `listen`"]
    );
}

#[test]
fn all_that_is_wrong_is_told_together_in_the_order_of_the_file() {
    let text = RIGHT
        .replace("sqlite:", "mysql:")
        .replace("127.0.0.1:8301", "here")
        .replace("https", "ftp");
    assert_eq!(
        faults(&text),
        [
            "1: store does not say which database",
            "4: base_url is not an https URL",
            "7: base_url is not an https URL",
            "8: listen is not an address with a port",
        ]
    );
}

#[test]
fn a_fault_reads_as_a_compiler_writes_it_and_has_a_hint() {
    let error = Config::parse(
        &with_line(4, r#"base_url = "http://api.example.com""#),
        Path::new("grantor.toml"),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "grantor.toml:4: base_url is http, which is for this machine alone"
    );
    let hint = error.faults[0].hint.as_deref();
    assert_eq!(hint, Some("write https://, with tls or behind a proxy that has it"));
    let missing = Config::read(Path::new("/nowhere/grantor.toml")).unwrap_err();
    assert_eq!(missing.faults[0].line, None);
    assert!(missing.faults[0].hint.as_deref().unwrap().contains("grantor init"));
}

#[test]
fn plain_http_leaves_this_machine_only_behind_a_listed_proxy() {
    let with = |base_url: &str, listen: &str, more: &str| {
        parse(&format!(
            "store = \"sqlite:g.db\"\nmaster_key_file = \"k\"\n[environment.staging]\n\
             base_url = \"{base_url}\"\nlisten = \"{listen}\"\n{more}"
        ))
    };
    let tls = "tls = { certificate = \"a\", key = \"b\" }";
    let proxy = "trusted_proxies = [\"10.0.0.7\"]";
    assert!(with("https://a.example", "0.0.0.0:80", proxy).is_ok());
    assert!(with("https://a.example", "0.0.0.0:443", tls).is_ok());
    assert!(with("https://a.example", "127.0.0.1:80", "").is_ok());
    assert!(with("http://localhost:80", "127.0.0.1:80", "").is_ok());
    assert!(with("http://[::1]:80", "[::1]:80", "").is_ok());
    for (base_url, listen, more, line) in [
        ("https://a.example", "0.0.0.0:80", "", 5),
        ("http://localhost", "0.0.0.0:80", "", 5),
        ("http://localhost", "0.0.0.0:80", proxy, 5),
        ("http://localhost", "127.0.0.1:80", tls, 6),
    ] {
        let error = with(base_url, listen, more).unwrap_err();
        assert_eq!(error.faults[0].line, Some(line), "{error}");
        assert!(error.faults[0].hint.is_some());
    }
}

#[test]
fn environments_that_share_an_address_have_hosts_that_differ_and_one_certificate() {
    let shared = RIGHT.replace("8301", "8300");
    let config = parse(&shared).unwrap();
    assert_eq!(config.environments[0].listen, config.environments[1].listen);
    let tls = shared.replacen(
        "listen = \"127.0.0.1:8300\"\n",
        "listen = \"127.0.0.1:8300\"\ntls = { certificate = \"a\", key = \"b\" }\n",
        1,
    );
    assert_eq!(
        faults(&tls),
        [
            "9: staging and production listen on 127.0.0.1:8300, but their tls or trusted_proxies differ"
        ]
    );
    let one_host = shared.replace("api.trial.example.com", "api.example.com");
    assert_eq!(faults(&one_host), ["7: staging and production have this base_url"]);
    // A port of its own is another host to a browser, and to the Host header.
    assert!(parse(&one_host.replacen("api.example.com", "api.example.com:8443", 1)).is_ok());
}

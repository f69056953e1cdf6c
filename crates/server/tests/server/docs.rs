//! The docs that the server serves: each error leads to its own section, and no link is dead.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::{Page, Server};

#[tokio::test]
async fn each_error_leads_to_its_own_section() {
    let server = Server::start().await;
    let page = server.browser().get(&server.url("/docs/reference/errors")).await;
    assert_eq!(page.status, 200);
    let anchors = anchors();
    assert!(anchors.len() > 30, "only {anchors:?}");
    let missing: Vec<_> = anchors.iter().filter(|anchor| !has_id(&page, anchor)).collect();
    assert!(missing.is_empty(), "no section for {missing:?}");
}

#[tokio::test]
async fn no_link_of_the_docs_is_dead() {
    let server = Server::start().await;
    let browser = server.browser();
    let mut waiting = vec![server.url("/docs/")];
    let mut seen = BTreeSet::from([server.url("/docs/")]);
    while let Some(url) = waiting.pop() {
        let page = browser.get(&url).await;
        assert_eq!(page.status, 200, "{url}");
        for target in page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let target = page.url.join(target).unwrap();
            if target.origin() != page.url.origin() || !target.path().starts_with("/docs/") {
                continue;
            }
            let linked = browser.get(target.as_str()).await;
            assert_eq!(linked.status, 200, "{target}, linked from {url}");
            if let Some(fragment) = target.fragment().filter(|fragment| *fragment != "main") {
                assert!(has_id(&linked, fragment), "{target}, linked from {url}");
            }
            let mut bare = target.clone();
            bare.set_fragment(None);
            if seen.insert(bare.to_string()) {
                waiting.push(bare.to_string());
            }
        }
    }
    assert!(seen.len() > 10, "only {seen:?}");
}

/// A test that is renamed or removed must not go on proving something there.
#[test]
fn each_test_that_the_checklist_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let checklist = std::fs::read_to_string(root.join("docs/reference/checklist.md")).unwrap();
    let (_, named) = checklist.split_once("{#tests}").unwrap();
    let named: Vec<_> = named.split('`').skip(1).step_by(2).collect();
    assert!(named.len() > 30, "only {named:?}");
    let tests: String = ["crates/client", "crates/guard", "crates/protocol", "crates/server"]
        .iter()
        .flat_map(|home| ["src", "tests"].map(|part| root.join(home).join(part)))
        .flat_map(|folder| sources(&folder))
        .collect();
    let is_there = |name: &&str| tests.contains(&format!("fn {name}("));
    let missing: Vec<_> = named.into_iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn has_id(page: &Page, id: &str) -> bool {
    page.text.contains(&format!("id=\"{id}\""))
}

/// Every anchor of the table of all errors, and those that stand in the endpoints themselves.
fn anchors() -> BTreeSet<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = here.join("../protocol/tests/snapshots/errors__every_error.snap");
    let table = std::fs::read_to_string(table).unwrap();
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect::<String>()
    };
    let mut anchors: BTreeSet<String> = table
        .split_whitespace()
        .filter_map(|token| token.strip_prefix('#'))
        .filter(|anchor| anchor.len() > 1 && word(anchor) == *anchor)
        .map(str::to_owned)
        .collect();
    for source in sources(&here.join("src/http")) {
        anchors.extend(source.split("anchor: \"").skip(1).map(word));
    }
    anchors
}

fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![std::fs::read_to_string(path).unwrap()],
        })
        .collect()
}

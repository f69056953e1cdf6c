//! A Postman collection (format v2.1.0) with the guide's steps, and an environment file each for
//! staging and production, as values. `grantor postman` writes them, and the portal gives them to
//! whoever has an app. No secret is ever in them: it is typed into Postman.

use grantor_protocol::environment::Environment;
use serde_json::{Value, json};

/// The name of the collection's file.
pub const COLLECTION_FILE: &str = "grantor.postman_collection.json";
const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
/// Fixed, so that a second import replaces the first.
const COLLECTION_ID: &str = "5d0c1f4e-7a52-4a0e-9d5c-6f6b8f1f3a01";
const STAGING_ID: &str = "5d0c1f4e-7a52-4a0e-9d5c-6f6b8f1f3a02";
const PRODUCTION_ID: &str = "5d0c1f4e-7a52-4a0e-9d5c-6f6b8f1f3a03";

/// The collection: the guide's seven steps, the refresh, and two calls of the API.
pub fn collection() -> Value {
    json!({
        "info": {
            "_postman_id": COLLECTION_ID,
            "name": "Grantor",
            "description": "Connect a customer's account, step by step as in the guide.\n\n\
                Choose the environment Grantor staging or Grantor production, and fill in \
                client_id, client_secret and redirect_uri. A client belongs to one of the two and \
                is not known in the other.\n\n\
                Or let Postman do all of it: the tab Authorization of this collection is filled in; \
                register the redirect URI that it shows for your client, and press Get New Access \
                Token.",
            "schema": SCHEMA,
        },
        "auth": oauth2_helper(),
        "item": [authorize(), exchange(), refresh(), api()],
        "variable": [{ "key": "granted_scope", "value": "" }],
    })
}

/// The name of the file of one environment.
pub fn environment_file(environment: Environment) -> String {
    format!("grantor-{environment}.postman_environment.json")
}

/// The file of one environment. Secrets and tokens are empty, and of the type that Postman hides.
pub fn environment(
    environment: Environment,
    base_url: &str,
    client_id: &str,
    redirect_uri: &str,
) -> Value {
    let value = |key: &str, value: &str, kind: &str| json!({ "key": key, "value": value, "type": kind, "enabled": true });
    let id = match environment {
        Environment::Staging | Environment::Portal => STAGING_ID,
        Environment::Production => PRODUCTION_ID,
    };
    json!({
        "id": id,
        "name": format!("Grantor {environment}"),
        "values": [
            value("base_url", base_url, "default"),
            value("client_id", client_id, "default"),
            value("client_secret", "", "secret"),
            value("redirect_uri", redirect_uri, "default"),
            value("code", "", "secret"),
            value("access_token", "", "secret"),
            value("refresh_token", "", "secret"),
        ],
        "_postman_variable_scope": "environment",
    })
}

/// Postman's own helper, in the tab Authorization of the collection.
fn oauth2_helper() -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": value, "type": "string" });
    json!({
        "type": "oauth2",
        "oauth2": [
            text("tokenName", "Grantor"),
            text("grant_type", "authorization_code"),
            text("authUrl", "{{base_url}}/oauth/authorize"),
            text("accessTokenUrl", "{{base_url}}/oauth/token"),
            text("refreshTokenUrl", "{{base_url}}/oauth/token"),
            text("clientId", "{{client_id}}"),
            text("clientSecret", "{{client_secret}}"),
            text("redirect_uri", "{{redirect_uri}}"),
            text("scope", ""),
            text("state", "{{$randomUUID}}"),
            text("client_authentication", "header"),
            text("addTokenTo", "header"),
            text("headerPrefix", "Bearer"),
            json!({ "key": "useBrowser", "value": false, "type": "boolean" }),
        ],
    })
}

fn authorize() -> Value {
    json!({
        "name": "Steps 1 and 2: sign in and allow, in a browser",
        "request": {
            "method": "GET",
            "auth": { "type": "noauth" },
            "header": [],
            "url": url("oauth/authorize", &[
                ("client_id", "{{client_id}}"),
                ("response_type", "code"),
                ("redirect_uri", "{{redirect_uri}}"),
            ]),
            "description": "Step 1. Open this URL in a browser:\n\n\
                `{{base_url}}/oauth/authorize?client_id={{client_id}}&response_type=code&redirect_uri={{redirect_uri}}`\n\n\
                Step 2. Sign in as the customer and allow. The browser is sent to your redirect \
                URI with `?code=...` behind it: copy the code into the variable `code` of this \
                environment. It lives for a minute.\n\n\
                Sent from here, this request shows only whether the client and its redirect URI \
                are right.",
        },
        "response": [],
        "event": [test(&[
            "pm.test('the sign-in page is shown', () => {",
            "    pm.expect(pm.response.code, 'a page that names the fault').to.equal(200);",
            "    pm.expect(pm.response.headers.get('Content-Type')).to.include('text/html');",
            "});",
        ])],
    })
}

fn exchange() -> Value {
    json!({
        "name": "Step 3: the Base64 of client_id:client_secret",
        "description": "Postman makes the header `Authorization: Basic ...` of the guide's steps 3 \
            and 5 by itself: see the tab Authorization of this folder. By hand, without sending \
            the secret to a web site: `grantor basic --client-id ID`.",
        "auth": basic(),
        "item": [{
            "name": "Steps 4 to 7: exchange the code for an access token",
            "request": {
                "method": "POST",
                "header": [],
                "url": url("oauth/token", &[
                    ("code", "{{code}}"),
                    ("grant_type", "authorization_code"),
                    ("client-id", "{{client_id}}"),
                    ("redirect_uri", "{{redirect_uri}}"),
                ]),
                "description": "The parameters stand in the query, as in the guide, and the body is \
                    empty. A code works once.",
            },
            "response": [],
            "event": [
                {
                    "listen": "prerequest",
                    "script": { "type": "text/javascript", "exec": [
                        "if (!pm.variables.get('code')) {",
                        "    throw new Error('The variable code is empty: take steps 1 and 2 in a browser first.');",
                        "}",
                    ] },
                },
                test(&KEEP_TOKENS),
            ],
        }],
    })
}

fn refresh() -> Value {
    let field = |key: &str, value: &str| json!({ "key": key, "value": value, "type": "text" });
    json!({
        "name": "Refresh",
        "request": {
            "method": "POST",
            "auth": basic(),
            "header": [],
            "body": {
                "mode": "urlencoded",
                "urlencoded": [
                    field("grant_type", "refresh_token"),
                    field("refresh_token", "{{refresh_token}}"),
                ],
            },
            "url": url("oauth/token", &[]),
            "description": "A refresh token works once: the new one replaces it.",
        },
        "response": [],
        "event": [test(&KEEP_TOKENS)],
    })
}

fn api() -> Value {
    json!({
        "name": "Call the API",
        "auth": {
            "type": "bearer",
            "bearer": [{ "key": "token", "value": "{{access_token}}", "type": "string" }],
        },
        "item": [
            call(
                "Businesses (financial-api)",
                "f/data/businesses",
                "financial-api",
                "answer._embedded.businessList",
            ),
            call("Businesses (orders-api)", "o/op/data/businesses", "orders-api", "answer"),
        ],
    })
}

/// One call of the API. A client may have been allowed less than this call needs: then the answer
/// has to say so.
fn call(name: &str, path: &str, scope: &str, list: &str) -> Value {
    let script = format!(
        "const scopes = pm.collectionVariables.get('granted_scope');\n\
         const granted = !scopes || scopes.split(' ').includes('{scope}');\n\
         pm.test(granted ? 'the businesses are listed' : 'a token without {scope} is refused', () => {{\n\
         \x20   if (!granted) {{\n\
         \x20       pm.response.to.have.status(403);\n\
         \x20       return;\n\
         \x20   }}\n\
         \x20   pm.response.to.have.status(200);\n\
         \x20   const answer = pm.response.json();\n\
         \x20   pm.expect({list}).to.be.an('array').that.is.not.empty;\n\
         }});"
    );
    json!({
        "name": name,
        "request": { "method": "GET", "header": [], "url": url(path, &[]) },
        "response": [],
        "event": [test(&script.lines().collect::<Vec<_>>())],
    })
}

fn basic() -> Value {
    json!({
        "type": "basic",
        "basic": [
            { "key": "username", "value": "{{client_id}}", "type": "string" },
            { "key": "password", "value": "{{client_secret}}", "type": "string" },
        ],
    })
}

/// Asserts a token response, and keeps its tokens for the next request.
const KEEP_TOKENS: [&str; 16] = [
    "const answer = pm.response.json();",
    "pm.test('an access token is given', () => {",
    "    pm.expect(pm.response.code, answer.error_description).to.equal(200);",
    "    pm.expect(answer.access_token).to.be.a('string').that.is.not.empty;",
    "    pm.expect(answer.token_type).to.match(/^bearer$/i);",
    "    pm.expect(answer.expires_in).to.be.above(0);",
    "});",
    "pm.test('it is not kept by caches', () => {",
    "    pm.expect(pm.response.headers.get('Cache-Control')).to.include('no-store');",
    "});",
    "if (pm.response.code === 200) {",
    "    pm.environment.set('access_token', answer.access_token);",
    "    pm.collectionVariables.set('granted_scope', answer.scope || '');",
    "    // A client may have no refresh tokens; then the old one must not stay either.",
    "    pm.environment.set('refresh_token', answer.refresh_token || '');",
    "}",
];

fn test(lines: &[&str]) -> Value {
    json!({ "listen": "test", "script": { "type": "text/javascript", "exec": lines } })
}

/// A URL in Postman's form: the text, and its parts.
fn url(path: &str, query: &[(&str, &str)]) -> Value {
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut raw = format!("{{{{base_url}}}}/{path}");
    if !pairs.is_empty() {
        raw = format!("{raw}?{}", pairs.join("&"));
    }
    let query: Vec<Value> =
        query.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let path: Vec<&str> = path.split('/').collect();
    json!({ "raw": raw, "host": ["{{base_url}}"], "path": path, "query": query })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each request of the collection with its name, however deep it stands.
    fn requests(item: &Value) -> Vec<(&str, &Value)> {
        match item["item"].as_array() {
            Some(items) => items.iter().flat_map(requests).collect(),
            None => vec![(item["name"].as_str().unwrap(), &item["request"])],
        }
    }

    /// Each `{{name}}` in a text.
    fn variables(text: &str) -> Vec<String> {
        text.split("{{")
            .skip(1)
            .filter_map(|rest| rest.split_once("}}"))
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    #[test]
    fn u13_the_collection_has_the_guides_steps_in_the_form_of_version_2_1() {
        let collection = collection();
        assert_eq!(collection["info"]["schema"], SCHEMA);
        let found = requests(&collection);
        let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "Steps 1 and 2: sign in and allow, in a browser",
                "Steps 4 to 7: exchange the code for an access token",
                "Refresh",
                "Businesses (financial-api)",
                "Businesses (orders-api)",
            ]
        );
        for (name, request) in found {
            let url = &request["url"];
            let parts =
                |key: &str| -> Vec<&Value> { url[key].as_array().unwrap().iter().collect() };
            let path: Vec<&str> = parts("path").iter().map(|part| part.as_str().unwrap()).collect();
            let query: Vec<String> = parts("query")
                .iter()
                .map(|pair| {
                    format!("{}={}", pair["key"].as_str().unwrap(), pair["value"].as_str().unwrap())
                })
                .collect();
            let mut raw = format!("{{{{base_url}}}}/{}", path.join("/"));
            if !query.is_empty() {
                raw = format!("{raw}?{}", query.join("&"));
            }
            assert_eq!(url["raw"], raw, "{name}");
        }
    }

    #[test]
    fn u13_the_exchange_is_the_guides_own_a_post_with_its_parameters_in_the_query() {
        let collection = collection();
        let (_, exchange) = requests(&collection)[1];
        assert_eq!(exchange["method"], "POST");
        assert_eq!(exchange["body"], Value::Null);
        assert_eq!(
            exchange["url"]["raw"],
            "{{base_url}}/oauth/token?code={{code}}&grant_type=authorization_code\
             &client-id={{client_id}}&redirect_uri={{redirect_uri}}"
        );
        let folder = &collection["item"][1];
        assert_eq!(folder["auth"]["type"], "basic");
        let keys: Vec<_> =
            folder["auth"]["basic"].as_array().unwrap().iter().map(|pair| &pair["value"]).collect();
        assert_eq!(keys, ["{{client_id}}", "{{client_secret}}"]);
    }

    #[test]
    fn u13_every_variable_that_is_used_stands_in_both_environments() {
        let used = variables(&collection().to_string());
        assert!(used.len() > 10);
        for stage in Environment::ALL {
            let file = environment(stage, "https://a.example", "an-id", "https://b.example/cb");
            let held: Vec<&str> = file["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(|value| value["key"].as_str().unwrap())
                .collect();
            for name in used.iter().filter(|name| !name.starts_with('$')) {
                assert!(held.contains(&name.as_str()), "{name}");
            }
        }
    }

    #[test]
    fn no_secret_is_written_and_secrets_are_of_the_type_that_is_hidden() {
        let file =
            environment(Environment::Staging, "https://a.example", "an-id", "https://b.example/cb");
        for value in file["values"].as_array().unwrap() {
            let secret = !matches!(
                value["key"].as_str().unwrap(),
                "base_url" | "client_id" | "redirect_uri"
            );
            assert_eq!(value["type"] == "secret", secret, "{value}");
            assert_eq!(value["value"] == "", secret, "{value}");
        }
    }
}

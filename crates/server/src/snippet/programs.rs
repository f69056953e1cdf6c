//! The programs, one function for each language. A name of a field is ours and needs no quoting;
//! every value is quoted.

use super::{Call, Language, SECRET, Value};

pub(super) fn curl(call: &Call) -> String {
    let quote = |text: &str| Language::Curl.quote(text);
    let mut lines = vec![
        format!("curl -sS {} \\", quote(&call.token_url())),
        format!("  -u {}:\"${SECRET}\" \\", quote(&call.client_id)),
    ];
    lines.extend(call.form().iter().map(|(name, value)| match value {
        Value::Known(text) => format!("  --data-urlencode {} \\", quote(&format!("{name}={text}"))),
        Value::Variable(variable) => format!("  --data-urlencode \"{name}=${variable}\" \\"),
    }));
    ended(lines)
}

/// `HTTPie` reads `name=value` from its arguments; a value is cut at the first separator alone.
pub(super) fn httpie(call: &Call) -> String {
    let quote = |text: &str| Language::HttPie.quote(text);
    let mut lines = vec![
        // Its options have to come before the URL.
        format!("http --ignore-stdin --form --auth {}:\"${SECRET}\" \\", quote(&call.client_id)),
        format!("  POST {} \\", quote(&call.token_url())),
    ];
    lines.extend(call.form().iter().map(|(name, value)| match value {
        Value::Known(text) => format!("  {} \\", quote(&format!("{name}={text}"))),
        Value::Variable(variable) => format!("  \"{name}=${variable}\" \\"),
    }));
    ended(lines)
}

fn ended(mut lines: Vec<String>) -> String {
    if let Some(last) = lines.last_mut() {
        let bare = last.trim_end_matches(" \\").len();
        last.truncate(bare);
    }
    lines.join("\n") + "\n"
}

pub(super) fn javascript(call: &Call) -> String {
    let fields = fields(call, |name, value| match value {
        Value::Known(text) => format!("    {name}: {},", Language::JavaScript.quote(text)),
        Value::Variable(variable) => format!("    {name}: process.env.{variable},"),
    });
    format!(
        "// A module, for Node 20 and newer. Never in a browser: it holds the secret.\n\
         const clientId = {};\n\
         const pair = `${{clientId}}:${{process.env.{SECRET}}}`;\n\
         const response = await fetch({}, {{\n\
         \x20 method: 'POST',\n\
         \x20 headers: {{ Authorization: `Basic ${{Buffer.from(pair).toString('base64')}}` }},\n\
         \x20 body: new URLSearchParams({{\n{fields}\n  }}),\n\
         }});\n\
         const answer = await response.json();\n\
         if (!response.ok) throw new Error(`${{answer.error}}: ${{answer.error_description}}`);\n\
         console.log(JSON.stringify(answer));\n",
        Language::JavaScript.quote(&call.client_id),
        Language::JavaScript.quote(&call.token_url()),
    )
}

pub(super) fn python(call: &Call) -> String {
    let fields = fields(call, |name, value| {
        let value = match value {
            Value::Known(text) => Language::Python.quote(text),
            Value::Variable(variable) => format!("os.environ[\"{variable}\"]"),
        };
        format!("        \"{name}\": {value},")
    });
    format!(
        "import os\n\nimport requests\n\n\
         response = requests.post(\n\
         \x20   {},\n\
         \x20   auth=({}, os.environ[\"{SECRET}\"]),\n\
         \x20   data={{\n{}\n    }},\n\
         \x20   timeout=10,\n\
         )\n\
         if not response.ok:\n\
         \x20   raise SystemExit(response.text)\n\
         print(response.text)\n",
        Language::Python.quote(&call.token_url()),
        Language::Python.quote(&call.client_id),
        fields,
    )
}

pub(super) fn php(call: &Call) -> String {
    let fields = fields(call, |name, value| {
        let value = match value {
            Value::Known(text) => Language::Php.quote(text),
            Value::Variable(variable) => format!("getenv('{variable}')"),
        };
        format!("        '{name}' => {value},")
    });
    format!(
        "<?php\n\
         $call = curl_init({});\n\
         curl_setopt_array($call, [\n\
         \x20   CURLOPT_RETURNTRANSFER => true,\n\
         \x20   CURLOPT_USERPWD => {} . ':' . getenv('{SECRET}'),\n\
         \x20   CURLOPT_POSTFIELDS => http_build_query([\n{}\n    ]),\n\
         ]);\n\
         $answer = curl_exec($call);\n\
         if ($answer === false || curl_getinfo($call, CURLINFO_RESPONSE_CODE) !== 200) {{\n\
         \x20   fwrite(STDERR, $answer === false ? curl_error($call) : $answer);\n\
         \x20   exit(1);\n\
         }}\n\
         echo $answer, \"\\n\";\n",
        Language::Php.quote(&call.token_url()),
        Language::Php.quote(&call.client_id),
        fields,
    )
}

pub(super) fn csharp(call: &Call) -> String {
    let fields = fields(call, |name, value| {
        let value = match value {
            Value::Known(text) => Language::CSharp.quote(text),
            Value::Variable(variable) => {
                format!("Environment.GetEnvironmentVariable(\"{variable}\")!")
            }
        };
        format!("    [\"{name}\"] = {value},")
    });
    format!(
        "using System.Net.Http.Headers;\n\
         using System.Text;\n\n\
         var pair = {} + \":\" + Environment.GetEnvironmentVariable(\"{SECRET}\");\n\
         using var http = new HttpClient();\n\
         http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(\n\
         \x20   \"Basic\", Convert.ToBase64String(Encoding.UTF8.GetBytes(pair)));\n\
         var form = new Dictionary<string, string>\n\
         {{\n{}\n}};\n\
         using var response = await http.PostAsync({}, new FormUrlEncodedContent(form));\n\
         var answer = await response.Content.ReadAsStringAsync();\n\
         if (!response.IsSuccessStatusCode) throw new Exception(answer);\n\
         Console.WriteLine(answer);\n",
        Language::CSharp.quote(&call.client_id),
        fields,
        Language::CSharp.quote(&call.token_url()),
    )
}

pub(super) fn rust(call: &Call) -> String {
    let fields = fields(call, |name, value| {
        let value = match value {
            Value::Known(text) => format!("{}.to_string()", Language::Rust.quote(text)),
            Value::Variable(variable) => format!("env::var(\"{variable}\")?"),
        };
        format!("        (\"{name}\", {value}),")
    });
    format!(
        "// Cargo.toml: reqwest = {{ version = \"0.12\", features = [\"blocking\"] }}\n\
         use std::env;\n\
         use std::error::Error;\n\n\
         fn main() -> Result<(), Box<dyn Error>> {{\n\
         \x20   let form = [\n{}\n    ];\n\
         \x20   let response = reqwest::blocking::Client::new()\n\
         \x20       .post({})\n\
         \x20       .basic_auth({}, Some(env::var(\"{SECRET}\")?))\n\
         \x20       .form(&form)\n\
         \x20       .send()?;\n\
         \x20   let is_good = response.status().is_success();\n\
         \x20   let answer = response.text()?;\n\
         \x20   if !is_good {{\n\
         \x20       return Err(answer.into());\n\
         \x20   }}\n\
         \x20   println!(\"{{answer}}\");\n\
         \x20   Ok(())\n\
         }}\n",
        fields,
        Language::Rust.quote(&call.token_url()),
        Language::Rust.quote(&call.client_id),
    )
}

/// The fields of the form, each on a line as the language writes it.
fn fields(call: &Call, line: impl Fn(&str, Value<'_>) -> String) -> String {
    let lines = call.form().into_iter().map(|(name, value)| line(name, value));
    lines.collect::<Vec<_>>().join("\n")
}

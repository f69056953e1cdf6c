//! The same call in seven languages: the exchange of a code, and the refresh.
//!
//! 1. [`Call`] says what is called, and for which client; never with a secret: each program reads
//!    the client's secret, the code and the refresh token from its environment;
//! 2. [`Language::write`] writes a whole program that prints the token response;
//! 3. `quote.rs` writes a text as a literal of a language, so that no id and no URI, whatever it
//!    holds, is ever more than a text.

mod programs;
mod quote;

/// The variable that holds the client secret.
pub const SECRET: &str = "CLIENT_SECRET";
/// The variable that holds the code.
pub const CODE: &str = "CODE";
/// The variable that holds the refresh token.
pub const REFRESH_TOKEN: &str = "REFRESH_TOKEN";

/// A language that the call is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// curl, in a POSIX shell
    Curl,
    /// `HTTPie`, in a POSIX shell
    HttPie,
    /// JavaScript with fetch, as a module
    JavaScript,
    /// Python with requests
    Python,
    /// PHP with curl
    Php,
    /// C# with `HttpClient`
    CSharp,
    /// Rust with reqwest
    Rust,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// the exchange of a code
    Exchange,
    /// the refresh
    Refresh,
}

/// A call for one client. None of it is a secret.
#[derive(Clone, Debug)]
pub struct Call {
    /// The environment's base URL.
    pub base_url: String,
    /// The client.
    pub client_id: String,
    /// Where its codes go.
    pub redirect_uri: String,
    /// What is called.
    pub step: Step,
}

impl Language {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Language; 7] = [
        Language::Curl,
        Language::HttPie,
        Language::JavaScript,
        Language::Python,
        Language::Php,
        Language::CSharp,
        Language::Rust,
    ];

    /// Its name, with what it calls with.
    pub fn name(self) -> &'static str {
        match self {
            Language::Curl => "curl",
            Language::HttPie => "HTTPie",
            Language::JavaScript => "JavaScript (fetch)",
            Language::Python => "Python (requests)",
            Language::Php => "PHP (curl)",
            Language::CSharp => "C# (HttpClient)",
            Language::Rust => "Rust (reqwest)",
        }
    }

    /// The program.
    pub fn write(self, call: &Call) -> String {
        match self {
            Language::Curl => programs::curl(call),
            Language::HttPie => programs::httpie(call),
            Language::JavaScript => programs::javascript(call),
            Language::Python => programs::python(call),
            Language::Php => programs::php(call),
            Language::CSharp => programs::csharp(call),
            Language::Rust => programs::rust(call),
        }
    }

    /// A text as a literal.
    fn quote(self, text: &str) -> String {
        match self {
            Language::Curl | Language::HttPie => quote::shell(text),
            Language::JavaScript => quote::javascript(text),
            Language::Python => quote::python(text),
            Language::Php => quote::php(text),
            Language::CSharp => quote::csharp(text),
            Language::Rust => quote::rust(text),
        }
    }
}

/// A value of the form: what is known, or the variable that holds it.
enum Value<'a> {
    Known(&'a str),
    Variable(&'static str),
}

impl Call {
    fn token_url(&self) -> String {
        format!("{}/oauth/token", self.base_url)
    }

    fn form(&self) -> Vec<(&'static str, Value<'_>)> {
        match self.step {
            Step::Exchange => vec![
                ("grant_type", Value::Known("authorization_code")),
                ("code", Value::Variable(CODE)),
                ("redirect_uri", Value::Known(&self.redirect_uri)),
            ],
            Step::Refresh => vec![
                ("grant_type", Value::Known("refresh_token")),
                ("refresh_token", Value::Variable(REFRESH_TOKEN)),
            ],
        }
    }
}

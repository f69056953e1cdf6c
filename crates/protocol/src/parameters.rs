//! Parameters of a query or a form body, under OAuth's own rules.
//!
//! 1. A parameter stands once (RFC 6749 3.1), but for `resource` (RFC 8707 2); array-like names (`scope[]`) are the same mistake in
//!    another dress and the way into parameter pollution.
//! 2. An empty value is an omitted one (RFC 6749 3.1).
//! 3. Names and values are UTF-8 behind percent-encoding, without NUL, and have a length.
//!
//! A fault takes the value from the parameter that it is about, and hides no other: at the
//! authorize endpoint the client may still be known well enough to be told by redirect. So
//! [`Parameters::parse`] always answers, and whoever goes on asks [`Parameters::fault`].

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// No value is longer, in bytes after decoding.
pub const MAX_VALUE_BYTES: usize = 4096;
/// No name is longer, in bytes after decoding.
pub const MAX_NAME_BYTES: usize = 64;
/// No request has more parameters.
pub const MAX_PARAMETERS: usize = 64;

/// The one parameter that a request may name several times (RFC 8707 2).
const MAY_REPEAT: &str = "resource";

/// Why a query or a form cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterFault {
    /// The parameter stands more than once.
    Repeated {
        /// its name
        name: String,
    },
    /// The parameter is written as an array or a map, like `scope[]`.
    ArrayLike {
        /// its name, without the brackets
        name: String,
    },
    /// The value is longer than [`MAX_VALUE_BYTES`].
    TooLong {
        /// its name
        name: String,
        /// its length in bytes
        bytes: usize,
    },
    /// A name is longer than [`MAX_NAME_BYTES`].
    NameTooLong,
    /// More than [`MAX_PARAMETERS`].
    TooMany,
    /// The value is not UTF-8, or holds a NUL, or a `%` that two hexadecimal digits do not follow.
    BadEncoding {
        /// its name, if that could be read
        name: Option<String>,
    },
}

/// The parameters of one query or one form body.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
    faults: Vec<ParameterFault>,
}

impl ParameterFault {
    /// The parameter that it is about; `None` where it may be about any.
    fn name(&self) -> Option<&str> {
        match self {
            ParameterFault::Repeated { name }
            | ParameterFault::ArrayLike { name }
            | ParameterFault::TooLong { name, .. } => Some(name),
            ParameterFault::BadEncoding { name } => name.as_deref(),
            ParameterFault::NameTooLong | ParameterFault::TooMany => None,
        }
    }
}

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` bytes. Never fails: see [`Parameters::fault`].
    pub fn parse(form: &[u8]) -> Parameters {
        let mut parameters = Parameters::default();
        let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        for (at, pair) in pairs.enumerate() {
            if at == MAX_PARAMETERS {
                parameters.faults.push(ParameterFault::TooMany);
                break;
            }
            parameters.read(pair);
        }
        parameters
    }

    /// The first thing wrong with them, if anything is.
    pub fn fault(&self) -> Option<&ParameterFault> {
        self.faults.first()
    }

    /// What is wrong with this one, if anything is: a fault in itself, or, where it does not
    /// stand at all, one that may hide it.
    pub fn fault_of(&self, name: &str) -> Option<&ParameterFault> {
        let absent = self.values(name).next().is_none();
        self.faults.iter().find(|fault| match fault.name() {
            Some(faulty) => faulty == name,
            None => absent,
        })
    }

    /// The value of a parameter that stands once, without a fault, and is not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        // Not the readable one of two: what one reader skips, another reader takes.
        if self.is_faulty(name) {
            return None;
        }
        let (_, value) = self.pairs.iter().find(|(held, _)| held == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// Every value of a parameter that may stand many times, such as the boxes of a form of ours.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// Every parameter with its value, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a parameter of that name stands at all, empty, faulty or not.
    pub fn contains(&self, name: &str) -> bool {
        self.pairs.iter().any(|(held, _)| held == name) || self.is_faulty(name)
    }

    /// Whether there is none at all, not even a faulty one.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.faults.is_empty()
    }

    /// All names, for the log: values are never logged.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }

    fn read(&mut self, pair: &[u8]) {
        let split = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match split {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        let Some(name) = decode(name) else {
            self.faults.push(ParameterFault::BadEncoding { name: None });
            return;
        };
        if name.len() > MAX_NAME_BYTES {
            self.faults.push(ParameterFault::NameTooLong);
            return;
        }
        if let Some((base, _)) = name.split_once('[') {
            self.faults.push(ParameterFault::ArrayLike { name: base.to_owned() });
            return;
        }
        if self.contains(&name) && name != MAY_REPEAT {
            self.faults.push(ParameterFault::Repeated { name: name.clone() });
        }
        match decode(value) {
            None => self.faults.push(ParameterFault::BadEncoding { name: Some(name) }),
            Some(value) if value.len() > MAX_VALUE_BYTES => {
                let bytes = value.len();
                self.faults.push(ParameterFault::TooLong { name, bytes });
            }
            Some(value) => self.pairs.push((name, value)),
        }
    }

    fn is_faulty(&self, name: &str) -> bool {
        self.faults.iter().any(|fault| fault.name() == Some(name))
    }
}

/// Decodes one name or value; `None` where it is not UTF-8, an escape is cut short, or a NUL stands
/// in it, which no request needs and PostgreSQL's TEXT does not take.
pub(crate) fn decode(encoded: &[u8]) -> Option<String> {
    // Most are written as they are meant.
    if !encoded.iter().any(|byte| matches!(byte, b'%' | b'+' | 0)) {
        return std::str::from_utf8(encoded).ok().map(str::to_owned);
    }
    let spaced: Vec<u8> =
        encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    // A lone '%' is refused and not kept: two readers that disagree about it are an attack.
    let whole = spaced.iter().enumerate().all(|(at, byte)| {
        *byte != b'%'
            || spaced
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !whole {
        return None;
    }
    String::from_utf8(percent_decode(&spaced).collect()).ok().filter(|text| !text.contains('\0'))
}

/// What form-encoding leaves as it is, but for the blank (RFC 6749 appendix B).
const FORM: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'*');

/// A name or a value as `application/x-www-form-urlencoded` writes it: what [`Parameters::parse`]
/// reads.
pub fn form_encoded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string().replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s5_a_parameter_that_stands_twice_has_no_value_and_is_named() {
        let parameters = Parameters::parse(b"scope=a&scope=a&state=x");
        assert_eq!(parameters.value("scope"), None);
        assert_eq!(parameters.value("state"), Some("x"));
        assert_eq!(parameters.fault(), Some(&ParameterFault::Repeated { name: "scope".into() }));
    }

    #[test]
    fn s5_array_like_names_are_refused_however_the_bracket_is_written() {
        for form in ["scope[]=a", "scope%5B%5D=a", "scope[0]=a", "scope[a"] {
            assert_eq!(
                Parameters::parse(form.as_bytes()).fault(),
                Some(&ParameterFault::ArrayLike { name: "scope".into() }),
                "{form}"
            );
        }
    }

    #[test]
    fn s5_of_two_the_readable_one_is_not_taken() {
        let long = format!("scope={}&scope=a", "x".repeat(MAX_VALUE_BYTES + 1));
        for form in ["scope=%ff&scope=a", "scope=a&scope=%ff", "scope[]=b&scope=a", &long] {
            let parameters = Parameters::parse(form.as_bytes());
            assert_eq!(parameters.value("scope"), None, "{form}");
            assert!(parameters.contains("scope"), "{form}");
            assert!(parameters.fault_of("scope").is_some(), "{form}");
            assert_eq!(parameters.fault_of("state"), None, "{form}");
        }
    }

    #[test]
    fn s16_a_parameter_beyond_the_limit_may_hide_any_that_is_absent_and_no_other() {
        let form = format!("scope=a&{}", "b&".repeat(MAX_PARAMETERS));
        let parameters = Parameters::parse(form.as_bytes());
        assert_eq!(parameters.fault_of("state"), Some(&ParameterFault::TooMany));
        assert_eq!(parameters.fault_of("scope"), None);
        assert_eq!(parameters.value("scope"), Some("a"));
        let unreadable = format!("{}&scope=a", "%ff&".repeat(MAX_PARAMETERS));
        assert_eq!(Parameters::parse(unreadable.as_bytes()).value("scope"), None);
    }

    #[test]
    fn an_empty_value_is_an_omitted_one() {
        let parameters = Parameters::parse(b"scope=&state");
        assert_eq!(parameters.value("scope"), None);
        assert_eq!(parameters.value("state"), None);
        assert_eq!(parameters.fault(), None);
    }

    #[test]
    fn bytes_that_are_not_utf8_and_escapes_cut_short_are_refused() {
        for form in ["code=%ff", "code=%C3%28", "code=%", "code=%4", "code=%zz", "code=a%00"] {
            assert_eq!(
                Parameters::parse(form.as_bytes()).fault(),
                Some(&ParameterFault::BadEncoding { name: Some("code".into()) }),
                "{form}"
            );
        }
    }

    #[test]
    fn a_long_value_is_named_with_its_length() {
        let form = format!("state={}", "a".repeat(10_000));
        assert_eq!(
            Parameters::parse(form.as_bytes()).fault(),
            Some(&ParameterFault::TooLong { name: "state".into(), bytes: 10_000 })
        );
    }

    proptest! {
        #[test]
        fn what_an_encoder_writes_is_read_back(pairs in prop::collection::btree_map("[a-z_-]{1,20}", "\\PC{1,80}", 0..20)) {
            let form = pairs
                .iter()
                .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
                .collect::<Vec<_>>()
                .join("&");
            let parameters = Parameters::parse(form.as_bytes());
            prop_assert_eq!(parameters.fault(), None);
            for (name, value) in &pairs {
                prop_assert_eq!(parameters.value(name), Some(value.as_str()));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic_and_within_the_limits(form in prop::collection::vec(any::<u8>(), 0..2000)) {
            let parameters = Parameters::parse(&form);
            prop_assert!(parameters.pairs.len() <= MAX_PARAMETERS);
            prop_assert!(parameters.pairs.iter().all(|(name, value)| name.len() <= MAX_NAME_BYTES && value.len() <= MAX_VALUE_BYTES));
        }
    }
}

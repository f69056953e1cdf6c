//! Words for what cannot be registered, and how to mend it.

use super::{MAX_REDIRECT_URI_BYTES, RegistrationFault};

impl RegistrationFault {
    /// What is wrong with a redirect URI, and what to do: two parts without a full stop.
    pub fn words(self) -> (String, &'static str) {
        let (words, hint) = match self {
            RegistrationFault::Length => {
                return (
                    format!("a redirect URI has 1 to {MAX_REDIRECT_URI_BYTES} characters"),
                    "register the address alone, and send what changes in the parameter state",
                );
            }
            RegistrationFault::NotAbsolute => (
                "this is not an absolute URI",
                "write it whole, with its scheme: https://mycompany.com/callback",
            ),
            RegistrationFault::NotAscii => (
                "it holds a blank, a control character or one that is not ASCII",
                "percent-encode the path, and write the host in its xn-- form",
            ),
            RegistrationFault::Fragment => {
                ("it has a fragment, the part behind #", "leave # and what follows out")
            }
            RegistrationFault::UserInfo => (
                "it has a user name or a password before the host",
                "leave out what stands before the @",
            ),
            RegistrationFault::HttpOutsideLoopback => (
                "it is http, and a code must not cross the network in clear",
                "use https; http is taken for 127.0.0.1, [::1] and localhost",
            ),
            RegistrationFault::Scheme => (
                "its scheme cannot receive a code safely",
                "use https, or for an app on a device a scheme with a dot, your domain reversed: \
             com.example.app:/callback",
            ),
            RegistrationFault::NotNormal => (
                "a browser would write it differently, and it is compared byte for byte",
                "write scheme and host in lower case, no default port, no backslash, and no . or .. in \
             the path",
            ),
            RegistrationFault::ReservedParameter => (
                "its query has a parameter that the answer brings itself, such as code or state",
                "give that parameter another name",
            ),
            RegistrationFault::Host => (
                "its host is missing, or is no single host name",
                "register each host by its own name; there are no wildcards",
            ),
        };
        (words.to_owned(), hint)
    }
}

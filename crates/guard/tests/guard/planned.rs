//! What a guard can be made of.

use grantor_guard::{Guard, PlanFault};

const API: &str = "https://finance.example.com";

#[tokio::test]
async fn a_guard_that_could_not_decide_or_would_trust_anybody_is_not_made() {
    let https = "https://oauth.example.com";
    let fault = |plan: grantor_guard::Plan| plan.build().unwrap_err();
    assert_eq!(fault(Guard::of(API, https)), PlanFault::NoSource);
    for issuer in ["http://oauth.example.com", "http://10.0.0.1", "ftp://x", "nonsense", ""] {
        let keys = PlanFault::Address(format!("{issuer}/oauth/jwks"));
        assert_eq!(fault(Guard::of(API, issuer).offline()), keys);
        let endpoint = PlanFault::Address(format!("{issuer}/oauth/introspect"));
        assert_eq!(fault(Guard::of(API, issuer).asking("a", "b")), endpoint);
    }
    assert_eq!(fault(Guard::of("urn:finance", https).offline()), PlanFault::NoPublicUrl);
    let named = Guard::of("urn:finance", https).offline().public_url(API);
    assert!(named.build().is_ok());
    for issuer in [https, "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
        assert!(Guard::of(API, issuer).offline().asking("a", "b").build().is_ok(), "{issuer}");
    }
}

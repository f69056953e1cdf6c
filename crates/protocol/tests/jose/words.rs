//! That each cause has words of its own.

use std::collections::BTreeSet;

use grantor_protocol::client_assertion::ClientAssertionFault as Assertion;
use grantor_protocol::dpop::ProofFault as Proof;
use grantor_protocol::jose::{ClaimsFault, JwsFault, KeyFault, Part};

#[test]
fn s27_each_cause_has_words_of_its_own() {
    let claims = [
        ClaimsFault::NotAnObject,
        ClaimsFault::Repeated,
        ClaimsFault::Missing { claim: "exp" },
        ClaimsFault::NotText { claim: "exp" },
        ClaimsFault::NotSeconds { claim: "exp" },
    ];
    let jws = [
        JwsFault::TooLong { limit: 9 },
        JwsFault::NotThreeParts,
        JwsFault::NotBase64 { part: Part::Header },
        JwsFault::NotBase64 { part: Part::Payload },
        JwsFault::NotBase64 { part: Part::Signature },
        JwsFault::HeaderMalformed,
        JwsFault::HeaderRepeated,
        JwsFault::CriticalHeader,
        JwsFault::UnencodedPayload,
        JwsFault::AlgorithmNotAllowed,
        JwsFault::TypeMissing,
        JwsFault::TypeDiffers,
        JwsFault::UnknownKey,
        JwsFault::KeyDoesNotFit,
        JwsFault::KeyIdNeeded,
        JwsFault::EmbeddedKeyMissing,
        JwsFault::EmbeddedKey(KeyFault::Private),
        JwsFault::EmbeddedKey(KeyFault::NotOnCurve),
        JwsFault::EmbeddedKey(KeyFault::SmallOrder),
        JwsFault::SignatureWrong,
    ];
    let assertion = [
        Assertion::IssuerDiffers,
        Assertion::SubjectDiffers,
        Assertion::AudienceNotOne,
        Assertion::AudienceDiffers,
        Assertion::Expired { seconds_ago: 7 },
        Assertion::ExpiresTooLate { limit: 600 },
        Assertion::NotYetValid,
        Assertion::FromTheFuture,
        Assertion::TokenIdLength,
    ];
    let proof = [
        Proof::MethodDiffers,
        Proof::UriDiffers,
        Proof::UriMalformed,
        Proof::TooOld { seconds_ago: 301 },
        Proof::FromTheFuture,
        Proof::TokenIdLength,
        Proof::TokenHashMissing,
        Proof::TokenHashDiffers,
        Proof::NonceMissing,
        Proof::NonceDiffers,
    ];
    let mut all: Vec<String> = Vec::new();
    all.extend(claims.map(|fault| Assertion::Claims(fault).words().into_owned()));
    all.extend(claims.map(|fault| Proof::Claims(fault).words().into_owned()));
    all.extend(jws.map(|fault| Assertion::Jws(fault).words().into_owned()));
    all.extend(jws.map(|fault| Proof::Jws(fault).words().into_owned()));
    all.extend(assertion.map(|fault| fault.words().into_owned()));
    all.extend(proof.map(|fault| fault.words().into_owned()));
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:#?}");
    for words in &all {
        assert!(words.ends_with('.') && !words.contains("  "), "{words}");
    }
}

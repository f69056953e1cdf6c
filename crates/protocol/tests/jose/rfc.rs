//! The examples of the RFCs.

use grantor_protocol::dpop::{self, Proof, Request};
use grantor_protocol::jose::{Jwk, JwkSet, JwsFault, KeyFault, Thumbprint};
use serde_json::{Value, json};

use crate::fixtures::{jwk, verify};

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn public(value: &Value) -> Jwk {
    let mut public = value.clone();
    for member in ["d", "p", "q", "dp", "dq", "qi"] {
        public.as_object_mut().unwrap().remove(member);
    }
    jwk(&public)
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn s27_rfc_7515_a_2_rs256_verifies() {
    let key = jwk(&json!({"kty": "RSA", "e": "AQAB", "n":
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}));
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    let verified = verify(&token, &[key]).unwrap();
    let claims = verified.claims().unwrap();
    assert_eq!(claims.text("iss"), Ok("joe"));
    assert_eq!(claims.seconds("exp"), Ok(1_300_819_380));
}

#[test]
fn s27_rfc_7515_a_3_and_a_4_es256_and_es512_verify() {
    let p256 = jwk(&json!({"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}));
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert!(verify(&token, std::slice::from_ref(&p256)).is_ok());

    let p521 = jwk(&json!({"kty": "EC", "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}));
    let token = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    assert_eq!(verify(token, &[p521]).unwrap().payload(), b"Payload");
    assert_eq!(verify(token, &[p256]).unwrap_err(), JwsFault::KeyDoesNotFit);
}

#[test]
fn s27_rfc_7515_a_1_and_a_5_hmac_and_none_are_no_signatures_here() {
    for header in ["eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJub25lIn0"] {
        for signature in ["", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"] {
            let token = format!("{header}.{PAYLOAD}.{signature}");
            assert_eq!(verify(&token, &[]).unwrap_err(), JwsFault::AlgorithmNotAllowed);
        }
    }
}

#[test]
fn s27_rfc_7638_3_1_thumbprint() {
    let key = jwk(&json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29", "n":
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}));
    assert_eq!(key.thumbprint().to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn s27_rfc_8037_appendix_a_ed25519_verifies_and_has_its_thumbprint() {
    let example = read(include_str!("vectors/rfc7520/curve25519_jws.json"));
    let key = public(&example["input"]["key"]);
    assert_eq!(key.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let token = example["output"]["compact"].as_str().unwrap();
    assert_eq!(verify(token, &[key]).unwrap().payload(), b"Example of Ed25519 signing");
}

#[test]
fn s27_rfc_7520_section_3_public_keys_are_read_and_private_and_shared_ones_refused() {
    let ec = include_str!("vectors/rfc7520/3_1.ec_public_key.json");
    let rsa = include_str!("vectors/rfc7520/3_3.rsa_public_key.json");
    assert_eq!(Jwk::parse(ec.as_bytes()).unwrap().key_id(), Some("bilbo.baggins@hobbiton.example"));
    let set = format!("{{\"keys\":[{ec},{rsa}]}}");
    assert_eq!(JwkSet::parse(set.as_bytes()).unwrap().keys().len(), 2);
    for (text, fault) in [
        (include_str!("vectors/rfc7520/3_2.ec_private_key.json"), KeyFault::Private),
        (include_str!("vectors/rfc7520/3_4.rsa_private_key.json"), KeyFault::Private),
        (
            include_str!("vectors/rfc7520/3_5.symmetric_key_mac_computation.json"),
            KeyFault::Symmetric,
        ),
        (include_str!("vectors/rfc7520/3_6.symmetric_key_encryption.json"), KeyFault::Symmetric),
    ] {
        assert_eq!(Jwk::parse(text.as_bytes()).unwrap_err(), fault);
        let set = format!("{{\"keys\":[{ec},{text}]}}");
        assert_eq!(JwkSet::parse(set.as_bytes()).unwrap_err(), fault);
    }
}

#[test]
fn s27_rfc_7520_section_4_public_key_signatures_verify() {
    for text in [
        include_str!("vectors/rfc7520/4_1.rsa_v15_signature.json"),
        include_str!("vectors/rfc7520/4_2.rsa-pss_signature.json"),
        include_str!("vectors/rfc7520/4_3.ecdsa_signature.json"),
    ] {
        let example = read(text);
        let key = public(&example["input"]["key"]);
        let verified = verify(example["output"]["compact"].as_str().unwrap(), &[key]).unwrap();
        let payload = example["input"]["payload"].as_str().unwrap();
        assert_eq!(verified.payload(), payload.as_bytes(), "{}", example["title"]);
        assert_eq!(verified.header().algorithm.as_str(), example["input"]["alg"].as_str().unwrap());
    }
    // Of the three signatures of 4.8 one has its whole header protected, as the compact form has.
    let example = read(include_str!("vectors/rfc7520/4_8.multiple_signatures.json"));
    let (json, first) = (&example["output"]["json"], &example["output"]["json"]["signatures"][0]);
    let part = |value: &Value| value.as_str().unwrap().to_owned();
    let (header, payload) = (part(&first["protected"]), part(&json["payload"]));
    let token = format!("{header}.{payload}.{}", part(&first["signature"]));
    assert!(verify(&token, &[public(&example["input"]["key"][0])]).is_ok());
}

#[test]
fn s27_rfc_7520_4_4_hmac_and_json_serialisations_are_refused() {
    let example = read(include_str!("vectors/rfc7520/4_4.hmac-sha2_integrity_protection.json"));
    let token = example["output"]["compact"].as_str().unwrap();
    assert_eq!(verify(token, &[]).unwrap_err(), JwsFault::AlgorithmNotAllowed);
    let example = read(include_str!("vectors/rfc7520/4_1.rsa_v15_signature.json"));
    let key = public(&example["input"]["key"]);
    for form in ["json", "json_flat"] {
        let fault =
            verify(&example["output"][form].to_string(), std::slice::from_ref(&key)).unwrap_err();
        assert_eq!(fault, JwsFault::NotThreeParts);
    }
}

const HEADER: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";

#[test]
fn s27_rfc_9449_section_4_1_proof_and_6_1_thumbprint() {
    let proof = format!(
        "{HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    );
    let request = Request {
        method: "POST",
        uri: "https://server.example.com/token",
        access_token: None,
        nonces: None,
        now: 1_562_262_620,
    };
    assert_eq!(
        dpop::verify(&proof, &request),
        Ok(Proof {
            thumbprint: Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap(),
            token_id: "-BwC3ESc6acc2lTc".into(),
            issued_at: 1_562_262_616,
            nonce: None,
        })
    );
}

#[test]
fn s27_rfc_9449_section_7_1_proof_with_the_hash_of_its_access_token() {
    let proof = format!(
        "{HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
    );
    let request = Request {
        method: "GET",
        uri: "https://resource.example.org/protectedresource",
        access_token: Some("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        nonces: None,
        now: 1_562_262_620,
    };
    assert!(dpop::verify(&proof, &request).is_ok());
}

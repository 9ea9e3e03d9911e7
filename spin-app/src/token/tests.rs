use ed25519_dalek::{Signer as _, SigningKey};

use super::*;

/// RFC 7515, appendix A.2 and A.3: the public keys and the tokens, whose `exp` is [`EXPIRES`].
const RFC_KEYS: &str = r#"{"keys":[
 {"kty":"RSA","kid":"a2","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
 {"kty":"EC","crv":"P-256","kid":"a3","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
 {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"}]}"#;
const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 7515, appendix A.1: a shared secret.
const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const EXPIRES: i64 = 1_300_819_380;

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 0 }
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn ed25519() -> Keys {
    let x = BASE64_URL_SAFE_NO_PAD.encode(signer().verifying_key().as_bytes());
    Keys::read(&format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"{x}"}}]}}"#)).unwrap()
}

/// A token of this header and these claims, signed by [`signer`].
fn signed(header: &str, claims: &str) -> Vec<u8> {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signer().sign(message.as_bytes()).to_bytes());
    bearer(&format!("{message}.{signature}"))
}

#[test]
fn the_tokens_of_the_rfc_are_good_until_a_minute_after_their_end() {
    let keys = Keys::read(RFC_KEYS).unwrap();
    for token in [RS256, ES256] {
        let claims = keys.claims(&bearer(token), at(EXPIRES)).expect("it is good");
        assert!(claims.get().contains("\"iss\":\"joe\""), "{}", claims.get());
        assert!(keys.claims(&bearer(token), at(EXPIRES + 59)).is_some());
        assert!(keys.claims(&bearer(token), at(EXPIRES + 60)).is_none());
        let (head, last) = token.split_at(token.len() - 2);
        assert!(keys.claims(&bearer(&format!("{head}AA")), at(0)).is_none(), "{last}");
    }
    assert!(keys.claims(&bearer(HS256), at(0)).is_none(), "nobody has shared secrets");
}

#[test]
fn the_key_decides_the_algorithm_and_the_token_must_name_it() {
    let keys = ed25519();
    let claims = format!(r#"{{"sub":"u1","exp":{EXPIRES}}}"#);
    assert!(keys.claims(&signed(r#"{"alg":"EdDSA","kid":"k1"}"#, &claims), at(0)).is_some());
    assert!(keys.claims(&signed(r#"{"alg":"EdDSA"}"#, &claims), at(0)).is_some());
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"eddsa"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"EdDSA","kid":"k2"}"#,
        r#"{"alg":"EdDSA","crit":["exp"]}"#,
        r#"{"kid":"k1"}"#,
        "[]",
        "",
    ] {
        assert!(keys.claims(&signed(header, &claims), at(0)).is_none(), "{header}");
    }
}

#[test]
fn times_issuer_and_audience_must_fit() {
    let keys = || ed25519().expecting(Some("https://id.example".into()), Some("shop".into()));
    let good =
        |claims: &str, now| keys().claims(&signed(r#"{"alg":"EdDSA"}"#, claims), at(now)).is_some();
    let who = r#""iss":"https://id.example","aud":"shop""#;
    assert!(good(&format!(r#"{{{who},"exp":1000}}"#), 0));
    assert!(good(r#"{"iss":"https://id.example","aud":["x","shop"],"exp":1000.5}"#, 0));
    assert!(good(&format!(r#"{{{who},"exp":1000,"nbf":60}}"#), 0), "within the leeway");
    for claims in [
        format!(r#"{{{who}}}"#),
        format!(r#"{{{who},"exp":"1000"}}"#),
        format!(r#"{{{who},"exp":1000,"nbf":61}}"#),
        r#"{"iss":"https://id.example","exp":1000}"#.to_owned(),
        r#"{"iss":"https://id.example","aud":["x"],"exp":1000}"#.to_owned(),
        r#"{"iss":"https://other.example","aud":"shop","exp":1000}"#.to_owned(),
        r#"["exp"]"#.to_owned(),
    ] {
        assert!(!good(&claims, 0), "{claims}");
    }
}

#[test]
fn what_is_no_token_gives_no_claims() {
    let keys = ed25519();
    for text in
        ["", "Bearer", "Bearer ", "Bearer a", "Bearer a.b", "Bearer ..", "Bearer a.b.c.d", "Basic dTpw"]
    {
        assert!(keys.claims(text.as_bytes(), at(0)).is_none(), "{text}");
    }
    assert!(keys.claims(&[b'B', 0xff], at(0)).is_none());
    assert!(keys.claims(&bearer(&"a".repeat(MAX_TOKEN + 1)), at(0)).is_none());
}

#[test]
fn key_sets_without_a_usable_key_are_refused() {
    for set in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
    ] {
        assert!(Keys::read(set).is_err(), "{set}");
    }
}

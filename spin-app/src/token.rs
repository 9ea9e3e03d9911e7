//! JSON Web Tokens: who the caller is, as somebody says whose keys are configured (RFC 7519; signatures RFC 7515, keys
//! RFC 7517).
//!
//! A key is for one algorithm, which its type decides and the token must name: EdDSA for Ed25519, ES256 for P-256, RS256
//! for RSA. `none` and the algorithms with shared secrets do not exist here.

use std::borrow::Cow;

use aecp_contract::value::Timestamp;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rsa::{BoxedUint, pkcs1v15};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;

/// The most bytes of a token.
const MAX_TOKEN: usize = 8 << 10;

/// The most keys.
const MAX_KEYS: usize = 32;

/// How far clocks may differ, in seconds.
const LEEWAY: f64 = 60.0;

/// The least and the most bits of an RSA key.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// Who may sign tokens, and for whom they must be.
#[derive(Debug)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    issuer: Option<String>,
    audience: Option<String>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    verifier: Verifier,
}

#[derive(Debug)]
enum Verifier {
    EdDsa(ed25519_dalek::VerifyingKey),
    Es256(p256::ecdsa::VerifyingKey),
    Rs256(pkcs1v15::VerifyingKey<Sha256>),
}

/// A key in a JSON Web Key Set.
#[derive(Deserialize)]
struct JsonKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// Borrowed texts only where nothing in them is escaped, as in all tokens that are made by anyone.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    /// Extensions that must be understood. None are.
    crit: Option<serde::de::IgnoredAny>,
}

/// The claims that are checked here.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Keys {
    /// Reads a JSON Web Key Set. Keys for encryption and of algorithms that are not known here are left out.
    ///
    /// # Errors
    /// In words, what is wrong.
    pub(crate) fn read(json: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<JsonKey>,
        }
        let set: Set = serde_json::from_str(json).map_err(|_| "is no JSON Web Key Set".to_owned())?;
        let mut keys = Vec::new();
        for key in set.keys.iter().filter(|key| key.usage.as_deref().is_none_or(|usage| usage == "sig"))
        {
            let Some(verifier) = Verifier::of(key)? else { continue };
            if key.alg.as_deref().is_some_and(|algorithm| algorithm != verifier.algorithm()) {
                continue;
            }
            keys.push(Key { id: key.kid.clone(), verifier });
        }
        match keys.len() {
            0 => Err("has no key for EdDSA, ES256 or RS256".to_owned()),
            1..=MAX_KEYS => Ok(Self { keys, issuer: None, audience: None }),
            _ => Err(format!("has more than {MAX_KEYS} keys")),
        }
    }

    /// The same keys, for tokens of this issuer and audience alone.
    pub(crate) fn expecting(self, issuer: Option<String>, audience: Option<String>) -> Self {
        Self { issuer, audience, ..self }
    }

    /// The claims of the token in an `authorization` header, as JSON; `None` if it holds none that is good at `now`.
    pub(crate) fn claims(&self, authorization: &[u8], now: Timestamp) -> Option<Box<RawValue>> {
        let text = std::str::from_utf8(authorization).ok()?;
        let (scheme, token) = text.split_once(' ')?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.len() > MAX_TOKEN {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header = decoded(header)?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        if header.crit.is_some() {
            return None;
        }
        let signature = decoded(signature)?;
        let could_sign = |key: &&Key| {
            key.verifier.algorithm() == header.alg
                && header.kid.as_deref().is_none_or(|kid| key.id.as_deref() == Some(kid))
        };
        let mut keys = self.keys.iter().filter(could_sign);
        if !keys.any(|key| key.verifier.verifies(message.as_bytes(), &signature)) {
            return None;
        }
        let payload = String::from_utf8(decoded(payload)?).ok()?;
        let claims: Claims = serde_json::from_str(&payload).ok()?;
        if !self.accepts(&claims, now) {
            return None;
        }
        RawValue::from_string(payload).ok()
    }

    fn accepts(&self, claims: &Claims, now: Timestamp) -> bool {
        let now = now.seconds as f64;
        let issuer = self.issuer.is_none() || self.issuer == claims.iss;
        let audience = self.audience.as_ref().is_none_or(|wanted| match &claims.aud {
            Some(Audience::One(audience)) => audience == wanted,
            Some(Audience::Many(audiences)) => audiences.contains(wanted),
            None => false,
        });
        issuer
            && audience
            && now < claims.exp + LEEWAY
            && claims.nbf.is_none_or(|not_before| now >= not_before - LEEWAY)
    }
}

impl Verifier {
    /// The key; `None` if it is of an algorithm that is not known here.
    fn of(key: &JsonKey) -> Result<Option<Self>, String> {
        let wrong = || format!("has a key of type `{:.20}` that is none", key.kty);
        let bytes = |text: &Option<String>| text.as_deref().and_then(decoded).ok_or_else(wrong);
        match (key.kty.as_str(), key.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => {
                let x: [u8; 32] = bytes(&key.x)?.try_into().map_err(|_| wrong())?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&x).map_err(|_| wrong())?;
                Ok(Some(Self::EdDsa(key)))
            }
            ("EC", Some("P-256")) => {
                let point = [&[4][..], &bytes(&key.x)?, &bytes(&key.y)?].concat();
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| wrong())?;
                Ok(Some(Self::Es256(key)))
            }
            ("RSA", _) => {
                let n = BoxedUint::from_be_slice_vartime(&bytes(&key.n)?);
                let e = BoxedUint::from_be_slice_vartime(&bytes(&key.e)?);
                if !RSA_BITS.contains(&n.bit_width_vartime()) {
                    return Err(format!("has an RSA key that has not {RSA_BITS:?} bits"));
                }
                let key = rsa::PublicKey::new(n, e).map_err(|_| wrong())?;
                Ok(Some(Self::Rs256(pkcs1v15::VerifyingKey::new(key))))
            }
            _ => Ok(None),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::EdDsa(_) => "EdDSA",
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        use rsa::signature::Verifier as _;
        match self {
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Rs256(key) => pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;

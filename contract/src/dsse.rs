//! DSSE envelopes: Ed25519 signatures over the pre-authentication encoding, never over bare JSON.
//!
//! Source: <https://github.com/secure-systems-lab/dsse>, protocol and envelope v1.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    refusal::{Code, Refusal},
};

/// The most bytes that an envelope may have.
pub const MAX_ENVELOPE_BYTES: usize = 1 << 20;

/// The most signatures that an envelope may have.
pub const MAX_SIGNATURES: usize = 32;

/// A signed payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The payload in base64.
    payload: String,
    /// Its media type, which the signatures cover too.
    #[serde(rename = "payloadType")]
    payload_type: String,
    /// At least one.
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: Digest,
    sig: String,
}

/// The id of a public key: the SHA-256 of its 32 bytes.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> Digest {
    Digest::of(key.as_bytes())
}

/// The bytes that are signed: type and payload with their lengths, so that neither can pass for the other.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs `payload` with every key of `keys`.
    #[must_use]
    pub fn sign(payload_type: &str, payload: &[u8], keys: &[&SigningKey]) -> Self {
        let message = pre_authentication_encoding(payload_type, payload);
        let signatures = keys
            .iter()
            .map(|key| EnvelopeSignature {
                keyid: key_id(&key.verifying_key()),
                sig: STANDARD.encode(key.sign(&message).to_bytes()),
            })
            .collect();
        Self { payload: STANDARD.encode(payload), payload_type: payload_type.to_owned(), signatures }
    }

    /// The envelope's one JSON form: no white space, fields in the order of the specification.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "strings and lists of strings always serialise")]
        serde_json::to_vec(self).expect("an envelope is plain data")
    }

    /// Reads an envelope; its signatures are not checked yet.
    ///
    /// # Errors
    /// [`Code::TooLarge`], [`Code::Truncated`] or [`Code::Malformed`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::from_json_within(bytes, MAX_ENVELOPE_BYTES)
    }

    /// The same, of another size at most.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_json_within(bytes: &[u8], limit: usize) -> Result<Self, Refusal> {
        let envelope: Self = parse_json(bytes, limit, "the envelope")?;
        if envelope.signatures.len() > MAX_SIGNATURES {
            return Err(Refusal::new(
                Code::TooLarge,
                format!("the envelope has more than {MAX_SIGNATURES} signatures"),
            ));
        }
        Ok(envelope)
    }

    /// The envelope with one more signature on the same payload.
    ///
    /// # Errors
    /// [`Code::Malformed`] if its payload is not base64, [`Code::TooLarge`] if it has too many signatures.
    pub fn cosigned(mut self, key: &SigningKey) -> Result<Self, Refusal> {
        let payload = self.unverified_payload()?;
        let more = Self::sign(&self.payload_type, &payload, &[key]).signatures;
        self.signatures.retain(|there| more.iter().all(|new| new.keyid != there.keyid));
        self.signatures.extend(more);
        if self.signatures.len() > MAX_SIGNATURES {
            let detail = format!("the envelope would have more than {MAX_SIGNATURES} signatures");
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        Ok(self)
    }

    /// The ids of the keys that signatures say they are by, which nobody has checked.
    pub fn claimed_keys(&self) -> impl Iterator<Item = Digest> {
        self.signatures.iter().map(|signature| signature.keyid)
    }

    /// The payload before any signature was checked: only for what must be read to find the keys.
    pub(crate) fn unverified_payload(&self) -> Result<Vec<u8>, Refusal> {
        STANDARD
            .decode(&self.payload)
            .map_err(|_| Refusal::new(Code::Malformed, "the payload is not base64"))
    }

    /// The payload, once `threshold` distinct `keys` have signed it as `payload_type`.
    ///
    /// # Errors
    /// [`Code::BadSignature`] if a signature that names one of `keys` is not that key's over this payload;
    /// [`Code::UnknownKey`] if none names one of them; [`Code::ThresholdNotMet`] if too few do.
    /// Signatures by other keys are passed over, as the specification says.
    pub fn verify(
        &self,
        payload_type: &str,
        keys: &BTreeMap<Digest, VerifyingKey>,
        threshold: usize,
    ) -> Result<Vec<u8>, Refusal> {
        if self.payload_type != payload_type {
            return Err(Refusal::new(
                Code::Malformed,
                format!("the payload is of type `{:.80}`, not `{payload_type}`", self.payload_type),
            ));
        }
        let payload = self.unverified_payload()?;
        let message = pre_authentication_encoding(payload_type, &payload);
        let mut signers = std::collections::BTreeSet::new();
        for signature in &self.signatures {
            let Some(key) = keys.get(&signature.keyid) else { continue };
            let valid = STANDARD
                .decode(&signature.sig)
                .ok()
                .and_then(|bytes| Signature::from_slice(&bytes).ok())
                .is_some_and(|parsed| key.verify_strict(&message, &parsed).is_ok());
            if !valid {
                return Err(Refusal::new(
                    Code::BadSignature,
                    format!("the signature by key {} does not fit the payload", signature.keyid),
                ));
            }
            signers.insert(signature.keyid);
        }
        if signers.is_empty() {
            return Err(Refusal::new(
                Code::UnknownKey,
                "no signature is by a key that the trust root gives this role",
            ));
        }
        if signers.len() < threshold.max(1) {
            return Err(Refusal::new(
                Code::ThresholdNotMet,
                format!("signed by {} of {threshold} distinct keys", signers.len()),
            ));
        }
        Ok(payload)
    }
}

/// Parses JSON within a limit, telling a cut-off text from a wrong one.
///
/// # Errors
/// [`Code::TooLarge`], [`Code::Truncated`] or [`Code::Malformed`], naming `what`.
pub fn parse_json<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    limit: usize,
    what: &str,
) -> Result<T, Refusal> {
    if bytes.len() > limit {
        return Err(Refusal::new(Code::TooLarge, format!("{what} is larger than {limit} bytes")));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_eof() { Code::Truncated } else { Code::Malformed };
        Refusal::new(code, format!("{what} cannot be read: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn role(keys: &[&SigningKey]) -> BTreeMap<Digest, VerifyingKey> {
        keys.iter().map(|k| (key_id(&k.verifying_key()), k.verifying_key())).collect()
    }

    fn code(result: Result<Vec<u8>, Refusal>) -> Code {
        result.unwrap_err().code
    }

    #[test]
    fn the_encoding_is_the_specifications_example() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn one_key_signing_twice_does_not_meet_a_threshold_of_two() {
        let (a, b) = (key(1), key(2));
        let twice = Envelope::sign("t", b"x", &[&a, &a]);
        assert_eq!(code(twice.verify("t", &role(&[&a, &b]), 2)), Code::ThresholdNotMet);
        let both = Envelope::sign("t", b"x", &[&a, &b]);
        assert_eq!(both.verify("t", &role(&[&a, &b]), 2).as_deref(), Ok(&b"x"[..]));
    }

    #[test]
    fn wrong_keys_types_and_payloads_are_refused_each_with_its_code() {
        let (a, b) = (key(1), key(2));
        let signed = Envelope::sign("t", b"x", &[&a]);
        assert_eq!(code(signed.verify("t", &role(&[&b]), 1)), Code::UnknownKey);
        assert_eq!(code(signed.verify("u", &role(&[&a]), 1)), Code::Malformed);
        let mut changed = signed.clone();
        changed.payload = STANDARD.encode(b"y");
        assert_eq!(code(changed.verify("t", &role(&[&a]), 1)), Code::BadSignature);
        let unsigned = Envelope { signatures: vec![], ..signed };
        assert_eq!(code(unsigned.verify("t", &role(&[&a]), 0)), Code::UnknownKey);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let a = key(1);
        let json = Envelope::sign("t", b"payload", &[&a]).to_json();
        let read = |bytes: &[u8]| Envelope::from_json(bytes)?.verify("t", &role(&[&a]), 1);
        assert!(read(&json).is_ok());
        for at in 0..json.len() {
            assert!(read(&json[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut flipped = json.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert_eq!(Envelope::from_json(&json[..40]).unwrap_err().code, Code::Truncated);
    }
}

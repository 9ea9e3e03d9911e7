//! Signed notes: a text, and below it the signatures of keys that have names.
//!
//! Source: <https://c2sp.org/signed-note> v1.0.0; cosignatures: <https://c2sp.org/tlog-cosignature>, Ed25519.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::{TlogError, base64, decimal};
use crate::digest::Digest;

/// The most bytes that a note may have.
pub const MAX_NOTE_BYTES: usize = 256 << 10;

/// The most signatures that a note may have.
pub const MAX_SIGNATURES: usize = 64;

/// What a key's signatures are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// The text (type `0x01`): logs sign so.
    Signer,
    /// The text and a time (type `0x04`): witnesses cosign so.
    Cosigner,
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Signer => 0x01,
            Self::Cosigner => 0x04,
        }
    }
}

/// A public key with its name: a `vkey`, written `<name>+<id in hex>+<base64>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

/// A private key with its name.
#[derive(Clone)]
pub struct NoteKey {
    name: String,
    kind: KeyKind,
    key: SigningKey,
}

/// Whether a text can be the name of a key.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

impl VerifierKey {
    /// The key with this name; `None` if it can be none.
    #[must_use]
    pub fn new(name: &str, kind: KeyKind, key: VerifyingKey) -> Option<Self> {
        is_key_name(name).then(|| Self { name: name.to_owned(), kind, key })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures are over.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether this is the same key, whatever its name.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// The first four bytes of a hash over name, kind and key.
    fn id(&self) -> [u8; 4] {
        let parts = [self.name.as_bytes(), b"\n", &[self.kind.byte()], self.key.as_bytes()];
        let [a, b, c, d, ..] = *Digest::of_parts(&parts).as_bytes();
        [a, b, c, d]
    }

    /// Checks this key's signature of `text`; a cosigner's gives the time, in seconds since 1970.
    fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, TlogError> {
        let bad = || TlogError::BadSignature(self.name.clone());
        let (time, message, signature) = match self.kind {
            KeyKind::Signer => (None, text.to_owned(), signature),
            KeyKind::Cosigner => {
                let (time, signature) = signature.split_first_chunk::<8>().ok_or_else(bad)?;
                let time = u64::from_be_bytes(*time);
                if time > i64::MAX as u64 {
                    return Err(bad());
                }
                (Some(time), cosigned(text, time), signature)
            }
        };
        let signature = Signature::from_slice(signature).map_err(|_| bad())?;
        self.key.verify_strict(message.as_bytes(), &signature).map_err(|_| bad())?;
        Ok(time)
    }
}

/// What a witness signs.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let material = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), base64(&material))
    }
}

impl FromStr for VerifierKey {
    type Err = TlogError;

    fn from_str(text: &str) -> Result<Self, TlogError> {
        let wrong = |why: &str| TlogError::malformed("the verifier key", why);
        // Base64 has plus signs too, names and ids have none.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("it is not `<name>+<id>+<key>`"));
        };
        let material = STANDARD.decode(material).map_err(|_| wrong("its key is no base64"))?;
        let Some((kind, key)) = material.split_first() else { return Err(wrong("its key is empty")) };
        let kind = match kind {
            0x01 => KeyKind::Signer,
            0x04 => KeyKind::Cosigner,
            _ => return Err(wrong("only Ed25519 keys (types 0x01 and 0x04) are known")),
        };
        let key = <&[u8; 32]>::try_from(key).ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
        let key = key.ok_or_else(|| wrong("its key is no Ed25519 key"))?;
        let key = Self::new(name, kind, key).ok_or_else(|| wrong("its name is not one"))?;
        if format!("{:08x}", u32::from_be_bytes(key.id())) != id {
            return Err(wrong("its id is not that of its name and key"));
        }
        Ok(key)
    }
}

impl NoteKey {
    /// The key with this name; `None` if it can be none.
    #[must_use]
    pub fn new(name: &str, kind: KeyKind, key: SigningKey) -> Option<Self> {
        is_key_name(name).then(|| Self { name: name.to_owned(), kind, key })
    }

    /// Its public half.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), kind: self.kind, key: self.key.verifying_key() }
    }

    /// The signature line for a text, with its line feed. `now` is in seconds since 1970 and matters to cosigners alone.
    #[must_use]
    pub fn sign(&self, text: &str, now: u64) -> String {
        let mut bytes = self.verifier().id().to_vec();
        match self.kind {
            KeyKind::Signer => bytes.extend(self.key.sign(text.as_bytes()).to_bytes()),
            KeyKind::Cosigner => {
                bytes.extend(now.to_be_bytes());
                bytes.extend(self.key.sign(cosigned(text, now).as_bytes()).to_bytes());
            }
        }
        format!("\u{2014} {} {}\n", self.name, base64(&bytes))
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteKey").field("verifier", &self.verifier().to_string()).finish_non_exhaustive()
    }
}

/// A note as it was read; nothing in it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'n> {
    text: &'n str,
    signatures: Vec<NoteSignature<'n>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature<'n> {
    name: &'n str,
    id: [u8; 4],
    signature: Vec<u8>,
}

/// A note is written: the text, which ends in a line feed, an empty line, and the signature lines.
#[must_use]
pub fn write(text: &str, signatures: &[String]) -> String {
    format!("{text}\n{}", signatures.concat())
}

impl<'n> Note<'n> {
    /// Reads a note.
    ///
    /// # Errors
    /// [`TlogError::Malformed`].
    pub fn read(bytes: &'n [u8]) -> Result<Self, TlogError> {
        let wrong = |why: &str| TlogError::malformed("the note", why);
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(wrong(&format!("it is above {MAX_NOTE_BYTES} bytes")));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
        if note.contains(|c: char| c.is_ascii_control() && c != '\n') {
            return Err(wrong("it has control characters"));
        }
        let at = note.rfind("\n\n").ok_or_else(|| wrong("no empty line parts text and signatures"))?;
        let (text, lines) = (&note[..=at], &note[at + 2..]);
        let lines = lines.strip_suffix('\n').ok_or_else(|| wrong("it does not end in a line feed"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(wrong(&format!("it has more than {MAX_SIGNATURES} signatures")));
            }
            let signature = line.strip_prefix("\u{2014} ").and_then(|line| {
                let (name, signature) = line.split_once(' ')?;
                let bytes = STANDARD.decode(signature).ok()?;
                let (id, signature) = bytes.split_first_chunk::<4>()?;
                let usable = is_key_name(name) && !signature.is_empty();
                usable.then(|| NoteSignature { name, id: *id, signature: signature.to_vec() })
            });
            signatures.push(signature.ok_or_else(|| wrong("a signature line is none"))?);
        }
        Ok(Self { text, signatures })
    }

    /// The text, with its last line feed. Not to be believed before [`Note::verify`].
    #[must_use]
    pub fn text(&self) -> &'n str {
        self.text
    }

    /// Which of these keys signed, by their places in `keys`, with the time if it is a cosigner's. Signatures of other
    /// keys are passed over.
    ///
    /// # Errors
    /// [`TlogError::BadSignature`] if one of these keys is named by a signature that is not its.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<(usize, Option<u64>)>, TlogError> {
        let mut signed = Vec::new();
        for (place, key) in keys.into_iter().enumerate() {
            let id = key.id();
            for signature in &self.signatures {
                if signature.name == key.name && signature.id == id {
                    let time = key.verify(self.text, &signature.signature)?;
                    if signed.last().is_none_or(|(last, _)| *last != place) {
                        signed.push((place, time));
                    }
                }
            }
        }
        Ok(signed)
    }
}

/// Reads a line `<word> <decimal number>`.
pub(super) fn numbered(line: &str, word: &str) -> Option<u64> {
    decimal(line.strip_prefix(word)?.strip_prefix(' ')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    /// The example of the specification.
    #[test]
    fn the_specifications_note_is_verified_by_its_key() {
        let key: VerifierKey = VKEY.parse().unwrap();
        assert_eq!(key.to_string(), VKEY);
        let note = Note::read(NOTE.as_bytes()).unwrap();
        assert_eq!(note.text(), "This is an example message.\n");
        assert_eq!(note.verify([&key]), Ok(vec![(0, None)]));
        let changed = NOTE.replace("example message", "exemple message");
        let note = Note::read(changed.as_bytes()).unwrap();
        assert_eq!(note.verify([&key]), Err(TlogError::BadSignature("example.com/foo".to_owned())));
        let renamed = NOTE.replace("\u{2014} example.com/foo", "\u{2014} example.com/bar");
        assert_eq!(Note::read(renamed.as_bytes()).unwrap().verify([&key]), Ok(vec![]));
    }

    #[test]
    fn keys_sign_what_they_verify_each_in_its_way() {
        let [log, witness] = [(1, KeyKind::Signer), (2, KeyKind::Cosigner)].map(|(seed, kind)| {
            NoteKey::new("example.com/log", kind, SigningKey::from_bytes(&[seed; 32])).unwrap()
        });
        let text = "example.com/log\n0\nx\n";
        let note = write(text, &[log.sign(text, 0), witness.sign(text, 1_679_315_147)]);
        let note = Note::read(note.as_bytes()).unwrap();
        let (log, witness) = (log.verifier(), witness.verifier());
        assert_eq!(note.verify([&witness, &log]), Ok(vec![(0, Some(1_679_315_147)), (1, None)]));
        for key in [log, witness] {
            assert_eq!(key.to_string().parse::<VerifierKey>(), Ok(key));
        }
    }

    #[test]
    fn what_is_no_note_or_key_is_refused() {
        let signature = &NOTE[NOTE.find('\u{2014}').unwrap()..];
        for bad in [
            "",
            "text\n",
            "text\n\n",
            "text\n\nno dash\n",
            &NOTE[..NOTE.len() - 1],
            &NOTE.replace("message.", "message.\t"),
            &format!("text\n\n{}", signature.replace("Uw2Q", "\u{fffd}")),
            &format!("text\n\n{}", signature.repeat(MAX_SIGNATURES + 1)),
            "text\n\n\u{2014} name AAAAAA==\n",
        ] {
            assert!(Note::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Note::read(b"text\xff\n\n").is_err());
        assert!(Note::read(&vec![b'\n'; MAX_NOTE_BYTES + 1]).is_err());
        for bad in [
            "",
            "name",
            "name+00000000",
            &VKEY.replace("530d903a", "530d903b"),
            &VKEY.replace("530d903a", "530D903A"),
            &VKEY.replace("/foo", "/f oo"),
            &VKEY.replace("AekyeRrm", "AukyeRrm"),
            "example.com/foo+530d903a+",
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_output_of_a_private_key_does_not_show_it() {
        let key = NoteKey::new("n", KeyKind::Signer, SigningKey::from_bytes(&[0xAB; 32])).unwrap();
        assert!(!format!("{key:?}").contains("171") && !format!("{key:?}").contains("abab"));
    }
}

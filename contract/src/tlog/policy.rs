//! Which logs are believed, and which witnesses must have seen what they say: the file that an auditor keeps.
//!
//! Source: <https://c2sp.org/tlog-policy>.

use std::{collections::BTreeMap, str::FromStr};

use super::{
    TlogError,
    checkpoint::Checkpoint,
    note::{KeyKind, Note, VerifierKey},
};

/// The most bytes of a policy.
const MAX_POLICY_BYTES: usize = 1 << 20;

/// The most logs, witnesses and groups together.
const MAX_NAMES: usize = 4096;

/// A log policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPolicy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    /// Where each witness is asked, if the policy says so.
    urls: Vec<Option<String>>,
    quorum: Quorum,
    /// What the quorum is called.
    quorum_name: String,
}

/// Who must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Quorum {
    None,
    /// This witness, by its place.
    Witness(usize),
    /// So many of these.
    Group(usize, Vec<Quorum>),
}

/// A checkpoint that the policy believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The head that was signed.
    pub checkpoint: Checkpoint,
    /// The names of the witnesses that cosigned it, with the time of each in seconds since 1970.
    pub witnesses: Vec<(String, u64)>,
}

impl LogPolicy {
    /// A policy that trusts these logs and asks for no witness.
    #[must_use]
    pub fn of_logs(logs: Vec<VerifierKey>) -> Self {
        Self {
            logs,
            witnesses: Vec::new(),
            urls: Vec::new(),
            quorum: Quorum::None,
            quorum_name: "none".to_owned(),
        }
    }

    /// The same witnesses and quorum, for this log alone.
    #[must_use]
    pub fn for_log(self, log: VerifierKey) -> Self {
        Self { logs: vec![log], ..self }
    }

    /// The logs that it trusts.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The witnesses that it names, with the URL at which each is asked, if it gives one.
    pub fn witnesses(&self) -> impl Iterator<Item = (&VerifierKey, Option<&str>)> {
        self.witnesses.iter().zip(self.urls.iter().map(Option::as_deref))
    }

    /// The checkpoint that a note holds, if a log of its very origin signed it and the quorum cosigned.
    ///
    /// # Errors
    /// [`TlogError`].
    pub fn trusted(&self, note: &[u8]) -> Result<Trusted, TlogError> {
        let note = Note::read(note)?;
        let checkpoint = Checkpoint::from_text(note.text())?;
        let logs = self.logs.iter().filter(|log| log.name() == checkpoint.origin);
        if note.verify(logs)?.is_empty() {
            return Err(TlogError::NotSigned("the checkpoint"));
        }
        let cosigned = note.verify(&self.witnesses)?;
        let has = |place: usize| cosigned.iter().any(|(witness, _)| *witness == place);
        if !self.quorum.is_met(&has) {
            return Err(TlogError::NoQuorum(self.quorum_name.clone()));
        }
        let named = |(place, time): &(usize, Option<u64>)| {
            (self.witnesses[*place].name().to_owned(), time.unwrap_or_default())
        };
        Ok(Trusted { checkpoint, witnesses: cosigned.iter().map(named).collect() })
    }
}

impl Quorum {
    fn is_met(&self, has: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::None => true,
            Self::Witness(place) => has(*place),
            Self::Group(threshold, members) => {
                members.iter().filter(|member| member.is_met(has)).count() >= *threshold
            }
        }
    }
}

impl FromStr for LogPolicy {
    type Err = TlogError;

    fn from_str(text: &str) -> Result<Self, TlogError> {
        if text.len() > MAX_POLICY_BYTES {
            let why = format!("it is above {MAX_POLICY_BYTES} bytes");
            return Err(TlogError::malformed("the log policy", why));
        }
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(text.split('\n')) {
            reader.line(line).map_err(|why| {
                TlogError::malformed("the log policy", format!("line {number}: {why}"))
            })?;
        }
        let (quorum_name, quorum) = reader
            .quorum
            .take()
            .ok_or_else(|| TlogError::malformed("the log policy", "it has no `quorum` line"))?;
        let Reader { logs, witnesses, urls, .. } = reader;
        Ok(Self { logs, witnesses, urls, quorum, quorum_name })
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    urls: Vec<Option<String>>,
    /// Witnesses and groups that may still become members of a group: each may be one of one group.
    free: BTreeMap<String, Option<Quorum>>,
    quorum: Option<(String, Quorum)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.contains(|c: char| c.is_ascii_control() && c != '\t') {
            return Err("control characters".to_owned());
        }
        let words: Vec<_> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [word, ..] if word.starts_with('#') => Ok(()),
            ["log", vkey] | ["log", vkey, _] => {
                let key = read_key(vkey, KeyKind::Signer)?;
                if self.logs.iter().any(|log| log.same_key(&key)) {
                    return Err("this log's key stands twice".to_owned());
                }
                self.logs.push(key);
                self.bounded()
            }
            ["witness", name, vkey, url @ ..] if url.len() < 2 => {
                let key = read_key(vkey, KeyKind::Cosigner)?;
                if self.witnesses.iter().any(|witness| witness.same_key(&key)) {
                    return Err("this witness's key stands twice".to_owned());
                }
                self.witnesses.push(key);
                self.urls.push(url.first().map(|url| (*url).to_owned()));
                self.define(name, Quorum::Witness(self.witnesses.len() - 1))
            }
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                let threshold = match *threshold {
                    "any" => 1,
                    "all" => members.len(),
                    number => super::decimal(number)
                        .and_then(|number| usize::try_from(number).ok())
                        .filter(|number| (1..=members.len()).contains(number))
                        .ok_or("the number is none of 1 to the number of members")?,
                };
                let members = members.iter().map(|member| self.take(member));
                let members = members.collect::<Result<_, _>>()?;
                self.define(name, Quorum::Group(threshold, members))
            }
            ["quorum", name] => {
                if self.quorum.is_some() {
                    return Err("a second `quorum`".to_owned());
                }
                let quorum = if *name == "none" { Quorum::None } else { self.take(name)? };
                self.quorum = Some(((*name).to_owned(), quorum));
                Ok(())
            }
            _ => Err("it is no `log`, `witness`, `group` or `quorum` line".to_owned()),
        }
    }

    fn define(&mut self, name: &str, quorum: Quorum) -> Result<(), String> {
        if name == "none" || self.free.insert(name.to_owned(), Some(quorum)).is_some() {
            return Err(format!("the name `{name}` is taken"));
        }
        self.bounded()
    }

    fn bounded(&self) -> Result<(), String> {
        let names = self.logs.len() + self.free.len();
        if names > MAX_NAMES { Err(format!("more than {MAX_NAMES} names")) } else { Ok(()) }
    }

    fn take(&mut self, name: &str) -> Result<Quorum, String> {
        let place = self.free.get_mut(name).ok_or_else(|| format!("`{name}` is not defined above"))?;
        place.take().ok_or_else(|| format!("`{name}` is a member already"))
    }
}

fn read_key(text: &str, kind: KeyKind) -> Result<VerifierKey, String> {
    let key: VerifierKey = text.parse().map_err(|error: TlogError| error.to_string())?;
    if key.kind() != kind {
        return Err("the key is of the wrong kind (logs: type 0x01, witnesses: 0x04)".to_owned());
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::tlog::{
        merkle::empty_root,
        note::{self, NoteKey},
    };

    fn key(seed: u8, name: &str, kind: KeyKind) -> NoteKey {
        NoteKey::new(name, kind, SigningKey::from_bytes(&[seed; 32])).unwrap()
    }

    #[test]
    fn a_checkpoint_is_believed_only_as_the_quorum_says() {
        let log = key(1, "example.com/log", KeyKind::Signer);
        let witnesses = [(2, "w/x1"), (3, "w/x2"), (4, "w/y")]
            .map(|(seed, name)| key(seed, name, KeyKind::Cosigner));
        let [x1, x2, y] = witnesses.each_ref().map(NoteKey::verifier);
        let policy: LogPolicy = format!(
            "# two of three kinds\nlog {} https://example.com/log\n\nwitness X1 {x1}\nwitness X2 {x2}\n\
             witness Y {y} https://w/y\n\tgroup X any X1 X2\ngroup both all X  Y\nquorum both\n",
            log.verifier()
        )
        .parse()
        .unwrap();
        let text =
            Checkpoint { origin: "example.com/log".into(), size: 0, root: empty_root() }.to_text();
        let check = |signers: &[&NoteKey]| {
            let lines: Vec<_> = signers.iter().map(|key| key.sign(&text, 77)).collect();
            policy.trusted(note::write(&text, &lines).as_bytes())
        };
        let [x1, x2, y] = &witnesses;
        let trusted = check(&[&log, y, x2]).unwrap();
        assert_eq!(trusted.witnesses, [("w/x2".to_owned(), 77), ("w/y".to_owned(), 77)]);
        assert_eq!(check(&[&log, x1, x2]), Err(TlogError::NoQuorum("both".to_owned())));
        assert_eq!(check(&[&log]), Err(TlogError::NoQuorum("both".to_owned())));
        assert_eq!(check(&[x1, x2, y]), Err(TlogError::NotSigned("the checkpoint")));
        let other = key(1, "example.com/other", KeyKind::Signer);
        assert_eq!(check(&[&other, y, x1]), Err(TlogError::NotSigned("the checkpoint")));
    }

    #[test]
    fn what_is_no_policy_is_refused_with_its_line() {
        let log = key(1, "log", KeyKind::Signer).verifier();
        let witness = key(2, "w", KeyKind::Cosigner).verifier();
        for (bad, why) in [
            (String::new(), "no `quorum`"),
            (format!("log {log}\nlog {log}\nquorum none\n"), "line 2: this log's key stands twice"),
            (format!("log {witness}\nquorum none\n"), "line 1: the key is of the wrong kind"),
            (format!("witness a {witness}\nquorum b\n"), "line 2: `b` is not defined above"),
            (format!("witness none {witness}\n"), "line 1: the name `none` is taken"),
            (format!("witness a {witness}\ngroup g 2 a\nquorum g\n"), "line 2: the number"),
            (
                format!("witness a {witness}\ngroup g all a a\nquorum g\n"),
                "line 2: `a` is a member already",
            ),
            (format!("witness a {witness}\ngroup g any g\nquorum g\n"), "line 2: `g` is not defined"),
            ("quorum none\nquorum none\n".to_owned(), "line 2: a second"),
            ("quorum none\r\n".to_owned(), "line 1: control"),
            ("quorums none\n".to_owned(), "line 1: it is no"),
        ] {
            let error = bad.parse::<LogPolicy>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
    }
}

//! Checkpoints: the head of a log's tree at one size, as the log signs and witnesses cosign it.
//!
//! Source: <https://c2sp.org/tlog-checkpoint> v1.0.0.

use super::{TlogError, base64, decimal, hash_line};
use crate::digest::Digest;

/// The head of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a URL without its scheme.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(self.root.as_bytes()))
    }

    /// Reads the text of a note. Extension lines are passed over: nothing here signs or believes any.
    ///
    /// # Errors
    /// [`TlogError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, TlogError> {
        let wrong = |why| TlogError::malformed("the checkpoint", why);
        let mut lines =
            text.strip_suffix('\n').ok_or_else(|| wrong("it does not end in a line feed"))?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or_else(|| wrong("no origin"))?;
        let size = lines.next().and_then(decimal).ok_or_else(|| wrong("no tree size"))?;
        let root = lines.next().and_then(hash_line).ok_or_else(|| wrong("no root hash"))?;
        if lines.any(str::is_empty) {
            return Err(wrong("an empty line"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_specifications_checkpoint_reads_back() {
        let checkpoint = Checkpoint::from_text(TEXT).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(checkpoint.to_text(), TEXT);
        assert_eq!(Checkpoint::from_text(&format!("{TEXT}extension\n")), Ok(checkpoint));
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for bad in [
            "",
            "\n",
            "origin\n",
            "origin\n1\n",
            "origin\n1\nAAAA\n",
            &TEXT.replace("2085", "02085"),
            &TEXT.replace("2085", "+2085"),
            &TEXT.replace("20852163", "20852163208521632085"),
            &TEXT[1 + TEXT.find('\n').unwrap()..],
            &format!("\n{TEXT}"),
            &format!("{TEXT}\n"),
            TEXT.trim_end(),
        ] {
            assert!(Checkpoint::from_text(bad).is_err(), "{bad:?}");
        }
    }
}

//! References cut into words.

/// A run of letters and digits, and what stands between it and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// Neither letter nor digit; may be empty at the start.
    pub(super) before: &'a str,
    /// The run.
    pub(super) text: &'a str,
}

impl Word<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn is_number(&self) -> bool {
        self.text.bytes().all(|byte| byte.is_ascii_digit())
    }

    pub(super) fn has_digit(&self) -> bool {
        self.text.bytes().any(|byte| byte.is_ascii_digit())
    }

    /// Whether it goes on with what the word before began: `3.4`.
    pub(super) fn is_glued(&self) -> bool {
        self.before == "."
    }

    /// Whether what stands before it sets it apart from an identifier: a list, a range, a title.
    pub(super) fn is_apart(&self) -> bool {
        self.before.contains([',', ';', ':', '&', '+', '/', '-', '–', '—'])
    }
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_alphanumeric()).unwrap_or(from.len());
        let (text, after) = from.split_at(end);
        words.push(Word { before, text });
        rest = after;
    }
    words
}

/// The components of an identifier: `164.312(a)(1)` has four.
pub(super) fn components(id: &str) -> Vec<&str> {
    words(id).into_iter().map(|word| word.text).collect()
}

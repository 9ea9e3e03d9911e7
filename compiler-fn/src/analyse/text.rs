//! Sets of texts: a few, or all that match some patterns and not others, but for a few.

use std::{cell::Cell, sync::Arc};

use super::glob::{Found, Pattern, search};

/// A set of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextSet {
    /// These, sorted.
    Some(Vec<Arc<str>>),
    /// Every text that these let through.
    Rest(Filter),
}

/// What keeps texts out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    like: Vec<Pattern>,
    unlike: Vec<Pattern>,
    /// Sorted.
    not: Vec<Arc<str>>,
}

impl Filter {
    fn admits(&self, text: &str) -> bool {
        self.not.binary_search_by(|other| other.as_ref().cmp(text)).is_err()
            && self.like.iter().all(|pattern| pattern.matches(text))
            && !self.unlike.iter().any(|pattern| pattern.matches(text))
    }
}

impl TextSet {
    pub(super) fn all() -> Self {
        Self::Rest(Filter::default())
    }

    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Some(sorted(texts.into_iter().map(Arc::from)))
    }

    pub(super) fn like(pattern: Pattern) -> Self {
        match pattern.literal() {
            Some(text) => Self::of([text.as_str()]),
            None => Self::Rest(Filter { like: vec![pattern], ..Filter::default() }),
        }
    }

    /// The complement of a set made by [`Self::of`] or [`Self::like`].
    pub(super) fn not(&self) -> Self {
        Self::Rest(match self {
            Self::Some(texts) => Filter { not: texts.clone(), ..Filter::default() },
            Self::Rest(filter) => Filter { unlike: filter.like.clone(), ..Filter::default() },
        })
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        match self {
            Self::Some(texts) => texts.binary_search_by(|other| other.as_ref().cmp(text)).is_ok(),
            Self::Rest(filter) => filter.admits(text),
        }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Some(texts), set) | (set, Self::Some(texts)) => {
                Self::Some(texts.iter().filter(|text| set.contains(text)).cloned().collect())
            }
            (Self::Rest(a), Self::Rest(b)) => {
                let join = |a: &[Pattern], b: &[Pattern]| {
                    let mut joined = a.to_vec();
                    joined.extend(b.iter().filter(|pattern| !a.contains(pattern)).cloned());
                    joined
                };
                let (like, unlike) = (join(&a.like, &b.like), join(&a.unlike, &b.unlike));
                // Else that a pattern is asked for and ruled out would only show once all else is chosen.
                if like.iter().any(|pattern| unlike.contains(pattern)) {
                    return Self::of([]);
                }
                Self::Rest(Filter { like, unlike, not: sorted(a.not.iter().chain(&b.not).cloned()) })
            }
        }
    }

    /// The set without one text.
    pub(super) fn without(&self, text: &str) -> Self {
        self.and(&Self::of([text]).not())
    }

    /// Whether it is the empty set as far as that is seen at once; [`Self::pick`] says it surely.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Some(texts) => texts.is_empty(),
            Self::Rest(Filter { like, .. }) => {
                like.iter().enumerate().any(|(at, one)| like[..at].iter().any(|o| one.apart_from(o)))
            }
        }
    }

    /// A member, one that reads well if there is a choice.
    pub(super) fn pick(&self, left: &Cell<u64>) -> Found {
        match self {
            Self::Some(texts) => match texts.first() {
                Some(text) => Found::Text(text.to_string()),
                None => Found::None,
            },
            Self::Rest(filter) => {
                let usual = ["other", "another", "third"].into_iter().find(|text| filter.admits(text));
                match usual {
                    Some(text) => Found::Text(text.to_owned()),
                    None => search(&filter.like, &filter.unlike, &filter.not, left),
                }
            }
        }
    }

    /// Up to `count` members: all of them if there are fewer; `None` if that is too hard to tell.
    pub(super) fn some(&self, count: usize, left: &Cell<u64>) -> Option<Vec<String>> {
        if let Self::Some(texts) = self {
            return Some(texts.iter().take(count).map(ToString::to_string).collect());
        }
        let (mut rest, mut members) = (self.clone(), Vec::new());
        while members.len() < count {
            match rest.pick(left) {
                Found::Text(text) => {
                    rest = rest.without(&text);
                    members.push(text);
                }
                Found::None => break,
                Found::TooHard => return None,
            }
        }
        Some(members)
    }
}

fn sorted(texts: impl IntoIterator<Item = Arc<str>>) -> Vec<Arc<str>> {
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_from_others_and_all_of_a_small_set_are_found() {
        let few = TextSet::of(["b", "a", "ab"]);
        let begins = TextSet::like(Pattern::around(false, "a", true));
        assert_eq!(few.and(&begins), TextSet::of(["a", "ab"]));
        assert_eq!(few.and(&begins.not()), TextSet::of(["b"]));
        assert!(few.and(&few.not()).is_empty());
        assert!(begins.and(&TextSet::like(Pattern::glob("b*"))).is_empty());
        let one = begins.and(&TextSet::like(Pattern::glob("a?*")).not());
        let left = Cell::new(10_000);
        assert_eq!(one.some(3, &left), Some(vec!["a".to_owned()]));
        assert_eq!(one.without("a").pick(&left), Found::None);
        assert_eq!(TextSet::all().some(5, &left).map(|texts| texts.len()), Some(5));
        assert_eq!(TextSet::like(Pattern::glob(r"a\*")), TextSet::of(["a*"]));
    }

    #[test]
    fn a_pattern_that_is_asked_for_and_ruled_out_leaves_no_text_at_once() {
        let eu = TextSet::like(Pattern::glob("eu-*"));
        assert!(eu.and(&eu.not()).is_empty());
        assert!(!eu.and(&TextSet::like(Pattern::glob("*-1")).not()).is_empty());
    }
}

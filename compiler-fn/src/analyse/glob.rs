//! Texts that match some patterns and not others: a breadth-first walk over the patterns' automata at once.
//!
//! The automaton of a pattern is simulated by the set of places in the pattern that the text so far may have reached.
//! All characters that no pattern and no excluded text names behave alike, so one of them stands for all.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// The most states that one search visits before it gives up.
const MAX_STATES: usize = 4096;

/// One symbol of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    /// This character.
    Is(char),
    /// Any one character: `?`.
    One,
    /// Any text: `*`.
    Any,
}

/// A pattern that whole texts match or do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Symbol>);

impl Pattern {
    /// `MATCHES`: `*` is any text, `?` any one character, `\` takes the next character as it is.
    pub(super) fn glob(glob: &str) -> Self {
        let mut symbols = Vec::new();
        let mut characters = glob.chars();
        while let Some(character) = characters.next() {
            symbols.push(match character {
                '*' => Symbol::Any,
                '?' => Symbol::One,
                '\\' => Symbol::Is(characters.next().unwrap_or('\\')),
                other => Symbol::Is(other),
            });
        }
        Self(symbols)
    }

    /// `text` with any text before it, after it, or both.
    pub(super) fn around(before: bool, text: &str, after: bool) -> Self {
        let any = |wanted: bool| wanted.then_some(Symbol::Any);
        Self(any(before).into_iter().chain(text.chars().map(Symbol::Is)).chain(any(after)).collect())
    }

    /// The one text that matches, if there is no wildcard.
    pub(super) fn literal(&self) -> Option<String> {
        let character = |symbol: &Symbol| match symbol {
            Symbol::Is(character) => Some(*character),
            Symbol::One | Symbol::Any => None,
        };
        self.0.iter().map(character).collect()
    }

    /// Goes back to the last `*` alone, since what an earlier one could take the last one can take as well.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut place, mut at, mut star) = (0, 0, None);
        while let Some(character) = text.get(at) {
            match (self.0.get(place), star) {
                (Some(Symbol::Any), _) => {
                    star = Some((place + 1, at));
                    place += 1;
                    continue;
                }
                (Some(Symbol::One), _) => {}
                (Some(Symbol::Is(wanted)), _) if wanted == character => {}
                (_, Some((after, taken))) => {
                    star = Some((after, taken + 1));
                    (place, at) = (after, taken + 1);
                    continue;
                }
                (_, None) => return false,
            }
            place += 1;
            at += 1;
        }
        self.0[place..].iter().all(|symbol| *symbol == Symbol::Any)
    }

    /// Whether no text can match both, seen at once by how they begin and end.
    pub(super) fn apart_from(&self, other: &Self) -> bool {
        fn differ<'s>(
            one: impl Iterator<Item = &'s Symbol>,
            other: impl Iterator<Item = &'s Symbol>,
        ) -> bool {
            one.zip(other)
                .take_while(|(a, b)| **a != Symbol::Any && **b != Symbol::Any)
                .any(|(a, b)| a != b && *a != Symbol::One && *b != Symbol::One)
        }
        differ(self.0.iter(), other.0.iter()) || differ(self.0.iter().rev(), other.0.iter().rev())
    }

    fn start(&self) -> Places {
        let mut places = Places::new(self.0.len() + 1);
        self.reach(&mut places, 0);
        places
    }

    /// Marks a place, and those that `*` lets a text reach for nothing.
    fn reach(&self, places: &mut Places, mut place: usize) {
        places.insert(place);
        while self.0.get(place) == Some(&Symbol::Any) {
            place += 1;
            places.insert(place);
        }
    }

    fn step(&self, places: &Places, character: char) -> Places {
        let mut next = Places::new(self.0.len() + 1);
        for (place, symbol) in self.0.iter().enumerate().filter(|(place, _)| places.contains(*place)) {
            match symbol {
                Symbol::Any => self.reach(&mut next, place),
                Symbol::One => self.reach(&mut next, place + 1),
                Symbol::Is(wanted) if *wanted == character => self.reach(&mut next, place + 1),
                Symbol::Is(_) => {}
            }
        }
        next
    }

    fn accepts(&self, places: &Places) -> bool {
        places.contains(self.0.len())
    }

    fn characters(&self) -> impl Iterator<Item = char> {
        self.0.iter().filter_map(|symbol| match symbol {
            Symbol::Is(character) => Some(*character),
            Symbol::One | Symbol::Any => None,
        })
    }
}

/// A set of places in a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Places(Vec<u64>);

impl Places {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn contains(&self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// What a search for a text came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// This one.
    Text(String),
    /// There is none.
    None,
    /// The patterns are too intricate.
    TooHard,
}

/// One node of the walk: where every pattern is, which excluded texts begin like this, and how it was reached.
struct Node {
    like: Vec<Places>,
    unlike: Vec<Places>,
    /// The excluded texts that begin with the text so far, if any do.
    excluded: (usize, usize),
    from: usize,
    by: char,
    bytes: usize,
}

/// The shortest text that matches all of `like`, none of `unlike`, and is none of `not` (sorted). What it takes is taken
/// off the work that is `left`.
pub(super) fn search(like: &[Pattern], unlike: &[Pattern], not: &[Arc<str>], left: &Cell<u64>) -> Found {
    let alphabet = alphabet(like, unlike, not);
    let start = |patterns: &[Pattern]| patterns.iter().map(Pattern::start).collect::<Vec<_>>();
    let mut nodes = vec![Node {
        like: start(like),
        unlike: start(unlike),
        excluded: (0, not.len()),
        from: 0,
        by: ' ',
        bytes: 0,
    }];
    let mut seen = HashSet::new();
    let mut next = 0;
    // What a step of all patterns takes grows with their length.
    let symbols: usize = like.iter().chain(unlike).map(|pattern| pattern.0.len()).sum();
    let step_work = alphabet.len() as u64 * (1 + symbols as u64 / 32);
    while let Some(node) = nodes.get(next) {
        let matches = like.iter().zip(&node.like).all(|(pattern, places)| pattern.accepts(places))
            && !unlike.iter().zip(&node.unlike).any(|(pattern, places)| pattern.accepts(places));
        let (first, last) = node.excluded;
        let excluded = not[first..last].first().is_some_and(|text| text.len() == node.bytes);
        if matches && !excluded {
            return Found::Text(spell(&nodes, next));
        }
        let work = left.get().checked_sub(step_work);
        let Some(work) = work.filter(|_| next < MAX_STATES) else { return Found::TooHard };
        left.set(work);
        for character in &alphabet {
            let node = &nodes[next];
            let step = |patterns: &[Pattern], places: &[Places]| -> Vec<Places> {
                patterns.iter().zip(places).map(|(p, places)| p.step(places, *character)).collect()
            };
            let stepped = step(like, &node.like);
            if stepped.iter().any(Places::is_empty) {
                continue;
            }
            let unlike = step(unlike, &node.unlike);
            let (first, last) = node.excluded;
            let excluded = narrow(not, first, last, node.bytes, *character);
            let bytes = node.bytes + character.len_utf8();
            // Once no excluded text begins like this, how long the text is does not matter.
            let open = (excluded.0 < excluded.1).then_some((excluded, bytes));
            if seen.insert((stepped.clone(), unlike.clone(), open)) {
                nodes.push(Node { like: stepped, unlike, excluded, from: next, by: *character, bytes });
            }
        }
        next += 1;
    }
    Found::None
}

/// Of the sorted texts `first..last`, which begin alike up to `at`, those that go on with `character`.
fn narrow(texts: &[Arc<str>], first: usize, last: usize, at: usize, character: char) -> (usize, usize) {
    let following = |text: &Arc<str>| text.get(at..).and_then(|rest| rest.chars().next());
    let begin = first + texts[first..last].partition_point(|text| following(text) < Some(character));
    let end = first + texts[first..last].partition_point(|text| following(text) <= Some(character));
    (begin, end)
}

/// Every character that is named, and one that is not.
fn alphabet(like: &[Pattern], unlike: &[Pattern], not: &[Arc<str>]) -> Vec<char> {
    let named = like.iter().chain(unlike).flat_map(Pattern::characters);
    let mut named: BTreeSet<char> = named.chain(not.iter().flat_map(|text| text.chars())).collect();
    let readable = ('a'..='z').rev().skip(2).chain(['y', 'z']).chain('\u{100}'..=char::MAX);
    let other = { readable }.find(|character| !named.contains(character));
    named.extend(other);
    named.into_iter().collect()
}

fn spell(nodes: &[Node], mut at: usize) -> String {
    let mut characters = Vec::new();
    while at > 0 {
        characters.push(nodes[at].by);
        at = nodes[at].from;
    }
    characters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(globs: &[&str]) -> Vec<Pattern> {
        globs.iter().map(|glob| Pattern::glob(glob)).collect()
    }

    #[test]
    fn a_text_is_found_exactly_where_there_is_one() {
        for (like, unlike, not, found) in [
            (&["ab*", "*bc"][..], &[][..], &[][..], Some("abc")),
            (&["ab*", "ba*"], &[], &[], None),
            (&["*x*", "?"], &[], &["x"], None),
            (&["*x*", "??"], &["x*"], &["xx"], Some("wx")),
            (&["a*"], &["a?*"], &[], Some("a")),
            (&["a*"], &["a?*"], &["a"], None),
            (&["a*"], &["a"], &["aa", "aw"], Some("ax")),
            (&[r"\*"], &[], &[], Some("*")),
            (&["*"], &["*"], &[], None),
            (&["?*", "*é"], &[], &["é"], Some("xé")),
        ] {
            let mut not: Vec<Arc<str>> = not.iter().map(|text| Arc::from(*text)).collect();
            not.sort();
            let expected = found.map_or(Found::None, |text| Found::Text(text.to_owned()));
            let left = Cell::new(10_000);
            assert_eq!(
                search(&globs(like), &globs(unlike), &not, &left),
                expected,
                "{like:?} {unlike:?}"
            );
        }
    }

    #[test]
    fn a_search_gives_up_when_it_has_taken_all_its_work() {
        let intricate = globs(&["*a????????????????", "*b????????????"]);
        assert_eq!(search(&intricate, &globs(&["*"]), &[], &Cell::new(u64::MAX)), Found::TooHard);
        assert_eq!(search(&intricate, &[], &[], &Cell::new(10)), Found::TooHard);
    }

    #[test]
    fn patterns_match_as_the_reference_says() {
        for (text, glob, expected) in
            [("", "*", true), ("abcd", "a*c", false), ("äb", "?b", true), ("a*b", r"a\*b", true)]
        {
            assert_eq!(Pattern::glob(glob).matches(text), expected, "{text} {glob}");
        }
        for (one, other, apart) in [
            ("ab*", "ac*", true),
            ("a?*", "ac*", false),
            ("*b", "*c", true),
            ("a*", "*b", false),
            ("ab", "a", true),
            ("*a", "b*", false),
            ("a*c", "a*b", true),
        ] {
            assert_eq!(Pattern::glob(one).apart_from(&Pattern::glob(other)), apart, "{one} {other}");
        }
        assert!(Pattern::around(true, "b", true).matches("abc"));
        assert!(!Pattern::around(false, "b", true).matches("abc"));
    }
}

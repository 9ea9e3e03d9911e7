//! Against an oracle that knows nothing of text: it changes a tree, and finds attributes by the dotted text of all names
//! on the way.

use aecp_contract::digest::Digest;
use proptest::prelude::*;

use super::{
    carry_out,
    tests::{hash, mask, redact},
};

#[derive(Debug, Clone)]
enum Tree {
    Word(&'static str),
    Number(&'static str),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Without any whitespace.
    fn json(&self) -> String {
        let quoted = |text: &String| serde_json::Value::String(text.clone()).to_string();
        match self {
            Self::Word(word) | Self::Number(word) => (*word).to_owned(),
            Self::Text(text) => quoted(text),
            Self::Array(elements) => {
                let elements: Vec<String> = elements.iter().map(Self::json).collect();
                format!("[{}]", elements.join(","))
            }
            Self::Object(members) => {
                let member =
                    |(name, value): &(String, Self)| format!("{}:{}", quoted(name), value.json());
                let members: Vec<String> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }

    /// What becomes of it where all names on the way are `path`, `None` at the root; `None` if it is left out.
    fn changed(&self, path: Option<&str>, wanted: &[(String, What)]) -> Option<Self> {
        if let Some((_, what)) = wanted.iter().find(|(attribute, _)| Some(&**attribute) == path) {
            return what.done(self);
        }
        let null = || Self::Word("null");
        Some(match self {
            Self::Array(elements) => {
                let each = |tree: &Self| tree.changed(path, wanted).unwrap_or_else(null);
                Self::Array(elements.iter().map(each).collect())
            }
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| {
                    let path = path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
                    Some((name.clone(), value.changed(Some(&path), wanted)?))
                };
                Self::Object(members.iter().filter_map(member).collect())
            }
            other => other.clone(),
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum What {
    Mask(u32),
    Redact,
    Hash,
}

impl What {
    fn done(self, tree: &Tree) -> Option<Tree> {
        let digest = |text: &str| Tree::Text(format!("sha256:{}", Digest::of(text.as_bytes())));
        let hidden = |text: &str, last: u32| {
            let all: Vec<char> = text.chars().collect();
            let shown = if all.len() <= last as usize { 0 } else { last as usize };
            let (hidden, shown) = all.split_at(all.len() - shown);
            Tree::Text("*".repeat(hidden.len()) + &String::from_iter(shown))
        };
        match (self, tree) {
            (Self::Redact, _) => None,
            (_, Tree::Array(elements)) => {
                let each = |tree| self.done(tree).unwrap_or(Tree::Word("null"));
                Some(Tree::Array(elements.iter().map(each).collect()))
            }
            (_, Tree::Word("null")) => Some(tree.clone()),
            (Self::Mask(last), Tree::Text(text)) => Some(hidden(text, last)),
            (Self::Mask(last), Tree::Number(number)) => Some(hidden(number, last)),
            (Self::Mask(_), _) => None,
            (Self::Hash, Tree::Text(text)) => Some(digest(text)),
            (Self::Hash, other) => Some(digest(&other.json())),
        }
    }
}

/// Names that meet in one path and another.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "a.b", "b.a", "b.c.a", "c"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["", ".", "a.", ".a", "A", "ä", "a\"\\"]).prop_map(str::to_owned),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(Tree::Word),
        prop::sample::select(vec!["0", "-1.50", "1e999", "12345678901234567890123"])
            .prop_map(Tree::Number),
        "[a-c\"\\\\\u{1}äöü€𝄞,:{}\\[\\]]{0,6}".prop_map(Tree::Text),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Array),
            3 => prop::collection::vec((name(), inner), 0..5).prop_map(Tree::Object),
        ]
    })
}

fn wanted() -> impl Strategy<Value = Vec<(String, What)>> {
    let path = prop::sample::select(vec!["a", "b", "a.b", "b.a", "a.b.c", "b.c.a", "a.a.a"]);
    let what = prop_oneof![(1..5_u32).prop_map(What::Mask), Just(What::Redact), Just(What::Hash)];
    let wanted = prop::collection::btree_map(path.prop_map(str::to_owned), what, 1..4);
    wanted.prop_map(|wanted| wanted.into_iter().collect())
}

/// The text with whitespace wherever there may be any, chosen by `seed`, or without any if there is none.
fn spaced(json: &str, mut seed: Option<u64>) -> String {
    let mut spaced = String::new();
    let (mut inside, mut escaped) = (false, false);
    for char in json.chars() {
        let mark = !inside && "{}[],:".contains(char);
        let mut space = || {
            let Some(seed) = seed.as_mut().filter(|_| mark) else { return "" };
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ["", " ", "\n\t", "\r\n"][(*seed >> 62) as usize]
        };
        let before = space();
        let after = space();
        if inside || !char.is_ascii_whitespace() {
            spaced.extend([before, char.encode_utf8(&mut [0; 4]), after]);
        }
        (inside, escaped) = match char {
            '"' if !escaped => (!inside, false),
            '\\' if inside => (true, !escaped),
            _ => (inside, false),
        };
    }
    spaced
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn bodies_change_as_the_trees_that_they_are(tree in tree(), wanted in wanted(), seed: u64) {
        let actions: Vec<_> = wanted.iter().map(|(path, what)| match what {
            What::Mask(last) => mask(path, *last),
            What::Redact => redact(path),
            What::Hash => hash(path),
        }).collect();
        let json = tree.json();
        let expected = tree.changed(None, &wanted).expect("no attribute is the whole body").json();
        let changed = carry_out(&actions, json.as_bytes()).expect("carried out");
        prop_assert_eq!(std::str::from_utf8(&changed), Ok(&*expected));

        // Digests are of objects as they stand, so whitespace may only be elsewhere.
        if !actions.iter().any(|action| matches!(action, aecp_contract::manifest::Action::Hash { .. })) {
            let body = spaced(&json, Some(seed));
            let changed = carry_out(&actions, body.as_bytes()).expect("carried out");
            let changed = std::str::from_utf8(&changed).expect("a text");
            prop_assert_eq!(spaced(changed, None), &*expected);
            if expected == json {
                prop_assert_eq!(changed, &*body);
            }
        }
    }
}

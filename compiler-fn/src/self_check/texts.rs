//! Texts that nearly are another, nearly have it as a part, and nearly match a pattern.

use aecp_contract::value::{Type, Value};

/// Texts that differ from `text` in one character at the end or in the middle, or are one longer or shorter.
pub(super) fn near(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let last = characters.len().wrapping_sub(1);
    let mut texts = Vec::new();
    if !characters.is_empty() {
        texts.push(changed(&characters, last));
    }
    texts.push(format!("{text}x"));
    if !characters.is_empty() {
        texts.push(characters[..last].iter().collect());
    }
    // Long texts are compared word by word.
    if characters.len() > 8 {
        texts.push(changed(&characters, characters.len() / 2));
    }
    texts
}

/// The text with one character replaced by one of as many bytes, where there is one.
fn changed(characters: &[char], at: usize) -> String {
    let mut characters = characters.to_vec();
    let other = char::from_u32(u32::from(characters[at]) ^ 1).unwrap_or('x');
    characters[at] = if other < ' ' { 'x' } else { other };
    characters.into_iter().collect()
}

/// Texts that begin with, end with, contain and are `part`, and some that nearly do; members of an ENUM.
pub(super) fn parts(part: &str, ty: &Type) -> Vec<Value> {
    let mut texts = Vec::new();
    if let Type::Enum(members) = ty {
        let having = members.iter().filter(|member| member.contains(part));
        let others = members.iter().filter(|member| !member.contains(part));
        texts.extend(having.take(4).chain(others.take(4)).cloned());
    }
    texts.extend([
        String::new(),
        part.to_owned(),
        format!("xy{part}yx"),
        format!("{part}x"),
        format!("x{part}"),
    ]);
    // A search that takes up too late after a partial match passes this one over.
    let shorter: String = part.chars().take(part.chars().count().saturating_sub(1)).collect();
    texts.push(format!("{shorter}{part}"));
    texts.extend(near(part));
    texts.into_iter().map(Value::Text).collect()
}

/// Texts that match a glob, each `*` as nothing or as something, and texts that nearly match it.
pub(super) fn glob(glob: &str) -> Vec<Value> {
    let written = |any: &str, one: char| {
        let mut text = String::new();
        let mut characters = glob.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' => text.push_str(any),
                '?' => text.push(one),
                '\\' => text.push(characters.next().unwrap_or('\\')),
                other => text.push(other),
            }
        }
        text
    };
    let shortest = written("", 'x');
    let mut texts = vec![String::new(), shortest.clone(), written("xy", 'é'), written("*", '?')];
    texts.extend(near(&shortest));
    texts.push(format!("x{shortest}"));
    texts.push(format!("{shortest}{shortest}"));
    texts.into_iter().map(Value::Text).collect()
}

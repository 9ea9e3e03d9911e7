//! What to tell about a name or a keyword.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    Snapshot, keywords,
    place::{Place, is_name},
    symbols::{Occurrence, SymbolKind, definitions, references, span_of, symbol_at, token_at},
};
use crate::{
    language::ast::{Field, Policy},
    source::Span,
};

/// Names and places told at most; who wants all of them asks for references.
const SHOWN: usize = 5;

/// What to tell about a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hover {
    /// What it is about.
    pub span: Span,
    /// The answer, in Markdown.
    pub markdown: String,
}

/// What to tell about a byte of a file.
#[must_use]
pub fn hover(snapshot: &Snapshot, file: u32, byte: u32) -> Option<Hover> {
    if let Some(symbol) = symbol_at(snapshot, file, byte) {
        let name = snapshot.sources.text(symbol.span);
        let markdown = match symbol.kind {
            SymbolKind::Attribute => attribute(snapshot, &symbol, name),
            SymbolKind::Policy => policy(snapshot.policies().find(|policy| policy.name.node == name)?),
            SymbolKind::Example => return None,
        };
        return Some(Hover { span: symbol.span, markdown });
    }
    let tokens = snapshot.tokens(file);
    let index = token_at(&tokens, byte)?;
    let (word, span) = (tokens.word(index), span_of(file, tokens.all.get(index)?));
    if Place::before(&tokens, index).is_resource(&tokens, index) && is_name(word) {
        let markdown = match word {
            "requests" => "every request".to_owned(),
            _ => format!("requests with `resource.type == \"{word}\"`"),
        };
        return Some(Hover { span, markdown });
    }
    let keyword = keywords::keyword(word)?;
    let markdown = format!("{}\n\n{}", keyword.meaning, code(keyword.example));
    Some(Hover { span, markdown })
}

fn code(text: &str) -> String {
    format!("```aecp\n{text}\n```")
}

fn attribute(snapshot: &Snapshot, symbol: &Occurrence, name: &str) -> String {
    let ty = snapshot.checked().types.get(name);
    let mut text = code(&match ty {
        Some(ty) => format!("{name}: {ty}"),
        None => name.to_owned(),
    });
    let all = references(snapshot, symbol);
    let declared = definitions(snapshot, symbol).first().filter(|one| one.declares).copied();
    text.push_str("\n\n");
    match (declared, ty) {
        (Some(place), _) => {
            let _ = write!(text, "declared in {}", shown_place(snapshot, place.span));
        }
        (None, Some(_)) => {
            let uses = all.iter().filter(|one| one.policy.is_some());
            let places: Vec<_> = uses.map(|one| shown_place(snapshot, one.span)).collect();
            text.push_str("no SCHEMA declares it; its type follows from its uses in ");
            text.push_str(&first_of(&places));
        }
        (None, None) => text.push_str("no SCHEMA declares it, and no policy looks at it"),
    }
    let policies: BTreeSet<&str> =
        all.iter().filter_map(|one| one.policy).map(|span| snapshot.sources.text(span)).collect();
    if !policies.is_empty() {
        let policies: Vec<_> = policies.into_iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(text, "\n\nused by {}", first_of(&policies));
    }
    text
}

fn policy(policy: &Policy) -> String {
    let mut text = code(&format!("POLICY {}", policy.name.node));
    let mut facts = Vec::new();
    for field in &policy.fields {
        match &field.node {
            Field::Description(description) => {
                let _ = write!(text, "\n\n{}", plain(&description.node));
            }
            Field::Enforcement(enforcement) => {
                facts.push(format!("ENFORCEMENT {}", enforcement.node.as_str()));
            }
            Field::Version(version) => facts.push(format!("VERSION {}", version.node)),
            Field::Compliance(references) if !references.is_empty() => {
                let references: Vec<_> = references.iter().map(|one| plain(&one.node)).collect();
                facts.push(format!("COMPLIANCE {}", references.join(", ")));
            }
            _ => {}
        }
    }
    if !facts.is_empty() {
        let _ = write!(text, "\n\n{}", facts.join(" · "));
    }
    text
}

/// An author's text, which Markdown must not take for its own.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            c if c.is_ascii_punctuation() => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn first_of(all: &[String]) -> String {
    let mut text = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        let _ = write!(text, " and {} more", all.len() - SHOWN);
    }
    text
}

fn shown_place(snapshot: &Snapshot, span: Span) -> String {
    let file = snapshot.sources.files().get(span.file as usize).map_or("", |file| file.path.as_str());
    format!("`{file}:{}`", snapshot.sources.position(span.file, span.start).line)
}

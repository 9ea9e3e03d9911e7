//! Renaming a policy or an attribute in all files of a set at once.

use super::{
    Snapshot,
    place::{is_name, is_path},
    symbols::{Occurrence, SymbolKind, named, references, symbol_at},
};
use crate::source::Span;

/// Attributes that the language itself gives a meaning.
const RESERVED: [&str; 3] = ["resource.type", "request.time", "request.point"];

/// Why something is not renamed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// Nothing with a name stands there.
    #[error("only policies and attributes can be renamed")]
    Nothing,
    /// The language gives the name its meaning.
    #[error("`{0}` has its meaning from the language and cannot be renamed")]
    Reserved(String),
    /// The files cannot all be read, so some places might be missed.
    #[error("`{file}` has a syntax error in line {line}: correct it first, so that no place is missed")]
    Broken {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// Two policies have this name.
    #[error("there are two policies with the name `{0}`: give one of them another name by hand first")]
    Ambiguous(String),
    /// The new name is none.
    #[error("`{name}` is no {what}: lower-case letters, digits and `_`, beginning with a letter{more}")]
    Invalid {
        /// The new name.
        name: String,
        /// What it should be.
        what: &'static str,
        /// What else may stand in it.
        more: &'static str,
    },
    /// Something else has the new name.
    #[error("there is {what} with the name `{name}` already, in `{file}`")]
    Taken {
        /// The new name.
        name: String,
        /// What has it.
        what: &'static str,
        /// A file where it stands.
        file: String,
    },
}

/// The name at a byte of a file, if it can be renamed.
///
/// # Errors
/// [`RenameError`], but nothing about a new name.
pub fn renameable(snapshot: &Snapshot, file: u32, byte: u32) -> Result<Occurrence, RenameError> {
    let symbol = symbol_at(snapshot, file, byte)
        .filter(|symbol| symbol.kind != SymbolKind::Example)
        .ok_or(RenameError::Nothing)?;
    let name = snapshot.sources.text(symbol.span);
    if symbol.kind == SymbolKind::Attribute && RESERVED.contains(&name) {
        return Err(RenameError::Reserved(name.to_owned()));
    }
    if let Some(place) = snapshot.syntax_error().and_then(|finding| finding.labels.first()) {
        let file = file_name(snapshot, place.span);
        let line = snapshot.sources.position(place.span.file, place.span.start).line;
        return Err(RenameError::Broken { file, line });
    }
    let declared = references(snapshot, &symbol).iter().filter(|one| one.declares).count();
    if symbol.kind == SymbolKind::Policy && declared > 1 {
        return Err(RenameError::Ambiguous(name.to_owned()));
    }
    Ok(symbol)
}

/// Every place that has to be replaced by `new` so that what is named at a byte of a file is called so.
///
/// # Errors
/// [`RenameError`].
pub fn rename(
    snapshot: &Snapshot,
    file: u32,
    byte: u32,
    new: &str,
) -> Result<Vec<Occurrence>, RenameError> {
    let symbol = renameable(snapshot, file, byte)?;
    let (what, more, with_article, valid) = match symbol.kind {
        SymbolKind::Policy => ("name of a policy", "", "a policy", is_name(new)),
        _ => ("path of an attribute", "; dots between names", "an attribute", is_path(new)),
    };
    if !valid {
        return Err(RenameError::Invalid { name: new.to_owned(), what, more });
    }
    if new == snapshot.sources.text(symbol.span) {
        return Ok(Vec::new());
    }
    if symbol.kind == SymbolKind::Attribute && RESERVED.contains(&new) {
        return Err(RenameError::Reserved(new.to_owned()));
    }
    if let Some(other) = named(snapshot, symbol.kind, new).first() {
        let file = file_name(snapshot, other.span);
        return Err(RenameError::Taken { name: new.to_owned(), what: with_article, file });
    }
    Ok(references(snapshot, &symbol))
}

fn file_name(snapshot: &Snapshot, span: Span) -> String {
    snapshot.sources.files().get(span.file as usize).map(|file| file.path.clone()).unwrap_or_default()
}

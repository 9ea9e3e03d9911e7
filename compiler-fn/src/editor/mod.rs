//! What an editor asks about a set while somebody writes it: what stands at a place, where it comes from, what could
//! be written next. No protocol and no files: places are bytes of [`Sources`], answers are plain data.
//!
//! All of it works on unfinished text. What checking needs a tree for comes from the statements that can be read
//! ([`Snapshot`]); where names stand is told from the tokens alone ([`place`]), in broken statements too.

mod complete;
mod condition;
mod fix;
mod hover;
pub mod keywords;
mod place;
mod rename;
mod statement;
mod symbols;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use crate::{
    analyse,
    check::{self, Checked},
    findings::Finding,
    language::{
        ast::{File, Policy, Statement},
        parse::{Parsed, parse},
        tokens::Tokens,
    },
    parallel::{in_parallel, threads},
    source::Sources,
};

pub use complete::{Completion, CompletionKind, Completions, completions};
pub use fix::fix;
pub use hover::{Hover, hover};
pub use rename::{RenameError, rename, renameable};
pub use symbols::{Occurrence, SymbolKind, definitions, references, symbol_at};

/// A set as it is at one moment of writing, parsed, whatever is wrong with it.
#[derive(Debug)]
pub struct Snapshot {
    sources: Sources,
    files: Vec<File>,
    /// Of each file, what is wrong with its syntax.
    syntax: Vec<Vec<Finding>>,
    checked: OnceLock<Checked>,
}

impl Snapshot {
    /// Parses all files.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let numbered: Vec<_> = (0..).zip(sources.files()).collect();
        let parsed = in_parallel(&numbered, threads(), |(number, source)| parse(*number, &source.text));
        let (files, syntax) =
            parsed.into_iter().map(|Parsed { file, findings, .. }| (file, findings)).unzip();
        Self { sources, files, syntax, checked: OnceLock::new() }
    }

    /// The same set with other texts for some files; only these are parsed. A number that is no file's is ignored.
    #[must_use]
    pub fn with(&self, texts: Vec<(u32, String)>) -> Self {
        let mut sources = self.sources.clone();
        let mut files = self.files.clone();
        let mut syntax = self.syntax.clone();
        for (number, text) in texts {
            let index = number as usize;
            if let (Some(file), Some(findings)) = (files.get_mut(index), syntax.get_mut(index)) {
                let parsed = parse(number, &text);
                (*file, *findings) = (parsed.file, parsed.findings);
                sources = sources.with_text(number, text);
            }
        }
        Self { sources, files, syntax, checked: OnceLock::new() }
    }

    /// The files.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The number of the file at a path relative to the set's folder.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<u32> {
        let found = self.sources.files().binary_search_by(|file| file.path.as_str().cmp(path));
        u32::try_from(found.ok()?).ok()
    }

    /// What checking says of names and types; computed at the first call.
    #[must_use]
    pub fn checked(&self) -> &Checked {
        self.checked.get_or_init(|| {
            check::check_files(
                &self.sources,
                &self.files,
                self.syntax.iter().flatten().cloned().collect(),
            )
        })
    }

    /// Everything that `aecp check` says, conflicts included, which can take a second in a large set.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        analyse::analysed(self.checked().clone()).findings
    }

    /// The policies that could be read, in the order of the sources.
    fn policies(&self) -> impl Iterator<Item = &Policy> {
        let statements = self.files.iter().flat_map(|file| &file.statements);
        statements.filter_map(|statement| match &statement.node {
            Statement::Policy(policy) => Some(policy),
            _ => None,
        })
    }

    /// The first syntax error of the set.
    fn syntax_error(&self) -> Option<&Finding> {
        self.syntax.iter().flatten().next()
    }

    fn tokens(&self, file: u32) -> Tokens<'_> {
        let text = self.sources.files().get(file as usize).map_or("", |file| file.text.as_str());
        Tokens::read(text)
    }
}

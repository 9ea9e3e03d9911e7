//! Findings and answers of the compiler in the protocol's forms.

use std::collections::BTreeMap;

use aecp_compiler::{
    editor::{self, Completion, CompletionKind, Snapshot},
    findings::{Finding, Severity},
};
use lsp_types::{
    CodeDescription, CompletionItem, CompletionItemKind, CompletionTextEdit, Diagnostic,
    DiagnosticRelatedInformation, DiagnosticSeverity, Documentation, Location, NumberOrString, Range,
    TextEdit,
};
use serde_json::{Value, json};

use super::position::{Encoding, Lines};

/// Where the codes of findings are explained.
const EXPLAINED: &str =
    concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/language.md#what-the-compiler-says");

/// The name that diagnostics carry.
const SOURCE: &str = "aecp";

/// The parameters of `textDocument/publishDiagnostics`.
pub(super) fn published(uri: &str, version: Option<i32>, diagnostics: Vec<Diagnostic>) -> Value {
    match version {
        Some(version) => json!({"uri": uri, "version": version, "diagnostics": diagnostics}),
        None => json!({"uri": uri, "diagnostics": diagnostics}),
    }
}

/// Findings as diagnostics, by the URI of the file of their first place.
pub(super) fn diagnostics(
    snapshot: &Snapshot,
    findings: &[Finding],
    files: &[(String, Option<i32>)],
    encoding: Encoding,
) -> BTreeMap<String, Vec<Diagnostic>> {
    let mut lines: BTreeMap<u32, Lines<'_>> = BTreeMap::new();
    for label in findings.iter().flat_map(|finding| &finding.labels) {
        let file = label.span.file;
        if let Some(source) = snapshot.sources().files().get(file as usize) {
            lines.entry(file).or_insert_with(|| Lines::new(&source.text, encoding));
        }
    }
    let mut by_file: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for finding in findings {
        let mut places = finding.labels.iter().filter_map(|label| {
            let (uri, _) = files.get(label.span.file as usize)?;
            Some((uri, lines.get(&label.span.file)?.range(label.span), label.text.as_str()))
        });
        let Some((uri, range, here)) = places.next() else { continue };
        let related = places.filter_map(|(uri, range, text)| {
            let location = Location { uri: uri.parse().ok()?, range };
            let message = if text.is_empty() { "here" } else { text }.to_owned();
            Some(DiagnosticRelatedInformation { location, message })
        });
        let related: Vec<_> = related.collect();
        by_file.entry(uri.clone()).or_default().push(Diagnostic {
            range,
            severity: Some(match finding.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
            }),
            code: Some(NumberOrString::String(finding.code.to_owned())),
            code_description: EXPLAINED.parse().ok().map(|href| CodeDescription { href }),
            source: Some(SOURCE.to_owned()),
            message: message(finding, here),
            related_information: (!related.is_empty()).then_some(related),
            tags: None,
            data: editor::fix(snapshot, finding).map(|(_, text)| json!({ "replace": text })),
        });
    }
    by_file
}

/// All that a finding says but its other places.
fn message(finding: &Finding, here: &str) -> String {
    let mut text = finding.message.clone();
    let mut line = |what: &str, said: &str| {
        text.push('\n');
        text.push_str(what);
        text.push_str(said);
    };
    if !here.is_empty() {
        line("here: ", here);
    }
    if let Some(cause) = &finding.cause {
        line("note: ", cause);
    }
    if let Some(witness) = &finding.witness {
        line("this request shows it: ", witness);
    }
    if let Some(suggestion) = &finding.suggestion {
        line("help: ", suggestion);
    }
    text
}

/// What keeps a whole set from being read.
pub(super) fn problem(message: &str) -> Diagnostic {
    Diagnostic {
        severity: Some(DiagnosticSeverity::ERROR),
        source: Some(SOURCE.to_owned()),
        message: format!("the policy set cannot be read as it is\nnote: {message}"),
        ..Diagnostic::default()
    }
}

/// A proposal, number `index` of all.
pub(super) fn completion(index: usize, completion: Completion, range: Range) -> CompletionItem {
    let Completion { text, kind, detail, documentation } = completion;
    CompletionItem {
        label: text.clone(),
        kind: Some(match kind {
            CompletionKind::Keyword => CompletionItemKind::KEYWORD,
            CompletionKind::Attribute => CompletionItemKind::FIELD,
            CompletionKind::Policy => CompletionItemKind::FUNCTION,
            CompletionKind::Value => CompletionItemKind::VALUE,
            CompletionKind::Example => CompletionItemKind::REFERENCE,
        }),
        detail,
        documentation: documentation.map(|text| Documentation::String(text.to_owned())),
        sort_text: Some(format!("{index:05}")),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: text })),
        ..CompletionItem::default()
    }
}

/// The one edit that makes `old` into `new`: the lines that differ.
pub(super) fn difference(old: &str, new: &str, encoding: Encoding) -> Option<TextEdit> {
    if old == new {
        return None;
    }
    let (old_lines, new_lines): (Vec<_>, Vec<_>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| -> (usize, usize) {
        let equal: Vec<_> = pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len()).collect();
        (equal.len(), equal.iter().sum())
    };
    let (lines, before) = same(&mut old_lines.iter().zip(&new_lines));
    let (_, behind) = same(&mut old_lines[lines..].iter().rev().zip(new_lines[lines..].iter().rev()));
    let positions = Lines::new(old, encoding);
    let start = positions.position(before as u32);
    let end = positions.position((old.len() - behind) as u32);
    let new_text = new.get(before..new.len() - behind).unwrap_or_default().to_owned();
    Some(TextEdit { range: Range::new(start, end), new_text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::position::apply;

    #[test]
    fn formatting_replaces_the_lines_that_differ() {
        for (old, new) in [
            ("a\nb\nc\n", "a\nB\nc\n"),
            ("a\n\n\nb", "a\n\nb\n"),
            ("", "a\n"),
            ("a\na\na\n", "a\n"),
            ("a\n", "a\na\na\n"),
            ("x\r\ny", "x\ny\n"),
        ] {
            let edit = difference(old, new, Encoding::Utf16).unwrap();
            let mut text = old.to_owned();
            let (range, text_of) = (Some(edit.range), edit.new_text);
            let change =
                lsp_types::TextDocumentContentChangeEvent { range, range_length: None, text: text_of };
            apply(&mut text, change, Encoding::Utf16);
            assert_eq!(text, new, "{old:?}");
        }
        let edit = difference("a\nb\nc\n", "a\nB\nc\n", Encoding::Utf16).unwrap();
        assert_eq!((edit.range.start.line, edit.range.end.line, edit.new_text.as_str()), (1, 2, "B\n"));
        assert_eq!(difference("a", "a", Encoding::Utf16), None);
    }
}

//! Findings on the terminal: the source underlined, then cause and suggestion.

use aecp_compiler::{
    findings::{Finding, Severity},
    source::Sources,
};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::terminal::count;

/// Findings shown at most; more help nobody.
const MAX_SHOWN: usize = 200;

/// Prints findings to standard error, then a line that counts them.
pub(crate) fn print(findings: &[Finding], sources: &Sources) {
    let renderer = Renderer::styled();
    for finding in findings.iter().take(MAX_SHOWN) {
        anstream::eprintln!("{}\n", render(finding, sources, &renderer));
    }
    if findings.len() > MAX_SHOWN {
        anstream::eprintln!("… and {} more\n", findings.len() - MAX_SHOWN);
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    if !findings.is_empty() {
        let errors = count(errors, "error", "errors");
        anstream::eprintln!("{errors}, {}", count(warnings, "warning", "warnings"));
    }
}

fn render(finding: &Finding, sources: &Sources, renderer: &Renderer) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(finding.message.as_str())
        .id(finding.code)
        .elements(None::<Snippet<'_, annotate_snippets::Annotation<'_>>>);
    // One excerpt per file, that of the first label first.
    let mut files: Vec<u32> = Vec::new();
    for label in &finding.labels {
        if !files.contains(&label.span.file) {
            files.push(label.span.file);
        }
    }
    for file in files {
        let Some(source) = sources.files().get(file as usize) else { continue };
        let annotations = finding.labels.iter().enumerate().filter(|(_, label)| label.span.file == file);
        let annotations = annotations.map(|(i, label)| {
            let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(label.span.start as usize..label.span.end as usize);
            if label.text.is_empty() { annotation } else { annotation.label(label.text.as_str()) }
        });
        let snippet = Snippet::source(source.text.as_str()).path(source.path.as_str()).fold(true);
        group = group.element(snippet.annotations(annotations));
    }
    if let Some(cause) = &finding.cause {
        group = group.element(Level::NOTE.message(cause.as_str()));
    }
    if let Some(witness) = &finding.witness {
        group = group.element(Level::NOTE.message(format!("this request shows it: {witness}")));
    }
    if let Some(suggestion) = &finding.suggestion {
        group = group.element(Level::HELP.message(suggestion.as_str()));
    }
    renderer.render(&[group])
}

//! Statements and their fields as lines.

use aecp_contract::{
    manifest::{AuditLevel, Enforcement},
    value::Type,
};

use super::{COLUMNS, Gap, INDENT, Printer, expect, fits, write};
use crate::{
    language::ast::{Declaration, Field, Invariant, Literal, Policy, Schema, Spanned, Test},
    source::Span,
};

impl Printer<'_> {
    pub(super) fn schema(&mut self, schema: &Schema, span: Span) {
        let strict = if schema.strict { "STRICT " } else { "" };
        self.line(0, Gap::Blank, format!("SCHEMA {strict}{{"), span.start);
        for declaration in &schema.declarations {
            self.declaration(declaration);
        }
        self.close(0, "}", span);
    }

    fn declaration(&mut self, declaration: &Declaration) {
        let Declaration { path, ty } = declaration;
        let flat = format!("{}: {}", path.node, write::ty(&ty.node));
        let whole = path.span.to(ty.span);
        let (members, before, behind) = match &ty.node {
            Type::Enum(members) => (Some(members), "ENUM(", ")"),
            Type::List(element) => match &**element {
                Type::Enum(members) => (Some(members), "LIST<ENUM(", ")>"),
                _ => (None, "", ""),
            },
            _ => (None, "", ""),
        };
        match members {
            Some(members) if !fits(INDENT, &flat, COLUMNS) || self.commented(whole.start..whole.end) => {
                self.line(INDENT, Gap::Keep, format!("{}: {before}", path.node), whole.start);
                let places = self.texts(ty.span, members.len());
                let texts = members.iter().map(|member| write::text(member));
                self.entries(2 * INDENT, texts.zip(places).collect::<Vec<_>>().into_iter());
                self.close(INDENT, behind, ty.span);
            }
            _ => self.line(INDENT, Gap::Keep, flat, whole.start),
        }
    }

    /// Where the strings of an ENUM stand, which the tree does not keep.
    fn texts(&self, span: Span, count: usize) -> Vec<Span> {
        let mut places = Vec::with_capacity(count);
        let mut from = span.start;
        for _ in 0..count {
            let text = self.token(from..span.end, |token, _| {
                token.kind == crate::language::tokens::TokenKind::Text
            });
            let place = text.map_or(span, |token| Span { start: token.start, end: token.end, ..span });
            from = place.end;
            places.push(place);
        }
        places
    }

    pub(super) fn policy(&mut self, policy: &Policy, span: Span) {
        self.line(0, Gap::Blank, format!("POLICY {} {{", policy.name.node), span.start);
        for field in &policy.fields {
            self.field(field);
        }
        self.close(0, "}", span);
    }

    fn field(&mut self, field: &Spanned<Field>) {
        let span = field.span;
        let keyword = field.node.keyword();
        let value = match &field.node {
            Field::Description(text) | Field::Author(text) | Field::Justification(text) => {
                write::text(&text.node)
            }
            Field::Version(version) => version.node.to_string(),
            Field::Compliance(texts) => {
                let entries = texts.iter().map(|text| (write::text(&text.node), text.span)).collect();
                return self.list(keyword, entries, span);
            }
            Field::Scope(scope) => {
                let resource = scope.resource.as_ref().map_or("requests", |name| name.node.as_str());
                if let Some(condition) = &scope.condition {
                    let prefix = format!("SCOPE: {resource} WHERE ");
                    return self.condition(INDENT, Gap::Keep, &prefix, condition, span.start);
                }
                resource.to_owned()
            }
            Field::Constraint(condition) | Field::Filter(condition) => {
                let prefix = format!("{keyword}: ");
                return self.condition(INDENT, Gap::Keep, &prefix, condition, span.start);
            }
            Field::Enforcement(enforcement) => match enforcement.node {
                Enforcement::Blocking => "BLOCKING",
                Enforcement::Advisory => "ADVISORY",
                Enforcement::AuditOnly => "AUDIT_ONLY",
            }
            .to_owned(),
            Field::Audit(level) => match level.node {
                AuditLevel::Required => "REQUIRED",
                AuditLevel::Optional => "OPTIONAL",
                AuditLevel::None => "NONE",
            }
            .to_owned(),
            Field::Exception => "break_glass_token_required".to_owned(),
            Field::At(points) => {
                let entries = points.iter().map(|at| (at.node.as_str().to_owned(), at.span)).collect();
                return self.list(keyword, entries, span);
            }
            Field::Effective { from, until } => {
                let end = |word, text: &Option<Spanned<String>>| {
                    text.as_ref().map(|text| format!("{word} {}", write::text(&text.node)))
                };
                let ends: Vec<_> =
                    [end("FROM", from), end("UNTIL", until)].into_iter().flatten().collect();
                ends.join(" ")
            }
            Field::Mask { path, method } => format!("{} WITH {}", path.node, write::method(*method)),
            Field::Limit { count, per, by } => {
                format!("{} PER {} BY {}", count.node, write::literal(&per.node), by.node)
            }
        };
        self.line(INDENT, Gap::Keep, format!("{keyword}: {value}"), span.start);
    }

    /// `KEYWORD: [a, b]`
    fn list(&mut self, keyword: &str, entries: Vec<(String, Span)>, span: Span) {
        let texts: Vec<_> = entries.iter().map(|(text, _)| text.as_str()).collect();
        let flat = format!("{keyword}: [{}]", texts.join(", "));
        if fits(INDENT, &flat, COLUMNS) && !self.commented(span.start..span.end) {
            return self.line(INDENT, Gap::Keep, flat, span.start);
        }
        self.line(INDENT, Gap::Keep, format!("{keyword}: ["), span.start);
        self.entries(2 * INDENT, entries.into_iter());
        self.close(INDENT, "]", span);
    }

    pub(super) fn test(&mut self, test: &Test, span: Span) {
        self.line(0, Gap::Blank, format!("TEST {} {{", write::text(&test.name.node)), span.start);
        let given = self.given_place(span);
        let outcome = expect(&test.expect.node);
        // Both orders are sound, and the author's is kept.
        if test.expect.span.start < given.start {
            self.line(INDENT, Gap::Keep, outcome, test.expect.span.start);
            self.given(test, given);
        } else {
            self.given(test, given);
            self.line(INDENT, Gap::Keep, outcome, test.expect.span.start);
        }
        self.close(0, "}", span);
    }

    /// From GIVEN's keyword to its closing brace, which the tree does not keep.
    fn given_place(&self, test: Span) -> Span {
        let within = test.start..test.end;
        let Some(keyword) = self.token(within, |_, word| word == "GIVEN") else {
            return Span { file: test.file, start: 0, end: 0 };
        };
        let close = self.token(keyword.end..test.end, |_, word| word == "}");
        Span { start: keyword.start, end: close.map_or(keyword.end, |token| token.end), ..test }
    }

    /// As many entries on a line as fit, under each other; one on each if there are comments among them.
    fn given(&mut self, test: &Test, span: Span) {
        let entry = |path: &str, value: &Literal| format!("{path}: {}", write::literal(value));
        let mut entries =
            test.given.iter().map(|given| (entry(&given.path.node, &given.value.node), given.path.span));
        if self.commented(span.start..span.end) {
            self.line(INDENT, Gap::Keep, "GIVEN: {".to_owned(), span.start);
            self.entries(2 * INDENT, entries);
            return self.close(INDENT, "}", span);
        }
        let Some((first, _)) = entries.next() else {
            return self.line(INDENT, Gap::Keep, "GIVEN: {}".to_owned(), span.start);
        };
        let opening = "GIVEN: { ";
        let (mut indent, mut gap, mut anchor) = (INDENT, Gap::Keep, span.start);
        let mut line = format!("{opening}{first}");
        for (entry, place) in entries {
            line.push(',');
            // Two columns for what may follow: a comma, or a space and the brace.
            if indent + line.chars().count() + entry.chars().count() + 3 <= COLUMNS {
                line.push(' ');
                line.push_str(&entry);
            } else {
                self.line(indent, gap, std::mem::replace(&mut line, entry), anchor);
                (indent, gap, anchor) = (INDENT + opening.len(), Gap::None, place.start);
            }
        }
        self.line(indent, gap, format!("{line} }}"), anchor);
    }

    pub(super) fn invariant(&mut self, invariant: &Invariant, span: Span) {
        let assumed = if invariant.assumed { " ASSUMED" } else { "" };
        self.line(0, Gap::Blank, format!("INVARIANT {}{assumed} {{", invariant.name.node), span.start);
        let never = self.token(span.start..span.end, |_, word| word == "NEVER");
        let anchor = never.map_or(span.start, |token| token.start);
        self.condition(INDENT, Gap::Keep, "NEVER ALLOW WHERE ", &invariant.never_allow, anchor);
        self.close(0, "}", span);
    }
}

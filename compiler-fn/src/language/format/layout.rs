//! Statements and their fields as lines.

use aecp_contract::{
    manifest::{AuditLevel, Enforcement},
    value::Type,
};

use super::{COLUMNS, Gap, INDENT, Printer, fits, write};
use crate::{
    language::ast::{Declaration, Field, Invariant, Policy, Schema, Spanned},
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

    pub(super) fn invariant(&mut self, invariant: &Invariant, span: Span) {
        let assumed = if invariant.assumed { " ASSUMED" } else { "" };
        self.line(0, Gap::Blank, format!("INVARIANT {}{assumed} {{", invariant.name.node), span.start);
        let never = self.token(span.start..span.end, |_, word| word == "NEVER");
        let anchor = never.map_or(span.start, |token| token.start);
        self.condition(INDENT, Gap::Keep, "NEVER ALLOW WHERE ", &invariant.never_allow, anchor);
        self.close(0, "}", span);
    }
}

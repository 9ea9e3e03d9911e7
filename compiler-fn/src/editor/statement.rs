//! What could be written in each kind of statement.

use std::collections::BTreeSet;

use aecp_contract::value::Type;

use super::{
    complete::{CompletionKind, Proposals},
    place::{Place, is_name},
    symbols::{SymbolKind, occurrences},
};
use crate::language::{
    ast::Field,
    parse::words::{
        AUDITS, ENFORCEMENTS, EXCEPTIONS, FIELDS, METHODS, OUTCOMES, POINTS, TEST_PARTS, TYPES,
    },
    tokens::TokenKind,
};

/// Fields that may stand in a policy more than once.
const REPEATED: [&str; 5] = ["MASK", "REDACT", "HASH", "FILTER", "LIMIT"];

impl<'s> Proposals<'s> {
    pub(super) fn schema(&mut self) {
        match (self.before(1), self.place.depth) {
            ("SCHEMA", 0) => self.keywords(&["STRICT"]),
            (":", 1) => self.keywords(&TYPES),
            ("<", 1) => {
                let elements: Vec<_> = TYPES.into_iter().filter(|ty| *ty != "LIST").collect();
                self.keywords(&elements);
            }
            ("{" | "," | ")" | ">", 1) => self.undeclared(),
            (_, 1) if self.line_start => self.undeclared(),
            _ => {}
        }
    }

    /// Attributes that policies look at and no SCHEMA declares.
    fn undeclared(&mut self) {
        let mut declared = BTreeSet::new();
        for (file, _) in (0..).zip(self.snapshot.sources.files()) {
            let here = occurrences(self.snapshot, file).into_iter().filter(|one| one.declares);
            declared.extend(here.map(|one| self.snapshot.sources.text(one.span)));
        }
        self.attributes(|path, _| !declared.contains(path));
    }

    pub(super) fn policy(&mut self) {
        let part = self.place.part(self.tokens);
        if self.place.depth == 1 && (self.before(1) == "{" || (self.line_start && self.may_end())) {
            let used = self.parts_of_statement();
            let open: Vec<_> = FIELDS
                .into_iter()
                .filter(|field| REPEATED.contains(field) || !used.contains(field))
                .collect();
            self.keywords(&open);
        }
        let starts = self.before(1) == ":";
        match part {
            "ENFORCEMENT" if starts => self.keywords(&ENFORCEMENTS),
            "AUDIT" if starts => self.keywords(&AUDITS),
            "EXCEPTION" if starts => self.keywords(&EXCEPTIONS),
            "AT" if matches!(self.before(1), "[" | ",") => self.keywords(&POINTS),
            "EFFECTIVE" if starts => self.keywords(&["FROM", "UNTIL"]),
            "EFFECTIVE" if self.before(2) == "FROM" => self.keywords(&["UNTIL"]),
            "MASK" | "REDACT" | "HASH" if starts => self.attributes(|_, _| true),
            "MASK" if self.before(2) == ":" => self.keywords(&["WITH"]),
            "MASK" if self.before(1) == "WITH" => self.keywords(&METHODS),
            "LIMIT" if self.before(2) == ":" => self.keywords(&["PER"]),
            "LIMIT" if self.before(2) == "PER" => self.keywords(&["BY"]),
            "LIMIT" if self.before(1) == "BY" => self.attributes(|_, _| true),
            "SCOPE" if starts => self.resources(),
            "SCOPE" if self.before(2) == ":" && self.before(3) == "SCOPE" => self.keywords(&["WHERE"]),
            "SCOPE" | "CONSTRAINT" | "FILTER" => self.condition(),
            _ => {}
        }
    }

    pub(super) fn test(&mut self) {
        let (part, depth) = (self.place.part(self.tokens), self.place.depth);
        if depth == 1 && (self.before(1) == "{" || (self.line_start && self.may_end())) {
            let used = self.parts_of_statement();
            let open: Vec<_> = TEST_PARTS.into_iter().filter(|part| !used.contains(part)).collect();
            self.keywords(&open);
        }
        match (part, self.before(1)) {
            (_, "EXTENDS") => self.examples(),
            ("GIVEN", _) if depth > 1 => self.given(),
            ("EXPECT", ":") => self.keywords(&OUTCOMES),
            ("EXPECT", "ALLOW" | "WITH" | "DENY") => match self.before(1) {
                "ALLOW" => self.keywords(&["WITH"]),
                "WITH" => self.keywords(&["ADVISORY"]),
                _ => self.keywords(&["BY"]),
            },
            ("EXPECT", "BY" | "ADVISORY" | ",") => self.policies(),
            _ => {}
        }
    }

    fn given(&mut self) {
        match self.before(1) {
            ":" => self.values(self.before(2)),
            "[" | "," if self.place.depth == 3 => self.list_values(),
            "{" | "," if self.place.depth == 2 => self.attributes(|_, _| true),
            _ if self.place.depth == 2 && self.line_start && self.may_end() => {
                self.attributes(|_, _| true);
            }
            _ => {}
        }
    }

    /// Whether what stands before the place may be complete.
    fn may_end(&self) -> bool {
        match self.before_kind(1) {
            Some(TokenKind::Symbol | TokenKind::Open) | None => false,
            Some(TokenKind::Word) => !matches!(
                self.before(1),
                "AND"
                    | "OR"
                    | "NOT"
                    | "IN"
                    | "CIDR"
                    | "WITH"
                    | "CONTAINS"
                    | "MATCHES"
                    | "BETWEEN"
                    | "IS"
                    | "STARTS"
                    | "ENDS"
                    | "FROM"
                    | "UNTIL"
                    | "PER"
                    | "BY"
                    | "WHERE"
                    | "ADVISORY"
            ),
            Some(_) => true,
        }
    }

    /// The keywords of the fields or parts that the statement around the place has, before it and behind it.
    fn parts_of_statement(&self) -> BTreeSet<&'s str> {
        let mut place = Place::default();
        let mut used = BTreeSet::new();
        let start = self.place.statement.unwrap_or_default();
        for passed in start..self.tokens.all.len() {
            if self.writing && passed == self.index {
                continue;
            }
            place.pass(self.tokens, passed);
            if place.statement != self.place.statement {
                break;
            }
            used.extend(place.part.map(|part| self.tokens.word(part)));
        }
        used
    }

    fn resources(&mut self) {
        let scopes = self.snapshot.policies().flat_map(|policy| &policy.fields);
        let mut names: BTreeSet<String> = scopes
            .filter_map(|field| match &field.node {
                Field::Scope(scope) => Some(scope.resource.as_ref()?.node.clone()),
                _ => None,
            })
            .collect();
        if let Some(Type::Enum(members)) = self.snapshot.checked().types.get("resource.type") {
            names.extend(members.iter().filter(|member| is_name(member)).cloned());
        }
        names.remove("requests");
        self.plain(["requests".to_owned()].into_iter().chain(names), CompletionKind::Value);
    }

    fn policies(&mut self) {
        let names: BTreeSet<_> =
            self.snapshot.policies().map(|policy| policy.name.node.clone()).collect();
        self.plain(names, CompletionKind::Policy);
    }

    fn examples(&mut self) {
        let mut names = BTreeSet::new();
        for (file, _) in (0..).zip(self.snapshot.sources.files()) {
            let here = occurrences(self.snapshot, file).into_iter();
            let declared = here.filter(|one| one.kind == SymbolKind::Example && one.declares);
            names.extend(declared.map(|one| self.snapshot.sources.text(one.span).to_owned()));
        }
        self.plain(names, CompletionKind::Example);
    }
}

//! Attribute types: declared ones are enforced at every use, undeclared ones inferred from their uses.
//!
//! Inference is by elimination. An undeclared attribute starts with every type possible; each use strikes out
//! the types that it cannot mean ([`Candidates`]), and comparing two attributes lets each strike out the
//! other's. What is left with none is a disagreement, and every use is shown. What is left with several takes
//! the first of STRING, INT, DECIMAL, BOOL, TIMESTAMP, DURATION, IP, then lists: a text literal means STRING
//! and `5` means INT unless some use says otherwise.

use std::collections::BTreeMap;

use aecp_contract::value::Type;

use super::{
    candidates::{Candidates, Link},
    literals::Resolved,
};
use crate::{
    findings::{Finding, Kind, code, suggested},
    language::ast::{Atom, Comparison, Condition, ConditionKind, Operand, Path, Spanned},
    source::Span,
};

#[derive(Debug)]
struct Use {
    allowed: Candidates,
    /// What asks for the type: a literal, or the attribute itself.
    span: Span,
    /// Where the attribute's name stands.
    path: Span,
}

#[derive(Debug)]
struct Attribute {
    /// Its type, and where that is said; nowhere if every set has the attribute.
    declared: Option<(Type, Option<Span>)>,
    uses: Vec<Use>,
    candidates: Candidates,
    /// Whether anything but its presence is asked for.
    valued: bool,
    /// Whether a policy's scope or constraint looks at it.
    decides: bool,
    links: Vec<usize>,
}

#[derive(Debug)]
struct Linked {
    first: usize,
    second: usize,
    link: Link,
    span: Span,
}

/// The types of a set's attributes: declared, used, then [`Types::resolve`]d.
#[derive(Debug, Default)]
pub(super) struct Types {
    ids: BTreeMap<String, usize>,
    attributes: Vec<Attribute>,
    links: Vec<Linked>,
    /// Whether the set has a SCHEMA at all.
    has_schema: bool,
    /// Whether one of them is STRICT.
    strict: bool,
}

impl Types {
    /// The types of a set whose requests have these attributes without declaring them.
    pub(super) fn new(reserved: impl IntoIterator<Item = (&'static str, Type)>) -> Self {
        let mut types = Self::default();
        for (path, ty) in reserved {
            let id = types.id(path);
            types.attributes[id].declared = Some((ty, None));
        }
        types
    }

    pub(super) fn schema(&mut self, strict: bool) {
        self.has_schema = true;
        self.strict |= strict;
    }

    pub(super) fn declare(&mut self, path: &Path, ty: &Spanned<Type>, findings: &mut Vec<Finding>) {
        let id = self.id(&path.node);
        match &self.attributes[id].declared {
            Some((first, span)) if *first != ty.node => {
                let message = match span {
                    Some(_) => format!("`{}` is declared twice with different types", path.node),
                    None => format!("`{}` is {first} in every set", path.node),
                };
                let finding = Finding::error(code::TYPE_MISMATCH, Kind::Type, ty.span, message);
                let finding = finding.here(format!("here {}", ty.node));
                findings.push(match span {
                    Some(span) => finding.also(*span, format!("here {first}")),
                    None => finding.try_instead("leave the declaration out, or take another name"),
                });
            }
            Some(_) => {}
            None => self.attributes[id].declared = Some((ty.node.clone(), Some(ty.span))),
        }
    }

    /// Notes every use in a condition. `decides` says whether the condition is a policy's scope or constraint.
    pub(super) fn condition(&mut self, condition: &Condition, decides: bool) {
        match &condition.node {
            ConditionKind::And(operands) | ConditionKind::Or(operands) => {
                operands.iter().for_each(|operand| self.condition(operand, decides));
            }
            ConditionKind::Not(operand) => self.condition(operand, decides),
            ConditionKind::Atom(atom) => self.atom(atom, decides),
        }
    }

    /// Notes that an attribute is named, whatever its type.
    pub(super) fn mention(&mut self, path: &Path) {
        let id = self.id(&path.node);
        self.attributes[id].uses.push(Use {
            allowed: Candidates::ALL,
            span: path.span,
            path: path.span,
        });
    }

    fn atom(&mut self, atom: &Atom, decides: bool) {
        const ORDERED: Candidates =
            Candidates::INT.or(Candidates::DECIMAL).or(Candidates::TIMESTAMP).or(Candidates::DURATION);
        match atom {
            Atom::Compare { path, operator, right } => {
                let among = match operator {
                    Comparison::Equal | Comparison::NotEqual => Candidates::ALL,
                    _ => ORDERED,
                };
                self.operand(path, right, Link::Same, among, decides);
            }
            Atom::Between { path, low, high } => {
                self.operand(path, low, Link::Same, ORDERED, decides);
                self.operand(path, high, Link::Same, ORDERED, decides);
            }
            Atom::InList { path, list, .. } => {
                for entry in list {
                    let allowed = Candidates::of_literal(&entry.node);
                    self.use_of(path, allowed, entry.span, decides);
                }
            }
            Atom::InPath { element, list, .. } => {
                self.within(list, element, Link::Element, decides);
            }
            Atom::Contains { path, item } => self.within(path, item, Link::Part, decides),
            Atom::StartsWith { path, text } | Atom::EndsWith { path, text } => {
                self.operand(path, text, Link::Same, Candidates::STRING, decides);
            }
            Atom::Matches { path, .. } => {
                self.use_of(path, Candidates::STRING, path.span, decides);
            }
            Atom::InCidr { path, cidr, .. } => {
                self.use_of(path, Candidates::IP, path.span.to(cidr.span), decides);
            }
            Atom::Exists(path) | Atom::IsMissing(path) => {
                self.mention(path);
                let id = self.id(&path.node);
                self.attributes[id].decides |= decides;
            }
            Atom::IsTrue(path) => self.use_of(path, Candidates::BOOL, path.span, decides),
        }
    }

    /// `path` compared with `right`, both of one type out of `among`.
    fn operand(&mut self, path: &Path, right: &Operand, link: Link, among: Candidates, decides: bool) {
        match right {
            Operand::Literal(literal) => {
                let allowed = Candidates::of_literal(&literal.node).and(among);
                self.use_of(path, allowed, literal.span, decides);
            }
            Operand::Path(other) => {
                self.use_of(path, among, path.span, decides);
                self.use_of(other, among, other.span, decides);
                self.link(path, other, link, path.span.to(other.span));
            }
        }
    }

    /// `item` looked for in `whole`.
    fn within(&mut self, whole: &Path, item: &Operand, link: Link, decides: bool) {
        match item {
            Operand::Literal(literal) => {
                let allowed = link.second(Candidates::of_literal(&literal.node));
                self.use_of(whole, allowed, literal.span, decides);
            }
            Operand::Path(item) => {
                self.use_of(item, link.first(Candidates::ALL), item.span, decides);
                self.use_of(whole, link.second(Candidates::ALL), whole.span, decides);
                let (from, to) = (item.span.min(whole.span), item.span.max(whole.span));
                self.link(item, whole, link, from.to(to));
            }
        }
    }

    fn use_of(&mut self, path: &Path, allowed: Candidates, span: Span, decides: bool) {
        let id = self.id(&path.node);
        let attribute = &mut self.attributes[id];
        attribute.uses.push(Use { allowed, span, path: path.span });
        attribute.valued = true;
        attribute.decides |= decides;
    }

    fn link(&mut self, first: &Path, second: &Path, link: Link, span: Span) {
        let (first, second) = (self.id(&first.node), self.id(&second.node));
        let id = self.links.len();
        self.links.push(Linked { first, second, link, span });
        self.attributes[first].links.push(id);
        self.attributes[second].links.push(id);
    }

    fn id(&mut self, path: &str) -> usize {
        if let Some(id) = self.ids.get(path) {
            return *id;
        }
        let id = self.attributes.len();
        self.ids.insert(path.to_owned(), id);
        self.attributes.push(Attribute {
            declared: None,
            uses: Vec::new(),
            candidates: Candidates::ALL,
            valued: false,
            decides: false,
            links: Vec::new(),
        });
        id
    }

    /// Decides every attribute's type and reports what does not fit together.
    pub(super) fn resolve(mut self, findings: &mut Vec<Finding>) -> Resolved {
        let paths: Vec<String> = {
            let mut paths = vec![String::new(); self.attributes.len()];
            self.ids.iter().for_each(|(path, id)| paths[*id].clone_from(path));
            paths
        };
        self.report_undeclared(findings);
        for (id, path) in paths.iter().enumerate() {
            self.apply_uses(id, path, findings);
        }
        let mut work: Vec<usize> = (0..self.links.len()).collect();
        self.propagate(&mut work, &paths, findings);
        for id in self.ids.values().copied().collect::<Vec<_>>() {
            let candidates = self.attributes[id].candidates;
            let attribute = &self.attributes[id];
            if attribute.declared.is_some() || !attribute.valued || candidates.is_empty() {
                continue;
            }
            let Some(ty) = candidates.first() else { continue };
            if candidates.is_open()
                && let Some(first) = attribute.uses.first()
            {
                findings.push(
                    Finding::warning(
                        code::OPEN_TYPE,
                        Kind::Type,
                        first.path,
                        format!("the type of `{}` cannot be told from its uses", paths[id]),
                    )
                    .here(format!("taken as {ty}"))
                    .because(format!("it could be {}", candidates.describe()))
                    .try_instead(format!("declare it: SCHEMA {{ {}: {ty} }}", paths[id])),
                );
            }
            self.attributes[id].candidates = Candidates::of(&ty);
            let mut work = self.attributes[id].links.clone();
            self.propagate(&mut work, &paths, findings);
        }
        let reserved = |id: &usize| matches!(self.attributes[*id].declared, Some((_, None)));
        let named = |id: &usize| !reserved(id) || !self.attributes[*id].uses.is_empty();
        let attributes = self.ids.iter().filter(|(_, id)| named(id)).map(|(path, id)| {
            let attribute = &self.attributes[*id];
            let ty = match &attribute.declared {
                Some((ty, _)) => ty.clone(),
                None if !attribute.valued => Type::Any,
                None => attribute.candidates.first().unwrap_or(Type::Any),
            };
            (path.clone(), (ty, attribute.decides))
        });
        Resolved { attributes: attributes.collect(), strict: self.strict }
    }

    /// Strikes out what the uses of one attribute exclude.
    fn apply_uses(&mut self, id: usize, path: &str, findings: &mut Vec<Finding>) {
        let attribute = &mut self.attributes[id];
        if let Some((ty, declared_at)) = &attribute.declared {
            attribute.candidates = Candidates::of(ty);
            for wrong in attribute
                .uses
                .iter()
                .filter(|candidate| candidate.allowed.and(attribute.candidates).is_empty())
            {
                let message = if wrong.allowed.is_empty() {
                    format!("`{path}` cannot be compared in this way")
                } else {
                    format!("`{path}` is {ty}, but is used as {} here", wrong.allowed.describe())
                };
                let finding = Finding::error(code::TYPE_MISMATCH, Kind::Type, wrong.span, message).here(
                    if wrong.allowed.is_empty() {
                        "values of this type have no order".to_owned()
                    } else {
                        format!("this needs {}", wrong.allowed.describe())
                    },
                );
                findings.push(match declared_at {
                    Some(span) => finding.also(*span, format!("declared {ty}")),
                    None => finding.because("every set has this attribute"),
                });
            }
            return;
        }
        let all = attribute.uses.iter().fold(Candidates::ALL, |set, one| set.and(one.allowed));
        attribute.candidates = all;
        if !all.is_empty() {
            return;
        }
        attribute.candidates = Candidates::ALL; // so that those compared with it are not blamed too
        attribute.valued = false;
        if let Some(wrong) = attribute.uses.iter().find(|one| one.allowed.is_empty()) {
            findings.push(
                Finding::error(
                    code::TYPE_MISMATCH,
                    Kind::Type,
                    wrong.span,
                    format!("`{path}` cannot be compared in this way"),
                )
                .here("values of this type have no order"),
            );
            return;
        }
        let mut finding: Option<Finding> = None;
        for one in attribute.uses.iter().filter(|one| one.allowed != Candidates::ALL).take(20) {
            let label = format!("used as {}", one.allowed.describe());
            finding = Some(match finding {
                Some(finding) => finding.also(one.span, label),
                None => Finding::error(
                    code::TYPE_MISMATCH,
                    Kind::Type,
                    one.span,
                    format!("the uses of `{path}` disagree on its type"),
                )
                .here(label)
                .try_instead(format!("declare its type in SCHEMA {{ {path}: … }}")),
            });
        }
        findings.extend(finding);
    }

    /// Lets linked attributes strike out each other's candidates until nothing changes.
    fn propagate(&mut self, work: &mut Vec<usize>, paths: &[String], findings: &mut Vec<Finding>) {
        while let Some(index) = work.pop() {
            let Linked { first, second, link, span } = self.links[index];
            let before = (self.attributes[first].candidates, self.attributes[second].candidates);
            let after = (before.0.and(link.first(before.1)), before.1.and(link.second(before.0)));
            if after.0.is_empty() || after.1.is_empty() {
                // Each pair is reported once; without the link, neither blames others.
                self.links[index].link = Link::Same;
                self.links[index].second = first;
                findings.push(
                    Finding::error(
                        code::TYPE_MISMATCH,
                        Kind::Type,
                        span,
                        format!(
                            "`{}` is {} and `{}` is {}: they cannot be compared in this way",
                            paths[first],
                            self.shown(first),
                            paths[second],
                            self.shown(second)
                        ),
                    )
                    .because("both sides of a comparison have one type"),
                );
            } else if after != before {
                self.attributes[first].candidates = after.0;
                self.attributes[second].candidates = after.1;
                work.extend(&self.attributes[first].links);
                work.extend(&self.attributes[second].links);
            }
        }
    }

    fn shown(&self, id: usize) -> String {
        match &self.attributes[id].declared {
            Some((ty, _)) => ty.to_string(),
            None => self.attributes[id].candidates.describe(),
        }
    }

    fn report_undeclared(&self, findings: &mut Vec<Finding>) {
        if !self.has_schema {
            return;
        }
        let declared: Vec<&str> = self
            .ids
            .iter()
            .filter(|(_, id)| self.attributes[**id].declared.is_some())
            .map(|(path, _)| path.as_str())
            .collect();
        for (path, id) in &self.ids {
            let attribute = &self.attributes[*id];
            let (None, Some(first)) = (&attribute.declared, attribute.uses.first()) else { continue };
            let mut finding = if self.strict {
                let message = format!("unknown attribute `{path}`");
                Finding::error(code::UNKNOWN_ATTRIBUTE, Kind::Unknown, first.path, message)
                    .because("the set's SCHEMA is STRICT, and does not declare it")
            } else {
                let message = format!("attribute `{path}` is not declared in the set's SCHEMA");
                Finding::warning(code::UNDECLARED, Kind::Unknown, first.path, message)
            };
            // A list's entries are uses of their own, all with one name.
            let mut places: Vec<Span> = attribute.uses.iter().map(|one| one.path).collect();
            places.dedup();
            for other in places.into_iter().skip(1).take(4) {
                finding = finding.also(other, "also here");
            }
            findings.push(match suggested(path, declared.iter().copied(), findings) {
                Some(near) => finding.try_instead(format!("did you mean `{near}`?")),
                None => finding,
            });
        }
    }
}

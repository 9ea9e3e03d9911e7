//! Attribute types: declared ones are enforced at every use, undeclared ones inferred from their uses.
//!
//! Inference is by elimination. An undeclared attribute starts with every type possible; each use strikes out
//! the types that it cannot mean ([`Candidates`]), and comparing two attributes lets each strike out the
//! other's. What is left with none is a disagreement, and every use is shown. What is left with several takes
//! the first of STRING, INT, DECIMAL, BOOL, TIMESTAMP, DURATION, IP, then lists: a text literal means STRING
//! and `5` means INT unless some use says otherwise.

use std::collections::BTreeMap;

use aecp_contract::value::{Cidr, Type};

use crate::{
    findings::{Finding, Kind, code, nearest},
    language::ast::{Atom, Comparison, Condition, ConditionKind, Literal, Operand, Path, Spanned},
    set::literal_value,
    source::Span,
};

/// A set of types that an attribute may still have: bit *n* for scalar *n* of [`SCALARS`], bit *n* + 8 for
/// the list of it. ENUM counts as STRING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidates(u16);

const SCALARS: [Type; 7] =
    [Type::String, Type::Int, Type::Decimal, Type::Bool, Type::Timestamp, Type::Duration, Type::Ip];

impl Candidates {
    const STRING: Self = Self(1);
    const INT: Self = Self(1 << 1);
    const DECIMAL: Self = Self(1 << 2);
    const BOOL: Self = Self(1 << 3);
    const TIMESTAMP: Self = Self(1 << 4);
    const DURATION: Self = Self(1 << 5);
    const IP: Self = Self(1 << 6);
    const ALL: Self = Self(0x7f7f);

    fn of(ty: &Type) -> Self {
        match ty {
            Type::Enum(_) => Self::STRING,
            Type::List(element) => Self::of(element).as_lists(),
            Type::Any => Self::ALL,
            scalar => {
                Self(SCALARS.iter().position(|candidate| candidate == scalar).map_or(0, |bit| 1 << bit))
            }
        }
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lists of these scalars.
    const fn as_lists(self) -> Self {
        Self((self.0 & 0x7f) << 8)
    }

    /// The elements of these lists.
    const fn elements(self) -> Self {
        Self(self.0 >> 8)
    }

    /// The first in order of preference.
    fn first(self) -> Option<Type> {
        let bit = self.0.trailing_zeros() as usize;
        if bit < 8 {
            SCALARS.get(bit).cloned()
        } else {
            SCALARS.get(bit - 8).map(|element| Type::List(Box::new(element.clone())))
        }
    }

    /// Whether nothing but preference decides: text may be STRING, TIMESTAMP or IP and a whole number INT or
    /// DECIMAL without anybody wondering; anything wider is worth a word.
    fn is_open(self) -> bool {
        let text = Self::STRING.or(Self::TIMESTAMP).or(Self::IP);
        let number = Self::INT.or(Self::DECIMAL);
        let within = |set: Self| self.and(set) == self;
        let one = self.0.count_ones() == 1;
        !(one || within(text) || within(number) || within(text.as_lists()) || within(number.as_lists()))
    }

    fn describe(self) -> String {
        let text = Self::STRING.or(Self::TIMESTAMP).or(Self::IP);
        if self == text {
            return "STRING".to_owned();
        }
        if self == text.as_lists() {
            return "LIST<STRING>".to_owned();
        }
        let mut rest = self;
        let mut names = Vec::new();
        while let Some(ty) = rest.first() {
            names.push(ty.to_string());
            rest.0 &= rest.0 - 1;
        }
        names.join(" or ")
    }

    /// What an attribute may be that is compared with this literal.
    fn of_literal(literal: &Literal) -> Self {
        match literal {
            Literal::Text(_) => Self::STRING.or(Self::TIMESTAMP).or(Self::IP),
            Literal::Int(_) => Self::INT.or(Self::DECIMAL),
            Literal::Decimal { .. } => Self::DECIMAL,
            Literal::Bool(_) => Self::BOOL,
            Literal::Duration { .. } => Self::DURATION,
            Literal::List(elements) => elements
                .iter()
                .fold(Self(0x7f), |set, element| set.and(Self::of_literal(&element.node)))
                .as_lists(),
        }
    }
}

/// How two attributes bind each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// One type.
    Same,
    /// The second is a LIST of the first.
    Element,
    /// The second is a STRING as the first, or a LIST of the first.
    Part,
}

impl Link {
    /// What the first may be, given the second.
    const fn first(self, second: Candidates) -> Candidates {
        match self {
            Self::Same => second,
            Self::Element => second.elements(),
            Self::Part => second.elements().or(second.and(Candidates::STRING)),
        }
    }

    /// What the second may be, given the first.
    const fn second(self, first: Candidates) -> Candidates {
        match self {
            Self::Same => first,
            Self::Element => first.as_lists(),
            Self::Part => first.as_lists().or(first.and(Candidates::STRING)),
        }
    }
}

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
    declared: Option<(Type, Span)>,
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
    pub(super) fn schema(&mut self, strict: bool) {
        self.has_schema = true;
        self.strict |= strict;
    }

    pub(super) fn declare(&mut self, path: &Path, ty: &Spanned<Type>, findings: &mut Vec<Finding>) {
        let id = self.id(&path.node);
        match &self.attributes[id].declared {
            Some((first, span)) if *first != ty.node => findings.push(
                Finding::error(
                    code::TYPE_MISMATCH,
                    Kind::Type,
                    ty.span,
                    format!("`{}` is declared twice with different types", path.node),
                )
                .here(format!("here {}", ty.node))
                .also(*span, format!("here {first}")),
            ),
            Some(_) => {}
            None => self.attributes[id].declared = Some((ty.node.clone(), ty.span)),
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
        let attributes = self.ids.iter().map(|(path, id)| {
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
                findings.push(
                    Finding::error(code::TYPE_MISMATCH, Kind::Type, wrong.span, message)
                        .here(if wrong.allowed.is_empty() {
                            "values of this type have no order".to_owned()
                        } else {
                            format!("this needs {}", wrong.allowed.describe())
                        })
                        .also(*declared_at, format!("declared {ty}")),
                );
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
            findings.push(match nearest(path, declared.iter().copied()) {
                Some(near) => finding.try_instead(format!("did you mean `{near}`?")),
                None => finding,
            });
        }
    }
}

/// The attributes of a set with their types.
#[derive(Debug)]
pub(super) struct Resolved {
    /// By path: the type, and whether a policy's decision depends on it.
    pub(super) attributes: BTreeMap<String, (Type, bool)>,
    pub(super) strict: bool,
}

impl Resolved {
    fn ty(&self, path: &Path) -> &Type {
        self.attributes.get(&path.node).map_or(&Type::Any, |(ty, _)| ty)
    }

    /// Checks every literal of a condition against the type of its place.
    pub(super) fn literals(&self, condition: &Condition, findings: &mut Vec<Finding>) {
        match &condition.node {
            ConditionKind::And(operands) | ConditionKind::Or(operands) => {
                operands.iter().for_each(|operand| self.literals(operand, findings));
            }
            ConditionKind::Not(operand) => self.literals(operand, findings),
            ConditionKind::Atom(atom) => self.atom_literals(atom, findings),
        }
    }

    fn atom_literals(&self, atom: &Atom, findings: &mut Vec<Finding>) {
        let mut check = |operand: &Operand, path: &Path, ty: &Type| {
            if let Operand::Literal(literal) = operand {
                literal_fits(literal, path, ty, findings);
            }
        };
        match atom {
            Atom::Compare { path, right, .. } => check(right, path, self.ty(path)),
            Atom::Between { path, low, high } => {
                check(low, path, self.ty(path));
                check(high, path, self.ty(path));
            }
            Atom::InList { path, list, .. } => {
                list.iter().for_each(|entry| literal_fits(entry, path, self.ty(path), findings));
            }
            Atom::InPath { element: item, list: path, .. } | Atom::Contains { path, item } => {
                match self.ty(path) {
                    Type::List(element) => check(item, path, element),
                    ty => check(item, path, if ty.is_text() { &Type::String } else { ty }),
                }
            }
            Atom::InCidr { cidr, .. } => match Cidr::parse_lenient(&cidr.node) {
                Ok((_, false)) => {}
                Ok((network, true)) => findings.push(
                    Finding::error(
                        code::BAD_LITERAL,
                        Kind::Type,
                        cidr.span,
                        format!("`{}` is an address inside a network, not a network", cidr.node),
                    )
                    .because("bits after the prefix are set")
                    .try_instead(format!("write `\"{network}\"`")),
                ),
                Err(_) => findings.push(
                    Finding::error(
                        code::BAD_LITERAL,
                        Kind::Type,
                        cidr.span,
                        format!("`{}` is not a network", cidr.node),
                    )
                    .try_instead("write an address and a prefix length, such as `\"10.0.0.0/8\"`"),
                ),
            },
            Atom::StartsWith { .. }
            | Atom::EndsWith { .. }
            | Atom::Matches { .. }
            | Atom::Exists(_)
            | Atom::IsMissing(_)
            | Atom::IsTrue(_) => {}
        }
    }
}

/// Reports a literal that is not a value of `path`'s type, where the kind of literal alone could be.
fn literal_fits(literal: &Spanned<Literal>, path: &Path, ty: &Type, findings: &mut Vec<Finding>) {
    let Literal::Text(text) = &literal.node else { return };
    if literal_value(&literal.node, ty).is_some() {
        return;
    }
    let finding = |message| Finding::error(code::BAD_LITERAL, Kind::Type, literal.span, message);
    findings.push(match ty {
        Type::Enum(members) => {
            let error = finding(format!("`{text}` is not a value of `{}`", path.node))
                .because(format!("it is {ty}"));
            match nearest(text, members.iter().map(String::as_str)) {
                Some(near) => error.try_instead(format!("did you mean `{near}`?")),
                None => error,
            }
        }
        Type::Timestamp => finding(format!("`{text}` is not a timestamp"))
            .because(format!("`{}` is TIMESTAMP", path.node))
            .try_instead("write RFC 3339, such as `\"2026-01-01T00:00:00Z\"`"),
        Type::Ip => {
            finding(format!("`{text}` is not an IP address")).because(format!("`{}` is IP", path.node))
        }
        // Any other type has been reported as a mismatch of this use.
        _ => return,
    });
}

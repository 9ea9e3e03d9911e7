//! Conditions over names become conditions over slots: types resolved, literals turned into constants,
//! negation pushed down to the atoms (De Morgan's laws hold in Kleene's logic).

use aecp_contract::{
    slots::Tag,
    value::{Cidr, Ip, Type, Value},
};

use crate::{
    language::ast::{self, Comparison, Condition, ConditionKind, Literal, Operand, Path},
    set::{PolicySet, literal_value},
};

/// A condition without negation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Atom(Atom),
}

/// An atom: UNKNOWN unless every slot of `known` holds its tag, else what `test` says, turned about if negated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Atom {
    pub(super) known: Vec<(usize, Tag)>,
    pub(super) test: Test,
    pub(super) negated: bool,
}

/// One machine word, or two: how a scalar is laid out in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// BOOL: one byte.
    Byte,
    /// INT, DURATION: 64 bits.
    Word,
    /// DECIMAL, TIMESTAMP, IP: 128 bits, high half first.
    Wide,
    /// STRING, ENUM: address and length.
    Text,
}

impl Shape {
    pub(super) fn of(ty: &Type) -> Self {
        match ty {
            Type::Bool => Self::Byte,
            Type::Int | Type::Duration => Self::Word,
            Type::Decimal | Type::Timestamp | Type::Ip => Self::Wide,
            // Lists and ANY are no scalars; nothing asks for their shape.
            Type::String | Type::Enum(_) | Type::List(_) | Type::Any => Self::Text,
        }
    }

    /// Bytes of one element of a list.
    pub(super) const fn size(self) -> u32 {
        match self {
            Self::Byte => 1,
            Self::Word | Self::Text => 8,
            Self::Wide => 16,
        }
    }
}

/// A scalar constant in its shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Constant {
    Byte(bool),
    Word(i64),
    Wide(i64, u64),
    Text(Vec<u8>),
}

/// The other side of a test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    Slot(usize),
    Constant(Constant),
}

/// What is asked of known slots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    /// Nothing passes it (`fold.rs`).
    Never,
    /// The slot is not missing; asked without any known slot.
    Present(usize),
    Equal {
        slot: usize,
        shape: Shape,
        right: Right,
    },
    /// `slot < right`, or `right < slot` when `swapped`.
    Less {
        slot: usize,
        shape: Shape,
        right: Right,
        swapped: bool,
    },
    OneOf {
        slot: usize,
        shape: Shape,
        entries: Vec<Constant>,
    },
    /// The list in slot `list` holds the element.
    Holds {
        list: usize,
        shape: Shape,
        element: Right,
    },
    ListsEqual {
        slot: usize,
        other: usize,
        shape: Shape,
    },
    StartsWith {
        slot: usize,
        right: Right,
    },
    EndsWith {
        slot: usize,
        right: Right,
    },
    HasPart {
        slot: usize,
        right: Right,
    },
    /// The pattern with `*` as byte 0xFF and `?` as 0xFE, which UTF-8 never has.
    Glob {
        slot: usize,
        pattern: Vec<u8>,
    },
    InNetwork {
        slot: usize,
        network: Ip,
        mask: u128,
    },
    /// Both: used for BETWEEN, whose three operands are known or unknown together.
    Both(Box<(Test, bool)>, Box<(Test, bool)>),
}

/// The byte that stands for `*` in [`Test::Glob`].
pub(super) const ANY_TEXT: u8 = 0xff;
/// The byte that stands for `?` in [`Test::Glob`].
pub(super) const ANY_CHARACTER: u8 = 0xfe;

/// Lowers conditions of one set.
pub(super) struct Lower<'a> {
    pub(super) set: &'a PolicySet,
}

impl Lower<'_> {
    pub(super) fn condition(&self, condition: &Condition, negated: bool) -> Expr {
        match &condition.node {
            ConditionKind::And(operands) | ConditionKind::Or(operands) => {
                let lowered = operands.iter().map(|operand| self.condition(operand, negated)).collect();
                if matches!(condition.node, ConditionKind::And(_)) != negated {
                    Expr::And(lowered)
                } else {
                    Expr::Or(lowered)
                }
            }
            ConditionKind::Not(operand) => self.condition(operand, !negated),
            ConditionKind::Atom(atom) => {
                let (test, paths, turned) = self.atom(atom);
                let known = paths.into_iter().map(|path| {
                    let (slot, ty) = self.slot(path);
                    (slot, Tag::of(ty))
                });
                Expr::Atom(Atom { known: known.collect(), test, negated: turned != negated })
            }
        }
    }

    /// The test, the paths that must be known, and whether the test's answer is turned about.
    fn atom<'a>(&self, atom: &'a ast::Atom) -> (Test, Vec<&'a Path>, bool) {
        match atom {
            ast::Atom::Compare { path, operator, right } => {
                let (slot, ty) = self.slot(path);
                let paths = paths(path, [right]);
                if let (Type::List(element), Operand::Path(other)) = (ty, right) {
                    let test =
                        Test::ListsEqual { slot, other: self.slot(other).0, shape: Shape::of(element) };
                    return (test, paths, *operator == Comparison::NotEqual);
                }
                let shape = Shape::of(ty);
                let right = self.right(right, ty);
                // a <= b is NOT b < a, which holds between known values.
                let (test, turned) = match operator {
                    Comparison::Equal => (Test::Equal { slot, shape, right }, false),
                    Comparison::NotEqual => (Test::Equal { slot, shape, right }, true),
                    Comparison::Less => (Test::Less { slot, shape, right, swapped: false }, false),
                    Comparison::GreaterOrEqual => {
                        (Test::Less { slot, shape, right, swapped: false }, true)
                    }
                    Comparison::Greater => (Test::Less { slot, shape, right, swapped: true }, false),
                    Comparison::LessOrEqual => (Test::Less { slot, shape, right, swapped: true }, true),
                };
                (test, paths, turned)
            }
            ast::Atom::Between { path, low, high } => {
                let (slot, ty) = self.slot(path);
                let shape = Shape::of(ty);
                let below = Test::Less { slot, shape, right: self.right(low, ty), swapped: false };
                let above = Test::Less { slot, shape, right: self.right(high, ty), swapped: true };
                let test = Test::Both(Box::new((below, true)), Box::new((above, true)));
                (test, paths(path, [low, high]), false)
            }
            ast::Atom::InList { path, negated, list } => {
                let (slot, ty) = self.slot(path);
                let mut entries: Vec<_> = list.iter().map(|entry| constant(&entry.node, ty)).collect();
                entries.sort();
                entries.dedup();
                (Test::OneOf { slot, shape: Shape::of(ty), entries }, vec![path], *negated)
            }
            ast::Atom::InPath { element, negated, list } => {
                let (test, paths) = self.holds(list, element);
                (test, paths, *negated)
            }
            ast::Atom::Contains { path, item } => {
                let (slot, ty) = self.slot(path);
                if matches!(ty, Type::List(_)) {
                    let (test, paths) = self.holds(path, item);
                    (test, paths, false)
                } else {
                    let test = Test::HasPart { slot, right: self.right(item, &Type::String) };
                    (test, paths(path, [item]), false)
                }
            }
            ast::Atom::StartsWith { path, text } => {
                let right = self.right(text, &Type::String);
                (Test::StartsWith { slot: self.slot(path).0, right }, paths(path, [text]), false)
            }
            ast::Atom::EndsWith { path, text } => {
                let right = self.right(text, &Type::String);
                (Test::EndsWith { slot: self.slot(path).0, right }, paths(path, [text]), false)
            }
            ast::Atom::Matches { path, glob } => {
                let pattern = glob_pattern(&glob.node);
                (Test::Glob { slot: self.slot(path).0, pattern }, vec![path], false)
            }
            ast::Atom::InCidr { path, negated, cidr } => {
                #[expect(clippy::expect_used, reason = "the checker refused every other text")]
                let (network, _) = Cidr::parse_lenient(&cidr.node).expect("a checked network");
                let test = Test::InNetwork {
                    slot: self.slot(path).0,
                    network: network.network,
                    mask: network.mask(),
                };
                (test, vec![path], *negated)
            }
            ast::Atom::Exists(path) => (Test::Present(self.slot(path).0), vec![], false),
            ast::Atom::IsMissing(path) => (Test::Present(self.slot(path).0), vec![], true),
            ast::Atom::IsTrue(path) => {
                let right = Right::Constant(Constant::Byte(true));
                let slot = self.slot(path).0;
                (Test::Equal { slot, shape: Shape::Byte, right }, vec![path], false)
            }
        }
    }

    fn holds<'a>(&self, list: &'a Path, element: &'a Operand) -> (Test, Vec<&'a Path>) {
        let (slot, ty) = self.slot(list);
        let element_type = match ty {
            Type::List(element) => element,
            other => other,
        };
        let test = Test::Holds {
            list: slot,
            shape: Shape::of(element_type),
            element: self.right(element, element_type),
        };
        (test, paths(list, [element]))
    }

    fn right(&self, operand: &Operand, ty: &Type) -> Right {
        match operand {
            Operand::Literal(literal) => Right::Constant(constant(&literal.node, ty)),
            Operand::Path(path) => Right::Slot(self.slot(path).0),
        }
    }

    fn slot(&self, path: &Path) -> (usize, &Type) {
        #[expect(clippy::expect_used, reason = "the checker gave every path of a policy its slot")]
        self.set.attribute(&path.node).expect("a checked path")
    }
}

fn paths<'a, const N: usize>(path: &'a Path, operands: [&'a Operand; N]) -> Vec<&'a Path> {
    let others = operands.into_iter().filter_map(|operand| match operand {
        Operand::Path(path) => Some(path),
        Operand::Literal(_) => None,
    });
    std::iter::once(path).chain(others).collect()
}

fn constant(literal: &Literal, ty: &Type) -> Constant {
    #[expect(clippy::expect_used, reason = "the checker refused every literal of another type")]
    let value = literal_value(literal, ty).expect("a checked literal");
    match value {
        Value::Bool(b) => Constant::Byte(b),
        Value::Int(n) => Constant::Word(n),
        Value::Duration(d) => Constant::Word(d.0),
        Value::Decimal(d) => Constant::Wide((d.scaled() >> 64) as i64, d.scaled() as u64),
        Value::Timestamp(t) => Constant::Wide(t.seconds, u64::from(t.nanoseconds)),
        Value::Ip(Ip(bits)) => Constant::Wide((bits >> 64) as i64, bits as u64),
        Value::Text(text) => Constant::Text(text.into_bytes()),
        // No atom takes a list literal as one operand.
        Value::List(_) => Constant::Text(Vec::new()),
    }
}

fn glob_pattern(glob: &str) -> Vec<u8> {
    let mut pattern = Vec::new();
    let mut characters = glob.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '*' => {
                if pattern.last() != Some(&ANY_TEXT) {
                    pattern.push(ANY_TEXT);
                }
                continue;
            }
            '?' => {
                pattern.push(ANY_CHARACTER);
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        pattern.extend(literal.encode_utf8(&mut [0; 4]).bytes());
    }
    pattern
}

//! Random syntax trees for property tests: any tree that has a text, and conditions of sound types.

use aecp_contract::{
    manifest::{self, AuditLevel},
    value::Type,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};

use super::ast::*;
use crate::source::Span;

/// `node` nowhere.
pub(crate) fn nowhere<T>(node: T) -> Spanned<T> {
    Spanned::new(node, Span::default())
}

/// Any name.
pub(crate) fn name() -> impl Strategy<Value = Name> + Clone {
    "[a-z][a-z0-9_]{0,8}".prop_map(nowhere)
}

/// Any attribute path.
pub(crate) fn path() -> impl Strategy<Value = Path> + Clone {
    "[a-z][a-z0-9_]{0,5}(\\.[a-z][a-z0-9_]{0,5}){0,2}"
        .prop_filter("a literal", |path| path != "true" && path != "false")
        .prop_map(nowhere)
}

/// Any text, control characters and all.
pub(crate) fn text() -> impl Strategy<Value = Text> + Clone {
    prop_oneof![4 => "[ -~]{0,12}", 1 => "(?s).{0,6}"].prop_map(nowhere)
}

/// Any literal but a list.
pub(crate) fn literal() -> impl Strategy<Value = Spanned<Literal>> + Clone {
    prop_oneof![
        text().prop_map(|text| Literal::Text(text.node)),
        any::<i64>().prop_map(Literal::Int),
        decimal(),
        any::<bool>().prop_map(Literal::Bool),
        duration(),
    ]
    .prop_map(nowhere)
}

fn decimal() -> impl Strategy<Value = Literal> + Clone {
    "-?[0-9]{1,9}\\.[0-9]{1,9}".prop_map(|text| {
        let value = text.parse().expect("within range");
        Literal::Decimal { text, value }
    })
}

fn duration() -> impl Strategy<Value = Literal> + Clone {
    "-?[0-9]{1,5}(ms|s|m|h|d|w)".prop_map(|text| {
        let value = text.parse().expect("within range");
        Literal::Duration { text, value }
    })
}

fn operand() -> impl Strategy<Value = Operand> + Clone {
    prop_oneof![literal().prop_map(Operand::Literal), path().prop_map(Operand::Path)]
}

fn comparison() -> impl Strategy<Value = Comparison> + Clone {
    use Comparison::*;
    select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual])
}

/// Any atom, of sound types or not.
pub(crate) fn atom() -> impl Strategy<Value = Atom> {
    let negated = any::<bool>;
    prop_oneof![
        (path(), comparison(), operand()).prop_map(|(path, operator, right)| Atom::Compare {
            path,
            operator,
            right
        }),
        (path(), operand(), operand()).prop_map(|(path, low, high)| Atom::Between { path, low, high }),
        (path(), negated(), vec(literal(), 1..9)).prop_map(|(path, negated, list)| Atom::InList {
            path,
            negated,
            list
        }),
        (operand(), negated(), path()).prop_map(|(element, negated, list)| Atom::InPath {
            element,
            negated,
            list
        }),
        (path(), operand()).prop_map(|(path, item)| Atom::Contains { path, item }),
        (path(), operand()).prop_map(|(path, text)| Atom::StartsWith { path, text }),
        (path(), operand()).prop_map(|(path, text)| Atom::EndsWith { path, text }),
        (path(), text()).prop_map(|(path, glob)| Atom::Matches { path, glob }),
        (path(), negated(), text()).prop_map(|(path, negated, cidr)| Atom::InCidr {
            path,
            negated,
            cidr
        }),
        path().prop_map(Atom::Exists),
        path().prop_map(Atom::IsMissing),
        path().prop_map(Atom::IsTrue),
    ]
}

/// Conditions of the given atoms.
pub(crate) fn condition_of(atoms: impl Strategy<Value = Atom> + 'static) -> BoxedStrategy<Condition> {
    let leaf = atoms.prop_map(|atom| nowhere(ConditionKind::Atom(atom)));
    let node = leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|parts| nowhere(ConditionKind::And(parts))),
            vec(inner.clone(), 2..4).prop_map(|parts| nowhere(ConditionKind::Or(parts))),
            inner.prop_map(|part| nowhere(ConditionKind::Not(Box::new(part)))),
        ]
    });
    node.boxed()
}

/// Any condition.
pub(crate) fn condition() -> BoxedStrategy<Condition> {
    condition_of(atom())
}

/// Conditions over these attributes in which every atom is of sound types.
pub(crate) fn typed_condition(attributes: Vec<(String, Type)>) -> BoxedStrategy<Condition> {
    condition_of(typed_atom(attributes))
}

/// Atoms over these attributes, of sound types.
pub(crate) fn typed_atom(attributes: Vec<(String, Type)>) -> BoxedStrategy<Atom> {
    let all = attributes.clone();
    let of_one = (select(attributes), any::<Index>()).prop_flat_map(move |((name, ty), index)| {
        let path = nowhere(name);
        let peers: Vec<_> = all.iter().filter(|(_, other)| *other == ty).collect();
        let peer =
            nowhere(peers.get(index.index(peers.len())).map_or_else(String::new, |it| it.0.clone()));
        typed_atom_of(path, ty, peer)
    });
    of_one.boxed()
}

fn typed_atom_of(path: Path, ty: Type, peer: Path) -> BoxedStrategy<Atom> {
    let any_type = select(vec![Atom::Exists(path.clone()), Atom::IsMissing(path.clone())]);
    if let Type::List(element) = ty {
        let (list, other) = (path.clone(), path);
        return prop_oneof![
            1 => any_type,
            2 => (literal_of(&element), any::<bool>()).prop_map(move |(item, negated)| Atom::InPath {
                element: Operand::Literal(item), negated, list: list.clone(),
            }),
            2 => literal_of(&element).prop_map(move |item| Atom::Contains {
                path: other.clone(), item: Operand::Literal(item),
            }),
        ]
        .boxed();
    }
    let ordered = matches!(ty, Type::Int | Type::Decimal | Type::Timestamp | Type::Duration);
    let operators = if ordered {
        comparison().boxed()
    } else {
        select(vec![Comparison::Equal, Comparison::NotEqual]).boxed()
    };
    let right =
        prop_oneof![3 => literal_of(&ty).prop_map(Operand::Literal), 1 => Just(Operand::Path(peer))];
    let at = move || path.clone();
    let (compared, listed, between) = (at(), at(), at());
    let mut atoms = vec![
        any_type.boxed(),
        (operators, right.clone())
            .prop_map(move |(operator, right)| Atom::Compare { path: compared.clone(), operator, right })
            .boxed(),
        (vec(literal_of(&ty), 1..5), any::<bool>())
            .prop_map(move |(list, negated)| Atom::InList { path: listed.clone(), negated, list })
            .boxed(),
    ];
    if ordered {
        let ends = (right.clone(), right.clone());
        let atom = ends.prop_map(move |(low, high)| Atom::Between { path: between.clone(), low, high });
        atoms.push(atom.boxed());
    }
    match ty {
        Type::Bool => atoms.push(Just(Atom::IsTrue(at())).boxed()),
        Type::String | Type::Enum(_) => {
            let (contains, starts, ends, matches) = (at(), at(), at(), at());
            let part = right.boxed();
            atoms.extend([
                part.clone()
                    .prop_map(move |item| Atom::Contains { path: contains.clone(), item })
                    .boxed(),
                part.clone()
                    .prop_map(move |text| Atom::StartsWith { path: starts.clone(), text })
                    .boxed(),
                part.prop_map(move |text| Atom::EndsWith { path: ends.clone(), text }).boxed(),
                "[ab*?]{0,4}"
                    .prop_map(move |glob| Atom::Matches { path: matches.clone(), glob: nowhere(glob) })
                    .boxed(),
            ]);
        }
        Type::Ip => {
            let networks =
                ["10.0.0.0/8", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32"].map(str::to_owned);
            let path = at();
            let atom = (select(networks.to_vec()), any::<bool>()).prop_map(move |(cidr, negated)| {
                Atom::InCidr { path: path.clone(), negated, cidr: nowhere(cidr) }
            });
            atoms.push(atom.boxed());
        }
        _ => {}
    }
    proptest::strategy::Union::new(atoms).boxed()
}

/// Literals of one type, out of few, so that random values often meet.
pub(crate) fn literal_of(ty: &Type) -> BoxedStrategy<Spanned<Literal>> {
    let texts = |texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|text| Literal::Text((*text).to_owned())).collect();
        select(texts).boxed()
    };
    let literals = match ty {
        Type::Int => (-3..4_i64).prop_map(Literal::Int).boxed(),
        Type::Decimal => "-?[0-2]\\.[05]"
            .prop_map(|text| Literal::Decimal { value: text.parse().expect("a decimal"), text })
            .boxed(),
        Type::Bool => any::<bool>().prop_map(Literal::Bool).boxed(),
        Type::Duration => "[0-3](s|m)"
            .prop_map(|text| Literal::Duration { value: text.parse().expect("a duration"), text })
            .boxed(),
        Type::Timestamp => {
            texts(&["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2027-01-01T00:00:00Z"])
        }
        Type::Ip => texts(&["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3"]),
        Type::Enum(members) => {
            select(members.iter().cloned().map(Literal::Text).collect::<Vec<_>>()).boxed()
        }
        _ => "[ab]{0,2}".prop_map(Literal::Text).boxed(),
    };
    literals.prop_map(nowhere).boxed()
}

fn ty() -> impl Strategy<Value = Type> {
    use Type::*;
    let element = prop_oneof![
        3 => select(vec![String, Int, Decimal, Bool, Timestamp, Duration, Ip]),
        1 => vec(text().prop_map(|text| text.node), 1..6).prop_map(Enum),
    ];
    prop_oneof![3 => element.clone(), 1 => element.prop_map(|element| List(Box::new(element)))]
}

fn field() -> impl Strategy<Value = Field> {
    use Field::*;
    let method = prop_oneof![
        any::<u32>().prop_map(MaskMethod::Last),
        Just(MaskMethod::Redact),
        Just(MaskMethod::Hash)
    ];
    let points = select(vec![Point::Ingress, Point::Mesh, Point::Data, Point::Egress]).prop_map(nowhere);
    let enforcements = vec![
        manifest::Enforcement::Blocking,
        manifest::Enforcement::Advisory,
        manifest::Enforcement::AuditOnly,
    ];
    let levels = vec![AuditLevel::Required, AuditLevel::Optional, AuditLevel::None];
    let resource = name().prop_filter("means every request", |name| name.node != "requests");
    let scope = (option::of(resource), option::of(condition()))
        .prop_map(|(resource, condition)| Scope(super::ast::Scope { resource, condition }));
    prop_oneof![
        text().prop_map(Description),
        any::<i64>().prop_map(|version| Version(nowhere(version))),
        text().prop_map(Author),
        text().prop_map(Justification),
        vec(text(), 0..9).prop_map(Compliance),
        scope,
        condition().prop_map(Constraint),
        select(enforcements).prop_map(|word| Enforcement(nowhere(word))),
        select(levels).prop_map(|word| Audit(nowhere(word))),
        Just(Exception),
        vec(points, 1..5).prop_map(At),
        (option::of(text()), text()).prop_map(|(from, until)| Effective { from, until: Some(until) }),
        text().prop_map(|from| Effective { from: Some(from), until: None }),
        (path(), method).prop_map(|(path, method)| Mask { path, method }),
        condition().prop_map(Filter),
        (any::<i64>(), duration(), path()).prop_map(|(count, per, by)| Limit {
            count: nowhere(count),
            per: nowhere(per),
            by
        }),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    let declaration = (path(), ty()).prop_map(|(path, ty)| Declaration { path, ty: nowhere(ty) });
    let value = prop_oneof![
        3 => literal(),
        1 => vec(literal(), 0..4).prop_map(|entries| nowhere(Literal::List(entries))),
    ];
    let expect = prop_oneof![
        Just(Expect::Allow),
        vec(name(), 1..4).prop_map(Expect::AllowWithAdvisory),
        vec(name(), 0..4).prop_map(Expect::Deny),
    ];
    let given = (path(), value).prop_map(|(path, value)| Given { path, value });
    prop_oneof![
        (any::<bool>(), vec(declaration, 0..5))
            .prop_map(|(strict, declarations)| Statement::Schema(Schema { strict, declarations })),
        (name(), vec(field().prop_map(nowhere), 0..6)).prop_map(|(name, fields)| {
            Statement::Policy(Policy { name, fields, incomplete: false })
        }),
        (text(), vec(given, 0..9), expect).prop_map(|(name, given, expect)| {
            Statement::Test(Test { name, given, expect: nowhere(expect) })
        }),
        (name(), condition())
            .prop_map(|(name, never_allow)| Statement::Invariant(Invariant { name, never_allow })),
    ]
}

/// Any file that has a text.
pub(crate) fn file() -> impl Strategy<Value = File> {
    let statements = vec(statement().prop_map(nowhere), 0..5);
    (option::of(name()), any::<bool>(), statements).prop_map(|(module, default_deny, statements)| File {
        module,
        default_deny,
        statements,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::check,
        findings::{Finding, has_errors},
        language::format::print,
        source::{Source, Sources},
    };

    /// One attribute of each type.
    fn attributes() -> Vec<(String, Type)> {
        let members = vec!["a".to_owned(), "b".to_owned()];
        let scalars = [
            ("s", Type::String),
            ("t", Type::String),
            ("i", Type::Int),
            ("d", Type::Decimal),
            ("b", Type::Bool),
            ("at", Type::Timestamp),
            ("age", Type::Duration),
            ("ip", Type::Ip),
            ("e", Type::Enum(members)),
        ];
        let list = ("roles".to_owned(), Type::List(Box::new(Type::String)));
        scalars.into_iter().map(|(name, ty)| (name.to_owned(), ty)).chain([list]).collect()
    }

    fn findings(text: String) -> Vec<Finding> {
        check(&Sources::new(vec![Source { path: "a.aecp".to_owned(), text }])).findings
    }

    proptest! {
        #[test]
        fn typed_conditions_pass_the_type_check(condition in typed_condition(attributes())) {
            let declarations = attributes().into_iter().map(|(name, ty)| Declaration { path: nowhere(name), ty: nowhere(ty) });
            let fields = [
                Field::Scope(Scope { resource: None, condition: None }),
                Field::Constraint(condition),
                Field::Enforcement(nowhere(manifest::Enforcement::Blocking)),
            ];
            let policy = Policy {
                name: nowhere("p".to_owned()),
                fields: fields.map(nowhere).to_vec(),
                incomplete: false,
            };
            let statements = [
                Statement::Schema(Schema { strict: true, declarations: declarations.collect() }),
                Statement::Policy(policy),
            ];
            let text = print(&File { statements: statements.map(nowhere).to_vec(), ..File::default() });
            let findings = findings(text.clone());
            prop_assert!(!has_errors(&findings), "{text}\n{findings:#?}");
        }
    }

    #[test]
    fn a_broken_declaration_makes_no_errors_of_its_uses() {
        let text = "SCHEMA STRICT { a: STRNG }\nPOLICY p { SCOPE: requests CONSTRAINT: a == 1 OR a IN CIDR \"10.0.0.0/8\" ENFORCEMENT: BLOCKING }";
        let messages: Vec<_> = findings(text.to_owned()).into_iter().map(|it| it.message).collect();
        assert_eq!(messages, ["unknown type `STRNG`"]);
    }
}

//! Random conditions of sound types.

use aecp_contract::value::Type;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::{comparison, condition_of, nowhere};
use crate::language::ast::*;

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

#[cfg(test)]
mod tests {
    use aecp_contract::manifest;

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

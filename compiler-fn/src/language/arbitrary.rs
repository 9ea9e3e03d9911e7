//! Random syntax trees for property tests: any tree that has a text, and ([`typed`]) conditions of sound types.

use aecp_contract::{
    manifest::{self, AuditLevel, Point},
    value::Type,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::ast::*;
use crate::source::Span;

pub(crate) mod typed;

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

fn cell() -> impl Strategy<Value = Cell> + Clone {
    prop_oneof![
        3 => literal().prop_map(|literal| nowhere(Some(literal.node))),
        1 => vec(literal(), 0..4).prop_map(|entries| nowhere(Some(Literal::List(entries)))),
        1 => Just(nowhere(None)),
    ]
}

fn given() -> impl Strategy<Value = Given> + Clone {
    let entry = (path(), cell()).prop_map(|(path, value)| GivenEntry { path, value });
    (vec(entry, 0..9), option::of(text())).prop_map(|(entries, extends)| Given { entries, extends })
}

/// Also tables whose rows are too short or too long: they have a text.
fn expectation() -> impl Strategy<Value = Expectation> {
    let expect = prop_oneof![
        Just(Expect::Allow),
        vec(name(), 1..4).prop_map(Expect::AllowWithAdvisory),
        vec(name(), 0..4).prop_map(Expect::Deny),
    ]
    .prop_map(nowhere);
    let row =
        (vec(cell(), 0..4), expect.clone()).prop_map(|(cells, expect)| nowhere(Row { cells, expect }));
    let table = (vec(path(), 1..4), vec(row, 0..5)).prop_map(|(columns, rows)| Table { columns, rows });
    prop_oneof![
        2 => expect.prop_map(Expectation::One),
        1 => table.prop_map(|table| Expectation::Table(nowhere(table))),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    let declaration = (path(), ty()).prop_map(|(path, ty)| Declaration { path, ty: nowhere(ty) });
    prop_oneof![
        (any::<bool>(), vec(declaration, 0..5))
            .prop_map(|(strict, declarations)| Statement::Schema(Schema { strict, declarations })),
        (name(), vec(field().prop_map(nowhere), 0..6)).prop_map(|(name, fields)| {
            Statement::Policy(Policy { name, fields, incomplete: false })
        }),
        (text(), given(), expectation()).prop_map(|(name, given, expect)| Statement::Test(Test {
            name,
            given,
            expect
        })),
        (text(), given()).prop_map(|(name, given)| Statement::Fixture(Fixture { name, given })),
        (name(), any::<bool>(), condition()).prop_map(|(name, assumed, never_allow)| {
            Statement::Invariant(Invariant { name, assumed, never_allow })
        }),
    ]
}

/// Any file that has a text.
pub(crate) fn file() -> impl Strategy<Value = File> {
    let statements = vec(statement().prop_map(nowhere), 0..5);
    let min_coverage = option::of((0..1000_i64).prop_map(nowhere));
    (option::of(name()), any::<bool>(), min_coverage, statements).prop_map(
        |(module, default_deny, min_coverage, statements)| File {
            module,
            default_deny,
            min_coverage,
            statements,
        },
    )
}

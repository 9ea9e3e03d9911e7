//! The syntax tree: what a source file says, and where.
//!
//! Grouping parentheses and braces are not kept; the printer puts back those that are needed. Names of
//! types and values are already the contract's, since the language spells them the same way.

use aecp_contract::{
    manifest::{AuditLevel, Enforcement, Point},
    value::{Decimal, Duration, Type},
};

use crate::source::Span;

/// A piece of the tree and where it stands. Two pieces are equal when they say the same, wherever they stand.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// What it says.
    pub node: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `node` at `span`.
    pub fn new(node: T, span: Span) -> Self {
        Self { node, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// An attribute path such as `customer.region`: names `[a-z][a-z0-9_]*` joined by dots.
pub type Path = Spanned<String>;

/// A name: `[a-z][a-z0-9_]*`.
pub type Name = Spanned<String>;

/// A text literal, escapes resolved.
pub type Text = Spanned<String>;

/// One source file, which is one module.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    /// `MODULE name`.
    pub module: Option<Name>,
    /// `DEFAULT: DENY`.
    pub default_deny: bool,
    /// `MIN_COVERAGE: 80`, in percent; checked later.
    pub min_coverage: Option<Spanned<i64>>,
    /// The statements in their order.
    pub statements: Vec<Spanned<Statement>>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `SCHEMA [STRICT] { … }`
    Schema(Schema),
    /// `POLICY name { … }`
    Policy(Policy),
    /// `TEST "…" { … }`
    Test(Test),
    /// `FIXTURE "…" { … }`
    Fixture(Fixture),
    /// `INVARIANT name { … }`
    Invariant(Invariant),
}

/// Declarations of attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Whether undeclared attributes are errors.
    pub strict: bool,
    /// The declarations in their order.
    pub declarations: Vec<Declaration>,
}

/// `customer.region: ENUM("EU", "US")`
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The attribute.
    pub path: Path,
    /// Its type; lists of lists are syntax errors.
    pub ty: Spanned<Type>,
}

/// A policy. Fields stand as they were written; that each stands at most once is checked later.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Unique in the set.
    pub name: Name,
    /// The fields in their order; the span is the whole field, keyword included.
    pub fields: Vec<Spanned<Field>>,
    /// Whether a field was left out of `fields` because it could not be parsed (reported already), so that
    /// no one complains that it is missing.
    pub incomplete: bool,
}

/// One field of a policy.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// `DESCRIPTION: "…"`
    Description(Text),
    /// `VERSION: 3`
    Version(Spanned<i64>),
    /// `AUTHOR: "…"`
    Author(Text),
    /// `JUSTIFICATION: "…"`
    Justification(Text),
    /// `COMPLIANCE: ["…", …]`
    Compliance(Vec<Text>),
    /// `SCOPE: requests|name [WHERE condition]`
    Scope(Scope),
    /// `CONSTRAINT: condition`
    Constraint(Condition),
    /// `ENFORCEMENT: BLOCKING|ADVISORY|AUDIT_ONLY`
    Enforcement(Spanned<Enforcement>),
    /// `AUDIT: REQUIRED|OPTIONAL|NONE`
    Audit(Spanned<AuditLevel>),
    /// `EXCEPTION: break_glass_token_required`
    Exception,
    /// `AT: [INGRESS, …]`
    At(Vec<Spanned<Point>>),
    /// `EFFECTIVE: [FROM "…"] [UNTIL "…"]`; at least one.
    Effective {
        /// An RFC 3339 timestamp; checked later.
        from: Option<Text>,
        /// An RFC 3339 timestamp; checked later.
        until: Option<Text>,
    },
    /// `MASK: path WITH method`; `REDACT: path` and `HASH: path` are short for that method. May repeat.
    Mask {
        /// The attribute.
        path: Path,
        /// How.
        method: MaskMethod,
    },
    /// `FILTER: condition`. May repeat.
    Filter(Condition),
    /// `LIMIT: 100 PER 1m BY path`. May repeat.
    Limit {
        /// How many.
        count: Spanned<i64>,
        /// In what time.
        per: Spanned<Literal>,
        /// For each value of what.
        by: Path,
    },
}

impl Field {
    /// The keyword.
    #[must_use]
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Description(_) => "DESCRIPTION",
            Self::Version(_) => "VERSION",
            Self::Author(_) => "AUTHOR",
            Self::Justification(_) => "JUSTIFICATION",
            Self::Compliance(_) => "COMPLIANCE",
            Self::Scope(_) => "SCOPE",
            Self::Constraint(_) => "CONSTRAINT",
            Self::Enforcement(_) => "ENFORCEMENT",
            Self::Audit(_) => "AUDIT",
            Self::Exception => "EXCEPTION",
            Self::At(_) => "AT",
            Self::Effective { .. } => "EFFECTIVE",
            Self::Mask { .. } => "MASK",
            Self::Filter(_) => "FILTER",
            Self::Limit { .. } => "LIMIT",
        }
    }
}

/// How a value is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskMethod {
    /// `LAST(n)`: all but the last n characters.
    Last(u32),
    /// `REDACT`: all of it.
    Redact,
    /// `HASH`: replaced by its digest.
    Hash,
}

/// To which requests a policy applies.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// `None` for `requests`; a name means `resource.type == "<name>"`.
    pub resource: Option<Name>,
    /// The condition after WHERE.
    pub condition: Option<Condition>,
}

/// A condition and where it stands.
pub type Condition = Spanned<ConditionKind>;

/// A condition. `AND` and `OR` have at least two operands; a nested one of the same kind was in parentheses.
#[derive(Debug, Clone, PartialEq)]
pub enum ConditionKind {
    /// All of them.
    And(Vec<Condition>),
    /// Any of them.
    Or(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// One comparison.
    Atom(Atom),
}

/// A comparison of attributes, the smallest condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Atom {
    /// `path == x` (`=` is the same), `!=`, `<`, `<=`, `>`, `>=`
    Compare {
        /// The left side.
        path: Path,
        /// The operator.
        operator: Comparison,
        /// The right side.
        right: Operand,
    },
    /// `path BETWEEN low AND high`, both included.
    Between {
        /// The attribute.
        path: Path,
        /// The least.
        low: Operand,
        /// The greatest.
        high: Operand,
    },
    /// `path [NOT] IN [a, b, …]`; at least one entry.
    InList {
        /// The attribute.
        path: Path,
        /// `NOT IN`.
        negated: bool,
        /// The entries.
        list: Vec<Spanned<Literal>>,
    },
    /// `x [NOT] IN path`
    InPath {
        /// The element.
        element: Operand,
        /// `NOT IN`.
        negated: bool,
        /// The LIST attribute.
        list: Path,
    },
    /// `path CONTAINS x`: of a LIST its element, of a STRING its part.
    Contains {
        /// The LIST or STRING attribute.
        path: Path,
        /// The element or part.
        item: Operand,
    },
    /// `path STARTS WITH x`
    StartsWith {
        /// The attribute.
        path: Path,
        /// The beginning.
        text: Operand,
    },
    /// `path ENDS WITH x`
    EndsWith {
        /// The attribute.
        path: Path,
        /// The end.
        text: Operand,
    },
    /// `path MATCHES "glob*"`: `*` is any text, `?` any one character, `\` takes the next one as it is.
    Matches {
        /// The attribute.
        path: Path,
        /// The pattern.
        glob: Text,
    },
    /// `path [NOT] IN CIDR "10.0.0.0/8"`
    InCidr {
        /// The attribute.
        path: Path,
        /// `NOT IN`.
        negated: bool,
        /// The network; checked later.
        cidr: Text,
    },
    /// `path EXISTS`
    Exists(Path),
    /// `path IS MISSING`
    IsMissing(Path),
    /// `path` alone, a BOOL.
    IsTrue(Path),
}

/// The operators of [`Atom::Compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==` or `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The operator as the printer writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// The right side of an atom.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A literal.
    Literal(Spanned<Literal>),
    /// Another attribute.
    Path(Path),
}

impl Operand {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Literal(literal) => literal.span,
            Self::Path(path) => path.span,
        }
    }
}

/// A literal. Text stands for STRING, ENUM, TIMESTAMP and IP alike; which one, its place decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `"text"`, escapes resolved.
    Text(String),
    /// `42`
    Int(i64),
    /// `4.2`
    Decimal {
        /// As it was written.
        text: String,
        /// Its value.
        value: Decimal,
    },
    /// `true`, `false`
    Bool(bool),
    /// `15m`
    Duration {
        /// As it was written.
        text: String,
        /// Its value.
        value: Duration,
    },
    /// `["a", "b"]`, in GIVEN alone.
    List(Vec<Spanned<Literal>>),
}

/// A test.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Unique among the set's tests and fixtures.
    pub name: Text,
    /// `GIVEN: { … } [EXTENDS "…"]`
    pub given: Given,
    /// `EXPECT: …` or `TABLE: { … }`
    pub expect: Expectation,
}

/// Attributes that tests share.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// Unique among the set's tests and fixtures.
    pub name: Text,
    /// `GIVEN: { … } [EXTENDS "…"]`
    pub given: Given,
}

/// `GIVEN: { path: value, … } [EXTENDS "…"]`
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The test's own attributes, in their order.
    pub entries: Vec<GivenEntry>,
    /// The fixture or test whose attributes it takes over, but for its own.
    pub extends: Option<Text>,
}

/// One attribute of a test's request.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenEntry {
    /// The attribute.
    pub path: Path,
    /// Its value.
    pub value: Cell,
}

/// A value; `None` is `MISSING`.
pub type Cell = Spanned<Option<Literal>>;

/// What a test expects, once or row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// `EXPECT: …`
    One(Spanned<Expect>),
    /// `TABLE: { … }`
    Table(Spanned<Table>),
}

/// `TABLE: { path | … | EXPECT   value | … | outcome … }`
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The attributes; at least one.
    pub columns: Vec<Path>,
    /// The rows; each is a test. That each has a cell for every column is checked later.
    pub rows: Vec<Spanned<Row>>,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What the request has for the columns.
    pub cells: Vec<Cell>,
    /// What is expected of it.
    pub expect: Spanned<Expect>,
}

/// What a test expects.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// `ALLOW`
    Allow,
    /// `ALLOW WITH ADVISORY name, …`: allowed, and each of these ADVISORY policies violated.
    AllowWithAdvisory(Vec<Name>),
    /// `DENY [BY name, …]`: denied, and each of these BLOCKING policies violated or indeterminate.
    Deny(Vec<Name>),
}

/// `INVARIANT name [ASSUMED] { NEVER ALLOW WHERE condition }`
#[derive(Debug, Clone, PartialEq)]
pub struct Invariant {
    /// Unique in the set.
    pub name: Name,
    /// Whether its author vouches for it where it cannot be proven.
    pub assumed: bool,
    /// What must never be allowed.
    pub never_allow: Condition,
}

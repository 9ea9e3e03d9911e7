//! What the grammar expected at a place, in the language's words.

use super::{
    grammar::Rule,
    words::{AUDITS, ENFORCEMENTS, EXCEPTIONS, METHODS, OUTCOMES, POINTS, TYPES, one_of, or},
};

/// Whether it is a closing bracket.
pub(super) fn closes(rule: Rule) -> bool {
    matches!(rule, Rule::close_brace | Rule::close_paren | Rule::close_bracket)
}

/// Whether a number may be meant.
pub(super) fn wants_number(expected: &[Rule]) -> bool {
    let numbers = [
        Rule::literal,
        Rule::value,
        Rule::integer,
        Rule::duration,
        Rule::cell,
        Rule::clause,
        Rule::condition,
    ];
    expected.iter().any(|rule| numbers.contains(rule))
}

/// Whether the token is a number or duration, though perhaps not of the kind that is expected.
pub(super) fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let units = ["ms", "s", "m", "h", "d", "w"];
    let number = units.iter().find_map(|unit| digits.strip_suffix(unit)).unwrap_or(digits);
    let whole = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    whole(number) || digits.split_once('.').is_some_and(|(a, b)| whole(a) && whole(b))
}

/// The closed choice of words that is expected, and what it is called.
pub(super) fn choice(expected: &[Rule]) -> Option<(&'static str, &'static [&'static str])> {
    expected.iter().find_map(|rule| {
        let choice: (_, &[&str]) = match rule {
            Rule::enforcement_word => ("enforcement", &ENFORCEMENTS),
            Rule::audit_word => ("audit level", &AUDITS),
            Rule::exception_word => ("exception", &EXCEPTIONS),
            Rule::point => ("enforcement point", &POINTS),
            Rule::type_name | Rule::element_type | Rule::scalar_type => ("type", &TYPES),
            Rule::method => ("way of masking", &METHODS),
            Rule::outcome => ("outcome", &OUTCOMES),
            _ => return None,
        };
        Some(choice)
    })
}

/// What was expected, in words.
pub(super) fn expectation(piece: Rule, expected: &[Rule]) -> String {
    // An attribute with nothing behind it needs an operator sooner than an AND.
    if expected.contains(&Rule::tail) {
        return "an operator such as `==` or `IN`".to_owned();
    }
    let condition = [Rule::condition, Rule::clause, Rule::group];
    if expected.iter().any(|rule| condition.contains(rule)) {
        return "a condition".to_owned();
    }
    let mut phrases: Vec<String> = Vec::new();
    // What may come after the piece is named last.
    let (end, others): (Vec<Rule>, Vec<Rule>) = expected.iter().partition(|rule| **rule == Rule::EOI);
    for rule in others.into_iter().chain(end) {
        let phrase = phrase(piece, rule);
        if !phrases.contains(&phrase) {
            phrases.push(phrase);
        }
    }
    if phrases.is_empty() { "something else".to_owned() } else { or(&phrases) }
}

fn phrase(piece: Rule, rule: Rule) -> String {
    let fixed = match rule {
        Rule::EOI => match piece {
            Rule::one_field => "the next field",
            Rule::one_declaration => "the next declaration",
            Rule::one_given_entry => "the next attribute",
            Rule::one_expect | Rule::one_extends => "`}`",
            Rule::one_columns | Rule::one_row => "the next row",
            _ => "a statement",
        },
        Rule::schema | Rule::policy | Rule::test | Rule::fixture | Rule::invariant => "a statement",
        Rule::field => "a field such as `SCOPE:`",
        Rule::value => "a literal or an attribute",
        Rule::literal => "a literal",
        Rule::cell => "a value",
        Rule::collection => "a list, an attribute or `CIDR`",
        Rule::element => "`IN`",
        Rule::name => "a name",
        Rule::path | Rule::declaration | Rule::given_entry | Rule::columns => "an attribute",
        Rule::text => "a string",
        Rule::integer => "a whole number",
        Rule::duration => "a duration such as `15m`",
        Rule::type_name | Rule::element_type | Rule::scalar_type => "a type",
        Rule::colon => "`:`",
        Rule::comma => "`,`",
        Rule::bar => "`|`",
        Rule::less => "`<`",
        Rule::greater => "`>`",
        Rule::open_brace => "`{`",
        Rule::close_brace => "`}`",
        Rule::open_paren => "`(`",
        Rule::close_paren => "`)`",
        Rule::open_bracket => "`[`",
        Rule::close_bracket => "`]`",
        Rule::enforcement_word => return one_of(&ENFORCEMENTS),
        Rule::audit_word => return one_of(&AUDITS),
        Rule::exception_word => return one_of(&EXCEPTIONS),
        Rule::point => return one_of(&POINTS),
        Rule::method => return one_of(&METHODS),
        Rule::outcome => return one_of(&OUTCOMES),
        Rule::effective => "`FROM` or `UNTIL`",
        // Keywords are named after themselves.
        other => {
            let name = format!("{other:?}");
            return format!("`{}`", name.trim_end_matches("_kw").to_ascii_uppercase());
        }
    };
    fixed.to_owned()
}
